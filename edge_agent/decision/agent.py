"""The agent: one pure state machine from readings to a verdict.

Owns: all state of the decision (samples, feature filters, supervisor, envelope, effects).
Must not: read a clock, do I/O, or know which ports exist. `step` is the whole decision:
live, simulated and replayed runs are this code with other ports and another clock.
"""

from collections.abc import Mapping, Sequence

from edge_agent.core.records import (
    Command,
    Intent,
    Mode,
    Proposal,
    Quality,
    Reading,
    Reason,
    Rule,
    Snapshot,
    TickRecord,
)
from edge_agent.decision.features import Features
from edge_agent.decision.policy import Policy
from edge_agent.decision.snapshot import SnapshotBuilder
from edge_agent.safety import effects, gate, interlocks, supervisor
from edge_agent.safety import envelope as envelope_step
from edge_agent.safety.limits import Envelope

NS_PER_S = 1_000_000_000
_BAD_INPUT: Mapping[Quality, Rule] = {
    Quality.STALE: Rule.STALE_INPUT,
    Quality.MISSING: Rule.MISSING_INPUT,
    Quality.INVALID: Rule.INVALID_INPUT,
}
# Plain integers: an enumeration's member costs a lookup each time it is named.
_GOOD = int(Quality.GOOD)
_STALE_INPUT = int(Rule.STALE_INPUT)
_ACTIVE = int(Mode.ACTIVE)
_RAMPING = int(Mode.RAMPING)
_UNARMED = (int(Mode.SAFE), int(Mode.TRIPPED))
_STARTS_FROM = (int(Mode.ARMING), int(Mode.RAMPING))
_NO_OPS: frozenset[int] = frozenset()
# A gap of more than two periods is a deadline that was missed, whatever the cause.
_PERIODS_TO_MISS = 2


