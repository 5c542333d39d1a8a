"""The agent: one pure state machine from readings to a verdict.

Owns: all state of the decision (samples, feature filters, supervisor, envelope, watch).
Must not: read a clock, do I/O, or know which ports exist. `step` is the whole decision:
live, simulated and replayed runs are this code with other ports and another clock.
"""

from collections.abc import Sequence
from typing import NamedTuple

from edge_agent.core.records import (
    Command,
    Intent,
    Mode,
    Op,
    Proposal,
    Reading,
    Reason,
    Rule,
    Snapshot,
    TickRecord,
)
from edge_agent.decision import trust
from edge_agent.decision.fallbacks import Fallback
from edge_agent.decision.features import Features
from edge_agent.decision.goals import Goals
from edge_agent.decision.manual import Hands
from edge_agent.decision.policy import Policy
from edge_agent.decision.snapshot import SnapshotBuilder
from edge_agent.decision.watch import Watch
from edge_agent.safety import envelope as envelope_step
from edge_agent.safety import gate, interlocks, supervisor
from edge_agent.safety.limits import Envelope

NS_PER_S = 1_000_000_000
# Plain integers: an enumeration's member costs a lookup each time it is named.
_ACTIVE = int(Mode.ACTIVE)
_HOLDING = int(Mode.HOLDING)
_RAMPING = int(Mode.RAMPING)
_TRIPPED = int(Mode.TRIPPED)
_UNARMED = (int(Mode.SAFE), _TRIPPED)
_STARTS_FROM = (int(Mode.ARMING), int(Mode.RAMPING))
_NO_OPS: frozenset[int] = frozenset()


class Options(NamedTuple):
    """What else an agent is made with. A person may change over to monitor and back while it
    runs, never out of a monitor that it was made with."""

    fallback: Fallback | None = None  # decides while the model is not trusted
    monitor: bool = False  # decide everything, drive nothing: never armed, always safe
    latched: Reason | None = None  # the trip of an earlier run that nobody has reset


_PLAIN = Options()
# What a policy may look at: good sensors and the last commands, each in its unit.
_Inputs = tuple[list[float], list[float]]
# What the gate made of a proposal: counts, or None and why.
_Admitted = tuple[tuple[int, ...] | None, list[Reason]]


class _StandIn(NamedTuple):
    """What came of asking the fallback."""

    values: tuple[float, ...] | None  # None: it did not decide
    wanted: tuple[int, ...] | None
    refusals: list[Reason]  # of whoever decides
    notes: list[Reason]  # for the verdict: the refusals of both


