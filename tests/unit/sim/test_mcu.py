"""The simulated device, spoken to frame by frame on an injected clock."""

import dataclasses

import pytest

from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim.mcu import McuSettings, SimulatedMcu
from firmware_bridge.errors import WireValueError
from firmware_bridge.frames import Direction, Frame, FrameDecoder, encode_frame
from firmware_bridge.messages import AckResult, DeviceState, Kind, SafeReason
from tests.unit.sim.spoken_device import FEEDBACK, MS, Device


def test_it_boots_safe_says_hello_once_and_is_quiet_without_a_session() -> None:
    mcu = SimulatedMcu(ENVELOPE, FEEDBACK, 7)
    host = FrameDecoder(Direction.FROM_DEVICE)
    (hello,) = host.feed(mcu.advance(0))
    assert (hello.kind, hello.seq, hello.token) == (Kind.HELLO, 0, 0)
    assert hello.values[6] == 500  # the envelope's smallest lease
    assert mcu.advance(1_000 * MS) == b""
    assert mcu.next_due_ns() is None
    assert (mcu.state, mcu.safe_reason, mcu.outputs) == (0, SafeReason.BOOT, (0, 0, 0, 0))


def test_outputs_follow_only_after_three_different_fresh_tokens() -> None:
    device = Device()
    device.wait(10)
    device.say(Kind.ARM, (5, 0))
    for _ in range(5):
        device.say(Kind.SET, (1, 0, 0, 1))  # one token, however often
    device.wait(10)
    device.say(Kind.SET, (1, 0, 0, 1))
    device.say(Kind.SET, (1, 0, 0, 1))
    assert device.mcu.state.name == "ARMING"
    assert device.mcu.outputs == (0, 0, 0, 0)
    device.wait(10)
    device.say(Kind.SET, (1, 0, 0, 1))
    assert device.mcu.state is DeviceState.ARMED
    assert device.mcu.outputs == (1, 0, 0, 1)
    assert device.mcu.take_changes() == [(device.now_ns, (1, 0, 0, 1))]
    assert device.mcu.take_changes() == []


@pytest.mark.parametrize(
    ("values", "result"),
    [((6, 0), AckResult.WRONG_NONCE), ((5, 1), AckResult.WRONG_SAFE_COUNT)],
)
def test_arm_with_the_wrong_word_is_declined(values: tuple[int, int], result: AckResult) -> None:
    device = Device()
    device.wait(1)
    device.say(Kind.ARM, values)
    (ack,) = device.wait(1)
    assert ack.values == (device.seq, result)
    assert device.mcu.state is DeviceState.SAFE


def test_a_set_is_refused_when_its_token_is_too_old_or_from_the_future() -> None:
    device = Device()
    device.arm()
    device.wait(60)
    for age in (6, 7, 1000, -1):
        device.say(Kind.SET, (1, 0, 0, 0), age=age)
    assert device.mcu.outputs == (0, 0, 0, 0)
    assert device.mcu.counters.sets_stale == 4
    device.say(Kind.SET, (1, 0, 0, 0), age=5)
    assert device.mcu.outputs == (1, 0, 0, 0)


def test_stale_sets_do_not_feed_the_dead_man() -> None:
    device = Device(McuSettings(deadman_ms=100))
    device.arm()
    device.say(Kind.SET, (1, 0, 0, 1))
    for _ in range(9):
        device.wait(10)
        device.say(Kind.SET, (1, 0, 0, 1), age=6)
    device.wait(9)
    assert device.mcu.outputs == (1, 0, 0, 1)
    assert device.mcu.next_due_ns() == device.now_ns + MS
    device.wait(1)
    assert device.mcu.outputs == (0, 0, 0, 0)
    assert device.mcu.safe_reason is SafeReason.DEAD_MAN
    assert device.mcu.counters.dead_man_trips == 1


def test_safe_is_latched_until_a_new_arm() -> None:
    device = Device()
    device.arm()
    device.wait(500)
    device.say(Kind.SET, (1, 0, 0, 1))
    assert device.mcu.state is DeviceState.SAFE
    assert device.mcu.counters.sets_not_armed == 1
    device.arm()


def test_repeated_and_overtaken_frames_do_nothing_twice() -> None:
    device = Device()
    device.arm()
    first = device.say(Kind.SET, (1, 0, 0, 0))
    device.say(Kind.SET, (2, 0, 0, 0))
    device.mcu.receive(device.now_ns, first)
    assert device.mcu.outputs == (2, 0, 0, 0)
    assert device.mcu.counters.sets_repeated == 1
    disarm = device.say(Kind.DISARM, ())
    arm = device.say(Kind.ARM, (5, 1))
    device.mcu.receive(device.now_ns, disarm)
    assert device.mcu.state is DeviceState.ARMING
    device.mcu.receive(device.now_ns, arm)
    device.say(Kind.ARM, (5, 1))  # a new ARM while arming changes nothing
    acks = [f.values for f in device.wait(1) if f.kind == Kind.ACK]
    assert [values[1] for values in acks[-2:]] == [0, 0]
    assert device.mcu.state is DeviceState.ARMING


