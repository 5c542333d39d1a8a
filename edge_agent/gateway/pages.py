"""A few pages over HTTP/1.0, read-only, inside the gateway's own loop.

Owns: the listening socket and its connections. Must not: wait for anybody. Each connection has a
second to ask and a second to read the answer, a request has 4 KB, and there are eight of them: a
ninth ends the oldest, so that whoever holds connections open keeps nobody out.

http.server would do the same work with a thread per visitor, no limit on their number, and a time
limit that a byte a second renews for ever.
"""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from edge_agent.core.clock import NS_PER_S
from edge_agent.core.errors import PortError

CONNECTIONS_MAX: Final = 8
REQUEST_BYTES_MAX: Final = 4096
WITHIN_NS: Final = NS_PER_S
_ACCEPTS_PER_STEP: Final = 16
_WORDS: Final[Mapping[int, str]] = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}


class Page(NamedTuple):
    """What is sent for one path."""

    status: int
    content_type: str
    body: str


Answer = Callable[[str], Page | None]  # path -> page; None: there is no such path


@dataclass(slots=True)
class _Visitor:
    sock: socket.socket
    until_ns: int
    asked: bytearray = field(default_factory=bytearray)
    answer: bytes | None = None


class PageServer:
    """Serves what `answer` gives; `step` is one pass."""

    def __init__(self, address: str, port: int, answer: Answer) -> None:
        """Raises PortError when the port cannot be had."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.setblocking(False)
        try:
            self._listener.bind((address, port))
            self._listener.listen(CONNECTIONS_MAX)
        except OSError as error:
            self._listener.close()
            raise PortError(
                f"cannot listen: {error.strerror}",
                where=f"metrics {address}:{port}",
                fix="another port, or stop who has it",
            ) from error
        self._answer = answer
        self._visitors: list[_Visitor] = []
        self._counts = dict.fromkeys(("served", "refused", "given_up"), 0)

    def filenos(self) -> list[int]:
        """Readable when `step` has something to do."""
        return [self._listener.fileno(), *(v.sock.fileno() for v in self._visitors if not v.answer)]

    def step(self, now_ns: int) -> None:
        """See to everybody; never waits."""
        for _ in range(_ACCEPTS_PER_STEP):
            try:
                sock, _address = self._listener.accept()
            except OSError:  # nobody, or gone again, or no descriptor left: the next pass
                break
            sock.setblocking(False)
            self._visitors.append(_Visitor(sock, now_ns + WITHIN_NS))
        for visitor in self._visitors[:-CONNECTIONS_MAX]:
            self._give_up(visitor)
        for visitor in list(self._visitors):
            self._attend(visitor, now_ns)

    def counters(self) -> dict[str, int | str]:
        """By flat name."""
        return {f"pages.{name}": count for name, count in self._counts.items()}

    def close(self) -> None:
        """End every connection."""
        for visitor in list(self._visitors):
            self._end(visitor)
        self._listener.close()

    def _attend(self, visitor: _Visitor, now_ns: int) -> None:
        try:
            if visitor.answer is None and self._has_asked(visitor):
                page = self._page(bytes(visitor.asked))
                self._counts["served" if page.status in {200, 503} else "refused"] += 1
                visitor.answer = _encoded(page)
                visitor.until_ns = now_ns + WITHIN_NS
            if visitor.answer is not None:
                sent = visitor.sock.send(visitor.answer)
                visitor.answer = visitor.answer[sent:]
        except BlockingIOError:
            pass
        except OSError:  # gone
            self._end(visitor)
            return
        if visitor.answer == b"":
            self._end(visitor)
        elif now_ns > visitor.until_ns:
            self._give_up(visitor)

    def _has_asked(self, visitor: _Visitor) -> bool:
        """Take in what has come; whether the request is whole, or as long as it may be. Raises
        ConnectionError when the other side has closed."""
        data = visitor.sock.recv(REQUEST_BYTES_MAX)
        if not data:
            raise ConnectionResetError
        visitor.asked += data
        return b"\r\n\r\n" in visitor.asked or len(visitor.asked) >= REQUEST_BYTES_MAX

    def _page(self, request: bytes) -> Page:
        line, _, _ = request.partition(b"\r\n")
        words = line.split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1.") or b"\r\n\r\n" not in request:
            return _plain(400)
        if words[0] != b"GET":
            return _plain(405)
        path = words[1].partition(b"?")[0].decode("ascii", "replace")
        return self._answer(path) or _plain(404)

    def _give_up(self, visitor: _Visitor) -> None:
        self._counts["given_up"] += 1
        self._end(visitor)

    def _end(self, visitor: _Visitor) -> None:
        visitor.sock.close()
        self._visitors.remove(visitor)


def _plain(status: int) -> Page:
    return Page(status, "text/plain", _WORDS[status] + "\n")


def _encoded(page: Page) -> bytes:
    body = page.body.encode()
    head = f"HTTP/1.0 {page.status} {_WORDS[page.status]}\r\n"
    head += f"Content-Type: {page.content_type}\r\nContent-Length: {len(body)}\r\n"
    head += "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    return head.encode() + body
