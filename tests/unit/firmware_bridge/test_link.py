"""The host's end against the simulated device, one rule of the link at a time."""

from collections.abc import Callable

import pytest

from edge_agent.ports.serial_bridge import link_identity
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim.mcu import McuSettings, SimulatedMcu
from firmware_bridge.errors import IdentityError, LinkStateError, WireValueError
from firmware_bridge.frames import Frame, encode_frame
from firmware_bridge.link import (
    TRANSITIONS,
    Link,
    LinkChange,
    LinkSettings,
    LinkState,
    Signal,
)
from firmware_bridge.messages import DeviceState, Kind, SafeReason, Telemetry

MS = 1_000_000
FEEDBACK = ("fan_current", "damper_position")
Line = Callable[[bytes], bytes]


def clean(data: bytes) -> bytes:
    return data


class Bench:
    """A host, a device, the line between them, and one clock."""

    def __init__(
        self,
        to_host: Line = clean,
        to_device: Line = clean,
        host_key: bytes | None = None,
        device_key: bytes | None = None,
    ) -> None:
        self.now_ns = 1_000 * MS
        self.link = Link(link_identity(ENVELOPE, FEEDBACK), key=host_key)
        self.device_key = device_key
        self.mcu = self.boot(nonce=11)
        self.to_host, self.to_device = to_host, to_device
        self.nonce = 0
        self.seen: list[Telemetry | LinkChange] = []
        self.open()

    def boot(self, nonce: int) -> SimulatedMcu:
        settings = McuSettings(deadman_ms=100, key=self.device_key)
        return SimulatedMcu(ENVELOPE, FEEDBACK, nonce, settings, self.now_ns)

    def open(self) -> None:
        self.nonce += 1
        self.link.open(self.now_ns, self.nonce)

    def send(self, data: bytes) -> None:
        self.mcu.receive(self.now_ns, self.to_device(data))

    def step(self, counts: tuple[int, ...] = (1, 0, 0, 1), by_ns: int = 10 * MS) -> None:
        """One tick of the host."""
        self.now_ns += by_ns
        data = self.to_host(self.mcu.advance(self.now_ns))
        self.seen += self.link.receive(self.now_ns, data)
        self.send(self.link.tick(self.now_ns))
        if self.link.state is LinkState.LOST:
            self.open()
        self.send(self.link.set_outputs(counts))

    def until(self, state: LinkState, steps: int = 300) -> None:
        for _ in range(steps):
            if self.link.state is state:
                return
            self.step()
        raise AssertionError(f"{self.link.state} after {steps} steps, not {state}")

    def arm(self) -> None:
        self.until(LinkState.READY)
        self.send(self.link.arm(self.now_ns))
        self.until(LinkState.ARMED)


def test_from_nothing_to_armed_in_a_handful_of_ticks() -> None:
    bench = Bench()
    bench.arm()
    assert bench.now_ns < 1_300 * MS
    changes = [e.after.value for e in bench.seen if isinstance(e, LinkChange)]
    assert changes == ["session", "ready", "armed"]
    assert bench.mcu.outputs == (1, 0, 0, 1)


def test_disarm_makes_the_device_safe_and_is_answered() -> None:
    bench = Bench()
    bench.arm()
    bench.send(bench.link.disarm(bench.now_ns))
    assert bench.mcu.state is DeviceState.SAFE
    assert bench.mcu.outputs == (0, 0, 0, 0)
    assert bench.mcu.safe_reason is SafeReason.REQUESTED
    assert bench.link.disarm(bench.now_ns) == b""
    bench.until(LinkState.READY)


def test_a_disarm_overtakes_an_arm_that_waits() -> None:
    bench = Bench()
    bench.until(LinkState.READY)
    bench.link.arm(bench.now_ns)  # lost on the way
    bench.send(bench.link.disarm(bench.now_ns))
    bench.until(LinkState.READY)
    assert bench.mcu.state is DeviceState.SAFE
    assert bench.link.counters.control_retries == 0


def test_an_arm_that_is_lost_is_repeated_and_executed_once() -> None:
    bench = Bench()
    bench.until(LinkState.READY)
    bench.link.arm(bench.now_ns)
    bench.until(LinkState.ARMED)
    assert bench.link.counters.control_retries == 1


