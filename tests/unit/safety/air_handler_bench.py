"""The air handler's agent on a bench: one tick at a time, every reading by hand.

Owns: an honest world that says what a healthy machine says. A test replaces what it wants wrong.
"""

from edge_agent.core.records import Intent, Op, Proposal, Quality, Reading, TickRecord
from edge_agent.decision.agent import Agent
from edge_agent.decision.features import Features
from edge_agent.safety.devices.air_handler import ENVELOPE
from tests.properties.world import GOOD_COUNTS, PERIOD_NS, T0, Scripted

SENSORS = [s.name for s in ENVELOPE.sensors]
ACTUATORS = [a.name for a in ENVELOPE.actuators]
# The two valves exclude each other, so one of them may be asked for at a time.
CLOSED = {a.name: a.min_counts / a.counts_per_unit for a in ENVELOPE.actuators}
_BAD = Quality.INVALID


class Bench:
    """An agent whose sensors and hardware are in order unless a test says otherwise."""

    def __init__(self) -> None:
        self.policy = Scripted()
        names = SENSORS, ACTUATORS
        self.agent = Agent(ENVELOPE, self.policy, Features([], *names), PERIOD_NS)
        self.policy.propose = lambda features: self.policy.next  # type: ignore[method-assign]
        self.now_ns = T0
        self.confessing = ""  # the channel whose readings say of themselves that they are bad
        self.ask()

    def ask(self, **wishes: float) -> None:
        self.policy.next = Proposal(tuple({**CLOSED, **wishes}.values()))

    def tick(self, *ops: Op, **counts: int | None) -> TickRecord:
        """One period; `counts` replace honest readings, None sends none."""
        self.now_ns += PERIOD_NS
        honest: tuple[int | None, ...] = (*GOOD_COUNTS, *self.agent.command.counts)
        said = dict(zip(ENVELOPE.channel_names, honest, strict=True))
        said |= {"fan_current": 100, "damper_position": 200} | counts  # every effect shows
        readings = [
            Reading(c, value, self.now_ns, _BAD if name == self.confessing else Quality.GOOD)
            for c, (name, value) in enumerate(said.items())
            if value is not None
        ]
        return self.agent.step(self.now_ns, readings, [Intent(op) for op in ops])


def channel(name: str) -> int:
    return ENVELOPE.channel_names.index(name)


def rules_on(record: TickRecord, name: str) -> set[int]:
    return {r.rule for r in record.verdict.reasons if r.channel == channel(name)}
