"""Every cell of the completeness matrix: one check, on one channel, of the shipped device.

Each test takes every channel of its kind, so that no channel can be without the check.
"""

import math

import pytest

from edge_agent.core.records import Mode, Op, Proposal, Quality, Rule
from edge_agent.safety import envelope as envelope_step
from edge_agent.safety import gate
from edge_agent.safety.checks import require_sound
from edge_agent.safety.completeness import matrix
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.safety.limits import Agreement, EffectCheck, OnLinkLoss
from edge_agent.sim.mcu import SimulatedMcu
from tests.properties.world import PERIOD_NS, T0, S
from tests.unit.safety.air_handler_bench import (
    ACTUATORS,
    CLOSED,
    SENSORS,
    Bench,
    channel,
    rules_on,
)

HIGH = {a.name: a.max_counts / a.counts_per_unit for a in ENVELOPE.actuators}

every_sensor = pytest.mark.parametrize("name", SENSORS)
every_actuator = pytest.mark.parametrize("name", ACTUATORS)


@pytest.fixture
def bench() -> Bench:
    """In control."""
    ready = Bench()
    ready.tick()
    ready.tick(Op.ARM)
    assert ready.tick().mode == Mode.ACTIVE
    return ready


@every_sensor
def test_a_reading_out_of_its_range_ends_control(bench: Bench, name: str) -> None:
    limits = ENVELOPE.sensors[channel(name)]
    for beyond in (limits.min_counts - 1, limits.max_counts + 1):
        record = bench.tick(**{name: beyond})
        assert record.snapshot.qualities[channel(name)] == Quality.INVALID
        assert record.mode != Mode.ACTIVE
        assert bench.tick().snapshot.qualities[channel(name)] == Quality.GOOD


@every_sensor
def test_a_reading_too_far_from_the_last_is_not_believed(bench: Bench, name: str) -> None:
    limits = ENVELOPE.sensors[channel(name)]
    if limits.max_step_counts >= limits.max_counts - limits.min_counts:
        return  # its range is the tighter limit: the test above
    bench.tick(**{name: limits.min_counts})
    bench.tick(**{name: limits.min_counts})
    near = bench.tick(**{name: limits.min_counts + limits.max_step_counts})
    assert near.snapshot.qualities[channel(name)] == Quality.GOOD
    bench.tick(**{name: limits.min_counts})
    far = bench.tick(**{name: limits.min_counts + limits.max_step_counts + 1})
    assert far.snapshot.qualities[channel(name)] == Quality.INVALID


@every_sensor
def test_a_sensor_that_falls_silent_ends_control(bench: Bench, name: str) -> None:
    ticks = ENVELOPE.sensors[channel(name)].max_age_ns // PERIOD_NS
    records = [bench.tick(**{name: None}) for _ in range(ticks + 1)]
    at = channel(name)
    assert all(r.snapshot.qualities[at] == Quality.GOOD for r in records[:-1])
    assert records[-1].snapshot.qualities[at] == Quality.STALE
    assert records[-1].mode != Mode.ACTIVE


@every_sensor
def test_a_sensor_that_never_changes_is_not_believed(bench: Bench, name: str) -> None:
    limit_ns = ENVELOPE.sensors[channel(name)].stuck_after_ns
    bench.now_ns += 10 * 3600 * S if limit_ns is None else limit_ns
    expected = Quality.GOOD if limit_ns is None else Quality.INVALID
    assert bench.tick().snapshot.qualities[channel(name)] == expected


@every_sensor
def test_a_sensor_never_seen_keeps_the_device_out_of_control(name: str) -> None:
    fresh = Bench()
    records = [fresh.tick(Op.ARM, **{name: None}) for _ in range(5)]
    needed = ENVELOPE.sensors[channel(name)].needed
    assert (records[-1].mode == Mode.ARMING) == needed
    assert (Rule.MISSING_INPUT in rules_on(records[-1], name)) == needed


@every_sensor
def test_a_sensor_is_compared_or_says_why_not(name: str) -> None:
    agreement = ENVELOPE.sensors[channel(name)].agreement
    assert not isinstance(agreement, Agreement)
    assert len(agreement.reason.split()) > 5


