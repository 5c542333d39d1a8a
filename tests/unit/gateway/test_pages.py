"""The small HTTP server, against real sockets and hostile visitors."""

import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import pytest

from bench.mosquitto import free_port
from edge_agent.core.errors import PortError
from edge_agent.gateway.pages import (
    CONNECTIONS_MAX,
    REQUEST_BYTES_MAX,
    WITHIN_NS,
    Page,
    PageServer,
)
from tests.system.mqtt_peer import wait_until

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = "caf\u00e9\n"


class Bench:
    """The server and a clock of the test's own."""

    def __init__(self, body: str = BODY) -> None:
        self.port = free_port()
        self.now_ns = 0
        self.server = PageServer("127.0.0.1", self.port, {"/a": Page(200, "text/x", body)}.get)

    def visit(self, request: bytes = b"") -> socket.socket:
        """A visitor that the server has taken in, with the request on its way."""
        before = len(self.server.filenos())
        visitor = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        full = before == 1 + CONNECTIONS_MAX  # then the oldest makes room
        self.until(lambda: full or len(self.server.filenos()) > before, "taken in")
        visitor.sendall(request)
        return visitor

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Turn the server until it holds."""

        def turned() -> object:
            self.server.step(self.now_ns)
            return condition()

        wait_until(turned, what)

    def count(self, name: str) -> int | str:
        return self.server.counters()[f"pages.{name}"]

    def answer(self, visitor: socket.socket) -> bytes:
        """All that it is sent until the end."""
        heard = bytearray()
        visitor.settimeout(0.01)

        def ended() -> bool:
            try:
                data = visitor.recv(65536)
            except TimeoutError:
                return False
            except ConnectionResetError:
                return True
            heard.extend(data)
            return not data

        self.until(ended, "the end of the answer")
        visitor.close()
        return bytes(heard)

    def ask(self, request: bytes) -> bytes:
        return self.answer(self.visit(request))


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.server.close()


def test_a_browser_reads_a_page(bench: Bench) -> None:
    """The standard library's own client in a thread, since the test turns the server."""
    found: list[Any] = []

    def fetch() -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{bench.port}/a?x=1", timeout=10) as answer:
            found.append((answer.status, answer.headers["Content-Type"], answer.read().decode()))

    thread = Thread(target=fetch)
    thread.start()
    bench.until(lambda: found, "the page")
    thread.join()
    assert found == [(200, "text/x", BODY)]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /b HTTP/1.1\r\n\r\n", 404),
        (b"GET /a/../a HTTP/1.1\r\n\r\n", 404),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 404),
        (b"POST /a HTTP/1.1\r\n\r\n", 405),
        (b"GET /a SMTP\r\n\r\n", 400),
        (b"GET  /a HTTP/1.1\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),  # TLS, spoken to a plain port
        (b"GET /a HTTP/1.1\r\n" + b"x" * REQUEST_BYTES_MAX, 400),
    ],
)
def test_whatever_else_is_asked_gets_a_short_no(
    bench: Bench, request_bytes: bytes, status: int
) -> None:
    assert bench.ask(request_bytes).startswith(f"HTTP/1.0 {status} ".encode())
    assert bench.ask(GET).endswith(BODY.encode())


def test_a_request_may_arrive_byte_by_byte(bench: Bench) -> None:
    visitor = bench.visit()
    for byte in GET:
        visitor.sendall(bytes([byte]))
        bench.server.step(0)
    assert bench.answer(visitor).endswith(BODY.encode())


def test_who_asks_too_slowly_is_given_up_and_a_byte_renews_nothing(bench: Bench) -> None:
    visitor = bench.visit(b"GET")
    for share in (0.5, 0.9):
        bench.now_ns = round(share * WITHIN_NS)
        visitor.sendall(b" ")
        bench.server.step(bench.now_ns)
    assert bench.count("given_up") == 0
    bench.now_ns = WITHIN_NS + 1
    assert bench.answer(visitor) == b""
    assert bench.count("given_up") == 1


def test_who_does_not_read_is_given_up() -> None:
    bench = Bench("x" * 50_000_000)  # more than any socket buffer holds
    visitor = bench.visit(GET)
    bench.until(lambda: bench.count("served"), "asked")
    assert len(bench.server.filenos()) == 1  # not waited for: who does not read wakes nobody up
    bench.server.step(WITHIN_NS)
    assert bench.count("given_up") == 0
    bench.server.step(2 * WITHIN_NS + 1)
    assert bench.count("given_up") == 1
    visitor.close()
    bench.server.close()


def test_whoever_holds_connections_open_keeps_nobody_out(bench: Bench) -> None:
    held = [bench.visit() for _ in range(CONNECTIONS_MAX)]
    assert len(bench.server.filenos()) == 1 + CONNECTIONS_MAX
    assert bench.ask(GET).endswith(BODY.encode())
    assert bench.count("given_up") == 1
    for visitor in held:
        visitor.close()
    bench.until(lambda: len(bench.server.filenos()) == 1, "all gone")


def test_a_flood_of_connections_is_bounded(bench: Bench) -> None:
    flood = [socket.create_connection(("127.0.0.1", bench.port), timeout=10) for _ in range(8)]
    bench.server.step(0)
    flood += [socket.create_connection(("127.0.0.1", bench.port), timeout=10) for _ in range(8)]
    bench.until(lambda: bench.count("given_up") == 8, "given up")
    assert len(bench.server.filenos()) == 1 + CONNECTIONS_MAX
    for visitor in flood:
        visitor.close()


def test_a_visitor_that_is_gone_is_forgotten(bench: Bench) -> None:
    bench.visit().close()
    bench.until(lambda: len(bench.server.filenos()) == 1, "forgotten")


def test_a_port_that_is_taken_is_an_error_with_a_fix() -> None:
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        with pytest.raises(PortError, match="Address already in use") as refused:
            PageServer("127.0.0.1", owner.getsockname()[1], lambda _path: None)
    assert refused.value.fix
