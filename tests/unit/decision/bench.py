"""An agent on a bench: a level sensor, obedient hardware, and a clock in the hand."""

from collections.abc import Sequence

from edge_agent.core.records import Intent, Mode, Op, Proposal, Quality, Reading, TickRecord
from edge_agent.decision.agent import Agent, Options
from edge_agent.decision.features import FeatureKind, Features, FeatureSpec
from edge_agent.safety.limits import Envelope
from tests.unit.safety.lab import T0, S, envelope

PERIOD = S // 10


class Says:
    """A policy that always says the same, and remembers what it was asked."""

    def __init__(self, answer: Proposal) -> None:
        self.answer = answer
        self.asked: list[Sequence[float]] = []

    def propose(self, features: Sequence[float]) -> Proposal:
        self.asked.append(features)
        return self.answer


class Bench:
    """See the module."""

    def __init__(
        self,
        answer: Proposal | None = None,
        limits: Envelope | None = None,
        period_ns: int = PERIOD,
        options: Options | None = None,
    ) -> None:
        self.policy = Says(answer or Proposal((5.0, 3.0)))
        limits = limits or envelope()
        specs = [
            FeatureSpec(kind=FeatureKind.COMMAND, channel="pump"),
            FeatureSpec(kind=FeatureKind.MEAN, channel="level", time_constant_s=1.0),
        ]
        features = Features(specs, ["level"], ["pump", "valve"])
        self.agent = Agent(limits, self.policy, features, period_ns, options or Options())
        self.now_ns = T0
        self.level: int | None = 500
        self.applied: tuple[int, ...] | None = None  # None: whatever was commanded

    def tick(self, *ops: int, dt_ns: int = PERIOD, quality: int = Quality.GOOD) -> TickRecord:
        self.now_ns += dt_ns
        readings = []
        if self.level is not None:
            readings.append(Reading(0, self.level, self.now_ns, quality))
        applied = self.agent.command.counts if self.applied is None else self.applied
        readings += [Reading(1 + i, n, self.now_ns, 0) for i, n in enumerate(applied)]
        return self.agent.step(self.now_ns, readings, self.intents(ops))

    def intents(self, ops: Sequence[int]) -> list[Intent]:
        return [Intent(op) for op in ops]

    def armed(self) -> "Bench":
        self.tick(Op.ARM)
        assert self.tick().mode == Mode.ACTIVE
        return self

    def ticks(self, count: int) -> list[TickRecord]:
        return [self.tick() for _ in range(count)]