@every_actuator
def test_a_wish_out_of_range_ends_at_the_limit(bench: Bench, name: str) -> None:
    limits = ENVELOPE.actuators[ACTUATORS.index(name)]
    bench.ask(**{name: 1e6})
    records = [bench.tick() for _ in range(210)]
    assert Rule.ABOVE_MAX in rules_on(records[-1], name)
    assert records[-1].verdict.command[ACTUATORS.index(name)] == limits.max_counts
    bench.ask(**{name: -1e6})
    records = [bench.tick() for _ in range(210)]
    assert Rule.BELOW_MIN in rules_on(records[-1], name)
    assert records[-1].verdict.command[ACTUATORS.index(name)] == limits.min_counts


@every_actuator
def test_a_wish_rises_no_faster_than_declared(bench: Bench, name: str) -> None:
    i = ACTUATORS.index(name)
    start = bench.agent.command.counts[i]
    bench.ask(**{name: HIGH[name]})
    records = [bench.tick() for _ in range(20)]
    rate = ENVELOPE.actuators[i].rate_up_counts_per_s
    for k, record in enumerate(records, start=1):
        moved = record.verdict.command[i] - start
        assert rate * k * PERIOD_NS // S <= moved <= rate * k * PERIOD_NS // S + 1
        assert Rule.RATE_UP in rules_on(record, name)


@every_actuator
def test_a_wish_falls_no_faster_than_declared(bench: Bench, name: str) -> None:
    i = ACTUATORS.index(name)
    bench.ask(**{name: HIGH[name]})
    top = [bench.tick() for _ in range(100)][-1].verdict.command[i]
    bench.ask()
    rate = ENVELOPE.actuators[i].rate_down_counts_per_s
    for k in range(1, 20):
        record = bench.tick()
        moved = top - record.verdict.command[i]
        assert rate * k * PERIOD_NS // S <= moved <= rate * k * PERIOD_NS // S + 1
        assert Rule.RATE_DOWN in rules_on(record, name)


