"""Range, speed, travel, exclusion and interlocks, one claim at a time."""

import dataclasses
from typing import Any

import pytest

from edge_agent.core.records import Mode, Quality, Reason, Rule
from edge_agent.safety import interlocks
from edge_agent.safety.envelope import (
    DT_MAX_NS,
    EnvelopeState,
    Order,
    _check_range,
    initial,
    restart_from,
    step,
)
from edge_agent.safety.limits import Envelope
from tests.unit.safety.lab import T0, S, envelope, order, snapshot, state

MS = S // 1000


def run(
    limits: Envelope, start: EnvelopeState, wish: Order, period_ns: int, ticks: int
) -> list[tuple[int, ...]]:
    """Commands of `ticks` equal steps."""
    commands = []
    for k in range(1, ticks + 1):
        start, verdict = step(limits, start, wish, snapshot(), T0 + k * period_ns)
        commands.append(verdict.command)
    return commands


def rules(reasons: tuple[Reason, ...]) -> list[int]:
    return [r.rule for r in reasons]


def test_boot_is_safe_with_every_interlock_engaged() -> None:
    limits = envelope()
    boot = initial(limits, T0)
    assert boot.last == (20, 20)
    assert boot.locks == (-1,)


@pytest.mark.parametrize("mode", [Mode.SAFE, Mode.ARMING, Mode.TRIPPED])
def test_modes_that_may_not_move_are_at_the_safe_value_at_once(mode: Mode) -> None:
    limits = envelope()
    _, verdict = step(
        limits, state(limits, last=(300, -100)), order(mode, 9, 9), snapshot(), T0 + 1
    )
    assert verdict.command == (20, 20)


