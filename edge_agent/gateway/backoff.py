"""How long to wait before the next attempt: exponential, with full jitter.

Owns: the delay sequence. Must not: sleep or read a clock.

Full jitter (a uniform draw from 0 to the cap of the attempt) because a fleet that lost its
broker at one instant must not return in step.
"""

import random

from edge_agent.core.clock import NS_PER_S

FIRST_CAP_S = 1.0
LAST_CAP_S = 60.0


class Backoff:
    """Delays whose upper bound doubles from 1 s to 60 s until `reset`."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._cap_s = FIRST_CAP_S

    def next_delay_ns(self) -> int:
        """The wait before the next attempt, in nanoseconds."""
        delay_s = self._rng.uniform(0.0, self._cap_s)
        self._cap_s = min(2 * self._cap_s, LAST_CAP_S)
        return round(delay_s * NS_PER_S)

    def reset(self) -> None:
        """The last attempt proved good."""
        self._cap_s = FIRST_CAP_S
