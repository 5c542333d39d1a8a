"""Every limit in time, one nanosecond before it, at it and after it."""

import dataclasses

import pytest

from edge_agent.core.records import Mode, Op, Proposal, Quality, Rule
from tests.unit.decision.bench import PERIOD, Bench
from tests.unit.safety.lab import S, actuator, envelope, sensor

AROUND = (-1, 0, 1)
RULES = envelope().supervision


@pytest.mark.parametrize("by", AROUND)
def test_a_tick_more_than_two_periods_late_is_a_missed_deadline(by: int) -> None:
    bench = Bench().armed()
    record = bench.tick(dt_ns=2 * PERIOD + by)
    assert record.mode == (Mode.HOLDING if by > 0 else Mode.ACTIVE)


@pytest.mark.parametrize("dt_ns", [-1, 0, 1])
def test_a_tick_without_time_is_a_clock_fault(dt_ns: int) -> None:
    bench = Bench().armed()
    bench.level = None
    bench.applied = ()
    record = bench.tick(dt_ns=dt_ns)
    assert (record.mode == Mode.ACTIVE) == (dt_ns > 0)


@pytest.mark.parametrize("by", AROUND)
@pytest.mark.parametrize("channel", ["sensor", "actuator"])
def test_an_input_older_than_its_limit_ends_control_in_that_tick(channel: str, by: int) -> None:
    """Invariant I7. One long tick, so that its own lateness must be allowed: a long period."""
    limits = envelope()
    max_age_ns = sensor().max_age_ns if channel == "sensor" else actuator("").feedback_max_age_ns
    bench = Bench(limits=limits, period_ns=S).armed()
    if channel == "sensor":
        bench.level = None
    else:
        bench.applied = ()
    record = bench.tick(dt_ns=max_age_ns + by)
    trouble = Mode.HOLDING if channel == "sensor" else Mode.RAMPING
    assert record.mode == (trouble if by > 0 else Mode.ACTIVE)


@pytest.mark.parametrize("by", AROUND)
def test_a_hold_beyond_its_limit_is_a_ramp(by: int) -> None:
    bench = Bench(period_ns=S).armed()
    bench.policy.answer = Proposal(None)
    assert bench.tick(dt_ns=S).mode == Mode.HOLDING
    bench.tick(dt_ns=S)
    record = bench.tick(dt_ns=RULES.hold_limit_ns - S + by)
    assert record.mode == (Mode.RAMPING if by > 0 else Mode.HOLDING)


@pytest.mark.parametrize("by", AROUND)
def test_control_returns_after_the_whole_dwell(by: int) -> None:
    bench = Bench(period_ns=S).armed()
    bench.policy.answer = Proposal(None)
    bench.ticks(40)
    assert bench.agent.mode == Mode.RAMPING
    bench.policy.answer = Proposal((5.0, 3.0))
    bench.tick()  # the dwell begins
    bench.tick(dt_ns=RULES.return_dwell_ns - S)
    record = bench.tick(dt_ns=S + by)
    assert record.mode == (Mode.RAMPING if by < 0 else Mode.ACTIVE)


@pytest.mark.parametrize("by", AROUND)
def test_a_proposal_older_than_its_limit_is_refused(by: int) -> None:
    bench = Bench().armed()
    bench.policy.answer = Proposal((5.0, 3.0), actuator("").proposal_max_age_ns + by)
    record = bench.tick()
    late = [r.rule for r in record.verdict.reasons] == [Rule.LATE]
    assert (record.mode, late) == ((Mode.HOLDING, True) if by > 0 else (Mode.ACTIVE, False))


@pytest.mark.parametrize("by", AROUND)
def test_a_sensor_that_stands_still_for_its_limit_is_invalid(by: int) -> None:
    still = dataclasses.replace(sensor(), stuck_after_ns=2 * S)
    bench = Bench(limits=dataclasses.replace(envelope(), sensors=(still,)), period_ns=S)
    bench.tick(Op.ARM)
    assert bench.tick(dt_ns=S).mode == Mode.ACTIVE
    record = bench.tick(dt_ns=S + by)
    assert record.mode == (Mode.HOLDING if by > 0 else Mode.ACTIVE)
    assert record.snapshot.qualities[0] == (Quality.INVALID if by > 0 else Quality.GOOD)
