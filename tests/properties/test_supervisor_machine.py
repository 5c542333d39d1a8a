"""Any history of one agent, step by step, with the clock in the hand; and the way back from it.

Hypothesis chooses what goes wrong and for how long; the laws are checked after every tick, and
at the end of every history a person mends everything, resets and arms, and control returns.
"""

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from edge_agent.core.records import (
    Intent,
    Mode,
    Op,
    Proposal,
    Quality,
    Reading,
    Reason,
    Rule,
    TickRecord,
)
from edge_agent.decision.agent import Agent, Options
from edge_agent.decision.features import Features
from edge_agent.safety.limits import Envelope
from tests.unit.safety.lab import T0, S, envelope

PERIOD = S // 10
LIMITS = envelope(checked=True)
SAFE = LIMITS.safe_counts
GOOD = Proposal((5.0, 3.0))
ANSWERS = (
    *(GOOD, GOOD, Proposal((30.0, -10.0)), Proposal((1e9, -1e9)), Proposal(None)),
    *(Proposal((float("nan"), 0.0)), Proposal((1.0,)), Proposal((0.0, 0.0), S)),
)
STEPS_NS = (PERIOD, PERIOD, PERIOD, 2 * PERIOD + 1, S, 5 * S, 1, 0, -S)


class Says:
    """The model: whatever the machine wants it to say."""

    def __init__(self) -> None:
        self.answer = GOOD

    def propose(self, features: Sequence[float]) -> Proposal:
        assert not features
        return self.answer


class Stays:
    """The fallback: where the outputs stood, or garbage."""

    def __init__(self) -> None:
        self.wish: tuple[float, ...] = ()
        self.broken = False

    def start(self, values: Sequence[float], commands: Sequence[float]) -> None:
        assert len(values) == 1
        self.wish = tuple(commands)

    def decide(self, values: Sequence[float], dt_s: float) -> tuple[float, ...]:
        assert dt_s > 0.0
        return (float("inf"),) * 2 if self.broken else self.wish


class AgentMachine(RuleBasedStateMachine):
    """One agent and its world."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: Envelope = LIMITS
        self.now_ns = self.latest_ns = T0
        self.ticks = 0
        self.level: int | None = 500
        self.quality = int(Quality.GOOD)
        self.obeys = True
        self.offset = 0
        self.model = Says()
        self.fallback = Stays()
        self.make(stands_in=False, latched=None)

    def make(self, *, stands_in: bool, latched: Reason | None) -> None:
        options = Options(fallback=self.fallback if stands_in else None, latched=latched)
        features = Features([], ["level"], ["pump", "valve"])
        self.agent = Agent(LIMITS, self.model, features, PERIOD, options)

    @initialize(stands_in=st.booleans(), tripped=st.booleans())
    def boot(self, *, stands_in: bool, tripped: bool) -> None:
        self.make(stands_in=stands_in, latched=Reason(Rule.EFFECT_MISSING, 1) if tripped else None)
        assert self.agent.mode == (Mode.TRIPPED if tripped else Mode.SAFE)

    @rule(answer=st.sampled_from(ANSWERS), broken=st.booleans())
    def change_the_model(self, answer: Proposal, *, broken: bool) -> None:
        self.model.answer = answer
        self.fallback.broken = broken

    @rule(
        level=st.sampled_from([500, 500, 150, 250, 90, 2000, None]),
        quality=st.sampled_from([0, 0, 0, 3]),
    )
    def change_the_sensor(self, level: int | None, quality: int) -> None:
        self.level, self.quality = level, quality

    @rule(obeys=st.sampled_from([True, True, False]), offset=st.sampled_from([0, 0, 400, 401]))
    def change_the_hardware(self, *, obeys: bool, offset: int) -> None:
        self.obeys, self.offset = obeys, offset

    @rule(
        count=st.sampled_from([1, 1, 3, 10, 40]),
        dt_ns=st.sampled_from(STEPS_NS),
        ops=st.sets(st.sampled_from([1, 2, 3, 4, 99]), max_size=2),
    )
    def live(self, count: int, dt_ns: int, ops: set[int]) -> None:
        for k in range(count):
            self.tick(dt_ns, ops if k == 0 else set())

    @rule()
    def arm(self) -> None:
        self.tick(PERIOD, {int(Op.ARM)})
        self.tick(PERIOD, set())

    def tick(self, dt_ns: int, ops: set[int]) -> TickRecord:
        before = self.agent.mode
        self.now_ns += dt_ns
        self.latest_ns = max(self.latest_ns, self.now_ns)
        self.ticks += 1
        now_ns = self.now_ns
        readings = []
        if self.level is not None:
            alive = self.level + self.ticks % 2
            readings.append(Reading(0, alive, now_ns, self.quality))
        if self.obeys:
            applied = (n + self.offset for n in self.agent.command.counts)
            readings += [Reading(1 + i, n, now_ns, 0) for i, n in enumerate(applied)]
        record = self.agent.step(now_ns, readings, [Intent(op) for op in sorted(ops)])
        self.check(before, record, ops)
        return record

    def check(self, before: Mode, record: TickRecord, ops: set[int]) -> None:
        mode, command = record.mode, record.verdict.command
        for counts, (low, high) in zip(command, LIMITS.ranges, strict=True):
            assert type(counts) is int
            assert low <= counts <= high
        assert self.agent.command.counts == command
        assert self.agent.command.armed == (mode not in (Mode.SAFE, Mode.TRIPPED))
        if mode in (Mode.SAFE, Mode.TRIPPED):
            # An interlock may force its own value, which is safer still.
            forced = any(r.rule == Rule.INTERLOCK for r in record.verdict.reasons)
            assert command == SAFE or forced
        if mode == Mode.ACTIVE:
            assert record.cause is None
            assert before != Mode.TRIPPED
            assert before != Mode.SAFE
            assert all(q == Quality.GOOD for q in record.snapshot.qualities)
            assert not ops & {Op.STOP, Op.DISARM}
        elif mode != Mode.SAFE:
            assert record.cause is not None
        if before == Mode.TRIPPED and mode != Mode.TRIPPED:
            assert Op.RESET in ops
            assert mode == Mode.SAFE
        if Op.STOP in ops:
            assert mode == Mode.TRIPPED
        if record.fallback is not None:
            assert record.snapshot.qualities[0] == Quality.GOOD
            assert any(r.rule == Rule.NOT_TRUSTED for r in record.verdict.reasons)

    def teardown(self) -> None:
        """Everything is mended; a person resets and arms; control returns, by the model."""
        self.level, self.quality, self.obeys, self.offset = 500, 0, True, 0
        self.model.answer, self.fallback.broken = GOOD, False
        self.now_ns = self.latest_ns  # a clock that went back has caught up
        for _ in range(150):
            wish = {Mode.TRIPPED: {int(Op.RESET)}, Mode.SAFE: {int(Op.ARM)}}
            record = self.tick(PERIOD, wish.get(self.agent.mode, set()))
            if record.mode == Mode.ACTIVE and record.fallback is None:
                return
        raise AssertionError(f"no way back from {self.agent.mode!r}: {record.cause}")


TestAgentMachine = AgentMachine.TestCase
TestAgentMachine.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
