"""One tick after another: arming, holding, ramping, tripping, and what the record says."""

import dataclasses

import pytest

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
from edge_agent.safety.limits import Agreement, FollowCheck
from tests.unit.decision.bench import PERIOD, Bench
from tests.unit.safety.lab import S, envelope, sensor


def test_nothing_moves_until_somebody_arms() -> None:
    bench = Bench()
    assert {r.verdict.command for r in bench.ticks(50)} == {(20, 20)}
    assert not bench.agent.command.armed


def test_arming_takes_one_tick_and_then_the_policy_decides() -> None:
    bench = Bench()
    assert bench.tick(Op.ARM).mode == Mode.ARMING
    assert bench.agent.command.armed
    record = bench.tick()
    assert record.mode == bench.agent.mode == Mode.ACTIVE
    assert record.cause is None
    assert bench.ticks(20)[-1].verdict.command == (50, 30)


def test_a_disarm_in_the_same_tick_wins_over_an_arm() -> None:
    bench = Bench()
    assert bench.tick(Op.ARM, Op.DISARM).mode == Mode.SAFE


def test_the_command_is_what_the_record_says() -> None:
    bench = Bench().armed()
    for _ in range(10):
        record = bench.tick()
        assert bench.agent.command.counts == record.verdict.command


def test_the_record_holds_everything_of_the_tick() -> None:
    bench = Bench().armed()
    record = bench.tick(99)
    assert record.tick == 2
    assert record.now_ns == bench.now_ns
    assert [r.channel for r in record.readings] == [0, 1, 2]
    assert record.intents == (Intent(99),)
    assert record.features == tuple(bench.policy.asked[-1])
    assert record.proposal == bench.policy.answer


@pytest.mark.parametrize(
    ("quality", "rule"), [(Quality.INVALID, Rule.INVALID_INPUT), (None, Rule.STALE_INPUT)]
)
def test_a_bad_input_is_not_shown_to_the_policy(quality: int | None, rule: Rule) -> None:
    bench = Bench().armed()
    if quality is None:
        bench.level = None
        bench.ticks(10)
    asked = len(bench.policy.asked)
    record = bench.tick(quality=quality or 0)
    assert len(bench.policy.asked) == asked
    assert record.features == ()
    assert [(r.rule, r.channel) for r in record.proposal.reasons] == [(rule, 0)]
    assert record.mode == Mode.HOLDING


def test_a_sensor_never_seen_keeps_the_agent_arming() -> None:
    bench = Bench()
    bench.level = None
    bench.tick(Op.ARM)
    record = bench.ticks(20)[-1]
    assert (record.mode, record.cause) == (Mode.ARMING, Reason(Rule.MISSING_INPUT, 0, 0))


def test_a_nan_holds_and_then_ramps_to_safe_and_never_becomes_an_action() -> None:
    bench = Bench().armed()
    bench.ticks(20)
    bench.policy.answer = Proposal((float("nan"), 0.0))
    records = bench.ticks(80)
    assert [r.mode for r in records[:21]] == [Mode.HOLDING] * 21  # 2 s
    assert {r.verdict.command for r in records[:21]} == {(50, 30)}
    assert records[21].mode == Mode.RAMPING
    assert records[-1].verdict.command == (20, 20)
    assert records[-1].cause == Reason(Rule.NOT_FINITE, 1)


def test_a_nan_every_second_tick_ends_at_the_safe_values_as_well() -> None:
    bench = Bench().armed()
    bench.ticks(20)
    modes = []
    for k in range(120):
        bench.policy.answer = Proposal((float("nan") if k % 2 else 5.0, 3.0))
        record = bench.tick()
        modes.append(record.mode)
    assert modes[-1] == Mode.RAMPING
    assert Mode.ACTIVE not in modes[60:]
    assert record.verdict.command == (20, 20)


def test_hardware_that_does_something_else_trips() -> None:
    limits = dataclasses.replace(
        envelope().actuators[1],
        follow=FollowCheck(max_difference_counts=50, within_ns=S),
    )
    strict = dataclasses.replace(envelope(), actuators=(envelope().actuators[0], limits))
    bench = Bench(limits=strict).armed()
    bench.applied = (20, 300)  # a hand at the valve
    records = bench.ticks(11)
    assert [r.mode for r in records] == [Mode.ACTIVE] * 10 + [Mode.TRIPPED]
    assert records[-1].cause == Reason(Rule.NOT_FOLLOWED, 2, 300)
    assert bench.ticks(50)[-1].mode == Mode.TRIPPED  # unarmed, nothing is compared
    assert bench.tick(Op.RESET).mode == Mode.SAFE
    bench.ticks(50)
    bench.applied = (20, 20)
    assert bench.armed().ticks(5)[-1].mode == Mode.ACTIVE


