"""Every mode times every fact, as one table; then the budgets and the exhaustive walk."""

from itertools import product

import pytest

from edge_agent.core.records import Mode, Op, Reason, Rule
from edge_agent.safety import supervisor
from edge_agent.safety.supervisor import Facts, SupervisorState
from tests.unit.safety.lab import T0, S, envelope

RULES = envelope().supervision
PROPOSAL = Reason(Rule.NOT_FINITE, 1)
LINK = Reason(Rule.LINK_LOST, 1, 9)
LATE = Reason(Rule.DEADLINE_MISSED, -1, S)
TRIP = Reason(Rule.INTERLOCK, 0, 9)
SAFE, ARMING, ACTIVE, HOLDING, RAMPING, TRIPPED = Mode


def facts(*ops: int, now_ns: int = T0, at_safe: bool = False, **found: Reason) -> Facts:
    """Every check made and good, but for those in `found`."""
    good = Facts(now_ns, frozenset(ops), at_safe, None, None, None, None, None, None)
    return good._replace(**found)  # type: ignore[arg-type]  # mypy types it by the first field


def in_mode(mode: Mode, *, cause: Reason = LINK, misses: int = 0) -> SupervisorState:
    return SupervisorState(mode, T0, cause, -1, misses, 0)


FACTS = {
    "all is well": facts(),
    "arm": facts(Op.ARM),
    "disarm": facts(Op.DISARM),
    "stop": facts(Op.STOP),
    "reset": facts(Op.RESET),
    "arm and disarm": facts(Op.ARM, Op.DISARM),
    "arm and stop": facts(Op.ARM, Op.STOP),
    "reset and stop": facts(Op.RESET, Op.STOP),
    "arm with a trip": facts(Op.ARM, interlock=TRIP),
    "reset with a trip": facts(Op.RESET, interlock=TRIP),
    "no proposal": facts(proposal=PROPOSAL),
    "link lost": facts(link=LINK),
    "missed": facts(deadline=LATE),
    "trip": facts(interlock=TRIP),
    "everything wrong": facts(
        Op.DISARM, proposal=PROPOSAL, link=LINK, deadline=LATE, interlock=TRIP
    ),
    "no effect": facts(effect=Reason(Rule.EFFECT_MISSING, 1, 9)),
    "not followed": facts(follow=Reason(Rule.NOT_FOLLOWED, 1, 9)),
    "an unknown rule": facts(proposal=Reason(250)),
    "an unknown wish": facts(99),
    "nothing was checked": Facts(T0),
}
LATE_TICK = FACTS["missed"]
# Columns: from SAFE, ARMING, ACTIVE, HOLDING, RAMPING, TRIPPED.
TABLE = {
    "all is well": (SAFE, ACTIVE, ACTIVE, ACTIVE, RAMPING, TRIPPED),
    "arm": (ARMING, ACTIVE, ACTIVE, ACTIVE, RAMPING, TRIPPED),
    "disarm": (SAFE, SAFE, RAMPING, RAMPING, RAMPING, TRIPPED),
    "stop": (TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED),
    "reset": (SAFE, ACTIVE, ACTIVE, ACTIVE, RAMPING, SAFE),
    "arm and disarm": (SAFE, SAFE, RAMPING, RAMPING, RAMPING, TRIPPED),
    "arm and stop": (TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED),
    "reset and stop": (TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED),
    "arm with a trip": (SAFE, TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED),
    "reset with a trip": (SAFE, TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED),
    "no proposal": (SAFE, ARMING, HOLDING, HOLDING, RAMPING, TRIPPED),
    "link lost": (SAFE, ARMING, RAMPING, RAMPING, RAMPING, TRIPPED),
    "missed": (SAFE, ARMING, HOLDING, HOLDING, RAMPING, TRIPPED),
    "trip": (SAFE, TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED),
    "everything wrong": (SAFE, TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED),
    "no effect": (SAFE, TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED),
    "not followed": (SAFE, TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED),
    "an unknown rule": (SAFE, TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED),
    "nothing was checked": (SAFE, TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED),
    "an unknown wish": (SAFE, ACTIVE, ACTIVE, ACTIVE, RAMPING, TRIPPED),
}


@pytest.mark.parametrize(("fact", "mode"), list(product(TABLE, Mode)))
def test_the_table_of_modes_and_facts(fact: str, mode: Mode) -> None:
    after = supervisor.step(RULES, in_mode(mode), FACTS[fact])
    assert after.mode == TABLE[fact][mode]


