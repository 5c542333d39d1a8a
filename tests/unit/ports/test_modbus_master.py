"""One master and its devices: whose turn it is, and every way in which an answer goes wrong."""

import math
import struct
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.records import Quality, Reading
from edge_agent.ports.modbus_frames import Ask, Codec, Function
from edge_agent.ports.modbus_master import ModbusMaster, Plan
from edge_agent.ports.modbus_settings import Modbus, ModbusSensor, modbus_plan
from edge_agent.safety.devices.air_handler import ENVELOPE
from tests.unit.ports.modbus_device import refused, registers, row, sealed

MS = 1_000_000
TICK = 10 * MS
TIMEOUT = 50 * MS
SUPPLY, OUTDOOR, FAN = (
    ENVELOPE.sensor_index[n] for n in ("supply_temperature", "outdoor_temperature", "fan_status")
)
CODEC = Codec("modbus[0]")
ONE = (row("supply_temperature", 0, data_type="int16", scale=0.1),)
# Two requests of the same shape: what is late for one looks like an answer to the other.
TWINS = (*ONE, row("outdoor_temperature", 10, data_type="int16", scale=0.1))


def plan_of(*rows: ModbusSensor, **more: Any) -> Plan:
    wanted = {"timeout_s": 0.05, "period_s": 1.0, "baud": 9600, **more}
    return modbus_plan(Modbus(port="x", sensor=rows, **wanted), ENVELOPE.sensors, "modbus[0]")


