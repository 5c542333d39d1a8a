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


class SnapshotBuilder:
    """Collects readings and answers with the snapshot of all channels."""

    def __init__(self, envelope: Envelope) -> None:
        limits = [
            (s.min_counts, s.max_counts, s.max_step_counts, s.max_age_ns, s.stuck_after_ns)
            for s in envelope.sensors
        ] + [
            (a.min_counts, a.max_counts, a.max_counts - a.min_counts, a.feedback_max_age_ns, None)
            for a in envelope.actuators
        ]
        self._limits = limits
        n = len(limits)
        self._counts = [0] * n  # last good value
        self._received = [0] * n  # last value that was in range, spike or not
        self._stamp_ns = [_NEVER] * n
        self._quality = [int(Quality.MISSING)] * n
        self._changed_ns = [_NEVER] * n  # when the received value last changed

    def add(self, readings: Iterable[Reading], now_ns: int) -> None:
        """Take in samples. One older than what is known is dropped; one from the future,
        out of range or out of line is INVALID."""
        for r in readings:
            c, stamp_ns = r.channel, r.stamp_ns
            if not 0 <= c < len(self._limits) or stamp_ns < self._stamp_ns[c]:
                continue
            self._stamp_ns[c] = min(stamp_ns, now_ns)
            self._quality[c] = self._judge(r, now_ns)

    def _judge(self, r: Reading, now_ns: int) -> int:
        low, high, max_step, _, _ = self._limits[r.channel]
        c, counts = r.channel, r.counts
        if r.quality != Quality.GOOD or r.stamp_ns > now_ns or not low <= counts <= high:
            return Quality.INVALID
        first = self._changed_ns[c] == _NEVER
        if first or counts != self._received[c]:
            self._changed_ns[c] = r.stamp_ns
        # One sample out of line is a spike; two that agree are a change.
        in_line = first or (
            abs(counts - self._counts[c]) <= max_step or abs(counts - self._received[c]) <= max_step
        )
        self._received[c] = counts
        if not in_line:
            return Quality.INVALID
        self._counts[c] = counts
        return Quality.GOOD

    def at(self, now_ns: int) -> Snapshot:
        """All channels at `now_ns`; a channel never seen has age 0 and is MISSING."""
        ages_ns = [now_ns - s if s != _NEVER else 0 for s in self._stamp_ns]
        qualities = self._quality.copy()
        for c, (_, _, _, max_age_ns, stuck_after_ns) in enumerate(self._limits):
            if qualities[c] == Quality.MISSING:
                continue
            if ages_ns[c] > max_age_ns:
                qualities[c] = Quality.STALE
            elif stuck_after_ns is not None and now_ns - self._changed_ns[c] > stuck_after_ns:
                qualities[c] = Quality.INVALID
        return Snapshot(tuple(self._counts), tuple(ages_ns), tuple(qualities))
