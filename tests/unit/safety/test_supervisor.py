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


def facts(
    *ops: Op,
    now_ns: int = T0,
    no_proposal: Reason | None = None,
    link_lost: Reason | None = None,
    missed: Reason | None = None,
    trip: Reason | None = None,
    at_safe: bool = False,
) -> Facts:
    return Facts(now_ns, frozenset(ops), no_proposal, link_lost, missed, trip, at_safe)


def in_mode(mode: Mode, *, disarming: bool = False, misses: int = 0) -> SupervisorState:
    return SupervisorState(mode, T0, LINK, -1, misses, disarming)


FACTS = {
    "all is well": facts(),
    "arm": facts(Op.ARM),
    "disarm": facts(Op.DISARM),
    "stop": facts(Op.STOP),
    "reset": facts(Op.RESET),
    "arm and disarm": facts(Op.ARM, Op.DISARM),
    "arm and stop": facts(Op.ARM, Op.STOP),
    "reset and stop": facts(Op.RESET, Op.STOP),
    "arm with a trip": facts(Op.ARM, trip=TRIP),
    "reset with a trip": facts(Op.RESET, trip=TRIP),
    "no proposal": facts(no_proposal=PROPOSAL),
    "link lost": facts(link_lost=LINK),
    "missed": facts(missed=LATE),
    "trip": facts(trip=TRIP),
    "everything wrong": facts(
        Op.DISARM, no_proposal=PROPOSAL, link_lost=LINK, missed=LATE, trip=TRIP
    ),
    "an unknown wish": Facts(T0, frozenset({99}), None, None, None, None, at_safe=False),
}
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
    "missed": (SAFE, ACTIVE, HOLDING, HOLDING, RAMPING, TRIPPED),
    "trip": (SAFE, TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED),
    "everything wrong": (SAFE, TRIPPED, TRIPPED, TRIPPED, TRIPPED, TRIPPED),
    "an unknown wish": (SAFE, ACTIVE, ACTIVE, ACTIVE, RAMPING, TRIPPED),
}


@pytest.mark.parametrize(("fact", "mode"), list(product(TABLE, Mode)))
def test_the_table_of_modes_and_facts(fact: str, mode: Mode) -> None:
    after = supervisor.step(RULES, in_mode(mode), FACTS[fact])
    assert after.mode == TABLE[fact][mode]


def test_boot_is_safe_and_not_armed() -> None:
    assert supervisor.initial(T0).mode == Mode.SAFE


@pytest.mark.parametrize(
    ("mode", "given", "cause"),
    [
        (ACTIVE, facts(Op.STOP, trip=TRIP), Reason(Rule.STOP_REQUESTED)),
        (ACTIVE, facts(Op.DISARM, link_lost=LINK), Reason(Rule.DISARM_REQUESTED)),
        (ACTIVE, facts(no_proposal=PROPOSAL, missed=LATE), PROPOSAL),
        (ACTIVE, facts(link_lost=LINK, no_proposal=PROPOSAL), LINK),
        (ACTIVE, facts(trip=TRIP, link_lost=LINK), TRIP),
        (ARMING, facts(no_proposal=PROPOSAL), PROPOSAL),
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
    at_limit = facts(now_ns=T0 + RULES.hold_limit_ns, no_proposal=PROPOSAL)
    assert supervisor.step(RULES, state, at_limit).mode == HOLDING
    beyond = supervisor.step(RULES, state, at_limit._replace(now_ns=at_limit.now_ns + 1))
    assert (beyond.mode, beyond.cause) == (RAMPING, LINK)


@pytest.mark.parametrize("mode", [ACTIVE, HOLDING])
def test_k_missed_deadlines_of_n_begin_the_ramp(mode: Mode) -> None:
    two = in_mode(mode, misses=0b01010)
    after = supervisor.step(RULES, two, facts(missed=LATE))
    assert (after.mode, after.cause) == (RAMPING, Reason(Rule.TOO_MANY_MISSES, -1, 3))


def test_a_missed_deadline_leaves_the_budget_after_n_ticks() -> None:
    state = in_mode(ACTIVE)
    for late in (True, True, False, False, False, True):
        state = supervisor.step(RULES, state, facts(missed=LATE if late else None))
    assert state.mode == HOLDING
    assert state.misses.bit_count() == 2


def test_the_ramp_returns_only_after_the_whole_dwell_without_trouble() -> None:
    state = supervisor.step(RULES, in_mode(RAMPING, misses=0b111), facts(now_ns=T0))
    late = facts(now_ns=T0 + S, missed=LATE)
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


def test_every_state_is_left_by_a_fault_free_path_and_none_hides_a_trip() -> None:
    """All reachable states under all facts at 1 s steps (time kept relative): I8."""
    times = (T0, T0 + 4 * S)
    every = [
        Facts(now, ops, p, link, late, trip, at_safe)
        for now, ops, p, link, late, trip, at_safe in product(
            times,
            (frozenset[int](), *(frozenset({int(o)}) for o in Op)),
            (None, PROPOSAL),
            (None, LINK),
            (None, LATE),
            (None, TRIP),
            (False, True),
        )
    ]
    seen: set[tuple[Mode, int, bool, bool]] = set()
    todo = [supervisor.initial(T0)]
    while todo:
        state = todo.pop()
        key = (state.mode, state.misses, state.disarming, state.well_since_ns >= 0)
        if key in seen:
            continue
        seen.add(key)
        for given in every:
            after = supervisor.step(RULES, state._replace(since_ns=T0), given)
            if after.mode == ACTIVE:
                assert given.trip is None
                assert not given.ops & {Op.STOP, Op.DISARM}
                assert state.mode != TRIPPED
            if state.mode == TRIPPED and after.mode != TRIPPED:
                assert Op.RESET in given.ops
                assert given.trip is None
            todo.append(after._replace(well_since_ns=min(after.well_since_ns, T0)))
    assert {mode for mode, *_ in seen} == set(Mode)
    for mode, misses, disarming, _ in seen:
        assert reaches_active(in_mode(mode, disarming=disarming, misses=misses))


def reaches_active(state: SupervisorState) -> bool:
    """Whether a person who resets and arms, with nothing wrong, gets control back."""
    for k in range(1, 40):
        op = {TRIPPED: {Op.RESET}, SAFE: {Op.ARM}}.get(state.mode, set())
        good = facts(*op, now_ns=T0 + k * S, at_safe=True)
        state = supervisor.step(RULES, state, good)
        if state.mode == ACTIVE:
            return True
    return False