class Agent:
    """Decides once per tick for one device."""

    def __init__(
        self,
        envelope: Envelope,
        policy: Policy,
        features: Features,
        period_ns: int,
        options: Options = _PLAIN,
    ) -> None:
        """`period_ns` is the longest planned time between two ticks."""
        self._monitor = self._always_monitor = options.monitor
        self._fallback = options.fallback
        self._distrust_ns = trust.TRUSTED
        self._stands_in = False  # the fallback decided in the last tick
        self.envelope = envelope
        self.policy = policy
        self._features = features
        self._period_ns = period_ns
        self._goals = Goals(envelope)
        self._hands = Hands(envelope)
        self._snapshot = SnapshotBuilder(envelope)
        self._seen: Snapshot | None = None  # the last one
        self._watch = Watch(envelope, period_ns)
        self._units = [s.counts_per_unit for s in envelope.sensors]
        self._actuator_units = [a.counts_per_unit for a in envelope.actuators]
        self._safe = envelope.safe_counts
        self._tick = -1
        self._last_ns = -1
        self._features_ns = -1
        self._supervisor = supervisor.initial(0, options.latched)
        self._envelope_state = envelope_step.initial(envelope, 0)
        self._command = self._safe  # the last verdict's

    @property
    def command(self) -> Command:
        """What the hardware is to be told after the last step."""
        if self._monitor:
            return Command(self._safe, armed=False)
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
        if intents:
            self._goals.take(intents)
            self._change_over(intents)
        self._snapshot.add(self._goals.over(readings, now_ns, self._seen), now_ns)
        self._seen = snapshot = self._snapshot.at(now_ns)
        features, proposal, inputs = self._propose(snapshot, now_ns, dt_ns)
        wanted, refusals = gate.admit(proposal, self.envelope)
        fallback, notes = None, refusals
        if self._fallback is not None and (wanted is None or self._distrust_ns):
            fallback, wanted, refusals, notes = self._stand_in(inputs, wanted, refusals, dt_ns)
        self._stands_in = fallback is not None
        if intents or self._hands:
            values = proposal.values if fallback is None else fallback
            wanted, refusals = self._by_hand(intents, values, (wanted, refusals))
        mode_before = self._supervisor.mode
        self._supervise(now_ns, dt_ns, snapshot, intents, refusals)
        mode = self._supervisor.mode
        self._go_on_from(mode_before, snapshot)
        self._envelope_state, verdict = envelope_step.step(
            self.envelope,
            self._envelope_state,
            envelope_step.Order(mode, wanted),
            snapshot,
            now_ns,
        )
        self._command = verdict.command
        manual = self._hands.record(self._last_ns) if self._hands else ()
        if notes or manual:
            held = [Reason(Rule.BY_HAND, m.channel, m.left_ns) for m in manual]
            verdict = verdict.__class__(verdict.command, (*notes, *held, *verdict.reasons))
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
            fallback,
            self._monitor,
            manual,
        )

    def _change_over(self, intents: Sequence[Intent]) -> None:
        """To monitor or back, while nothing is driven anyway."""
        if self._supervisor.mode != Mode.SAFE:
            return
        for intent in intents:
            if intent.op in (Op.MONITOR, Op.ENFORCE):
                self._monitor = self._always_monitor or intent.op == Op.MONITOR

    def _by_hand(
        self,
        intents: Sequence[Intent],
        values: tuple[float, ...] | None,
        decided: _Admitted,
    ) -> _Admitted:
        """What people hold in the place of the policy's wishes. Without these nothing moves: a
        hand on one actuator is no decision about the others."""
        hands = self._hands
        hands.expire(self._last_ns)
        begins = self._supervisor.mode == _ACTIVE and not self._monitor
        hands.take(intents, self._last_ns, begins=begins)
        if not hands or values is None or decided[0] is None:
            return decided
        return gate.admit(Proposal(hands.over(values)), self.envelope)

    def _go_on_from(self, mode_before: Mode, snapshot: Snapshot) -> None:
        """What a change of mode leaves to be picked up."""
        mode = self._supervisor.mode
        if mode == _ACTIVE and mode_before in _STARTS_FROM:
            # Activation starts where the hardware really stands.
            self._restart_from(snapshot.counts[len(self._units) :])
        elif mode == _RAMPING and self._asked_and_silent(snapshot):
            # Its own dead man makes it safe; when it is back it must find nothing else to do.
            self._restart_from(self._safe)
        if self._hands and mode not in (_ACTIVE, _HOLDING):
            self._hands.let_go()

    def _propose(
        self, snapshot: Snapshot, now_ns: int, dt_ns: int
    ) -> tuple[tuple[float, ...], Proposal, _Inputs | None]:
        """Ask the policy, unless a needed input is not GOOD: then say which."""
        bad = self._watch.bad_sensor(snapshot, dt_ns)
        if bad is not None:
            return (), Proposal(None, 0, (bad,)), None
        if dt_ns <= 0:
            return (), Proposal(None, 0, (Reason(Rule.CLOCK_FAULT, -1, dt_ns),)), None
        # Means age by the time since they were last fed, however many ticks had bad inputs.
        since_ns = now_ns - self._features_ns if self._features_ns >= 0 else dt_ns
        self._features_ns = now_ns
        values = [n / u for n, u in zip(snapshot.counts, self._units, strict=False)]
        commands = [n / u for n, u in zip(self._command, self._actuator_units, strict=True)]
        features = self._features.compute(values, commands, since_ns / NS_PER_S)
        return tuple(features), self.policy.propose(features), (values, commands)

    def _stand_in(
        self,
        inputs: _Inputs | None,
        wanted: tuple[int, ...] | None,
        refusals: list[Reason],
        dt_ns: int,
    ) -> _StandIn:
        """Let the fallback decide where the model failed, or has not yet been in order for long
        enough. Without good inputs, neither decides."""
        dwell_ns = self.envelope.supervision.trust_dwell_ns
        if inputs is not None or self._distrust_ns:  # else it was not asked and has not failed
            elapsed_ns = self._watch.counted_ns(dt_ns)
            admitted = wanted is not None
            self._distrust_ns = trust.after(
                self._distrust_ns, elapsed_ns, dwell_ns, admitted=admitted
            )
        fallback = self._fallback
        if fallback is None or inputs is None or not self._distrust_ns:
            return _StandIn(None, wanted, refusals, refusals)
        if not self._stands_in or self._supervisor.mode != _ACTIVE:
            fallback.start(*inputs)
        values = fallback.decide(inputs[0], dt_ns / NS_PER_S)
        counts, problems = gate.admit(Proposal(values), self.envelope)
        left = Reason(Rule.NOT_TRUSTED, -1, self._distrust_ns)
        return _StandIn(values, counts, problems, [*refusals, left, *problems])

    def _supervise(
        self,
        now_ns: int,
        dt_ns: int,
        snapshot: Snapshot,
        intents: Sequence[Intent],
        refusals: Sequence[Reason],
    ) -> None:
        """Gather the tick's facts and move the supervisor."""
        watch, mode = self._watch, self._supervisor.mode
        link_lost = watch.lost_link(snapshot)
        overdue = apart = None
        if link_lost is None:
            overdue, apart = watch.obedience(self.command, snapshot, dt_ns)
        # The envelope's own memory of its interlocks, one tick on, as its step will find it.
        locks = interlocks.advance(self.envelope, self._envelope_state.locks, snapshot)
        facts = supervisor.Facts(
            now_ns=now_ns,
            ops=frozenset([i.op for i in intents]) if intents else _NO_OPS,
            at_safe=self._command == self._safe,
            proposal=refusals[0] if refusals else None,
            link=None if self._monitor else link_lost,  # nothing is asked of the hardware
            deadline=watch.late(dt_ns),
            interlock=interlocks.tripped(self.envelope, locks, snapshot),
            effect=overdue,
            follow=apart,
        )
        self._supervisor = supervisor.step(self.envelope.supervision, self._supervisor, facts)
        if mode == _TRIPPED and self._supervisor.mode != _TRIPPED:
            watch.forget()

    def _asked_and_silent(self, snapshot: Snapshot) -> bool:
        return not self._monitor and self._watch.lost_link(snapshot) is not None

    def _restart_from(self, counts: tuple[int, ...]) -> None:
        """Let the envelope go on from these outputs, not from its last command."""
        self._envelope_state = envelope_step.restart_from(
            self.envelope, self._envelope_state, counts
        )