def test_a_wish_inside_every_limit_passes_unchanged_and_without_a_reason() -> None:
    limits = envelope()
    _, verdict = step(limits, state(limits), order(Mode.ACTIVE, 45, -20), snapshot(), T0 + S // 2)
    assert verdict.command == (45, -20)
    assert verdict.reasons == ()


@pytest.mark.parametrize(
    ("wanted", "last", "rule", "bound"),
    [
        (301, 295, Rule.ABOVE_MAX, 300),
        (10**9, 295, Rule.ABOVE_MAX, 300),
        (-101, -95, Rule.BELOW_MIN, -100),
        (-(10**9), -95, Rule.BELOW_MIN, -100),
    ],
)
def test_a_wish_out_of_range_is_clamped_with_the_number(
    wanted: int, last: int, rule: Rule, bound: int
) -> None:
    limits = envelope()
    start = state(limits, last=(last, 20))
    _, verdict = step(limits, start, order(Mode.ACTIVE, wanted, 20), snapshot(), T0 + S)
    assert verdict.command == (bound, 20)
    assert verdict.reasons == (Reason(rule, 1, wanted),)


@pytest.mark.parametrize("period_ns", [MS, 7 * MS, 20 * MS, 100 * MS, 333 * MS, S])
def test_speed_up_and_down_hold_at_every_tick_rate(period_ns: int) -> None:
    limits = envelope()
    ticks = S // period_ns
    up = run(limits, state(limits), order(Mode.ACTIVE, 300, -100), period_ns, ticks)
    elapsed_ns = ticks * period_ns
    assert up[-1] == (20 + 50 * elapsed_ns // S, 20 - 80 * elapsed_ns // S)


def test_a_period_too_short_for_one_count_still_moves_in_the_long_run() -> None:
    limits = envelope()
    commands = run(limits, state(limits), order(Mode.ACTIVE, 300, 20), MS, 1000)
    assert [c[0] for c in commands[:20]] == [20] * 19 + [21]  # 50 counts/s: one in 20 ms
    assert commands[-1][0] == 70


def test_a_long_gap_earns_no_more_than_one_second_of_movement() -> None:
    limits = envelope()
    commands = run(limits, state(limits), order(Mode.ACTIVE, 300, 20), 2 * S, 2)
    assert [c[0] for c in commands] == [70, 120]
    jump = run(limits, state(limits), order(Mode.ACTIVE, 300, 20), 3600 * S, 1)
    assert jump == [(20 + 50 * DT_MAX_NS // S, 20)]


def test_standing_still_saves_up_one_count_of_speed_and_no_more() -> None:
    limits = envelope()
    now = T0
    memory = state(limits)
    for _ in range(100):
        now += 100 * MS
        memory, _ = step(limits, memory, order(Mode.ACTIVE, 20, 20), snapshot(), now)
    _, verdict = step(limits, memory, order(Mode.ACTIVE, 300, -100), snapshot(), now + 1)
    assert verdict.command == (21, 19)


@pytest.mark.parametrize("dt_ns", [0, -1, -3600 * S])
def test_a_clock_that_stands_or_goes_back_moves_nothing_and_says_so(dt_ns: int) -> None:
    limits = envelope()
    after, verdict = step(
        limits, state(limits), order(Mode.ACTIVE, 300, -100), snapshot(), T0 + dt_ns
    )
    assert verdict.command == (20, 20)
    assert Reason(Rule.CLOCK_FAULT, -1, dt_ns) in verdict.reasons
    assert after.now_ns == T0


def test_a_clock_that_went_back_earns_nothing_until_it_has_caught_up() -> None:
    limits = envelope()
    memory, _ = step(limits, state(limits), order(Mode.ACTIVE, 300, 20), snapshot(), T0 - S)
    memory, verdict = step(limits, memory, order(Mode.ACTIVE, 300, 20), snapshot(), T0)
    assert verdict.command == (20, 20)
    _, verdict = step(limits, memory, order(Mode.ACTIVE, 300, 20), snapshot(), T0 + S)
    assert verdict.command == (70, 20)


def test_travel_runs_out_at_half_the_budget_and_refills_with_time() -> None:
    limits = envelope()
    memory, now, moved = state(limits), T0, 0
    wanted = (70, 20)
    reasons: list[int] = []
    last = 20
    for k in range(10):  # 50 counts a second, to and fro
        now += S
        wanted = (70 if k % 2 == 0 else 20, 20)
        memory, verdict = step(limits, memory, order(Mode.ACTIVE, *wanted), snapshot(), now)
        moved += abs(verdict.command[0] - last)
        last = verdict.command[0]
        reasons += rules(verdict.reasons)
    # Half of 200 at once, and the other half spread over the 60 s window.
    assert moved <= 100 + 200 * 10 // 120
    assert Rule.TRAVEL in reasons
    memory, verdict = step(limits, memory, order(Mode.ACTIVE, last, 20), snapshot(), now + S)
    for k in range(60):
        memory, _ = step(
            limits, memory, order(Mode.ACTIVE, last, 20), snapshot(), now + (k + 2) * S
        )
    _, verdict = step(limits, memory, order(Mode.ACTIVE, last + 50, 20), snapshot(), now + 63 * S)
    assert verdict.command[0] == last + 50


def test_exhausted_travel_stops_both_directions() -> None:
    limits = envelope()
    empty = state(limits)._replace(travel=(0, 0))
    _, verdict = step(limits, empty, order(Mode.ACTIVE, 25, 15), snapshot(), T0 + 100 * MS)
    assert verdict.command == (20, 20)
    assert rules(verdict.reasons) == [Rule.TRAVEL, Rule.TRAVEL]


def test_holding_stands_still_whatever_is_wished() -> None:
    limits = envelope()
    start = state(limits, last=(77, -31))
    _, verdict = step(limits, start, order(Mode.HOLDING, 300, 300), snapshot(), T0 + S)
    assert verdict.command == (77, -31)


def test_active_without_a_wish_stands_still() -> None:
    limits = envelope()
    _, verdict = step(limits, state(limits, last=(77, -31)), order(Mode.ACTIVE), snapshot(), T0 + S)
    assert verdict.command == (77, -31)


@pytest.mark.parametrize("period_ns", [MS, 20 * MS, S])
def test_the_way_to_safe_is_a_hold_then_the_declared_ramp(period_ns: int) -> None:
    limits = envelope()
    per_s = S // period_ns
    start = state(limits, last=(300, -100))
    commands = run(limits, start, order(Mode.RAMPING), period_ns, 6 * per_s)
    at = dict(enumerate(commands, start=1))
    assert at[1] == at[2 * per_s] == (300, -100)  # the hold lasts 2 s from the first tick
    assert at[3 * per_s][0] in (200, 201)  # then 100 counts/s, both ways
    assert at[3 * per_s][1] in (0, -1)
    assert commands[-1] == (20, 20)


def test_leaving_the_ramp_forgets_when_it_began() -> None:
    limits = envelope()
    memory, _ = step(limits, state(limits), order(Mode.RAMPING), snapshot(), T0 + 1)
    assert memory.ramp_since_ns == T0 + 1
    memory, _ = step(limits, memory, order(Mode.HOLDING), snapshot(), T0 + 2)
    assert memory.ramp_since_ns == -1


def test_activation_starts_from_what_is_measured_without_saved_speed() -> None:
    limits = envelope()
    memory = restart_from(limits, state(limits), (250, -999))
    assert memory.last == (250, -100)
    _, verdict = step(limits, memory, order(Mode.ACTIVE, 300, 300), snapshot(), T0 + 100 * MS)
    assert verdict.command == (255, -95)


@pytest.mark.parametrize(
    ("last", "wanted", "command", "loser"),
    [
        ((-100, -100), (-90, -90), (-90, -100), 2),  # both closed: second yields
        ((-90, -100), (-80, -90), (-80, -100), 2),  # first is open and stays
        ((-100, -90), (-90, -80), (-100, -80), 1),  # second is open and stays
        ((50, 50), (60, 60), (60, -100), 2),  # measured both open: second is closed at once
    ],
)
def test_of_two_exclusive_actuators_the_open_one_stays(
    last: tuple[int, ...], wanted: tuple[int, ...], command: tuple[int, ...], loser: int
) -> None:
    limits = envelope(exclusive=True, locked=False)
    start = state(limits, last=last)
    _, verdict = step(limits, start, order(Mode.ACTIVE, *wanted), snapshot(), T0 + S)
    assert verdict.command == command
    assert [(r.rule, r.channel) for r in verdict.reasons] == [(Rule.EXCLUSIVE, loser)]


def test_two_exclusive_actuators_may_both_be_closed() -> None:
    limits = envelope(exclusive=True, locked=False)
    start = state(limits, last=(-100, -100))
    _, verdict = step(limits, start, order(Mode.ACTIVE, -100, -100), snapshot(), T0 + S)
    assert verdict.reasons == ()


@pytest.mark.parametrize(
    ("was_engaged", "level", "engages"),
    [(False, 200, False), (False, 199, True), (True, 299, True), (True, 300, False)],
)
def test_an_interlock_is_left_later_than_it_is_entered(
    was_engaged: bool, level: int, engages: bool
) -> None:
    limits = envelope()
    start = state(limits)._replace(locks=(-1 if was_engaged else 0,))
    after, verdict = step(limits, start, order(Mode.ACTIVE, 20, 20), snapshot(level), T0 + S)
    assert (after.locks[0] < 0) == engages
    assert verdict.command == ((-100, 20) if engages else (20, 20))


@pytest.mark.parametrize("quality", [Quality.STALE, Quality.MISSING, Quality.INVALID])
def test_a_sensor_that_cannot_be_trusted_engages_its_interlock(quality: Quality) -> None:
    limits = envelope()
    _, verdict = step(
        limits, state(limits), order(Mode.ACTIVE, 20, 20), snapshot(500, quality), T0 + S
    )
    assert verdict.command[0] == -100


def test_an_interlock_acts_at_once_and_overrides_speed_and_travel() -> None:
    limits = envelope()
    start = state(limits, last=(300, 20))._replace(travel=(0, 0))
    after, verdict = step(limits, start, order(Mode.HOLDING), snapshot(0), T0 + 1)
    assert verdict.command == (-100, 20)
    assert verdict.reasons == (Reason(Rule.INTERLOCK, 0, 0),)
    assert after.travel[0] == 0  # spent below nothing is nothing, not a debt


def test_an_interlock_that_finds_its_value_already_there_gives_no_reason() -> None:
    limits = envelope()
    start = state(limits, last=(-100, 20))
    after, verdict = step(limits, start, order(Mode.HOLDING), snapshot(0), T0 + 1)
    assert after.locks == (-1,)
    assert verdict.reasons == ()


def test_after_an_interlock_the_way_back_is_at_the_limited_speed() -> None:
    limits = envelope()
    memory, _ = step(
        limits, state(limits, last=(100, 20)), order(Mode.ACTIVE, 100, 20), snapshot(0), T0 + S
    )
    start = memory._replace(travel=(200 * 60 * S,) * 2)
    _, verdict = step(limits, start, order(Mode.ACTIVE, 100, 20), snapshot(), T0 + 2 * S)
    # One count saved while the interlock held it, and one second of 50 counts/s.
    assert verdict.command[0] == -100 + 51


def test_a_command_out_of_range_for_any_reason_becomes_the_safe_value() -> None:
    limits = envelope()
    command, reasons = [301, 300], list[Reason]()
    _check_range(limits, command, reasons)
    assert command == [20, 300]
    assert reasons == [Reason(Rule.INTERNAL_ERROR, 1, 301)]


def test_a_memory_that_went_bad_still_gives_a_command_in_range() -> None:
    limits = envelope()
    start = state(limits, last=(301, -101))
    _, verdict = step(limits, start, order(Mode.HOLDING), snapshot(), T0 + 1)
    assert verdict.command == (20, 20)
    assert rules(verdict.reasons) == [Rule.INTERNAL_ERROR, Rule.INTERNAL_ERROR]


def with_pump(**changes: Any) -> Envelope:
    good = envelope()
    pump, valve = good.actuators
    return dataclasses.replace(good, actuators=(dataclasses.replace(pump, **changes), valve))


def test_a_switched_actuator_rests_before_a_policy_may_switch_it_again() -> None:
    limits = with_pump(dwell_ns=3 * S)
    start = state(limits)._replace(rest_ns=(0, 0))
    memory, verdict = step(limits, start, order(Mode.ACTIVE, 25, 20), snapshot(), T0 + S)
    assert verdict.command == (25, 20)
    for k in (2, 3):
        memory, verdict = step(limits, memory, order(Mode.ACTIVE, 20, 20), snapshot(), T0 + k * S)
        assert verdict.command == (25, 20)
        assert verdict.reasons == (Reason(Rule.DWELL, 1, (5 - k) * S),)
    _, verdict = step(limits, memory, order(Mode.ACTIVE, 20, 20), snapshot(), T0 + 4 * S)
    assert verdict.command == (20, 20)
    assert verdict.reasons == ()


def test_boot_counts_as_switched_just_now() -> None:
    limits = with_pump(dwell_ns=3 * S)
    start = initial(limits, T0)._replace(locks=(0,))
    _, verdict = step(limits, start, order(Mode.ACTIVE, 25, 20), snapshot(), T0 + S)
    assert verdict.command == (20, 20)


def test_an_interlock_does_not_wait_for_the_dwell_and_starts_it_anew() -> None:
    limits = with_pump(dwell_ns=3 * S)
    start = state(limits)._replace(rest_ns=(2 * S, 0))
    after, verdict = step(limits, start, order(Mode.ACTIVE, 20, 20), snapshot(0), T0 + S)
    assert verdict.command == (-100, 20)
    assert after.rest_ns == (3 * S, 0)


def test_the_way_to_safe_does_not_wait_for_the_dwell() -> None:
    limits = with_pump(dwell_ns=3600 * S)
    start = state(limits, last=(21, 20))._replace(rest_ns=(3600 * S, 0), ramp_since_ns=T0 - 9 * S)
    _, verdict = step(limits, start, order(Mode.RAMPING), snapshot(), T0 + S)
    assert verdict.command == (20, 20)


def with_lock(**changes: Any) -> Envelope:
    good = envelope()
    return dataclasses.replace(
        good, interlocks=(dataclasses.replace(good.interlocks[0], **changes),)
    )


def engaged(limits: Envelope, locks: tuple[int, ...], *levels: int) -> list[bool]:
    """Whether the interlock is engaged after each of the values."""
    out = []
    for level in levels:
        locks = interlocks.advance(limits, locks, snapshot(level))
        out.append(locks[0] < 0)
    return out


def test_an_interlock_may_ask_for_ticks_in_a_row_before_it_engages() -> None:
    limits = with_lock(engage_after_ticks=3)
    assert engaged(limits, (0,), 100, 100, 500, 100, 100, 100) == [False] * 5 + [True]


def test_an_interlock_may_ask_for_ticks_in_a_row_before_it_clears() -> None:
    limits = with_lock(clear_after_ticks=3)
    levels = 500, 500, 299, 500, 500, 500
    assert engaged(limits, interlocks.initial(limits), *levels) == [True] * 5 + [False]


def test_a_value_that_cannot_be_trusted_engages_without_waiting() -> None:
    limits = with_lock(engage_after_ticks=3, clear_after_ticks=2)
    assert interlocks.advance(limits, (0,), snapshot(500, Quality.STALE)) == (-2,)


@pytest.mark.parametrize(
    ("level", "quality", "trips"),
    [(199, Quality.GOOD, True), (250, Quality.GOOD, False), (199, Quality.STALE, False)],
)
def test_only_a_seen_value_out_of_band_trips(level: int, quality: Quality, trips: bool) -> None:
    limits = envelope()
    reason = interlocks.tripped(limits, (-1,), snapshot(level, quality))
    assert reason == (Reason(Rule.INTERLOCK, 0, level) if trips else None)


def test_a_released_or_a_mild_interlock_does_not_trip() -> None:
    for released in (0, 2):
        assert interlocks.tripped(envelope(), (released,), snapshot(0)) is None
    assert interlocks.tripped(with_lock(trips=False), (-1,), snapshot(0)) is None