def test_boot_is_safe_and_not_armed() -> None:
    assert supervisor.initial(T0) == SupervisorState(SAFE, T0, None, -1, 0, 0)


def test_a_trip_that_nobody_reset_is_there_again_after_a_restart() -> None:
    state = supervisor.initial(T0, TRIP)
    assert (state.mode, state.cause) == (TRIPPED, TRIP)
    assert supervisor.step(RULES, state, facts(Op.ARM)).mode == TRIPPED
    assert supervisor.step(RULES, state, facts(Op.RESET)).mode == SAFE


@pytest.mark.parametrize("check", Facts._fields[3:])
def test_a_check_that_nobody_made_counts_as_failed(check: str) -> None:
    good = facts()._asdict()
    del good[check]
    after = supervisor.step(RULES, in_mode(ACTIVE), Facts(**good))
    assert (after.mode, after.cause) == (TRIPPED, Reason(Rule.NOT_EVALUATED))


@pytest.mark.parametrize(
    ("mode", "given", "cause"),
    [
        (ACTIVE, facts(Op.STOP, interlock=TRIP), Reason(Rule.STOP_REQUESTED)),
        (ACTIVE, facts(Op.DISARM, link=LINK), Reason(Rule.DISARM_REQUESTED)),
        (ACTIVE, facts(proposal=PROPOSAL, deadline=LATE), PROPOSAL),
        (ACTIVE, facts(link=LINK, proposal=PROPOSAL), LINK),
        (ACTIVE, facts(interlock=TRIP, link=LINK), TRIP),
        (ARMING, facts(proposal=PROPOSAL), PROPOSAL),
        (ARMING, facts(), None),
        (HOLDING, facts(), None),
        (RAMPING, facts(Op.DISARM), Reason(Rule.DISARM_REQUESTED)),
        (TRIPPED, facts(Op.STOP), LINK),
        (SAFE, facts(Op.ARM), Reason(Rule.NOT_ARMED)),
    ],
)
def test_the_worst_fact_is_kept_as_the_root_cause(
    mode: Mode, given: Facts, cause: Reason | None
) -> None:
    assert supervisor.step(RULES, in_mode(mode), given).cause == cause


def test_a_hold_longer_than_its_limit_becomes_a_ramp_with_the_first_cause() -> None:
    state = in_mode(HOLDING)
    at_limit = facts(now_ns=T0 + RULES.hold_limit_ns, proposal=PROPOSAL)
    assert supervisor.step(RULES, state, at_limit).mode == HOLDING
    beyond = supervisor.step(RULES, state, at_limit._replace(now_ns=at_limit.now_ns + 1))
    assert (beyond.mode, beyond.cause) == (RAMPING, LINK)


