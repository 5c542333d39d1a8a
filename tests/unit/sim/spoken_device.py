"""A simulated device in session, spoken to frame by frame on an injected clock."""

import dataclasses

from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.safety.limits import Envelope
from edge_agent.sim.mcu import McuSettings, SimulatedMcu
from firmware_bridge.frames import Direction, Frame, FrameDecoder, encode_frame
from firmware_bridge.messages import DeviceState, Kind, session_salt

MS = 1_000_000
FEEDBACK = ("fan_current", "damper_position")


class Device:
    """A device in session, spoken to frame by frame."""

    def __init__(self, settings: McuSettings | None = None, envelope: Envelope = ENVELOPE) -> None:
        self.now_ns = 0
        self.mcu = SimulatedMcu(envelope, FEEDBACK, 7, settings)
        self.host = FrameDecoder(Direction.FROM_DEVICE)
        self.salt = session_salt(self.mcu.hello, 5)
        self.seq = 0
        self.wait(0)
        self.mcu.receive(0, encode_frame(Frame(Kind.HELLO_ACK, 0, 0, (7, 5)), 0))
        self.host.salt = self.salt

    @property
    def token(self) -> int:
        return self.now_ns // (10 * MS)

    def wait(self, ms: int) -> list[Frame]:
        self.now_ns += ms * MS
        return self.host.feed(self.mcu.advance(self.now_ns))

    def say(self, kind: Kind, values: tuple[int, ...], age: int = 0) -> bytes:
        self.seq += 1
        token = (self.token - age) & 0xFFFF
        wire = encode_frame(Frame(kind, self.seq, token, values), self.salt)
        self.mcu.receive(self.now_ns, wire)
        return wire

    def arm(self) -> None:
        self.say(Kind.ARM, (5, self.mcu.safe_count))
        for _ in range(3):
            self.wait(10)
            self.say(Kind.SET, (0, 0, 0, 0))
        assert self.mcu.state is DeviceState.ARMED

    def set(self, *counts: int) -> tuple[int, ...]:
        """One fresh SET; what the pins do after it."""
        self.say(Kind.SET, counts)
        return self.mcu.outputs

    def climb(self, counts: int, index: int = 0) -> None:
        """Bring one output there as fast as the host's envelope would."""
        reached = self.mcu.outputs[index]
        while reached < counts:
            self.wait(100)
            reached = self.set(*(counts if i == index else 0 for i in range(4)))[index]


def with_actuator(index: int, **changes: object) -> Envelope:
    """The air handler with other limits for one actuator."""
    actuators = list(ENVELOPE.actuators)
    actuators[index] = dataclasses.replace(actuators[index], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(ENVELOPE, actuators=tuple(actuators))
