"""A carrier between a broker that is played and a real socket, and a clock in the hand."""

from pathlib import Path
from typing import cast

import msgspec

from edge_agent.authority.body import Status
from edge_agent.core.command_ipc import (
    LinkUp,
    Standing,
    ToControl,
)
from edge_agent.gateway.client import MqttLink
from edge_agent.gateway.plane import Carrier, PlaneJob
from edge_agent.gateway.plane_settings import PlaneSettings
from edge_agent.gateway.session import Received, ReplyTo
from edge_agent.ports.command_relay import CommandRelay
from edge_agent.safety.devices.air_handler import ENVELOPE

S = 1_000_000_000
CMD, RESP, EVT = "ed/v1/ahu-7/cmd", "ed/v1/ahu-7/resp", "ed/v1/ahu-7/evt"
META, DESIRED, REPORTED = (f"ed/v1/ahu-7/{leaf}" for leaf in ("meta", "desired", "reported"))


class PlayedLink:
    """A broker's side that does what the test says."""

    def __init__(self) -> None:
        self.connected = True
        self.deaf = False  # has not answered the subscriptions
        self.state = "connected"
        self.last_reason = ""
        self.connection = 1
        self.window = 20
        self.coming: list[Received] = []
        self.acked: list[int] = []
        self.published: list[bytes] = []
        self.copies: list[tuple[str, bytes, bytes]] = []  # topic, payload, correlation
        self.pubacks: list[int] = []
        self.retained: dict[str, bytes] = {}
        self.status = Status(on=False)

    def fileno(self) -> int:
        return -1

    @property
    def listening(self) -> bool:
        return self.connected and not self.deaf

    def service(self, now_ns: int) -> None:
        pass

    def take_messages(self) -> list[Received]:
        coming, self.coming = self.coming, []
        return coming

    def take_acks(self) -> list[int]:
        acks, self.pubacks = self.pubacks, []
        return acks

    def ack(self, message: Received) -> None:
        self.acked.append(message.mid)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 0,
        retain: bool = False,
        correlation: bytes = b"",
    ) -> int | None:
        if not self.connected:
            return None
        if topic.startswith(f"{RESP}/"):
            self.copies.append((topic, payload, correlation))
            return 0
        if retain:
            self.retained[topic] = payload
            return 0
        assert topic in {RESP, EVT}
        self.published.append(payload)
        return len(self.published)

    def set_status(self, payload: bytes) -> None:
        self.status = msgspec.msgpack.decode(payload, type=Status)

    def counters(self) -> dict[str, int | str]:
        return {"mqtt.state": "played"}

    def leave(self, now_ns: int, reason: str, last_status: bytes = b"") -> None:
        self.connected = False
        self.state, self.last_reason = "taken_over", reason
        self.set_status(last_status)

    def close(self, last_status: bytes) -> None:
        self.set_status(last_status)


class Bench:
    """A carrier, its two neighbours, and a clock in the hand."""

    def __init__(self, folder: Path) -> None:
        self.relay = CommandRelay(folder / "commands.sock")
        self.folder = folder
        self.now_ns = S
        self.start()

    def start(self) -> None:
        self.link = PlayedLink()
        job = PlaneJob(
            settings=PlaneSettings(id="ahu-7"),
            envelope=ENVELOPE,
            control="enforce",
            run="r1",
            socket_path=self.folder / "commands.sock",
            folder=self.folder,
        )
        self.carrier = Carrier(job, cast("MqttLink", self.link))

    def step(self, dt_ns: int = S) -> list[ToControl]:
        """One pass; what the control process then hears."""
        self.now_ns += dt_ns
        self.carrier.step(self.now_ns)
        self.relay.poll(self.now_ns)
        return self.relay.take()

    def stand(self, boot: str = "b1", session: str = "s1") -> list[ToControl]:
        """Until the control process has told its session."""
        while LinkUp(self.link.connection) not in self.step():
            pass
        self.relay.send(Standing(boot, session, self.link.connection))
        self.step()
        return self.step()

    def receive(
        self,
        *numbers: int,
        retained: bool = False,
        reply_to: ReplyTo | None = None,
        topic: str = CMD,
    ) -> None:
        self.link.coming += [
            Received(topic, b"sealed %d" % n, retained, self.now_ns, 1, n, reply_to)
            for n in numbers
        ]

    def count(self, name: str) -> int | str:
        return self.carrier.counters().get(f"plane.{name}", 0)
