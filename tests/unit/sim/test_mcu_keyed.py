"""The device with a key, spoken to frame by frame: its sessions and the numbers of its frames."""

from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim.mcu import McuSettings, SimulatedMcu
from firmware_bridge.codec import KeyedCodec
from firmware_bridge.frames import Frame
from firmware_bridge.messages import DeviceState, Kind
from tests.unit.sim.spoken_device import FEEDBACK, MS

KEY = bytes(range(32))
BOOT = 7
FAR = 0x7FFF  # the farthest that a sequence number may jump


class Keyed:
    """A device and its host's codec; every frame that the device sent is in `heard`."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.mcu = SimulatedMcu(ENVELOPE, FEEDBACK, BOOT, McuSettings(key=KEY))
        self.codec = KeyedCodec(KEY)
        self.number = 0
        self.heard: list[Frame] = []

    def open(self, nonce: int) -> bytes:
        """Another session; the frame that opened it."""
        self.mcu.receive(self.now_ns, self.codec.encode(Frame(Kind.IDENT, 0, 0, (1,))))
        self.wait(1)
        hello = self.codec.hello([f for f in self.heard if f.kind == Kind.HELLO][-1])
        values = self.codec.hello_ack(hello, nonce)
        opening = self.codec.encode(Frame(Kind.HELLO_ACK, 0, 0, values))
        self.mcu.receive(self.now_ns, opening)
        self.codec.begin(hello, nonce)
        self.number = 0
        return opening

    def wait(self, ms: int) -> None:
        self.now_ns += ms * MS
        self.heard += self.codec.decoder.feed(self.mcu.advance(self.now_ns))

    def say(self, kind: Kind, values: tuple[int, ...], ahead: int = 1) -> bytes:
        self.number += ahead
        token = self.now_ns // (10 * MS) & 0xFFFF
        wire = self.codec.encode(Frame(kind, self.number & 0xFFFF, token, values))
        self.mcu.receive(self.now_ns, wire)
        return wire

    def arm(self, nonce: int) -> None:
        self.say(Kind.ARM, (nonce, self.mcu.safe_count))
        for _ in range(3):
            self.wait(10)
            self.say(Kind.SET, (0, 0, 0, 0))
        assert self.mcu.state is DeviceState.ARMED


def test_each_session_has_the_next_number() -> None:
    device = Keyed()
    for nonce in (5, 6, 7):
        device.open(nonce)
    hellos = [frame.values[7] for frame in device.heard if frame.kind == Kind.HELLO]
    assert list(dict.fromkeys(hellos)) == [0, 1, 2]


def test_a_piece_too_short_for_a_kind_is_no_question() -> None:
    device = Keyed()
    device.mcu.receive(0, device.codec.encode(Frame(Kind.IDENT, 0, 0, (1,))))
    device.wait(1)
    device.heard.clear()  # the answer; the question's bytes are still in the buffer
    device.mcu.receive(device.now_ns, b"\x05\0")
    device.wait(1)
    assert device.heard == []
    assert device.mcu.bad_frames.too_short == 1


def test_an_opening_that_is_sent_again_does_not_even_stop_the_device() -> None:
    device = Keyed()
    first, second = device.open(5), device.open(6)
    device.arm(6)
    for opening in (first, second):
        device.mcu.receive(device.now_ns, opening)
    assert device.mcu.state is DeviceState.ARMED
    device.say(Kind.SET, (1, 0, 0, 0))
    assert device.mcu.outputs == (1, 0, 0, 0)


def test_the_frames_of_a_session_are_numbered_from_one() -> None:
    device = Keyed()
    for nonce in (5, 6):
        device.open(nonce)
        device.heard.clear()
        device.wait(20)
        device.wait(20)
        assert [f.seq for f in device.heard if f.kind == Kind.TELEMETRY] == [1, 2]


def test_a_command_of_long_ago_is_not_proved_when_its_sequence_number_is_back() -> None:
    device = Keyed()
    device.open(5)
    device.arm(5)
    old = device.say(Kind.SET, (1, 0, 0, 0))
    for _ in range(3):
        device.say(Kind.SET, (0, 0, 0, 0), FAR)
    assert device.mcu.bad_frames.crc == 0
    device.mcu.receive(device.now_ns, old)
    assert device.mcu.outputs == (0, 0, 0, 0)
    assert device.mcu.bad_frames.crc == 1


def test_a_session_counts_from_its_own_beginning() -> None:
    device = Keyed()
    device.open(5)
    for _ in range(3):
        device.say(Kind.SET, (0, 0, 0, 0), FAR)
    device.open(6)
    device.arm(6)
    assert device.mcu.bad_frames.crc == 0


def test_a_session_goes_on_beyond_any_count_of_31_bits() -> None:
    device = Keyed()
    device.open(5)
    frames = 0
    while device.number < 2**31 + 2**17:
        device.say(Kind.SET, (0, 0, 0, 0), FAR)
        frames += 1
    assert device.mcu.counters.sets_not_armed == frames
    assert device.mcu.bad_frames.crc == 0