@pytest.mark.parametrize("period_ns", [S // 1000, S // 10, S])
def test_a_fault_of_every_second_tick_spends_the_hold_as_well(period_ns: int) -> None:
    """With a timer that one good tick sets to zero it would hold and go on for ever."""
    state, now_ns = in_mode(ACTIVE), T0
    while state.mode in (ACTIVE, HOLDING):
        now_ns += period_ns
        bad = (now_ns - T0) // period_ns % 2
        given = facts(now_ns=now_ns, proposal=PROPOSAL) if bad else facts(now_ns=now_ns)
        state = supervisor.step(RULES, state, given)
        assert now_ns - T0 <= 3 * RULES.hold_limit_ns + 3 * period_ns
    assert (state.mode, state.cause) == (RAMPING, PROPOSAL)


def test_a_hold_is_paid_back_by_four_times_its_length_under_control() -> None:
    state = supervisor.step(RULES, in_mode(ACTIVE), facts(proposal=PROPOSAL))
    state = supervisor.step(RULES, state, facts(now_ns=T0 + S))
    assert (state.mode, state.held_ns) == (ACTIVE, S)
    again = facts(now_ns=T0 + 3 * S, proposal=PROPOSAL)
    assert supervisor.step(RULES, state, again).held_ns == S // 2
    later = again._replace(now_ns=T0 + 5 * S)
    assert supervisor.step(RULES, state, later).held_ns == 0


def test_control_that_returns_owes_nothing() -> None:
    spent = in_mode(RAMPING)._replace(held_ns=RULES.hold_limit_ns + 1, well_since_ns=T0)
    back = supervisor.step(RULES, spent, facts(now_ns=T0 + RULES.return_dwell_ns))
    assert (back.mode, back.held_ns) == (ACTIVE, 0)


@pytest.mark.parametrize("mode", [ARMING, HOLDING])
def test_nobody_gets_control_while_too_many_deadlines_are_missed(mode: Mode) -> None:
    after = supervisor.step(RULES, in_mode(mode, misses=0b0111), facts())
    assert after.mode != ACTIVE
    assert after.cause == Reason(Rule.TOO_MANY_MISSES, -1, 3)


def test_a_ramp_that_no_clock_drives_trips() -> None:
    stands = Reason(Rule.CLOCK_FAULT, -1, 0)
    after = supervisor.step(RULES, in_mode(RAMPING), facts(deadline=stands))
    assert (after.mode, after.cause) == (TRIPPED, stands)
    assert supervisor.step(RULES, in_mode(ACTIVE), facts(deadline=stands)).mode == HOLDING


@pytest.mark.parametrize("mode", [ACTIVE, HOLDING])
def test_k_missed_deadlines_of_n_begin_the_ramp(mode: Mode) -> None:
    two = in_mode(mode, misses=0b01010)
    after = supervisor.step(RULES, two, facts(deadline=LATE))
    assert (after.mode, after.cause) == (RAMPING, Reason(Rule.TOO_MANY_MISSES, -1, 3))


def test_a_missed_deadline_leaves_the_budget_after_n_ticks() -> None:
    state = in_mode(ACTIVE)
    for given in (LATE_TICK, LATE_TICK, *[facts()] * 3, LATE_TICK):
        state = supervisor.step(RULES, state, given)
    assert state.mode == HOLDING
    assert state.misses.bit_count() == 2


def test_the_ramp_returns_only_after_the_whole_dwell_without_trouble() -> None:
    state = supervisor.step(RULES, in_mode(RAMPING, misses=0b111), facts(now_ns=T0))
    late = facts(now_ns=T0 + S, deadline=LATE)
    state = supervisor.step(RULES, state, late)  # starts the dwell anew
    state = supervisor.step(RULES, state, facts(now_ns=T0 + 2 * S))
    early = facts(now_ns=T0 + 2 * S + RULES.return_dwell_ns - 1)
    assert supervisor.step(RULES, state, early).mode == RAMPING
    back = supervisor.step(RULES, state, early._replace(now_ns=early.now_ns + 1))
    assert (back.mode, back.cause, back.misses) == (ACTIVE, None, 0)


def test_a_disarmed_ramp_ends_safe_and_never_returns() -> None:
    state = supervisor.step(RULES, in_mode(ACTIVE), facts(Op.DISARM))
    state = supervisor.step(RULES, state, facts(now_ns=T0 + 3600 * S))
    assert state.mode == RAMPING
    state = supervisor.step(RULES, state, facts(Op.ARM, now_ns=T0 + 3601 * S))
    assert state.mode == RAMPING
    state = supervisor.step(RULES, state, facts(now_ns=T0 + 3602 * S, at_safe=True))
    assert (state.mode, state.cause) == (SAFE, Reason(Rule.DISARM_REQUESTED))


def test_a_disarm_at_the_safe_values_is_safe_at_once() -> None:
    assert supervisor.step(RULES, in_mode(RAMPING), facts(Op.DISARM, at_safe=True)).mode == SAFE


def test_outputs_that_nobody_looked_at_are_not_at_their_safe_value() -> None:
    assert not Facts(T0).at_safe
    after = supervisor.step(RULES, in_mode(RAMPING), Facts(T0, frozenset({Op.DISARM})))
    assert after.mode != SAFE


def test_the_time_that_all_is_well_begins_with_the_first_good_tick_and_ends_with_a_bad_one() -> (
    None
):
    state = in_mode(RAMPING)
    for now_ns, since_ns in ((0, 0), (5, 0), (6, -1), (7, 7)):
        tick = facts(now_ns=now_ns)
        tick = tick if now_ns != 6 else tick._replace(link=LINK)
        state = supervisor.step(RULES, state, tick)
        assert state.well_since_ns == since_ns


def test_a_dwell_that_began_when_time_did_counts() -> None:
    ramping = in_mode(RAMPING)._replace(since_ns=0, well_since_ns=0)
    after = supervisor.step(RULES, ramping, facts(now_ns=RULES.return_dwell_ns))
    assert after.mode == ACTIVE