def test_a_new_session_while_armed_is_safe() -> None:
    device = Device()
    device.arm()
    device.mcu.receive(device.now_ns, encode_frame(Frame(Kind.HELLO_ACK, 0, 0, (7, 5)), 0))
    assert device.mcu.state is DeviceState.ARMED  # said twice
    device.mcu.receive(device.now_ns, encode_frame(Frame(Kind.HELLO_ACK, 0, 0, (8, 6)), 0))
    assert device.mcu.state is DeviceState.ARMED  # meant for another boot
    device.mcu.receive(device.now_ns, encode_frame(Frame(Kind.HELLO_ACK, 0, 0, (7, 6)), 0))
    assert device.mcu.safe_reason is SafeReason.NEW_SESSION
    device.say(Kind.SET, (1, 0, 0, 0))
    assert device.mcu.bad_frames.crc == 1


def test_impossible_messages_are_counted_and_change_nothing() -> None:
    device = Device()
    device.arm()
    device.say(Kind.SET, (1, 2, 3))
    device.say(Kind.SET, (40_000, 0, 0, 0))
    device.say(Kind.ARM, (1,))
    device.mcu.receive(device.now_ns, encode_frame(Frame(0x3F, 99, 0, ()), device.salt))
    assert device.mcu.counters.messages_refused == 4
    assert device.mcu.state is DeviceState.ARMED


def test_a_jump_is_clamped_to_the_device_own_rate_and_said_so() -> None:
    device = Device()
    device.arm()
    device.wait(100)
    device.say(Kind.SET, (1000, 0, 0, 0))
    # At 60 counts a second: 100 ms since the last SET, the 60 ms that one may be early, and
    # at most a count that was not used before.
    assert device.mcu.outputs == (10, 0, 0, 0)
    telemetry = device.wait(20)[-1]
    assert telemetry.values[4] == 0b0001
    assert device.mcu.counters.sets_clamped == 1


def test_telemetry_keeps_its_period_and_skips_what_it_missed() -> None:
    device = Device()
    device.mcu.set_sensors((12, 34))
    assert device.wait(0)[-1].values[-2:] == (12, 34)
    assert device.wait(19) == []
    assert len(device.wait(1)) == 1
    assert len(device.wait(1_000)) == 1
    assert device.wait(19) == []
    assert device.mcu.sensors == (12, 34)
    with pytest.raises(ValueError, match="sensors"):
        device.mcu.set_sensors((1,))


@pytest.mark.parametrize("deadman_ms", [0, 501])
def test_a_dead_man_out_of_range_is_refused(deadman_ms: int) -> None:
    with pytest.raises(ValueError, match="dead man"):
        SimulatedMcu(ENVELOPE, FEEDBACK, 7, McuSettings(deadman_ms=deadman_ms))


def test_another_envelope_has_another_hash() -> None:
    other = dataclasses.replace(ENVELOPE, version=2)
    ours, theirs = (SimulatedMcu(e, FEEDBACK, 7).hello for e in (ENVELOPE, other))
    assert ours.envelope_hash != theirs.envelope_hash
    assert ours.schema_hash == theirs.schema_hash


def test_a_hanging_main_loop_keeps_neither_the_outputs_nor_the_watchdog() -> None:
    device = Device(McuSettings(deadman_ms=100))
    device.arm()
    device.set(1, 0, 0, 1)
    kicks = device.mcu.counters.watchdog_kicks
    assert kicks == device.now_ns // MS - 1  # one behind: for the round before
    device.now_ns += 100 * MS
    device.mcu.hang(device.now_ns)
    assert device.mcu.outputs == (0, 0, 0, 0)
    assert device.mcu.counters.watchdog_kicks == kicks + 1
    device.wait(5)
    assert device.mcu.counters.watchdog_kicks > kicks + 1


def test_lost_bytes_are_counted_on_the_wire() -> None:
    device = Device()
    device.mcu.overrun()
    device.mcu.overrun()
    assert device.wait(20)[-1].values[6] == 2
    assert device.mcu.counters.overruns == 2


def test_the_age_token_and_the_clock_on_the_wire_do_not_jump_when_they_wrap() -> None:
    device = Device()
    device.wait(655_360 - 20)
    device.arm()  # across the wrap of the token
    assert device.set(1, 0, 0, 0)[0] == 1


@pytest.mark.parametrize(
    ("sensors", "interlocks", "message"),
    [(33, 0, "33 sensors"), (30, 0, "telemetry"), (1, 65, "65 interlocks")],
)
def test_a_device_that_no_wire_or_table_carries_is_refused(
    sensors: int, interlocks: int, message: str
) -> None:
    names = tuple(f"s{i}" for i in range(sensors))
    base = ENVELOPE.sensors[0]
    envelope = dataclasses.replace(
        ENVELOPE,
        sensors=tuple(dataclasses.replace(base, name=name) for name in names),
        interlocks=(dataclasses.replace(ENVELOPE.interlocks[0], sensor="s0"),) * interlocks,
    )
    with pytest.raises(WireValueError, match=message):
        SimulatedMcu(envelope, names, 7)
