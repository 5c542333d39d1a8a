"""A gateway with a real broker and a real relay, stepped by the test itself."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_agent.core.clock import SystemClock
from edge_agent.core.ipc import Welcome
from edge_agent.core.records import Mode, Proposal, Reading, Snapshot, TickRecord, Verdict
from edge_agent.gateway.metrics_settings import MetricsSettings
from edge_agent.gateway.process import Gateway, GatewayJob
from edge_agent.gateway.settings import MqttSensor, MqttSettings
from edge_agent.ports.gateway_relay import GatewayRelay
from edge_agent.safety.devices.air_handler import ENVELOPE

WELCOME = Welcome("b00t", "air-handler", {"envelope": ENVELOPE.sha256(), "model": "m0"})
CHANNELS = range(len(ENVELOPE.sensors))
SENSORS = (
    MqttSensor(channel="supply_temperature", topic="plant/supply", unit="degF"),
    MqttSensor(
        channel="mixed_temperature", topic="plant/mixed", unit="degC", form="json", path="a.t"
    ),
    MqttSensor(channel="fan_status", topic="plant/fan", unit="bool", form="msgpack", path="on"),
)


class ListRecorder:
    """Keeps records in memory; with `full`, like a disk that has no room."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.runs: list[Welcome] = []
        self.full = False

    def begin(self, welcome: Welcome) -> None:
        self._need_room()
        self.runs.append(welcome)

    def append(self, record: bytes) -> None:
        self._need_room()
        self.records.append(record)

    def status(self) -> dict[str, int | str]:
        return {"records_lost": 0, "error": ""}

    def _need_room(self) -> None:
        if self.full:
            raise OSError(28, "No space left on device")


def job(port: int, socket_path: Path, **changes: object) -> GatewayJob:
    """A gateway job for the air handler on a broker of the test's own."""
    metrics = changes.pop("metrics", None)
    values: dict[str, object] = {"port": port, "sensor": SENSORS, "keepalive_s": 2} | changes
    return GatewayJob(
        envelope=ENVELOPE,
        settings=MqttSettings(**values),  # type: ignore[arg-type]
        socket_path=socket_path,
        metrics=metrics if isinstance(metrics, MetricsSettings) else None,
    )


def tick_record(tick: int, now_ns: int) -> TickRecord:
    """A plausible record of the air handler: everything GOOD, everything safe."""
    channels = len(ENVELOPE.channel_names)
    return TickRecord(
        tick=tick,
        now_ns=now_ns,
        readings=(),
        intents=(),
        snapshot=Snapshot((2100,) * channels, (0,) * channels, (0,) * channels),
        features=(),
        proposal=Proposal(None),
        verdict=Verdict((0,) * len(ENVELOPE.actuators)),
        mode=Mode.SAFE,
        cause=None,
    )


class Bench:
    """Both ends of the socket in one thread: `until` steps them in turn."""

    def __init__(self, port: int, folder: Path, **changes: object) -> None:
        self.path = folder / "control.sock"
        metrics = changes.get("metrics")
        self.metrics_port = metrics.port if isinstance(metrics, MetricsSettings) else 0
        self.relay: GatewayRelay | None = GatewayRelay(self.path, WELCOME, CHANNELS)
        self.recorder = ListRecorder()
        self.gateway = Gateway(
            job(port, self.path, **changes), self.recorder, SystemClock(), random.Random(1)
        )
        self.readings: list[Reading] = []

    def step(self) -> None:
        self.gateway.step(0.01)
        if self.relay is not None:
            self.readings += self.relay.poll(time.monotonic_ns())

    def until(self, condition: Callable[[], object], what: str, timeout_s: float = 10.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
            self.step()

    def until_connected(self) -> None:
        self.until(
            lambda: (
                self.count("mqtt.state") == "connected"
                and self.relay is not None
                and self.relay.gateway_connected
            ),
            "gateway connected to broker and control",
        )

    def count(self, name: str) -> int | str:
        return self.gateway.counters().get(name, 0)

    def close(self) -> None:
        self.gateway.close()
        if self.relay is not None:
            self.relay.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