@every_actuator
def test_to_and_fro_runs_out_of_travel(bench: Bench, name: str) -> None:
    i = ACTUATORS.index(name)
    limits = ENVELOPE.actuators[i]
    moved, last, found = 0, bench.agent.command.counts[i], set[int]()
    for k in range(limits.travel_window_ns // PERIOD_NS // 3):
        bench.ask(**{name: HIGH[name] if k // 100 % 2 == 0 else CLOSED[name]})
        record = bench.tick()
        moved += abs(record.verdict.command[i] - last)
        last = record.verdict.command[i]
        found |= rules_on(record, name)
    assert Rule.TRAVEL in found
    assert limits.travel_max_counts // 2 <= moved <= limits.travel_max_counts


@every_actuator
def test_a_change_waits_for_the_dwell(bench: Bench, name: str) -> None:
    i = ACTUATORS.index(name)
    bench.ask(**{name: HIGH[name]})
    changes = [r.verdict.command[i] for r in (bench.tick() for _ in range(20))]
    needed = ENVELOPE.actuators[i].dwell_ns
    assert needed == 0  # then it may change at every tick
    assert len(set(changes)) == len(changes)


@every_actuator
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, None, True, 1, "1"])
def test_what_is_no_number_is_no_proposal(name: str, value: object) -> None:
    values = {**CLOSED, name: value}
    wanted, reasons = gate.admit(Proposal(tuple(values.values())), ENVELOPE)  # type: ignore[arg-type]
    assert wanted is None
    assert [(r.rule in (Rule.NOT_FINITE, Rule.WRONG_SHAPE), r.channel) for r in reasons] == [
        (True, channel(name))
    ]


@every_actuator
def test_a_late_proposal_is_none(name: str) -> None:
    values = tuple(CLOSED.values())
    limit_ns = ENVELOPE.actuators[ACTUATORS.index(name)].proposal_max_age_ns
    assert gate.admit(Proposal(values, limit_ns), ENVELOPE)[0] is not None
    wanted, reasons = gate.admit(Proposal(values, limit_ns + 1), ENVELOPE)
    assert wanted is None
    assert reasons[0].rule == Rule.LATE


@every_actuator
def test_hardware_that_falls_silent_is_a_lost_link(bench: Bench, name: str) -> None:
    ticks = ENVELOPE.actuators[ACTUATORS.index(name)].feedback_max_age_ns // PERIOD_NS
    records = [bench.tick(**{name: None}) for _ in range(ticks + 1)]
    assert records[-2].mode == Mode.ACTIVE
    assert records[-1].mode == Mode.RAMPING
    assert records[-1].cause is not None
    assert (records[-1].cause.rule, records[-1].cause.channel) == (Rule.LINK_LOST, channel(name))


@every_actuator
def test_the_hardware_lets_go_within_the_lease(name: str) -> None:
    mcu = SimulatedMcu(ENVELOPE, (), 7)
    assert mcu.deadman_ms * 1_000_000 <= ENVELOPE.actuators[ACTUATORS.index(name)].lease_ns


@every_actuator
def test_the_way_to_safe_is_as_declared(name: str) -> None:
    i = ACTUATORS.index(name)
    safe = ENVELOPE.actuators[i].safe
    top = ENVELOPE.actuators[i].max_counts
    state = envelope_step.initial(ENVELOPE, T0)
    state = state._replace(last=tuple(top if k == i else n for k, n in enumerate(state.last)))
    state = state._replace(locks=(0,) * len(state.locks))
    view = Bench().tick().snapshot
    order = envelope_step.Order(Mode.RAMPING, None)
    now_ns, last = T0, top
    while last != safe.counts:
        now_ns += PERIOD_NS
        state, verdict = envelope_step.step(ENVELOPE, state, order, view, now_ns)
        moved, last = last - verdict.command[i], verdict.command[i]
        ramping_ns = now_ns - T0 - PERIOD_NS
        if ramping_ns < safe.hold_ns:
            assert moved == 0
        elif last != safe.counts:
            assert moved == safe.ramp_counts_per_s * PERIOD_NS // S


@every_actuator
def test_a_link_loss_rule_is_acted_on(name: str) -> None:
    require_sound(ENVELOPE)  # refuses the rules that nothing acts on
    assert ENVELOPE.actuators[ACTUATORS.index(name)].on_link_loss is OnLinkLoss.CONTINUE


@every_actuator
def test_a_missing_effect_trips_or_has_its_reason(bench: Bench, name: str) -> None:
    check = ENVELOPE.actuators[ACTUATORS.index(name)].effect
    if not isinstance(check, EffectCheck):
        assert len(check.reason.split()) > 5
        return
    bench.ask(**{name: HIGH[name]})
    shown = {check.sensor: check.expect_at_least - 1}
    for _ in range(check.within_ns // PERIOD_NS + 200):
        record = bench.tick(**shown)
        if record.mode == Mode.TRIPPED:
            break
    assert record.cause is not None
    assert (record.cause.rule, record.cause.channel) == (Rule.EFFECT_MISSING, channel(name))


@every_actuator
def test_hardware_that_does_not_follow_trips(bench: Bench, name: str) -> None:
    i = ACTUATORS.index(name)
    follow = ENVELOPE.actuators[i].follow
    for _ in range(5):
        told = bench.agent.command.counts[i]
        assert bench.tick(**{name: told + follow.max_difference_counts}).mode == Mode.ACTIVE
    for _ in range(follow.within_ns // PERIOD_NS + 2):
        told = bench.agent.command.counts[i]
        record = bench.tick(**{name: told + follow.max_difference_counts + 1})
    assert record.mode == Mode.TRIPPED
    assert record.cause is not None
    assert (record.cause.rule, record.cause.channel) == (Rule.NOT_FOLLOWED, channel(name))


def test_every_cell_names_a_test_here_that_takes_its_channel() -> None:
    sensors, actuators = set(SENSORS), set(ACTUATORS)
    for cell in matrix(ENVELOPE):
        function = globals()[cell.test.split("::")[1]]
        taken = {
            value
            for mark in function.pytestmark
            if mark.name == "parametrize" and mark.args[0] == "name"
            for value in mark.args[1]
        }
        assert cell.channel in taken
        assert taken in (sensors, actuators)


def test_no_cell_is_empty() -> None:
    assert [cell for cell in matrix(ENVELOPE) if cell.empty] == []
    assert len(matrix(ENVELOPE)) == 6 * len(SENSORS) + 13 * len(ACTUATORS)
