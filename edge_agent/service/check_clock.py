"""Check of the clocks: the monotonic one that paces the loop, the wall clock in file names.

Owns: reading them a few thousand times, and the judgement. Must not: set one. Nothing that moves
depends on the wall clock, so a wrong one is a warning.
"""

import ctypes
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from edge_agent.core.clock import NS_PER_MS, NS_PER_S, Clock
from edge_agent.service.findings import Finding, failure, good, warning

SAMPLES: Final = 2000
OVER_NS: Final = 50 * NS_PER_MS
_CHECK: Final = "clock"
_COARSE_NS: Final = NS_PER_MS
_STEP_NS: Final = 20 * NS_PER_MS
_EARLIEST_UTC_S: Final = 1_767_225_600  # 2026-01-01: this program is not older
_LATEST_UTC_S: Final = 4_102_444_800  # 2100-01-01
_TIME_ERROR: Final = 5  # adjtimex: not synchronised
_TIMEX_BYTES: Final = 512  # more than struct timex on any machine; modes = 0 only reads
_SOURCE: Final = "sys/devices/system/clocksource/clocksource0/current_clocksource"


class ClockFacts(NamedTuple):
    """What the clocks did over a short while. `synchronised` is None where nobody can tell."""

    steps_back: int
    finest_ns: int
    wall_moved_ns: int  # beside the monotonic clock, over the same while
    utc_ns: int
    source: str
    synchronised: bool | None


def read_clock(clock: Clock, utc_now_ns: Callable[[], int], root: Path) -> ClockFacts:
    """Takes `OVER_NS`. `root` is the file system, / but for tests."""
    first_ns, first_utc_ns = clock.now_ns(), utc_now_ns()
    stamps = [first_ns]
    for i in range(SAMPLES):
        if i % 100 == 0:
            clock.sleep_until_ns(first_ns + i * OVER_NS // SAMPLES)
        stamps.append(clock.now_ns())
    utc_ns = utc_now_ns()
    steps = [b - a for a, b in itertools.pairwise(stamps)]
    forward = [step for step in steps if step > 0]
    return ClockFacts(
        steps_back=sum(step < 0 for step in steps),
        finest_ns=min(forward, default=NS_PER_S),
        wall_moved_ns=(utc_ns - first_utc_ns) - (clock.now_ns() - first_ns),
        utc_ns=utc_ns,
        source=_source(root),
        synchronised=_synchronised(),
    )


def judge_clock(facts: ClockFacts) -> Finding:
    """Only a monotonic clock that goes back, or hardly at all, keeps a loop from running."""
    now = datetime.fromtimestamp(facts.utc_ns / NS_PER_S, tz=UTC).isoformat(timespec="seconds")
    if facts.steps_back or facts.finest_ns > _COARSE_NS:
        words = f"CLOCK_MONOTONIC goes back {facts.steps_back} times, finest step "
        words += f"{facts.finest_ns} ns, source {facts.source}"
        fix = "choose another clocksource= on the kernel's command line; do not arm before"
        return failure(_CHECK, words, fix)
    if not _EARLIEST_UTC_S <= facts.utc_ns / NS_PER_S <= _LATEST_UTC_S:
        words = f"the wall clock says {now}: recordings would be filed under a wrong date"
        return warning(_CHECK, words, "set it once by network time, or fit a battery-backed clock")
    if abs(facts.wall_moved_ns) > _STEP_NS:
        words = f"the wall clock was set by {facts.wall_moved_ns / 1e9:+.3f} s while it was watched"
        return warning(_CHECK, words, "see what sets it: timedatectl timesync-status")
    if facts.synchronised is False:
        words = f"{now}, not synchronised; times in recordings and logs may be off"
        return warning(_CHECK, words, "timedatectl set-ntp true, or a local time server")
    return good(_CHECK, f"{now}, steady to {facts.finest_ns} ns, source {facts.source}")


def _source(root: Path) -> str:
    try:
        return (root / _SOURCE).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return "unknown"


def _synchronised() -> bool | None:
    """What the kernel says of the wall clock; None when it will not say."""
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if state < 0 else state != _TIME_ERROR
