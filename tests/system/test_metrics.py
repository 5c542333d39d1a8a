"""The gateway's pages beside its work: a real broker, a real relay, visitors good and bad."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.mosquitto import Mosquitto, free_port
from edge_agent.gateway.metrics_settings import MetricsSettings
from edge_agent.gateway.pages import CONNECTIONS_MAX
from tests.system.gateway_bench import Bench, tick_record
from tests.unit.gateway.test_metrics import read

TICKS = 50


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    metrics = MetricsSettings(port=free_port())
    with Mosquitto(tmp_path) as broker, Bench(broker.port, tmp_path, metrics=metrics) as made:
        made.until_connected()
        yield made


def get(bench: Bench, path: str) -> tuple[int, str]:
    """Status and body, while the gateway does its other work."""
    heard = bytearray()
    with socket.create_connection(("127.0.0.1", bench.metrics_port), timeout=10) as visitor:
        visitor.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
        visitor.settimeout(0.01)

        def ended() -> bool:
            try:
                data = visitor.recv(65536)
            except TimeoutError:
                return False
            heard.extend(data)
            return not data

        bench.until(ended, f"the page {path}")
    head, _, body = heard.decode().partition("\r\n\r\n")
    return int(head.split()[1]), body


def publish_ticks(bench: Bench, count: int) -> None:
    assert bench.relay is not None
    for i in range(count):
        bench.relay.publish(tick_record(i, time.monotonic_ns()))
        bench.step()


def test_every_tick_that_passes_is_in_the_numbers(bench: Bench) -> None:
    assert get(bench, "/readyz") == (503, "no tick yet\n")
    publish_ticks(bench, TICKS)
    bench.until(lambda: bench.count("records") == TICKS, "records are kept")
    assert bench.relay is not None
    bench.relay.publish_status({"mode": "SAFE", "ticks": {"ticks": TICKS, "missed_deadlines": 1}})
    bench.step()
    status, body = get(bench, "/metrics")
    found = read(body)
    assert status == 200
    assert found["edge_agent_ticks_total"][()] == TICKS
    assert found["edge_agent_overruns_total"][()] == 1
    assert found["edge_agent_mqtt_connected"][()] == 1
    assert found["edge_agent_mode"][("mode", "SAFE"),] == 1
    assert found["edge_agent_events_total"][("event", "records"),] == TICKS
    assert get(bench, "/readyz") == (200, "ready\n")
    assert get(bench, "/healthz") == (200, "ok\n")
    assert get(bench, "/")[0] == 404


def test_without_its_control_process_a_gateway_is_healthy_and_not_ready(bench: Bench) -> None:
    publish_ticks(bench, 1)
    assert bench.relay is not None
    bench.relay.close()
    bench.relay = None
    bench.until(lambda: bench.count("control.state") == "gone", "control is gone")
    assert get(bench, "/healthz")[0] == 200
    assert get(bench, "/readyz") == (503, "the control process is not there\n")
    assert "edge_agent_control_connected 0" in get(bench, "/metrics")[1]


def test_hostile_visitors_cost_no_record(bench: Bench) -> None:
    """Connections that say nothing, half a request, and ones that never read."""
    address = ("127.0.0.1", bench.metrics_port)
    held = [socket.create_connection(address, timeout=10) for _ in range(CONNECTIONS_MAX)]
    for number, visitor in enumerate(held):
        visitor.sendall((b"", b"GET /met", b"GET /metrics HTTP/1.1\r\n\r\n" * 100)[number % 3])
    publish_ticks(bench, TICKS)
    bench.until(lambda: bench.count("records") == TICKS, "records are kept")
    assert get(bench, "/healthz")[0] == 200
    for visitor in held:
        visitor.close()


def test_a_port_that_is_taken_leaves_the_gateway_at_work(tmp_path: Path) -> None:
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        metrics = MetricsSettings(port=owner.getsockname()[1])
        with Mosquitto(tmp_path) as broker, Bench(broker.port, tmp_path, metrics=metrics) as bench:
            bench.until_connected()
            publish_ticks(bench, TICKS)
            bench.until(lambda: bench.count("records") == TICKS, "records are kept")
            assert "Address already in use" in str(bench.count("pages.state"))