def test_an_answer_that_is_lost_is_given_again_without_a_second_execution() -> None:
    bench = Bench()
    bench.until(LinkState.READY)
    wire = bench.link.arm(bench.now_ns)
    bench.send(wire)
    bench.mcu.advance(bench.now_ns)  # the answer is lost
    bench.send(wire)
    bench.step()
    bench.until(LinkState.ARMED)
    assert bench.mcu.counters.dead_man_trips == 0


def test_control_without_an_answer_ends_the_session_after_five_tries() -> None:
    bench = Bench()
    bench.until(LinkState.READY)
    bench.link.arm(bench.now_ns)
    bench.to_device = lambda _: b""
    for _ in range(60):
        bench.step()
    assert bench.link.counters.lost_unanswered == 1
    assert bench.link.counters.control_retries == 4


def test_an_arm_decided_before_a_safe_is_declined() -> None:
    bench = Bench()
    bench.until(LinkState.READY)
    bench.link._safe_count += 1
    bench.send(bench.link.arm(bench.now_ns))
    bench.step()
    assert bench.link.state is LinkState.READY
    assert bench.link.counters.control_declined == 1
    assert bench.mcu.state is DeviceState.SAFE


def test_silence_asks_for_a_flush_and_a_new_session() -> None:
    bench = Bench()
    bench.arm()
    bench.link.tick(bench.now_ns + 100 * MS)
    assert bench.link.state.value == "armed"
    assert bench.link.tick(bench.now_ns + 121 * MS) == b""
    assert bench.link.state is LinkState.LOST
    assert bench.link.tick(bench.now_ns + 122 * MS) == b""
    assert bench.link.set_outputs((0, 0, 0, 0)) == b""
    bench.open()
    bench.arm()
    assert bench.link.counters.lost_silent == 1
    assert bench.link.counters.sessions == 2


def test_a_reset_is_noticed_at_once_and_no_old_frame_is_obeyed() -> None:
    bench = Bench()
    bench.arm()
    old = bench.link.set_outputs((2, 0, 0, 2))
    bench.mcu = bench.boot(nonce=12)
    bench.send(old)
    assert bench.mcu.bad_frames.no_session == 1
    bench.step()
    assert bench.link.counters.lost_reset == 1
    bench.arm()
    bench.send(old)
    assert bench.mcu.bad_frames.crc == 1


def test_a_late_second_hello_of_the_same_boot_changes_nothing() -> None:
    bench = Bench()
    bench.arm()
    bench.send(encode_frame(Frame(Kind.IDENT, 0, 0, (1,)), 0))
    bench.step()
    assert bench.link.state is LinkState.ARMED


@pytest.mark.parametrize("field", ["envelope_hash", "schema_hash", "protocol_version"])
def test_the_wrong_firmware_is_named_and_never_armed(field: str) -> None:
    bench = Bench()
    firmware = bench.mcu._limits
    right = getattr(firmware, field)
    setattr(firmware, field, right ^ 1)
    bench.until(LinkState.REFUSED)
    refusal = bench.link.refusal
    assert isinstance(refusal, IdentityError)
    assert refusal.field == field.replace("_", " ")
    assert refusal.ours ^ refusal.theirs == 1
    with pytest.raises(IdentityError, match=field.replace("_", " ")):
        bench.link.arm(bench.now_ns)
    for _ in range(20):
        bench.step()
    assert bench.link.state is LinkState.REFUSED
    setattr(firmware, field, right)  # the firmware is replaced
    bench.arm()
    assert bench.link.refusal is None


def test_arming_out_of_turn_and_impossible_vectors_are_our_errors() -> None:
    bench = Bench()
    with pytest.raises(LinkStateError):
        bench.link.arm(bench.now_ns)
    bench.arm()
    with pytest.raises(LinkStateError):
        bench.link.arm(bench.now_ns)
    with pytest.raises(WireValueError):
        bench.link.set_outputs((1,))
    bench.link.close()
    assert bench.link.state is LinkState.CLOSED
    assert bench.link.tick(bench.now_ns) == b""


