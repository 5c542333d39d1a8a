"""The fallback stands in when the model fails and the sensors do not."""

from collections.abc import Sequence

import pytest

from edge_agent.core.records import Mode, Op, Proposal, Quality, Reason, Rule
from edge_agent.decision.agent import Options
from edge_agent.decision.words import explain_reason, who_decides
from tests.unit.decision.bench import PERIOD, Bench
from tests.unit.safety.lab import S, envelope

DWELL = envelope().supervision.trust_dwell_ns
GOOD = Proposal((5.0, 3.0))


class Stays:
    """A fallback that wants the outputs where they stood when it took over."""

    def __init__(self) -> None:
        self.wish: tuple[float, ...] = ()
        self.starts = 0
        self.garbage: tuple[float, ...] | None = None

    def start(self, values: Sequence[float], commands: Sequence[float]) -> None:
        assert list(values) == [50.0]
        self.starts += 1
        self.wish = tuple(commands)

    def decide(self, values: Sequence[float], dt_s: float) -> tuple[float, ...]:
        assert len(values) == 1
        assert dt_s == pytest.approx(PERIOD / S)
        return self.wish if self.garbage is None else self.garbage


def under_way() -> tuple[Bench, Stays]:
    """In control at (50, 30) counts."""
    fallback = Stays()
    bench = Bench(GOOD, options=Options(fallback=fallback)).armed()
    bench.ticks(20)
    return bench, fallback


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        (Proposal((float("nan"), 0.0)), Rule.NOT_FINITE),
        (Proposal((0.0,)), Rule.WRONG_SHAPE),
        (Proposal(None), Rule.NO_MODEL),
        (Proposal(None, 0, (Reason(Rule.MODEL_ERROR),)), Rule.MODEL_ERROR),
        (
            Proposal(None, 0, (Reason(Rule.OUTSIDE_TRAINING_RANGE, -1, 2),)),
            Rule.OUTSIDE_TRAINING_RANGE,
        ),
        (Proposal((0.0, 0.0), S), Rule.LATE),
    ],
)
def test_it_decides_in_the_same_tick_in_which_the_model_fails(answer: Proposal, rule: Rule) -> None:
    bench, _ = under_way()
    bench.policy.answer = answer
    record = bench.tick()
    assert (record.mode, record.cause) == (Mode.ACTIVE, None)
    assert record.fallback == (5.0, 3.0)
    assert record.proposal == answer  # what the model said is kept
    assert record.verdict.command == (50, 30)
    assert [r.rule for r in record.verdict.reasons] == [rule, Rule.NOT_TRUSTED]
    assert who_decides(record) == "fallback"
    words = explain_reason(record.verdict.reasons[1], bench.agent.envelope)
    assert words == "the fallback decides: the model must be in order for another 4.0 s"


def test_the_model_is_back_after_the_whole_dwell_without_a_refusal() -> None:
    bench, fallback = under_way()
    bench.policy.answer = Proposal(None)
    bench.ticks(3)
    bench.policy.answer = Proposal((9.0, 3.0))
    ticks = DWELL // PERIOD
    records = bench.ticks(ticks)
    assert [who_decides(r) for r in records] == ["fallback"] * (ticks - 1) + ["model"]
    assert records[-2].proposal.values == (9.0, 3.0)
    assert records[-2].verdict.command == (50, 30)
    assert records[-1].verdict.command[0] > 50
    assert fallback.starts == 1
    bench.policy.answer = Proposal(None)
    assert bench.tick().fallback is not None
    assert fallback.starts == 2  # from where the outputs stand now


@pytest.mark.parametrize("breaks", ["model", "sensor"])
def test_anything_but_an_admitted_proposal_begins_the_dwell_anew(breaks: str) -> None:
    bench, _ = under_way()
    bench.policy.answer = Proposal(None)
    bench.tick()
    bench.policy.answer = GOOD
    bench.ticks(DWELL // PERIOD - 2)
    if breaks == "model":
        bench.policy.answer = Proposal(None)
        bench.tick()
        bench.policy.answer = GOOD
    else:
        assert bench.tick(quality=Quality.INVALID).mode == Mode.HOLDING
    records = bench.ticks(DWELL // PERIOD)
    assert [r.fallback is None for r in records] == [False] * (len(records) - 1) + [True]


def test_a_bad_sensor_is_no_business_of_the_fallback_and_costs_the_model_no_trust() -> None:
    bench, fallback = under_way()
    record = bench.tick(quality=Quality.INVALID)
    assert (record.mode, record.fallback) == (Mode.HOLDING, None)
    assert who_decides(record) == "nobody"
    assert who_decides(bench.tick()) == "model"
    assert fallback.starts == 0


def test_a_clock_that_stands_stops_the_fallback_too() -> None:
    bench, _ = under_way()
    bench.policy.answer = Proposal(None)
    bench.tick()
    assert bench.tick(dt_ns=0).mode == Mode.HOLDING


def test_before_control_it_starts_from_the_outputs_in_every_tick() -> None:
    """An integral that runs while nothing moves would jump when something does."""
    fallback = Stays()
    bench = Bench(Proposal(None), options=Options(fallback=fallback))
    bench.ticks(10)
    assert fallback.starts == 10
    assert bench.tick(Op.ARM).mode == Mode.ARMING
    assert bench.tick().mode == Mode.ACTIVE


@pytest.mark.parametrize("garbage", [(), (float("nan"), 0.0), (1, 2)])
def test_a_fallback_that_fails_itself_is_refused_like_a_model(
    garbage: tuple[float, ...],
) -> None:
    bench, fallback = under_way()
    bench.policy.answer = Proposal(None)
    bench.tick()
    fallback.garbage = garbage
    records = bench.ticks(22)
    assert records[0].mode == Mode.HOLDING
    assert records[-1].mode == Mode.RAMPING
    assert len(records[0].verdict.reasons) == 3


def test_without_a_fallback_the_outputs_hold_as_ever() -> None:
    bench = Bench(GOOD).armed()
    bench.policy.answer = Proposal(None)
    record = bench.tick()
    assert (record.mode, record.fallback) == (Mode.HOLDING, None)
    bench.policy.answer = GOOD
    assert bench.tick().fallback is None
