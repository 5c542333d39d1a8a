"""The device at the edges of what it takes: numbers, sequences, tokens, milliseconds."""

import pytest

from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim.mcu import McuSettings, SimulatedMcu
from firmware_bridge.frames import Frame, encode_frame
from firmware_bridge.messages import AckResult, DeviceState, Kind, SafeReason, session_salt
from tests.unit.sim.spoken_device import FEEDBACK, MS, Device, with_actuator

HALF = 0x8000  # of the sequence numbers: so far ahead is behind


def armed(**limits: object) -> Device:
    device = Device(envelope=with_actuator(0, **limits))
    device.arm()
    device.wait(400)
    return device


def test_a_negative_wish_is_followed_to_the_count() -> None:
    device = armed(min_counts=-1000)
    assert device.set(-7, 0, 0, 0) == (-7, 0, 0, 0)
    assert device.set(-6, 0, 0, 0) == (-6, 0, 0, 0)


@pytest.mark.parametrize("wish", [-(2**15) - 1, 2**15, 2**32 - 1, -(2**31)])
def test_a_wish_that_is_no_int16_is_refused(wish: int) -> None:
    device = armed(min_counts=-1000)
    assert device.set(wish, 0, 0, 0) == (0, 0, 0, 0)
    assert device.mcu.counters.messages_refused == 1


@pytest.mark.parametrize(("wish", "side"), [(-(2**15), -1), (2**15 - 1, 1)])
def test_the_farthest_wish_is_clamped_and_not_refused(wish: int, side: int) -> None:
    device = armed(min_counts=-1000)
    (reached, *_) = device.set(wish, 0, 0, 0)
    assert reached * side > 0
    assert device.mcu.counters.messages_refused == 0


@pytest.mark.parametrize("index", range(4))
def test_each_output_that_is_held_back_has_its_bit(index: int) -> None:
    device = armed()
    device.say(Kind.SET, tuple(1000 if i == index else 0 for i in range(4)))
    assert device.wait(20)[-1].values[4] == 1 << index


def test_a_set_is_newer_up_to_half_the_sequence_numbers_ahead() -> None:
    device = armed()
    device.seq += HALF - 2
    assert device.set(1, 0, 0, 0)[0] == 1
    device.seq -= HALF + 1
    assert device.set(2, 0, 0, 0)[0] == 1
    assert device.mcu.counters.sets_repeated == 1


def test_a_control_frame_is_newer_up_to_half_the_sequence_numbers_ahead() -> None:
    device = armed()
    device.seq = HALF - 1  # the ARM was number 1
    device.say(Kind.DISARM, ())
    assert device.mcu.state.name == "SAFE"
    device.seq += HALF - 2
    device.say(Kind.ARM, (5, 1))
    assert device.mcu.state is DeviceState.ARMING
    device.seq -= HALF + 1
    device.say(Kind.DISARM, ())
    assert device.mcu.state is DeviceState.ARMING


def test_a_control_frame_that_comes_again_is_answered_again() -> None:
    device = Device()
    wire = device.say(Kind.DISARM, ())
    first = [f.values for f in device.wait(1) if f.kind == Kind.ACK]
    device.mcu.receive(device.now_ns, wire)
    assert [f.values for f in device.wait(1) if f.kind == Kind.ACK] == first
    assert [f for f in device.wait(1) if f.kind == Kind.ACK] == []
    assert device.mcu.counters.messages_refused == 0


def test_a_disarm_that_says_more_is_refused() -> None:
    device = armed()
    device.say(Kind.DISARM, (0,))
    assert device.mcu.counters.messages_refused == 1
    assert device.mcu.state is DeviceState.ARMED


def test_what_comes_before_the_first_delimiter_after_a_boot_is_no_fault() -> None:
    mcu = SimulatedMcu(ENVELOPE, FEEDBACK, 7)
    mcu.receive(0, b"the end of a frame\0")
    assert mcu.bad_frames.total() == 0
    mcu.receive(0, b"no frame\0")
    assert mcu.bad_frames.total() == 1


def test_telemetry_has_the_devices_own_time_and_how_much_it_dropped() -> None:
    device = Device()
    device.wait(1_000)
    device.mcu.receive(device.now_ns, b"no frame\0" * 3)
    (telemetry,) = device.wait(20)
    assert telemetry.values[0] == 1_020_000  # us
    assert telemetry.values[5] == 3


def open_session(device: Device, *values: int) -> None:
    device.mcu.receive(device.now_ns, encode_frame(Frame(Kind.HELLO_ACK, 0, 0, values), 0))


