"""Arbitrary histories of the air handler's agent: hostile policies, sensors, clocks, people."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st

from edge_agent.core.records import Intent, Op, Proposal, Quality, Reading, TickRecord
from edge_agent.decision.agent import Agent
from edge_agent.decision.features import FeatureKind, Features, FeatureSpec
from edge_agent.safety.devices.air_handler import ENVELOPE

S = 1_000_000_000
PERIOD_NS = S // 10
T0 = 1_000 * S
SENSORS = len(ENVELOPE.sensors)
ACTUATORS = len(ENVELOPE.actuators)
GOOD_COUNTS = (1500, 1200, 800, 2200, 1400, 1, 1, 500, 300)


class Tick(NamedTuple):
    """What the world does in one tick."""

    dt_ns: int
    values: Any  # what the policy answers
    elapsed_ns: int
    upsets: tuple[tuple[int, int, int, int], ...]  # (channel, counts, stamp offset, quality)
    silent: frozenset[int]  # channels that send nothing
    ops: tuple[int | Intent, ...]
    applied: bool  # whether the hardware applies the command, or stands at zero


class Scripted:
    """A policy that says what the script says."""

    def __init__(self) -> None:
        self.next: Proposal = Proposal(None)

    def propose(self, features: Sequence[float]) -> Proposal:
        assert len(features) == 3
        return self.next


def agent(policy: Scripted) -> Agent:
    specs = [
        FeatureSpec(kind=FeatureKind.VALUE, channel="supply_temperature"),
        FeatureSpec(kind=FeatureKind.COMMAND, channel="supply_fan"),
        FeatureSpec(
            kind=FeatureKind.MEAN,
            channel="supply_temperature",
            minus="supply_setpoint",
            time_constant_s=60.0,
        ),
    ]
    names = [s.name for s in ENVELOPE.sensors], [a.name for a in ENVELOPE.actuators]
    return Agent(ENVELOPE, policy, Features(specs, *names), PERIOD_NS)


def play(script: Sequence[Tick]) -> list[TickRecord]:
    """The records of a new agent living through `script`."""
    policy = Scripted()
    subject = agent(policy)
    now_ns, command, records = T0, (0,) * ACTUATORS, []
    for tick in script:
        now_ns = max(now_ns + tick.dt_ns, 0)
        policy.next = Proposal(tick.values, tick.elapsed_ns)
        applied = command if tick.applied else (0,) * ACTUATORS
        usual = (*GOOD_COUNTS, *applied)
        readings = [
            Reading(c, counts, now_ns, Quality.GOOD)
            for c, counts in enumerate(usual)
            if c not in tick.silent
        ]
        readings += [Reading(c, n, now_ns + by, q) for c, n, by, q in tick.upsets]
        intents = [op if isinstance(op, Intent) else Intent(op) for op in tick.ops]
        record = subject.step(now_ns, readings, intents)
        assert subject.command.counts == record.verdict.command
        command = record.verdict.command
        records.append(record)
    return records


def encode(records: Sequence[TickRecord]) -> bytes:
    """The records as they go to the recording."""
    return b"".join(msgspec.msgpack.encode(r) for r in records)


FLOATS = st.one_of(
    st.floats(0.0, 100.0),
    st.floats(),
    st.sampled_from([0.0, 100.0, -1.0, 101.0, 1e300, float("nan"), float("inf"), -float("inf")]),
)
VALUES = st.one_of(
    st.tuples(FLOATS, FLOATS, FLOATS, FLOATS),
    st.tuples(*[st.sampled_from([0.0, 100.0])] * ACTUATORS),
    st.none(),
    st.tuples(FLOATS),
)
UPSETS = st.tuples(
    st.integers(-1, SENSORS + ACTUATORS),
    st.one_of(
        st.sampled_from([0, 1, 299, 300, 500, 1000, 5000, 6000, 6001, -3000]),
        st.integers(-(2**63), 2**63 - 1),
    ),
    st.sampled_from([0, 0, 0, 1, -S, -200 * S, -2000 * S, S]),
    st.sampled_from([0, 0, 0, 0, 1, 2, 3]),
)
STEPS_NS = st.one_of(
    st.just(PERIOD_NS),
    st.just(PERIOD_NS),
    st.just(PERIOD_NS),
    st.sampled_from([0, -1, 1, 1000, S // 1000, 2 * S, 600 * S, -10 * S, -(10**15)]),
)
COUNTS = st.one_of(st.sampled_from([-1, 0, 500, 1000, 1001]), st.integers(-(2**63), 2**63 - 1))
# Whatever a gateway or a desk in wrong hands could let through.
HANDS = st.builds(
    Intent,
    st.sampled_from([Op.MANUAL, Op.MANUAL, Op.RELEASE, Op.SET_BAND]),
    st.sampled_from(["plane:alice", "plane:bob"]),
    st.one_of(st.integers(0, SENSORS + ACTUATORS - 1), st.integers(-(2**40), 2**40)),
    COUNTS,
    st.one_of(st.sampled_from([1, S, 60 * S, 60 * S + 1, 0, -1]), st.integers(-(2**63), 2**63 - 1)),
    st.sampled_from(["one", "two"]),
    COUNTS,
)
OPS = st.one_of(
    st.just(()),
    st.just(()),
    st.just((int(Op.ARM),)),
    st.lists(st.one_of(st.sampled_from([0, 1, 2, 3, 4, 99]), HANDS), max_size=2).map(tuple),
)
TICKS = st.builds(
    Tick,
    dt_ns=STEPS_NS,
    values=VALUES,
    elapsed_ns=st.sampled_from([0, 0, 0, S // 5, S, -1]),
    upsets=st.one_of(st.just(()), st.lists(UPSETS, max_size=2).map(tuple)),
    silent=st.one_of(
        st.just(frozenset()), st.frozensets(st.integers(0, SENSORS + ACTUATORS - 1), max_size=2)
    ),
    ops=OPS,
    applied=st.sampled_from([True, True, True, False]),
)
CALM = Tick(PERIOD_NS, (50.0, 0.0, 30.0, 60.0), 0, (), frozenset(), (), applied=True)
ARM = CALM._replace(ops=(int(Op.ARM),))


def _repeat(tick: Tick, times: int) -> list[Tick]:
    return [tick] * times


# Runs of equal ticks reach what single ticks never do: full speed, dwell, hold limits.
RUNS = st.builds(_repeat, TICKS, st.sampled_from([1, 1, 2, 5, 30]))
HOSTILE = st.lists(RUNS, min_size=1, max_size=10).map(lambda runs: list(chain.from_iterable(runs)))
# The same after a quiet start under way, where there is most to lose.
UNDER_WAY = HOSTILE.map(lambda script: [CALM, ARM, *_repeat(CALM, 30), *script])
SCRIPTS = st.one_of(HOSTILE, UNDER_WAY, UNDER_WAY)
