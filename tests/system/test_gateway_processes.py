"""The gateway as a process: killed, stopped, orphaned, and left alone by control."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.mosquitto import Mosquitto
from edge_agent.gateway.control_socket import query_status
from edge_agent.ports.gateway_relay import GatewayRelay
from tests.system.gateway_bench import CHANNELS, WELCOME, tick_record
from tests.system.mqtt_peer import MqttPeer, wait_until

STATUS = "edge/air-handler/status"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[GatewayRelay]:
    port = GatewayRelay(tmp_path / "control.sock", WELCOME, CHANNELS)
    yield port
    port.close()


def _start(broker: Mosquitto, folder: Path, parent: int = 0) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.system.gateway_program",
            str(broker.port),
            str(folder / "control.sock"),
            str(parent),
        ],
        cwd=ROOT,
    )


@pytest.fixture
def gateway(
    broker: Mosquitto, relay: GatewayRelay, tmp_path: Path
) -> Iterator[subprocess.Popen[bytes]]:
    process = _start(broker, tmp_path)
    try:
        _poll_until(relay, lambda: relay.gateway_connected, "gateway connected")
        yield process
    finally:
        process.kill()
        process.wait(10)


def _poll_until(relay: GatewayRelay, condition: Callable[[], object], what: str) -> None:
    def polled() -> object:
        relay.poll(time.monotonic_ns())
        return condition()

    wait_until(polled, what, timeout_s=20)


def _on(payload: bytes) -> bool:
    on: bool = json.loads(payload)["on"]
    return on


def test_the_will_tells_when_the_gateway_is_killed(
    broker: Mosquitto, relay: GatewayRelay, gateway: subprocess.Popen[bytes]
) -> None:
    with MqttPeer(broker.port, STATUS) as operator:
        wait_until(lambda: operator.received and _on(operator.received[-1][1]), "birth")
        gateway.kill()
        wait_until(lambda: not _on(operator.received[-1][1]), "will")
        assert b"connection lost" in operator.received[-1][1]
        _poll_until(relay, lambda: not relay.gateway_connected, "control notices")
        relay.publish(tick_record(1, time.monotonic_ns()))  # and goes on


def test_sigterm_is_a_clean_goodbye(
    broker: Mosquitto, relay: GatewayRelay, gateway: subprocess.Popen[bytes]
) -> None:
    with MqttPeer(broker.port, STATUS) as operator:
        wait_until(lambda: operator.received and _on(operator.received[-1][1]), "birth")
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(10) == 0
        wait_until(lambda: b"stopped" in operator.received[-1][1], "last word")
        _poll_until(relay, lambda: not relay.gateway_connected, "control notices")


def test_a_new_gateway_takes_the_place_of_a_killed_one(
    broker: Mosquitto, relay: GatewayRelay, gateway: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    gateway.kill()
    gateway.wait(10)
    second = _start(broker, tmp_path)
    try:
        _poll_until(relay, lambda: relay.status()["gateway_connects"] == 2, "second gateway")
    finally:
        second.kill()
        second.wait(10)


def test_the_gateway_outlives_a_killed_control_process(broker: Mosquitto, tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path;"
        "from edge_agent.ports.gateway_relay import GatewayRelay;"
        "from tests.system.gateway_bench import CHANNELS, WELCOME;"
        "relay = GatewayRelay(Path(sys.argv[1]), WELCOME, CHANNELS)\n"
        "while True: relay.poll(time.monotonic_ns()); time.sleep(0.01)"
    )
    path = tmp_path / "control.sock"
    control = subprocess.Popen([sys.executable, "-c", program, str(path)], cwd=ROOT)
    gateway = _start(broker, tmp_path)
    try:
        with MqttPeer(broker.port, STATUS) as operator:
            wait_until(lambda: _last_control(operator) == "up", "control up", 20)
            control.kill()
            control.wait(10)
            wait_until(lambda: _last_control(operator) == "gone", "control gone")
            assert gateway.poll() is None
            # The killed process left its socket behind; the next one replaces it.
            relay = GatewayRelay(path, WELCOME, CHANNELS)
            _poll_until(relay, lambda: relay.gateway_connected, "served again")
            relay.close()
    finally:
        for process in (control, gateway):
            process.kill()
            process.wait(10)


def _last_control(operator: MqttPeer) -> object:
    return json.loads(operator.received[-1][1]).get("control") if operator.received else None


def test_a_gateway_told_to_follow_its_parent_ends_with_it(
    broker: Mosquitto, tmp_path: Path
) -> None:
    process = _start(broker, tmp_path, parent=os.getppid())  # never its real parent
    try:
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(10)


def test_the_status_query_holds_control_and_the_gateways_last_report(
    relay: GatewayRelay, gateway: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert gateway.poll() is None
    relay.publish_status({"mode": "SAFE"})
    query = (
        "import sys, json; from pathlib import Path;"
        "from edge_agent.gateway.control_socket import query_status;"
        "print(json.dumps(query_status(Path(sys.argv[1]), 10.0)))"
    )
    _poll_until(relay, lambda: relay._gateway_report.get("mqtt.state") == "connected", "report")
    asking = subprocess.Popen(
        [sys.executable, "-c", query, str(tmp_path / "control.sock")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    _poll_until(relay, lambda: asking.poll() is not None, "answered")
    answer = json.loads(asking.communicate()[0])
    assert answer["control"] == {"mode": "SAFE"}
    assert answer["gateway"]["connected"] is True
    assert answer["gateway"]["report"]["mqtt.state"] == "connected"
    assert 0 <= answer["gateway"]["report_age_ns"] < 10_000_000_000


def test_the_status_query_says_when_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no answer from the control process"):
        query_status(tmp_path / "absent.sock", 0.1)