def test_a_lost_link_stops_the_time_of_effects_and_does_not_clear_it() -> None:
    bench = Bench(Proposal((0.0, 2.0)), envelope(checked=True)).armed()

    def lively(count: int) -> int:
        for k in range(count):
            bench.level = 500 + k % 2  # a closed pump should have let it fall
            bench.tick()
        return bench.agent.mode

    lively(40)
    bench.applied = ()
    assert lively(40) == Mode.RAMPING
    bench.applied = None
    assert lively(40) == Mode.ACTIVE
    assert lively(15) == Mode.TRIPPED


def test_sensors_that_do_not_agree_are_not_shown_to_the_policy() -> None:
    pair = Agreement(sensor="second", max_difference_counts=30, within_ns=S)
    level = dataclasses.replace(sensor(), agreement=pair)
    second = dataclasses.replace(sensor("second"), needed=False)
    limits = dataclasses.replace(envelope(), sensors=(level, second))
    bench = Bench(limits=limits)

    def tick(other: int, *ops: int) -> TickRecord:
        bench.now_ns += PERIOD
        values = (500, other, *bench.agent.command.counts)
        readings = [Reading(c, n, bench.now_ns, 0) for c, n in enumerate(values)]
        return bench.agent.step(bench.now_ns, readings, [Intent(op) for op in ops])

    tick(500, Op.ARM)
    assert tick(531).mode == Mode.ACTIVE
    records = [tick(531) for _ in range(10)]
    assert [r.mode for r in records] == [Mode.ACTIVE] * 9 + [Mode.HOLDING]
    assert records[-1].cause == Reason(Rule.SOURCES_DISAGREE, 0, 31)
    assert records[-1].features == ()
    assert tick(500).mode == Mode.ACTIVE


def test_after_trouble_control_returns_by_itself_from_the_measured_state() -> None:
    bench = Bench().armed()
    bench.ticks(20)
    bench.policy.answer = Proposal(None)
    bench.ticks(60)
    bench.policy.answer = Proposal((5.0, 3.0))
    bench.applied = (35, 25)  # a hand at the valve
    records = bench.ticks(31)
    assert records[-2].mode == Mode.RAMPING
    assert records[-1].mode == Mode.ACTIVE
    assert records[-1].verdict.command == (40, 30)


def test_activation_makes_no_jump_from_what_the_hardware_applies() -> None:
    bench = Bench()
    bench.applied = (200, -50)
    bench.tick(Op.ARM)
    assert bench.tick().verdict.command == (192, -45)


def test_hardware_that_comes_back_finds_the_safe_values_waiting() -> None:
    """Else an output that its own dead man made safe would first move up to an old command."""
    bench = Bench().armed()
    bench.ticks(20)
    assert bench.agent.command.counts != (20, 20)
    bench.applied = ()
    records = bench.ticks(8)
    assert records[-1].mode == Mode.RAMPING
    assert records[-1].verdict.command == (20, 20)
    bench.applied = (20, 20)
    assert bench.tick().verdict.command == (20, 20)


@pytest.mark.parametrize("silent", ["never", "later"])
def test_hardware_that_does_not_answer_is_a_lost_link(silent: str) -> None:
    bench = Bench()
    if silent == "never":
        bench.applied = ()
        bench.tick(Op.ARM)
        record = bench.tick()
        assert record.mode == Mode.ARMING
    else:
        bench.armed()
        bench.applied = ()
        record = bench.ticks(6)[-1]
        assert record.mode == Mode.RAMPING
    assert record.cause is not None
    assert (record.cause.rule, record.cause.channel) == (Rule.LINK_LOST, 1)


def test_one_late_tick_holds_and_three_of_five_ramp() -> None:
    bench = Bench().armed()
    assert bench.tick(dt_ns=2 * PERIOD).mode == Mode.ACTIVE  # two periods are not late
    assert bench.tick(dt_ns=2 * PERIOD + 1).mode == Mode.HOLDING
    assert bench.tick().mode == Mode.ACTIVE
    assert bench.tick(dt_ns=3 * PERIOD).mode == Mode.HOLDING
    record = bench.tick(dt_ns=3 * PERIOD)
    assert (record.mode, record.cause) == (Mode.RAMPING, Reason(Rule.TOO_MANY_MISSES, -1, 3))