def test_the_dead_man_is_followed_and_a_new_arm_is_needed() -> None:
    bench = Bench()
    bench.arm()
    bench.to_device = lambda _: b""
    for _ in range(15):
        bench.step()
    assert bench.mcu.safe_reason is SafeReason.DEAD_MAN
    assert bench.link.state is LinkState.READY
    bench.to_device = clean
    for _ in range(10):
        bench.step()
    assert bench.mcu.state is DeviceState.SAFE
    bench.arm()


def test_an_arming_that_falls_back_is_seen() -> None:
    bench = Bench()
    bench.until(LinkState.READY)
    bench.send(bench.link.arm(bench.now_ns))
    bench.to_device = lambda _: b""
    bench.until(LinkState.READY)
    assert bench.mcu.safe_reason is SafeReason.DEAD_MAN


def test_gaps_and_repeats_are_counted_and_impossible_messages_are_dropped() -> None:
    bench = Bench()
    bench.arm()
    link, now = bench.link, bench.now_ns
    last = link._last_seq
    assert last is not None

    def frame(kind: int, ahead: int, values: tuple[int, ...]) -> bytes:
        return encode_frame(Frame(kind, (last + ahead) & 0xFFFF, 0, values), link.decoder.salt or 0)

    link.receive(now, frame(Kind.ACK, 4, (9999, 0)))
    assert link.counters.frames_missed == 3
    link.receive(now, frame(Kind.ACK, 4, (9999, 0)))
    assert link.counters.frames_repeated == 1
    for wrong in (frame(Kind.TELEMETRY, 5, (1,)), frame(0x9F, 6, ()), frame(Kind.ACK, 7, (1, 9))):
        assert link.receive(now, wrong) == []
    assert link.counters.messages_refused == 3
    assert link.state is LinkState.ARMED


def test_a_control_answer_nobody_waits_for_is_ignored() -> None:
    bench = Bench(to_device=clean)
    bench.until(LinkState.READY)
    wire = bench.link.arm(bench.now_ns)
    bench.send(wire)
    bench.send(bench.link.disarm(bench.now_ns))
    bench.step()  # both answers come; the first belongs to the ARM that was replaced
    bench.until(LinkState.READY)
    assert bench.mcu.state is DeviceState.SAFE


def test_every_state_can_be_left_and_no_loss_is_unheard() -> None:
    for state in LinkState:
        assert TRANSITIONS[state, Signal.OPEN] is LinkState.IDENT
        assert TRANSITIONS[state, Signal.CLOSE] is LinkState.CLOSED
    for state in (LinkState.READY, LinkState.ARMING, LinkState.ARMED, LinkState.DISARMING):
        assert TRANSITIONS[state, Signal.SILENCE] is LinkState.LOST


def test_settings_are_the_callers() -> None:
    link = Link(link_identity(ENVELOPE, FEEDBACK), LinkSettings(ident_retry_ns=5))
    link.open(0, 1)
    assert link.tick(0) != b""
    assert link.tick(4) == b""
    assert link.tick(5) != b""


def test_byte_at_a_time_is_the_same_as_all_at_once() -> None:
    bench = Bench()
    for _ in range(100):
        bench.now_ns += 10 * MS
        for byte in bench.mcu.advance(bench.now_ns):
            bench.link.receive(bench.now_ns, bytes([byte]))
        data = bench.link.tick(bench.now_ns) + bench.link.set_outputs((1, 0, 0, 1))
        if bench.link.state is LinkState.READY:
            data += bench.link.arm(bench.now_ns)
        for byte in data:
            bench.mcu.receive(bench.now_ns, bytes([byte]))
    assert bench.mcu.outputs == (1, 0, 0, 1)
    assert bench.link.counters.sessions == 1


def test_a_telemetry_refused_for_its_kind_leaves_the_session_alone() -> None:
    bench = Bench()
    bench.until(LinkState.READY)
    hello = encode_frame(Frame(Kind.HELLO, 0, 0, (1,)), 0)
    bench.link.receive(bench.now_ns, hello)
    assert bench.link.counters.messages_refused == 1
    assert bench.link.state is LinkState.READY


def test_a_closed_link_listens_to_nobody() -> None:
    bench = Bench()
    bench.link.close()
    bench.step()
    assert bench.link.state is LinkState.CLOSED
    assert bench.seen == []
