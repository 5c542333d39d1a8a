"""The device's own limits: the host's envelope, a stated margin wider, and what enforces them.

Owns: the table and the arithmetic of one output, in integers that fit an int32. Must not:
know why an output moves, or time beyond the milliseconds it is given.

Margin: MARGIN_COUNTS on the range and on each move, MARGIN_RATE_PERCENT on the rates, so that
a command which the envelope passed is never changed here by rounding or jitter, and one that
escaped the envelope is.
"""

from typing import Final, NamedTuple

from edge_agent.safety.limits import ActuatorLimits

MARGIN_COUNTS: Final = 1
MARGIN_RATE_PERCENT: Final = 20


class OutputLimits(NamedTuple):
    """What one output may do, in counts and counts per second; `burst` in millicounts."""

    min_counts: int
    max_counts: int
    rate_up: int
    rate_down: int
    burst_up: int
    burst_down: int
    safe_counts: int


def output_limits(limits: ActuatorLimits, deadman_ms: int) -> OutputLimits:
    """The host's limits widened by the margin.

    The burst is what the rate allows in one dead-man time plus MARGIN_COUNTS: a host may be
    late by that much and no more, so no longer pause can save up a longer jump.
    """
    rate_up = _widened_rate(limits.rate_up_counts_per_s)
    rate_down = _widened_rate(limits.rate_down_counts_per_s)
    return OutputLimits(
        min_counts=limits.min_counts - MARGIN_COUNTS,
        max_counts=limits.max_counts + MARGIN_COUNTS,
        rate_up=rate_up,
        rate_down=rate_down,
        burst_up=rate_up * deadman_ms + MARGIN_COUNTS * 1000,
        burst_down=rate_down * deadman_ms + MARGIN_COUNTS * 1000,
        safe_counts=limits.safe.counts,
    )


def _widened_rate(counts_per_s: int) -> int:
    return -(-counts_per_s * (100 + MARGIN_RATE_PERCENT) // 100)


class Output:
    """One actuator: its value and the travel it has saved up in each direction."""

    def __init__(self, limits: OutputLimits) -> None:
        self.limits = limits
        self.counts = limits.safe_counts
        self._up = MARGIN_COUNTS * 1000  # millicounts
        self._down = MARGIN_COUNTS * 1000

    def make_safe(self) -> None:
        """The safe value at once; nothing saved up."""
        self.counts = self.limits.safe_counts
        self._up = self._down = MARGIN_COUNTS * 1000

    def earn(self, elapsed_ms: int) -> None:
        limits = self.limits
        self._up = min(self._up + limits.rate_up * elapsed_ms, limits.burst_up)
        self._down = min(self._down + limits.rate_down * elapsed_ms, limits.burst_down)

    def follow(self, wanted: int) -> bool:
        """Move towards `wanted` as far as range and rate allow; True if that is not all.

        The rate holds away from the safe value only: what makes an output safer, an interlock
        or a ramp of the host, is never slowed here.
        """
        limits = self.limits
        low = min(self.counts, limits.safe_counts)
        high = max(self.counts, limits.safe_counts)
        target = max(limits.min_counts, min(limits.max_counts, wanted))
        target = max(low - self._down // 1000, min(high + self._up // 1000, target))
        self._up -= max(0, target - high) * 1000
        self._down -= max(0, low - target) * 1000
        self.counts = target
        return target != wanted
