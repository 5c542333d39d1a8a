"""Wake-ups: how late, and how many deadlines passed unused."""

from edge_agent.core.clock import ManualClock
from edge_agent.service.latency import (
    Lateness,
    inferences,
    of_cyclictest,
    of_lateness,
    wake_ups,
)
from edge_agent.service.warming import Warming

US = 1000
# The end of `cyclictest -q -t1 -h10000`, rows of zeros left out.
HISTOGRAM = """\
# Histogram
000014 000090
000015 000008
000048 000001
000900 000001
# Total: 000000100
# Min Latencies: 00014
# Avg Latencies: 00028
# Max Latencies: 00922
"""


class LateClock(ManualClock):
    """Wakes up 3 us late, and 25 us at its fifth wake-up."""

    def __init__(self) -> None:
        super().__init__()
        self.wake_ups = 0

    def sleep_until_ns(self, deadline_ns: int) -> None:
        self.wake_ups += 1
        super().sleep_until_ns(deadline_ns + (25 if self.wake_ups == 5 else 3) * US)


def test_lateness_is_counted_from_absolute_deadlines_and_missed_ones_are_skipped() -> None:
    clock = LateClock()
    found = wake_ups(clock, 10 * US, 200 * US)
    assert found == Lateness(p50_us=3, p99_us=3, max_us=25, missed=2)
    assert clock.wake_ups == 18  # of 20 deadlines


def test_an_inference_is_timed_from_its_own_start_and_a_warming_run_is_not() -> None:
    clock, hot = LateClock(), False

    def infer() -> None:
        nonlocal hot
        clock.advance_ns((2 if hot else 6) * US)
        hot = False

    def warm() -> None:
        nonlocal hot
        clock.advance_ns(4 * US)
        hot = True

    cold = inferences(clock, 100 * US, 1000 * US, infer, None)
    assert cold == Lateness(p50_us=6, p99_us=6, max_us=6, missed=0)
    clock.wake_ups = 5  # on time from now on
    warmed = inferences(clock, 100 * US, 1000 * US, infer, Warming(warm, 20 * US, clock))
    assert warmed == Lateness(p50_us=2, p99_us=2, max_us=2, missed=0)


def test_deadlines_that_an_inference_took_are_missed() -> None:
    clock = ManualClock()
    found = inferences(clock, 10 * US, 100 * US, lambda: clock.advance_ns(25 * US), None)
    assert found == Lateness(p50_us=25, p99_us=25, max_us=25, missed=8)


def test_one_wake_up_has_percentiles_too() -> None:
    assert of_lateness([7 * US], 0) == Lateness(7, 7, 7, 0)


def test_percentiles_of_cyclictest_are_those_of_its_histogram() -> None:
    assert of_cyclictest(HISTOGRAM) == Lateness(p50_us=14, p99_us=900, max_us=922, missed=0)


def test_text_of_another_program_is_no_figure() -> None:
    assert of_cyclictest("") is None
    assert of_cyclictest("# Max Latencies: 00922\n") is None
