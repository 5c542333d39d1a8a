"""One master and its devices: whose turn it is, and what an answer says."""

import math
import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.ports.modbus_frames import Ask, Function
from edge_agent.ports.modbus_master import ModbusMaster
from tests.unit.ports.modbus_bench import (
    CODEC,
    FAN,
    MS,
    ONE,
    OUTDOOR,
    SUPPLY,
    TICK,
    TIMEOUT,
    TWINS,
    Line,
    good,
    invalid,
    plan_of,
)
from tests.unit.ports.modbus_device import registers, row, sealed


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
def test_a_request_follows_three_and_a_half_characters_after_the_answer(
    baud: int, parity: str, stop_bits: int, gap_us: int
) -> None:
    plan = plan_of(*TWINS, baud=baud, parity=parity, stop_bits=stop_bits)
    assert abs(plan.gap_ns - gap_us * 1000) < 1000
    master = ModbusMaster(plan, CODEC)
    master.receive(0, b"")
    assert master.due(plan.timeout_ns)
    answered_ns = plan.timeout_ns + 20 * MS
    assert master.receive(answered_ns, registers(7, 4, (1,)))
    assert master.receive(answered_ns + plan.gap_ns - 1, b"\xff") == []  # does not put it off
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
