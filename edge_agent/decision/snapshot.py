"""From readings to a snapshot: what every channel is worth at this instant.

Owns: per channel the last sample and whether it may be trusted. Must not: average, fill gaps
or guess. A value is GOOD only if it is in range, not a spike, not too old and not stuck;
anything else is a value too (STALE, MISSING, INVALID) and its counts stay those of the last
good sample, for display only.
"""

from collections.abc import Iterable

from edge_agent.core.records import Quality, Reading, Snapshot
from edge_agent.safety.limits import Envelope

_NEVER = -1
# Plain integers: an enumeration's member costs a lookup each time it is named.
_GOOD = int(Quality.GOOD)
_STALE = int(Quality.STALE)
_MISSING = int(Quality.MISSING)
_INVALID = int(Quality.INVALID)


class SnapshotBuilder:
    """Collects readings and answers with the snapshot of all channels."""

    def __init__(self, envelope: Envelope) -> None:
        sensors, actuators = envelope.sensors, envelope.actuators
        self._limits = [
            *((s.min_counts, s.max_counts, s.max_step_counts) for s in sensors),
            *((a.min_counts, a.max_counts, a.max_counts - a.min_counts) for a in actuators),
        ]
        self._max_age_ns = [
            *(s.max_age_ns for s in sensors),
            *(a.feedback_max_age_ns for a in actuators),
        ]
        self._stuck_after_ns = [
            (c, s.stuck_after_ns) for c, s in enumerate(sensors) if s.stuck_after_ns is not None
        ]
        n = len(self._limits)
        self._counts = [0] * n  # last good value
        self._received = [0] * n  # last value that was in range, spike or not
        self._stamp_ns = [_NEVER] * n
        self._quality = [_MISSING] * n
        self._changed_ns = [_NEVER] * n  # when the received value last changed

    def add(self, readings: Iterable[Reading], now_ns: int) -> None:
        """Take in samples. One older than what is known, or from before time began, is
        dropped; one from the future, out of range or out of line is INVALID."""
        limits, stamps_ns, qualities = self._limits, self._stamp_ns, self._quality
        received = self._received
        channels = len(limits)
        for r in readings:
            c, stamp_ns = r.channel, r.stamp_ns
            if not 0 <= c < channels or stamp_ns < 0 or stamp_ns < stamps_ns[c]:
                continue
            counts = r.counts
            low, high, _ = limits[c]
            if r.quality != _GOOD or stamp_ns > now_ns or not low <= counts <= high:
                stamps_ns[c] = min(stamp_ns, now_ns)
                qualities[c] = _INVALID
                continue
            stamps_ns[c] = stamp_ns
            if counts != received[c] or qualities[c] != _GOOD:
                qualities[c] = self._judge_change(c, counts, stamp_ns)

    def _judge_change(self, c: int, counts: int, stamp_ns: int) -> int:
        """Whether a value in range that is not simply the last good one again is believed."""
        first = self._changed_ns[c] == _NEVER
        if first or counts != self._received[c]:
            self._changed_ns[c] = stamp_ns
        # One sample out of line is a spike; two that agree are a change.
        max_step = self._limits[c][2]
        in_line = first or (
            abs(counts - self._counts[c]) <= max_step or abs(counts - self._received[c]) <= max_step
        )
        self._received[c] = counts
        if not in_line:
            return _INVALID
        self._counts[c] = counts
        return _GOOD

    def at(self, now_ns: int) -> Snapshot:
        """All channels at `now_ns`; a channel never seen has age 0 and is MISSING."""
        ages_ns = [now_ns - s if s != _NEVER else 0 for s in self._stamp_ns]
        # An age below zero means that the clock went back: no sample can be called fresh.
        qualities = [
            quality if 0 <= age_ns <= max_age_ns else _STALE
            for quality, age_ns, max_age_ns in zip(
                self._quality, ages_ns, self._max_age_ns, strict=True
            )
        ]
        for c, stuck_after_ns in self._stuck_after_ns:
            if qualities[c] == _GOOD and now_ns - self._changed_ns[c] > stuck_after_ns:
                qualities[c] = _INVALID
        return Snapshot(tuple(self._counts), tuple(ages_ns), tuple(qualities))