class Agent:
    """Decides once per tick for one device."""

    def __init__(
        self, envelope: Envelope, policy: Policy, features: Features, period_ns: int
    ) -> None:
        """`period_ns` is the longest planned time between two ticks."""
        self.envelope = envelope
        self.policy = policy
        self._features = features
        self._period_ns = period_ns
        self._snapshot = SnapshotBuilder(envelope)
        self._needed = [i for i, s in enumerate(envelope.sensors) if s.needed]
        self._units = [s.counts_per_unit for s in envelope.sensors]
        self._actuator_units = [a.counts_per_unit for a in envelope.actuators]
        self._safe = envelope.safe_counts
        self._tick = -1
        self._last_ns = -1
        self._features_ns = -1
        self._supervisor = supervisor.initial(0)
        self._envelope_state = envelope_step.initial(envelope, 0)
        self._command = self._safe  # the last verdict's
        self._effects = effects.initial(envelope)

    @property
    def command(self) -> Command:
        """What the hardware is to be told after the last step."""
        return Command(self._command, self._supervisor.mode not in _UNARMED)

    @property
    def mode(self) -> Mode:
        """The supervisor's mode after the last step."""
        return self._supervisor.mode

    def step(
        self, now_ns: int, readings: Sequence[Reading], intents: Sequence[Intent] = ()
    ) -> TickRecord:
        """One tick: everything that came in, everything that was decided, and why."""
        dt_ns = now_ns - self._last_ns if self._tick >= 0 else self._period_ns
        self._tick += 1
        self._last_ns = max(now_ns, self._last_ns)
        self._snapshot.add(readings, now_ns)
        snapshot = self._snapshot.at(now_ns)
        features, proposal = self._propose(snapshot, now_ns, dt_ns)
        wanted, refusals = gate.admit(proposal, self.envelope)
        mode_before = self._supervisor.mode
        self._supervise(now_ns, dt_ns, snapshot, intents, refusals)
        mode = self._supervisor.mode
        if mode == _ACTIVE and mode_before in _STARTS_FROM:
            # Activation starts where the hardware really stands.
            self._restart_from(snapshot.counts[len(self._units) :])
        elif mode == _RAMPING and self._link_lost(snapshot) is not None:
            # Its own dead man makes it safe; when it is back it must find nothing else to do.
            self._restart_from(self._safe)
        self._envelope_state, verdict = envelope_step.step(
            self.envelope,
            self._envelope_state,
            envelope_step.Order(mode, wanted),
            snapshot,
            now_ns,
        )
        self._command = verdict.command
        if refusals:
            verdict = verdict.__class__(verdict.command, (*refusals, *verdict.reasons))
        return TickRecord(
            self._tick,
            now_ns,
            tuple(readings),
            tuple(intents),
            snapshot,
            features,
            proposal,
            verdict,
            mode,
            self._supervisor.cause,
        )

    def _propose(
        self, snapshot: Snapshot, now_ns: int, dt_ns: int
    ) -> tuple[tuple[float, ...], Proposal]:
        """Ask the policy, unless a needed input is not GOOD: then say which."""
        qualities = snapshot.qualities
        for c in self._needed:
            if qualities[c] != _GOOD:
                rule = _BAD_INPUT[Quality(qualities[c])]
                number = snapshot.ages_ns[c] if rule == _STALE_INPUT else snapshot.counts[c]
                return (), Proposal(None, 0, (Reason(rule, c, number),))
        if dt_ns <= 0:
            return (), Proposal(None, 0, (Reason(Rule.CLOCK_FAULT, -1, dt_ns),))
        # Means age by the time since they were last fed, however many ticks had bad inputs.
        since_ns = now_ns - self._features_ns if self._features_ns >= 0 else dt_ns
        self._features_ns = now_ns
        values = [n / u for n, u in zip(snapshot.counts, self._units, strict=False)]
        commands = [n / u for n, u in zip(self._command, self._actuator_units, strict=True)]
        features = self._features.compute(values, commands, since_ns / NS_PER_S)
        return tuple(features), self.policy.propose(features)

    def _supervise(
        self,
        now_ns: int,
        dt_ns: int,
        snapshot: Snapshot,
        intents: Sequence[Intent],
        refusals: Sequence[Reason],
    ) -> None:
        """Gather the tick's facts and move the supervisor."""
        command = self._command
        link_lost = self._link_lost(snapshot)
        overdue = None
        if link_lost is None:
            self._effects, overdue = effects.step(
                self.envelope, self._effects, command, snapshot, now_ns
            )
        else:
            # A command that nobody obeys has no effect to wait for; the lost link itself acts.
            self._effects = effects.initial(self.envelope)
        late = dt_ns > _PERIODS_TO_MISS * self._period_ns or dt_ns <= 0
        facts = supervisor.Facts(
            now_ns=now_ns,
            ops=frozenset([i.op for i in intents]) if intents else _NO_OPS,
            no_proposal=refusals[0] if refusals else None,
            link_lost=link_lost,
            missed=Reason(Rule.DEADLINE_MISSED, -1, dt_ns) if late else None,
            trip=self._trip(snapshot, dt_ns) or overdue,
            at_safe=command == self._safe,
        )
        self._supervisor = supervisor.step(self.envelope.supervision, self._supervisor, facts)

    def _link_lost(self, snapshot: Snapshot) -> Reason | None:
        """The first actuator whose hardware does not say that it obeys."""
        qualities = snapshot.qualities
        for c in range(len(self._units), len(qualities)):
            if qualities[c] != _GOOD:
                return Reason(Rule.LINK_LOST, c, snapshot.ages_ns[c])
        return None

    def _trip(self, snapshot: Snapshot, dt_ns: int) -> Reason | None:
        """A ramp that no clock drives, or an interlock that latches, engaged by a seen value."""
        if dt_ns <= 0 and self._supervisor.mode == _RAMPING:
            return Reason(Rule.CLOCK_FAULT, -1, dt_ns)  # it would never arrive
        # The envelope's own memory of its interlocks, one tick on, as its step will find it.
        locks = interlocks.advance(self.envelope, self._envelope_state.locks, snapshot)
        return interlocks.tripped(self.envelope, locks, snapshot)

    def _restart_from(self, counts: tuple[int, ...]) -> None:
        """Let the envelope go on from these outputs, not from its last command."""
        self._envelope_state = envelope_step.restart_from(
            self.envelope, self._envelope_state, counts
        )
