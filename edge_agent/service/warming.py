"""A warming inference: just before a deadline, so that the tick finds its code in the caches.

Owns: when it may run, so that no tick ever waits for it, and what it took. Must not: know what
runs. Whoever hands it in sees to it that it leaves no trace in a decision.

The slower a loop, the more of what it needs has been pushed out by others between two ticks.
"""

from collections.abc import Callable
from typing import Final

from edge_agent.core.clock import NS_PER_S, NS_PER_US, Clock

_MARGIN: Final = 2  # there must be time for this many of the slowest of late
_FORGET: Final = 8  # what was slow once counts an eighth less with every deadline


class Warming:
    """Runs once before each deadline, `lead_ns` ahead of it, when there is time."""

    def __init__(self, run: Callable[[], None], lead_ns: int, clock: Clock) -> None:
        self._run = run
        self.lead_ns = lead_ns
        self._clock = clock
        self._deadline_ns = -NS_PER_S  # the last one that was seen to
        self._takes_ns = 0
        self._runs = 0
        self._skipped = 0

    def due_ns(self, deadline_ns: int) -> int | None:
        """When to call `run_before`; None when this deadline was seen to."""
        return None if deadline_ns == self._deadline_ns else deadline_ns - self.lead_ns

    def run_before(self, deadline_ns: int) -> None:
        """Run, unless it is too early or the deadline too near."""
        start_ns = self._clock.now_ns()
        left_ns = deadline_ns - start_ns
        if left_ns > self.lead_ns:
            return  # woken by something else
        self._deadline_ns = deadline_ns
        self._takes_ns -= self._takes_ns // _FORGET
        if left_ns < _MARGIN * self._takes_ns or left_ns <= 0:
            self._skipped += 1
            return
        self._run()
        self._takes_ns = max(self._takes_ns, self._clock.now_ns() - start_ns)
        self._runs += 1

    def status(self) -> dict[str, int | str]:
        """Counters by name, and the slowest of late."""
        return {
            "lead_us": self.lead_ns // NS_PER_US,
            "runs": self._runs,
            "skipped": self._skipped,
            "takes_us": self._takes_ns // NS_PER_US,
        }
