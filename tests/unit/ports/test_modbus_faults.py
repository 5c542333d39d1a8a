"""Every way in which an answer can go wrong, and what becomes of the channels."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.records import Quality
from tests.unit.ports.modbus_bench import (
    CODEC,
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
)
from tests.unit.ports.modbus_device import refused, registers, row


def test_silence_lets_values_grow_old_and_the_next_request_follows() -> None:
    line = Line(*TWINS)
    first = line.until_asked()
    assert line.silence(100 * MS) == []
    assert line.master.counts["device_7.silent"] == 1
    assert line.until_asked(200 * MS) != first
    assert line.tick(registers(7, 4, (30,))) == [good(OUTDOOR, 300, line)]


def test_an_echo_alone_is_silence_and_before_something_else_hides_nothing() -> None:
    line = Line(*TWINS)
    line.tick(line.until_asked())
    assert line.silence(100 * MS) == []
    assert line.master.counts["device_7.silent"] == 1
    line.tick(line.until_asked() + registers(8, 4, (215,)))
    (reading,) = line.silence(100 * MS)
    assert (reading.channel, reading.quality) == (OUTDOOR, Quality.INVALID)
    assert line.master.counts["device_7.wrong_device"] == 1


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
    as long as it answers within twice the timeout. In the end it answers, and is believed."""
    line = Line(*TWINS, period_s=0.1)
    due: list[tuple[int, bytes]] = []
    for behaviour, noise, delay in [*steps, *(10 * [("answers", b"", 0)])]:
        for step in range(12):
            arrived = b"".join(data for at, data in due if at <= line.now_ns + TICK)
            due = [one for one in due if one[0] > line.now_ns + TICK]
            line.tick(arrived + noise[step : step + 1])
            if line.sent:
                assert line.sent[1] == 4
                due.append((line.now_ns + delay * TICK, DEVICE[behaviour](line.sent)))
    said = {(r.channel, r.counts) for r in line.readings if r.quality == Quality.GOOD}
    assert said == {(SUPPLY, 10), (OUTDOOR, 110)}