class Line:
    """A master and a clock; whoever tests is the device."""

    def __init__(self, *rows: ModbusSensor, **more: Any) -> None:
        self.master = ModbusMaster(plan_of(*rows, **more), CODEC)
        self.now_ns = 10**15
        self.sent = b""
        self.readings: list[Reading] = []

    def tick(self, data: bytes = b"") -> list[Reading]:
        """One poll with what arrived; `sent` is what the master then sends."""
        self.now_ns += TICK
        readings = self.master.receive(self.now_ns, data)
        self.sent = self.master.due(self.now_ns)
        self.readings += readings
        return readings

    def until_asked(self, within_ns: int = 2_000 * MS) -> bytes:
        """Silence until the master asks; what it asks."""
        end_ns = self.now_ns + within_ns
        while self.now_ns < end_ns:
            self.tick()
            if self.sent:
                return self.sent
        raise AssertionError("nothing was asked")

    def silence(self, for_ns: int) -> list[Reading]:
        """Nothing arrives for so long; what the master makes of it."""
        found = []
        for _ in range(for_ns // TICK):
            found += self.tick()
        return found


def good(channel: int, counts: int, line: Line) -> Reading:
    return Reading(channel, counts, line.now_ns, Quality.GOOD)


def invalid(channel: int, line: Line) -> Reading:
    return Reading(channel, 0, line.now_ns, Quality.INVALID)


def test_an_answer_becomes_readings_stamped_when_it_had_arrived() -> None:
    line = Line(*ONE)
    assert line.until_asked() == sealed(b"\x07\x04\x00\x00\x00\x01")
    answer = registers(7, 4, (215,))
    assert line.tick(answer[:3]) == []
    assert line.sent == b""
    assert line.tick(answer[3:]) == [good(SUPPLY, 2150, line)]
    assert line.master.counts["answers"] == 1
    assert line.master.counts["good"] == 1


@given(st.integers(1, 9))
def test_an_answer_is_read_in_any_pieces(size: int) -> None:
    line = Line(row("supply_temperature", 0), timeout_s=1.0)
    line.until_asked()
    answer = registers(7, 4, (21,))
    for start in range(0, len(answer), size):
        line.tick(answer[start : start + size])
    assert [reading.counts for reading in line.readings] == [2100]


@pytest.mark.parametrize(
    ("kind", "order", "words", "counts"),
    [
        ("uint16", "big", (65_535,), 6_553_500),
        ("int16", "big", (0xFFF6,), -1000),
        ("uint32", "big", (0x0001, 0x0000), 6_553_600),
        ("uint32", "little", (0x0000, 0x0001), 6_553_600),
        ("int32", "big", (0xFFFF, 0xFFF6), -1000),
        ("int32", "little", (0xFFF6, 0xFFFF), -1000),
        ("float32", "big", struct.unpack(">HH", struct.pack(">f", 21.5)), 2150),
        ("float32", "little", struct.unpack(">HH", struct.pack(">f", 21.5))[::-1], 2150),
    ],
)
def test_every_type_in_both_orders_of_words(
    kind: str, order: str, words: tuple[int, ...], counts: int
) -> None:
    line = Line(row("supply_temperature", 5, "holding", data_type=kind, word_order=order))
    line.until_asked()
    assert line.tick(registers(7, 3, words)) == [good(SUPPLY, counts, line)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_float_that_is_no_number_makes_its_channel_invalid(value: float) -> None:
    line = Line(row("supply_temperature", 0, data_type="float32"), row("outdoor_temperature", 2))
    line.until_asked()
    words = (*struct.unpack(">HH", struct.pack(">f", value)), 3)
    assert line.tick(registers(7, 4, words)) == [invalid(SUPPLY, line), good(OUTDOOR, 300, line)]
    assert line.master.counts["not_finite"] == 1


def test_bits_are_read_by_their_own_functions() -> None:
    line = Line(
        row("fan_status", 3, "coil", unit="bool"),
        row("occupancy", 3, "discrete-input", unit="bool"),
    )
    assert line.until_asked() == sealed(b"\x07\x01\x00\x03\x00\x01")
    assert line.tick(sealed(b"\x07\x01\x01\x01")) == [good(FAN, 1, line)]
    assert line.until_asked() == sealed(b"\x07\x02\x00\x03\x00\x01")


# ---- what is asked, and when -----------------------------------------------------------------


def test_a_period_is_kept_on_average_whatever_the_ticks() -> None:
    line = Line(*ONE, period_s=0.333)
    line.until_asked()
    began_ns, rounds = line.now_ns, 0
    while rounds < 60:
        line.tick(registers(7, 4, (1,)) if line.sent else b"")
        rounds += bool(line.sent)
    assert 0 <= line.now_ns - began_ns - rounds * 333 * MS < TICK


def test_every_row_is_asked_once_in_a_period_in_turn() -> None:
    line = Line(*TWINS)
    asked = []
    for _ in range(600):
        line.tick(registers(7, 4, (1,)) if line.sent else b"")
        asked += [(line.now_ns, line.sent)] if line.sent else []
    first, second = (CODEC.request(Ask(7, Function.READ_INPUT_REGISTERS, a, 1)) for a in (0, 10))
    assert [frame for _, frame in asked] == [first, second] * 6
    starts = [at for at, frame in asked if frame == first]
    assert {later - earlier for earlier, later in pairwise(starts)} == {1_000 * MS}


def test_a_request_takes_two_ticks_when_a_device_is_quick() -> None:
    line = Line(*TWINS, period_s=0.01)
    line.until_asked()
    before = line.master.counts["requests"]
    for _ in range(100):
        line.tick(registers(7, 4, (1,)) if line.sent else b"")
    assert line.master.counts["requests"] - before == 50


def test_periods_that_were_missed_are_not_made_up_for() -> None:
    line = Line(*ONE)
    line.until_asked()
    line.tick(registers(7, 4, (1,)))
    line.now_ns += 10_000 * MS  # the host was stopped
    line.until_asked(TICK)
    line.tick(registers(7, 4, (1,)))
    began_ns = line.now_ns
    line.until_asked()
    assert 900 * MS <= line.now_ns - began_ns <= 1_000 * MS


@pytest.mark.parametrize(
    ("baud", "parity", "stop_bits", "gap_us"),
    [
        (1200, "none", 1, 29_166),
        (9600, "even", 1, 4_010),
        (9600, "none", 2, 4_010),
        (19200, "odd", 1, 2_005),
        (115200, "even", 1, 1_750),
    ],
)
def test_a_request_waits_for_a_silence_of_three_and_a_half_characters(
    baud: int, parity: str, stop_bits: int, gap_us: int
) -> None:
    plan = plan_of(*TWINS, baud=baud, parity=parity, stop_bits=stop_bits)
    assert abs(plan.gap_ns - gap_us * 1000) < 1000
    master = ModbusMaster(plan, CODEC)
    master.receive(0, b"")
    assert master.due(plan.timeout_ns)
    answered_ns = plan.timeout_ns + 20 * MS
    assert master.receive(answered_ns, registers(7, 4, (1,)))
    assert master.due(answered_ns + plan.gap_ns - 1) == b""
    assert master.due(answered_ns + plan.gap_ns)


def test_a_slow_line_gives_an_answer_the_time_that_its_bytes_take() -> None:
    plan = plan_of(*ONE, baud=1200)
    request = plan.requests[0].ask
    bytes_ns = (8 + 7) * 11 * 10**9 // 1200
    assert abs(plan.answer_within_ns(request) - plan.timeout_ns - bytes_ns) < 1000
    assert plan.answer_within_ns(request._replace(quantity=125)) > 2_400 * MS


def test_after_opening_the_line_is_left_alone_for_a_timeout() -> None:
    """The last request of whoever had it before may still be answered."""
    line = Line(*ONE)
    assert line.silence(TIMEOUT) == []
    assert line.sent == b""
    line.until_asked(2 * TICK)


# ---- faults ----------------------------------------------------------------------------------


def test_silence_lets_values_grow_old_and_the_next_request_follows() -> None:
    line = Line(*TWINS)
    first = line.until_asked()
    assert line.silence(100 * MS) == []
    assert line.master.counts["device_7.silent"] == 1
    assert line.until_asked(200 * MS) != first
    assert line.tick(registers(7, 4, (30,))) == [good(OUTDOOR, 300, line)]


@pytest.mark.parametrize(
    ("came", "cause"),
    [
        (registers(7, 4, (215,))[:-1] + b"\x00", "checksum"),
        (registers(7, 4, (215,))[:-1], "incomplete"),
        (registers(8, 4, (215,)), "wrong_device"),
        (registers(7, 3, (215,)), "wrong_function"),
        (registers(7, 4, (215, 216)), "wrong_length"),
        (b"\x00\xff noise", "noise"),
        (b"\x55" * 5000, "noise"),
    ],
)
def test_what_is_no_answer_makes_invalid_is_counted_and_ends_with_its_request(
    came: bytes, cause: str
) -> None:
    line = Line(*ONE)
    line.until_asked()
    assert line.tick(came) == []
    line.silence(100 * MS)
    (reading,) = line.readings
    assert (reading.channel, reading.quality) == (SUPPLY, Quality.INVALID)
    assert line.master.counts[f"device_7.{cause}"] == 1
    line.until_asked()
    assert line.tick(registers(7, 4, (215,))) == [good(SUPPLY, 2150, line)]


@pytest.mark.parametrize(
    ("code", "name"), [(2, "illegal_data_address"), (6, "server_device_busy"), (99, "99")]
)
def test_a_device_that_refuses_makes_invalid_at_once_by_the_name_of_the_exception(
    code: int, name: str
) -> None:
    line = Line(*ONE)
    line.until_asked()
    assert line.tick(refused(7, 4, code)) == [invalid(SUPPLY, line)]
    assert line.master.counts[f"device_7.exception_{name}"] == 1
    assert line.master.counts["answers"] == 0


def test_noise_before_an_answer_does_not_cost_it() -> None:
    line = Line(*ONE)
    line.until_asked()
    line.tick(b"\xfe\x00")
    assert line.tick(registers(7, 4, (215,))) == [good(SUPPLY, 2150, line)]


def test_a_late_answer_is_never_taken_for_the_next_one() -> None:
    """Both requests ask for one register of one device: only time tells their answers apart."""
    line = Line(*TWINS)
    line.until_asked()
    line.silence(70 * MS)
    assert line.master.counts["device_7.silent"] == 1
    assert line.tick(registers(7, 4, (999,))) == [invalid(SUPPLY, line)]
    assert line.master.counts["device_7.late"] == 1
    assert line.tick(b"\x00") == []
    assert line.master.counts["device_7.late"] == 1
    line.silence(TIMEOUT - 2 * TICK)
    assert line.sent == b""  # who was late may have more to say
    line.until_asked()
    assert line.tick(registers(7, 4, (30,))) == [good(OUTDOOR, 300, line)]


def test_two_halves_from_before_and_after_a_request_are_no_answer_to_it() -> None:
    line = Line(*TWINS)
    line.until_asked()
    line.silence(70 * MS)
    line.tick(registers(7, 4, (999,))[:4])
    line.until_asked()
    assert line.tick(registers(7, 4, (999,))[4:]) == []


def test_a_second_answer_takes_back_what_the_first_one_said() -> None:
    """One answer too many: the one that was taken may have been to an older request."""
    line = Line(*ONE)
    line.until_asked()
    assert line.tick(registers(7, 4, (215,))) == [good(SUPPLY, 2150, line)]
    assert line.tick(registers(7, 4, (216,))) == [invalid(SUPPLY, line)]
    line = Line(*ONE)
    line.until_asked()
    assert line.tick(registers(7, 4, (215,)) + registers(7, 4, (216,))) == [invalid(SUPPLY, line)]
    assert line.master.counts["device_7.late"] == 1
    assert line.master.counts["good"] == 0


def test_noise_between_requests_is_counted_and_changes_nothing() -> None:
    line = Line(*TWINS)
    assert line.tick(b"boot") == []
    line.until_asked()
    assert line.tick(registers(7, 4, (215,)) + b"\x00") == [good(SUPPLY, 2150, line)]
    line.until_asked()
    line.tick(registers(7, 4, (30,)))
    assert line.tick(b"\xff" * 3000) == []
    assert line.master.counts["unasked_bytes"] == 3005
    line.until_asked()
    assert line.tick(registers(7, 4, (216,))) == [good(SUPPLY, 2160, line)]


def test_a_device_that_babbles_for_ever_keeps_nobody_waiting() -> None:
    line = Line(*TWINS)
    for _ in range(1000):
        line.tick(b"busy " * 20)
        assert len(line.master._buffer) <= 300
    assert line.master.counts["requests"] >= 15
    assert line.master.counts["device_7.noise"] >= 15


def test_a_line_full_of_beginnings_of_answers_costs_a_tick_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[int] = []
    really = CODEC._framer.decode

    def decode(data: bytes) -> Any:
        tried.append(len(data))
        return really(data)

    monkeypatch.setattr(CODEC._framer, "decode", decode)
    for quantity, most in ((1, 100), (125, 16)):
        line = Line(*(row("supply_temperature", address) for address in range(quantity)))
        line.until_asked()
        tried.clear()
        line.tick(bytes((7, 4, 2 * quantity)) * 10_000)
        assert 0 < len(tried) <= most


def test_a_host_that_was_stopped_takes_the_answer_that_waited_for_it() -> None:
    line = Line(*ONE)
    line.until_asked()
    line.now_ns += 3_000 * MS
    assert line.tick(registers(7, 4, (215,))) == [good(SUPPLY, 2150, line)]


def test_a_line_that_was_lost_is_begun_anew() -> None:
    line = Line(*ONE)
    line.until_asked()
    line.tick(registers(7, 4, (215,))[:5])
    line.master.reset()
    assert line.tick(registers(7, 4, (215,))[5:]) == []
    line.silence(TIMEOUT - TICK)
    assert line.sent == b""
    line.until_asked()
    assert line.tick(registers(7, 4, (216,))) == [good(SUPPLY, 2160, line)]


# ---- anything at all -------------------------------------------------------------------------

DEVICE: dict[str, Callable[[bytes], bytes]] = {
    "answers": lambda asked: registers(7, 4, (asked[3] + 1,)),
    "answers damaged": lambda asked: registers(7, 4, (asked[3] + 1,))[:-1] + b"\x00",
    "answers half": lambda asked: registers(7, 4, (asked[3] + 1,))[:4],
    "refuses": lambda asked: refused(7, 4, 2),
    "echoes and answers": lambda asked: asked + registers(7, 4, (asked[3] + 1,)),
    "is silent": lambda asked: b"",
    "is another": lambda asked: registers(9, 4, (4711,)),
}
STEPS = st.lists(
    st.tuples(st.sampled_from(sorted(DEVICE)), st.binary(max_size=12), st.integers(0, 9))
)


@given(STEPS)
def test_no_history_of_a_line_gives_a_channel_the_value_of_another(
    steps: list[tuple[str, bytes, int]],
) -> None:
    """Register a holds a + 1, whatever the device does otherwise and whatever noise there is,
    as long as it answers within twice the timeout."""
    line = Line(*TWINS)
    reads = {0: SUPPLY, 10: OUTDOOR}
    due: list[tuple[int, bytes]] = []
    for behaviour, noise, delay in steps:
        for step in range(12):
            arrived = b"".join(data for at, data in due if at <= line.now_ns + TICK)
            due = [one for one in due if one[0] > line.now_ns + TICK]
            line.tick(arrived + noise[step : step + 1])
            if line.sent:
                assert line.sent[1] == 4
                due.append((line.now_ns + delay * TICK, DEVICE[behaviour](line.sent)))
    said = {(r.channel, r.counts) for r in line.readings if r.quality == Quality.GOOD}
    assert said <= {(SUPPLY, 10), (OUTDOOR, 110)}
    assert set(reads.values()) >= {r.channel for r in line.readings}