def test_an_answer_of_the_last_session_is_not_given_in_the_next() -> None:
    device = Device()
    device.wait(1)
    disarm = encode_frame(Frame(Kind.DISARM, 1, 0, ()), device.salt)
    opening = encode_frame(Frame(Kind.HELLO_ACK, 0, 0, (7, 6)), 0)
    device.mcu.receive(device.now_ns, disarm + opening)
    device.host.salt = session_salt(device.mcu.hello, 6)
    assert {frame.kind for frame in device.wait(40)} == {Kind.TELEMETRY}


def test_a_new_session_is_told_of_at_once() -> None:
    device = Device()
    device.wait(20)
    device.wait(5)
    open_session(device, 7, 6)
    device.host.salt = session_salt(device.mcu.hello, 6)
    assert [frame.kind for frame in device.wait(0)] == [Kind.TELEMETRY]


def test_a_piece_that_is_too_long_is_dropped_once_and_counted() -> None:
    device = Device()
    device.mcu.receive(device.now_ns, b"x" * 600 + b"\0")
    assert device.mcu.bad_frames.too_long == device.mcu.bad_frames.total() == 1


def test_every_arming_needs_its_own_tokens() -> None:
    device = armed()
    device.wait(600)  # the dead man
    device.say(Kind.ARM, (5, 1))
    for _ in range(2):
        device.wait(10)
        device.say(Kind.SET, (0, 0, 0, 0))
    assert device.mcu.state is DeviceState.ARMING


def test_a_disarm_is_answered_well_after_an_arm_that_was_not() -> None:
    device = Device()
    device.say(Kind.ARM, (6, 0))
    device.wait(1)
    device.say(Kind.DISARM, ())
    answers = [frame.values for frame in device.wait(1) if frame.kind == Kind.ACK]
    assert answers == [(device.seq, AckResult.OK)]


def test_each_set_that_is_followed_is_counted() -> None:
    device = armed()
    before = device.mcu.counters.sets_applied
    device.set(1, 0, 0, 0)
    assert device.mcu.counters.sets_applied == before + 1


def test_a_new_session_begins_with_no_set_and_nothing_held_back() -> None:
    device = armed()
    device.set(1000, 0, 0, 0)
    assert device.wait(20)[-1].values[3:5] == (device.seq, 1)
    open_session(device, 7, 6)
    device.host.salt = session_salt(device.mcu.hello, 6)
    assert device.wait(20)[-1].values[3:5] == (0, 0)


def test_an_opening_for_another_boot_is_no_fault() -> None:
    device = armed()
    open_session(device, 8, 6)
    assert device.mcu.counters.messages_refused == 0
    assert device.mcu.state is DeviceState.ARMED


@pytest.mark.parametrize("values", [(), (7,), (7, 6, 1), (-1, 6), (7, -1)])
def test_an_opening_that_is_none_is_refused(values: tuple[int, ...]) -> None:
    device = armed()
    open_session(device, *values)
    assert device.mcu.counters.messages_refused == 1
    assert device.mcu.state is DeviceState.ARMED


@pytest.mark.parametrize(("values", "answers"), [((1,), 1), ((), 0), ((-1,), 0), ((1, 1), 0)])
def test_a_question_is_answered_and_what_is_none_is_refused(
    values: tuple[int, ...], answers: int
) -> None:
    device = Device()
    device.wait(20)
    device.mcu.receive(device.now_ns, encode_frame(Frame(Kind.IDENT, 0, 0, values), 0))
    assert [frame.kind for frame in device.wait(1)] == [Kind.HELLO] * answers
    assert device.mcu.counters.messages_refused == 1 - answers


def test_the_dead_man_counts_from_the_arm() -> None:
    device = Device(McuSettings(deadman_ms=100))
    device.wait(1_000)
    device.say(Kind.ARM, (5, 0))
    device.wait(99)
    assert device.mcu.state is DeviceState.ARMING
    device.wait(1)
    assert device.mcu.safe_reason is SafeReason.DEAD_MAN


def test_a_lease_that_ends_is_on_the_pins_at_that_millisecond() -> None:
    device = Device(McuSettings(deadman_ms=500), with_actuator(0, lease_ns=200 * MS))
    device.arm()
    device.wait(100)
    device.set(2, 0, 0, 3)
    set_ns = device.now_ns
    device.mcu.take_changes()
    device.wait(300)
    assert device.mcu.take_changes() == [(set_ns + 200 * MS, (0, 0, 0, 3))]
