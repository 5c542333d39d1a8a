"""Time is an interface: the real clock and the manual one keep the same promises."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.clock import NS_PER_MS, NS_PER_S, Clock, ManualClock, SystemClock, utc_now_ns

INSTANTS = st.integers(min_value=0, max_value=10**18)


def test_units_of_time_agree() -> None:
    assert NS_PER_S == 1000 * NS_PER_MS


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()])
def test_time_never_goes_back(clock: Clock) -> None:
    instants = [clock.now_ns() for _ in range(100)]
    assert instants == sorted(instants)


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()])
def test_sleeping_reaches_the_deadline(clock: Clock) -> None:
    deadline_ns = clock.now_ns() + 2 * NS_PER_MS
    clock.sleep_until_ns(deadline_ns)
    assert clock.now_ns() >= deadline_ns


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock(NS_PER_S)])
def test_a_deadline_that_has_passed_returns_at_once(clock: Clock) -> None:
    before_ns = clock.now_ns()
    clock.sleep_until_ns(before_ns - NS_PER_S // 2)
    assert clock.now_ns() - before_ns < NS_PER_S // 2


def test_the_system_clock_is_the_one_all_processes_share() -> None:
    before_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    now_ns = SystemClock().now_ns()
    after_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    assert before_ns <= now_ns <= after_ns


def test_a_manual_clock_stands_still() -> None:
    clock = ManualClock(7)
    assert [clock.now_ns(), clock.now_ns()] == [7, 7]


@given(start=INSTANTS, deadlines=st.lists(INSTANTS))
def test_a_manual_clock_stands_at_its_latest_deadline(start: int, deadlines: list[int]) -> None:
    clock = ManualClock(start)
    for deadline_ns in deadlines:
        clock.sleep_until_ns(deadline_ns)
    assert clock.now_ns() == max([start, *deadlines])


@given(start=INSTANTS, by=INSTANTS)
def test_advancing_adds_exactly(start: int, by: int) -> None:
    clock = ManualClock(start)
    clock.advance_ns(by)
    assert clock.now_ns() == start + by


def test_wall_time_is_after_2024_and_in_nanoseconds() -> None:
    assert 1_700_000_000 * NS_PER_S < utc_now_ns() < 10_000_000_000 * NS_PER_S
