"""How late the loop wakes up on this board, and how long an inference then takes.

Owns: the measurement, on the loop's clock and absolute deadlines, and its percentiles. Must not:
know of a scheduling class; its caller sets one. cyclictest, the usual tool, is run beside it where
it is installed, to tell what is the kernel's part and what is Python's.
"""

import re
import shutil
from collections.abc import Callable
from typing import Final, NamedTuple

from edge_agent.core.clock import NS_PER_S, NS_PER_US, Clock
from edge_agent.service.bounded import run_bounded
from edge_agent.service.warming import Warming

# With -h, cyclictest ends with lines of its own: # Min Latencies: 00003 ...
_HISTOGRAM_ROW: Final = re.compile(r"^(\d{6}) (\d+)", re.MULTILINE)
_MAX: Final = re.compile(r"^# Max Latencies: (\d+)", re.MULTILINE)
_HISTOGRAM_US: Final = 10_000


class Lateness(NamedTuple):
    """Percentiles in microseconds, of a wake-up after its deadline or of what it then did, and
    deadlines that passed unused."""

    p50_us: int
    p99_us: int
    max_us: int
    missed: int


def wake_ups(clock: Clock, period_ns: int, for_ns: int) -> Lateness:
    """Sleep to one deadline after the other, as the loop does; takes `for_ns`."""
    return _paced(
        clock, period_ns, for_ns, lambda _: None, lambda deadline_ns: clock.now_ns() - deadline_ns
    )


def inferences(
    clock: Clock,
    period_ns: int,
    for_ns: int,
    infer: Callable[[], object],
    warming: Warming | None,
) -> Lateness:
    """How long `infer` takes at each deadline, after a warming run or without."""

    def warm(deadline_ns: int) -> None:
        if warming is not None:
            clock.sleep_until_ns(deadline_ns - warming.lead_ns)
            warming.run_before(deadline_ns)

    def took_ns(_: int) -> int:
        start_ns = clock.now_ns()
        infer()
        return clock.now_ns() - start_ns

    return _paced(clock, period_ns, for_ns, warm, took_ns)


def _paced(
    clock: Clock,
    period_ns: int,
    for_ns: int,
    before: Callable[[int], None],
    at: Callable[[int], int],
) -> Lateness:
    """`before` each absolute deadline, then, woken by it, what is measured `at` it, in ns. Those
    that have passed are left out and counted."""
    found_ns: list[int] = []
    missed = 0
    deadline_ns = clock.now_ns() + period_ns
    end_ns = deadline_ns + for_ns
    while deadline_ns < end_ns:
        before(deadline_ns)
        clock.sleep_until_ns(deadline_ns)
        found_ns.append(at(deadline_ns))
        skipped = (clock.now_ns() - deadline_ns) // period_ns
        missed += skipped
        deadline_ns += (1 + skipped) * period_ns
    return of_lateness(found_ns, missed)


def of_lateness(late_ns: list[int], missed: int) -> Lateness:
    """From one figure a wake-up, at least one."""
    ordered = sorted(late_ns)
    last = len(ordered) - 1
    at = [ordered[last // 2], ordered[last * 99 // 100], ordered[last]]
    p50, p99, most = (value // NS_PER_US for value in at)
    return Lateness(p50, p99, most, missed)


def cyclictest(priority: int, period_ns: int, for_ns: int) -> Lateness | str:
    """The same by cyclictest, one thread, or why there is no such figure."""
    program = shutil.which("cyclictest", path="/usr/bin:/usr/sbin:/usr/local/bin")
    if program is None:
        return "not installed (Debian: rt-tests)"
    loops = max(1, for_ns // period_ns)
    command = [program, "-q", "-t1", f"-p{priority}", f"-i{period_ns // NS_PER_US}"]
    command += [f"-l{loops}", f"-h{_HISTOGRAM_US}"]
    command += [] if priority else ["--policy=other"]
    try:
        ended = run_bounded(command, 2 * for_ns / NS_PER_S + 10)
    except OSError as error:
        return str(error)
    if ended.code != 0:
        return (ended.err.strip().splitlines() or ["was stopped: it took too long"])[0]
    return of_cyclictest(ended.out) or "its output is of another version"


def of_cyclictest(text: str) -> Lateness | None:
    """From its histogram: one row a microsecond; what is later is only in the maximum."""
    rows = [(int(us), int(count)) for us, count in _HISTOGRAM_ROW.findall(text)]
    most = _MAX.search(text)
    total = sum(count for _, count in rows)
    if most is None or total == 0:
        return None
    return Lateness(_at(rows, total // 2), _at(rows, total * 99 // 100), int(most[1]), 0)


def _at(rows: list[tuple[int, int]], rank: int) -> int:
    seen = 0
    for us, count in rows:
        seen += count
        if seen > rank:
            return us
    return rows[-1][0]
