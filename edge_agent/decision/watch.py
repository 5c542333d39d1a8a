"""The watch: what hardware and sensors show of the commands that were sent.

Owns: the debts of every timed check (agreement, effect, follow) and which tick counts as late.
Must not: decide; it finds, and the supervisor judges.

A check is not made while it means nothing: hardware that does not obey shows no effect, and
unarmed hardware stands at its own safe value. Its debt then stays as it was, and what keeps it
from being made, the lost link or the unarmed mode, acts itself.
"""

from edge_agent.core.records import Command, Quality, Reason, Rule, Snapshot
from edge_agent.safety import agreement, effects, following
from edge_agent.safety.limits import Envelope

_GOOD = int(Quality.GOOD)
# A gap of more than two periods is a deadline that was missed, whatever the cause.
_PERIODS_TO_MISS = 2


class Watch:
    """The memory of all timed checks of one device."""

    def __init__(self, envelope: Envelope, period_ns: int) -> None:
        self._envelope = envelope
        self._late_ns = _PERIODS_TO_MISS * period_ns
        self._sensors = [i for i, s in enumerate(envelope.sensors) if s.needed]
        self._first = len(envelope.sensors)
        self._agreement = agreement.initial(envelope)
        self._effects = effects.initial(envelope)
        self._follow = following.initial(envelope)

    def forget(self) -> None:
        """After a reset: a person has said that what was found is mended."""
        self._effects = effects.initial(self._envelope)
        self._follow = following.initial(self._envelope)

    def counted_ns(self, dt_ns: int) -> int:
        """How much of the time since the last tick a debt may count: a late tick has seen
        nothing of the time before it, and is a fault of its own."""
        return min(dt_ns, self._late_ns)

    def late(self, dt_ns: int) -> Reason | None:
        """Why this tick did not come when it should."""
        if 0 < dt_ns <= self._late_ns:
            return None
        return Reason(Rule.CLOCK_FAULT if dt_ns <= 0 else Rule.DEADLINE_MISSED, -1, dt_ns)

    def bad_sensor(self, snapshot: Snapshot, dt_ns: int) -> Reason | None:
        """The first needed sensor that is not GOOD, or two that do not agree."""
        qualities = snapshot.qualities
        found = None
        if self._agreement:
            self._agreement, found = agreement.step(
                self._envelope, self._agreement, snapshot, self.counted_ns(dt_ns)
            )
        for c in self._sensors:
            if qualities[c] != _GOOD:
                return agreement.bad_input(snapshot, c)
        return found

    def lost_link(self, snapshot: Snapshot) -> Reason | None:
        """The first actuator whose hardware does not say that it obeys."""
        qualities = snapshot.qualities
        for c in range(self._first, len(qualities)):
            if qualities[c] != _GOOD:
                return Reason(Rule.LINK_LOST, c, snapshot.ages_ns[c])
        return None

    def obedience(
        self, sent: Command, snapshot: Snapshot, dt_ns: int
    ) -> tuple[Reason | None, Reason | None]:
        """An effect that is overdue and an actuator that does not follow. `sent` is the command
        of the last tick, to hardware that obeys."""
        elapsed_ns = self.counted_ns(dt_ns)
        self._effects, overdue = effects.step(
            self._envelope, self._effects, sent.counts, snapshot, elapsed_ns
        )
        if not sent.armed:
            return overdue, None
        self._follow, apart = following.step(
            self._envelope, self._follow, sent.counts, snapshot, elapsed_ns
        )
        return overdue, apart
