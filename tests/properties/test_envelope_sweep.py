"""Whole reduced domains, without a solver: every last command, wish, budget, rest and step."""

import dataclasses
from itertools import product

import pytest

from edge_agent.core.records import Mode, Quality, Rule
from edge_agent.safety import interlocks
from edge_agent.safety.envelope import NS_PER_S, step
from tests.unit.safety.lab import T0, S, actuator, envelope, order, snapshot, state

LAST = (-100, -99, -1, 0, 19, 20, 21, 150, 298, 299, 300)
WISHES = (-(2**62), -1000, *range(-102, 303, 3), 1000, 2**62)
CARRIES = (0, 1, NS_PER_S // 2, NS_PER_S)
STEPS_NS = (-S, 0, 1, S // 1000, S // 80, S // 50, S // 10, S, 5 * S)


def test_every_step_of_a_reduced_domain_is_in_range_and_not_too_fast() -> None:
    limits = envelope(locked=False)
    pump = actuator("pump")
    full = pump.travel_max_counts * pump.travel_window_ns
    for last, carry, dt_ns in product(LAST, CARRIES, STEPS_NS):
        start = state(limits, last=(last, last))._replace(
            carry_up=(carry, carry), carry_down=(carry, carry), travel=(full, full)
        )
        earned_ns = min(max(dt_ns, 0), S)
        up = (carry + pump.rate_up_counts_per_s * earned_ns) // NS_PER_S
        down = (carry + pump.rate_down_counts_per_s * earned_ns) // NS_PER_S
        before = pump.min_counts
        for wish in WISHES:
            after, verdict = step(
                limits, start, order(Mode.ACTIVE, wish, 20), snapshot(), T0 + dt_ns
            )
            got = verdict.command[0]
            assert pump.min_counts <= got <= pump.max_counts
            assert last - down <= got <= last + up
            assert got >= before  # a larger wish never gives a smaller command
            before = got
            reachable = max(last - down, pump.min_counts) <= wish <= min(last + up, pump.max_counts)
            assert not reachable or got == wish
            assert 0 <= after.carry_up[0] <= NS_PER_S
            assert 0 <= after.carry_down[0] <= NS_PER_S
            assert 0 <= after.travel[0] <= full


def test_every_step_of_a_reduced_domain_keeps_travel_and_dwell() -> None:
    base = envelope(locked=False)
    pump = dataclasses.replace(actuator("pump"), dwell_ns=S)
    limits = dataclasses.replace(base, actuators=(pump, base.actuators[1]))
    motion = limits.motions[0]
    budgets = (0, 1, motion.travel_price - 1, motion.travel_price, 7 * motion.travel_price + 1)
    rests = (0, 1, S // 50, S // 10, S)
    cases = product((-100, 0, 20, 300), (*budgets, motion.travel_full), rests, STEPS_NS)
    for last, travel, rest_ns, dt_ns in cases:
        start = state(limits, last=(last, 20))._replace(
            travel=(travel, motion.travel_full), rest_ns=(rest_ns, 0), carry_up=(NS_PER_S, 0)
        )
        earned_ns = min(max(dt_ns, 0), S)
        budget = min(travel + earned_ns * motion.travel_per_ns, motion.travel_full)
        for wish in (-101, -100, -3, 0, 19, 20, 21, 24, 300, 301):
            after, verdict = step(
                limits, start, order(Mode.ACTIVE, wish, 20), snapshot(), T0 + dt_ns
            )
            moved = abs(verdict.command[0] - last)
            assert moved * motion.travel_price <= budget
            assert after.travel[0] == budget - moved * motion.travel_price
            rules = {r.rule for r in verdict.reasons}
            if rest_ns > earned_ns:
                assert moved == 0
                assert (Rule.DWELL in rules) == (min(max(wish, -100), 300) != last)
            else:
                assert Rule.DWELL not in rules
            assert after.rest_ns[0] == (S if moved else max(rest_ns - earned_ns, 0))


def test_every_step_of_a_ramp_goes_towards_safe_and_no_further() -> None:
    limits = envelope(locked=False)
    safe = actuator("pump").safe
    for last, carry, dt_ns, since_ns in product(LAST, CARRIES, STEPS_NS, (-1, 0, S, 2 * S, 9 * S)):
        began = -1 if since_ns < 0 else T0 - since_ns
        start = state(limits, last=(last, 20))._replace(
            carry_up=(carry, 0), carry_down=(carry, 0), ramp_since_ns=began
        )
        after, verdict = step(limits, start, order(Mode.RAMPING), snapshot(), T0 + dt_ns)
        got = verdict.command[0]
        assert min(last, safe.counts) <= got <= max(last, safe.counts)
        ramping_ns = T0 + dt_ns - began if began >= 0 else 0
        speed = safe.ramp_counts_per_s if ramping_ns >= safe.hold_ns else 0
        reach = (carry + speed * min(max(dt_ns, 0), S)) // NS_PER_S
        assert abs(got - last) == min(reach, abs(last - safe.counts))
        assert after.ramp_since_ns == (began if began >= 0 else T0 + dt_ns)


BAD, BETWEEN, GOOD, UNSEEN = 100, 250, 500, None


@pytest.mark.parametrize("engage_after", [1, 2, 3])
@pytest.mark.parametrize("clear_after", [1, 2, 3])
def test_every_history_of_an_interlock_counts_ticks_in_a_row(
    engage_after: int, clear_after: int
) -> None:
    base = envelope()
    lock = dataclasses.replace(
        base.interlocks[0], engage_after_ticks=engage_after, clear_after_ticks=clear_after
    )
    limits = dataclasses.replace(base, interlocks=(lock,))
    views = {
        level: snapshot(0, Quality.STALE) if level is None else snapshot(level)
        for level in (BAD, BETWEEN, GOOD, UNSEEN)
    }
    for history in product(views, repeat=6):
        locks, engaged, in_a_row = interlocks.initial(limits), True, 0
        for level in history:
            locks = interlocks.advance(limits, locks, views[level])
            if level is UNSEEN:
                engaged, in_a_row = True, 0
            elif engaged:
                in_a_row = in_a_row + 1 if level == GOOD else 0
                if in_a_row == clear_after:
                    engaged, in_a_row = False, 0
            else:
                in_a_row = in_a_row + 1 if level == BAD else 0
                if in_a_row == engage_after:
                    engaged, in_a_row = True, 0
            assert (locks[0] < 0) == engaged
