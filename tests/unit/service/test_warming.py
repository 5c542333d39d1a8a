"""A warming run: once before each deadline, and never when the tick would wait for it."""

import pytest

from edge_agent.core.clock import NS_PER_MS, ManualClock
from edge_agent.service.warming import Warming

US = 1_000
LEAD_NS = 500 * US
PERIOD_NS = 20 * NS_PER_MS


class Model:
    """Takes its time, and keeps when it ran."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.takes_ns = 100 * US
        self.ran_at_ns: list[int] = []

    def run(self) -> None:
        self.ran_at_ns.append(self._clock.now_ns())
        self._clock.advance_ns(self.takes_ns)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(PERIOD_NS)


@pytest.fixture
def model(clock: ManualClock) -> Model:
    return Model(clock)


@pytest.fixture
def warming(model: Model, clock: ManualClock) -> Warming:
    return Warming(model.run, LEAD_NS, clock)


def _deadline(number: int) -> int:
    return number * PERIOD_NS


def _wake_before(clock: ManualClock, warming: Warming, number: int, left_ns: int) -> None:
    clock.sleep_until_ns(_deadline(number) - left_ns)
    warming.run_before(_deadline(number))


def test_it_runs_once_before_a_deadline(clock: ManualClock, model: Model, warming: Warming) -> None:
    assert warming.due_ns(_deadline(2)) == _deadline(2) - LEAD_NS
    _wake_before(clock, warming, 2, LEAD_NS)
    assert warming.due_ns(_deadline(2)) is None
    assert warming.due_ns(_deadline(3)) == _deadline(3) - LEAD_NS
    assert model.ran_at_ns == [_deadline(2) - LEAD_NS]
    assert warming.status() == {"lead_us": 500, "runs": 1, "skipped": 0, "takes_us": 100}


def test_a_command_that_wakes_the_loop_early_does_not_count(
    clock: ManualClock, model: Model, warming: Warming
) -> None:
    _wake_before(clock, warming, 2, 3 * LEAD_NS)
    assert model.ran_at_ns == []
    assert warming.due_ns(_deadline(2)) == _deadline(2) - LEAD_NS


@pytest.mark.parametrize("left_ns", [0, -1, -PERIOD_NS])
def test_at_or_after_the_deadline_it_never_runs(
    left_ns: int, clock: ManualClock, model: Model, warming: Warming
) -> None:
    _wake_before(clock, warming, 2, left_ns)
    assert model.ran_at_ns == []
    assert warming.status()["skipped"] == 1


def test_it_runs_only_where_there_is_time_for_two(
    clock: ManualClock, model: Model, warming: Warming
) -> None:
    _wake_before(clock, warming, 2, LEAD_NS)
    _wake_before(clock, warming, 3, 170 * US)  # 100 us, an eighth forgotten: 88, twice is 176
    assert len(model.ran_at_ns) == 1
    _wake_before(clock, warming, 4, 170 * US)  # 77 us by now
    assert len(model.ran_at_ns) == 2


def test_one_that_was_slow_once_is_tried_again_after_a_while(
    clock: ManualClock, model: Model, warming: Warming
) -> None:
    model.takes_ns = 5 * NS_PER_MS  # the machine was busy
    _wake_before(clock, warming, 2, LEAD_NS)
    model.takes_ns = 100 * US
    for number in range(3, 60):
        _wake_before(clock, warming, number, LEAD_NS)
    counts = warming.status()
    assert counts["skipped"] == 22  # 5 ms less an eighth each time, until twice that is in time
    assert counts["runs"] == 36
    assert counts["takes_us"] == 100