@pytest.mark.parametrize("dt_ns", [0, -1, -100 * S])
def test_a_clock_that_stands_or_goes_back_ends_at_the_safe_values(dt_ns: int) -> None:
    """A ramp needs time: without a clock it would never arrive."""
    bench = Bench().armed()
    bench.ticks(20)
    first = bench.tick(dt_ns=dt_ns)
    assert first.mode in (Mode.HOLDING, Mode.RAMPING)
    modes = [bench.tick(dt_ns=0).mode for _ in range(5)]
    assert modes[-1] == Mode.TRIPPED
    # Samples from the future are not GOOD, so the interlock forces its own value as well.
    assert bench.agent.command.counts == ((20, 20) if dt_ns == 0 else (-100, 20))


def test_a_seen_value_outside_a_tripping_interlock_latches() -> None:
    bench = Bench().armed()
    for level in (420, 340, 260):
        bench.level = level
        bench.tick()
    bench.level = 199
    record = bench.tick()
    assert (record.mode, record.cause) == (Mode.TRIPPED, Reason(Rule.INTERLOCK, 0, 199))
    assert bench.tick(Op.RESET).mode == Mode.TRIPPED
    bench.level = 250
    assert bench.tick(Op.ARM).mode == Mode.TRIPPED
    assert bench.tick(Op.RESET).mode == Mode.SAFE
    bench.tick(Op.ARM)
    assert bench.tick().verdict.command[0] == -100  # still forced inside the clear band


def test_an_interlock_on_a_value_that_is_not_seen_does_not_latch() -> None:
    bench = Bench().armed()
    record = bench.tick(quality=Quality.INVALID)
    assert record.mode == Mode.HOLDING
    assert record.verdict.command[0] == -100


def test_a_missing_effect_trips() -> None:
    bench = Bench(Proposal((0.0, 2.0)), envelope(checked=True)).armed()
    for k in range(70):  # a closed pump should have let the level fall to 100 within 5 s
        bench.level = 500 + k % 2
        record = bench.tick()
    assert record.mode == Mode.TRIPPED
    assert record.cause is not None
    assert (record.cause.rule, record.cause.channel) == (Rule.EFFECT_MISSING, 1)


def test_after_a_reset_the_effect_has_its_whole_time_again() -> None:
    bench = Bench(Proposal((0.0, 2.0)), envelope(checked=True)).armed()

    def lively(count: int) -> int:
        for k in range(count):
            bench.level = 500 + k % 2
            bench.tick()
        return bench.agent.mode

    assert lively(70) == Mode.TRIPPED
    assert bench.tick(Op.RESET).mode == Mode.SAFE
    assert bench.armed().agent.mode == Mode.ACTIVE
    assert lively(48) == Mode.ACTIVE
    assert lively(10) == Mode.TRIPPED


def test_a_stall_is_a_missed_deadline_and_no_missing_effect() -> None:
    """A tick that comes an hour late has seen nothing of that hour."""
    bench = Bench(Proposal((0.0, 2.0)), envelope(checked=True)).armed()
    for k in range(10):
        bench.level = 500 + k % 2
        bench.tick()
    bench.level = 500
    assert bench.tick(dt_ns=3600 * S).mode == Mode.HOLDING
    assert bench.tick().mode == Mode.ACTIVE


def test_a_stop_is_safe_at_once_and_needs_a_reset() -> None:
    bench = Bench().armed()
    bench.ticks(20)
    record = bench.tick(Op.STOP)
    assert (record.mode, record.verdict.command) == (Mode.TRIPPED, (20, 20))
    assert not bench.agent.command.armed
    assert bench.tick(Op.ARM).mode == Mode.TRIPPED
    assert bench.tick(Op.RESET).mode == Mode.SAFE


def test_a_mean_ages_through_an_outage_instead_of_resuming_where_it_was() -> None:
    bench = Bench()
    bench.ticks(50)
    assert bench.policy.asked[-1][1] == pytest.approx(50.0)
    bench.level = None
    bench.ticks(99)
    bench.level = 590
    bench.tick()  # 9 s after it was last fresh, with a time constant of 1 s
    assert bench.policy.asked[-1][1] == pytest.approx(50 + 9 * 9 / 10)


def test_the_policy_sees_the_command_that_was_sent_not_the_wish() -> None:
    bench = Bench(Proposal((99.0, 3.0))).armed()
    before = bench.agent.command.counts[0]
    bench.tick()
    assert bench.policy.asked[-1][0] == before / 10


def test_a_refusal_is_the_first_reason_of_the_verdict() -> None:
    bench = Bench().armed()
    bench.policy.answer = Proposal((0.0,))
    assert bench.tick().verdict.reasons[0] == Reason(Rule.WRONG_SHAPE)
