"""Every state that the supervisor can reach, by walking its real code (invariant I8).

Time is kept relative, so that the states are finitely many: a step takes one second, and what
lies further back than any limit counts as long ago.
"""

import dataclasses
from collections.abc import Iterator
from itertools import product

from edge_agent.core.records import Mode, Op, Reason, Rule
from edge_agent.safety import severity, supervisor
from edge_agent.safety.severity import Severity
from edge_agent.safety.supervisor import Facts, SupervisorState
from tests.unit.safety.lab import T0, S, envelope

# Short limits of the same shape: two misses of three, one second of hold, two of dwell.
RULES = dataclasses.replace(
    envelope().supervision,
    deadline_misses_to_ramp=2,
    deadline_window_ticks=3,
    hold_limit_ns=S,
    return_dwell_ns=2 * S,
)
NOW = T0 + S
LONG_AGO_NS = 3 * S  # more than hold and dwell
FOUND = Reason(Rule.NOT_FINITE, 1)
LINK = Reason(Rule.LINK_LOST, 1)
TRIP = Reason(Rule.INTERLOCK, 0)
LATE = Reason(Rule.DEADLINE_MISSED, -1, S)
NO_CLOCK = Reason(Rule.CLOCK_FAULT)
OPS = (frozenset[int](), *(frozenset({int(op)}) for op in Op), frozenset({1, 2}), frozenset({3, 4}))


def every_fact() -> list[Facts]:
    return [
        Facts(NOW, ops, at_safe, proposal, link, deadline, interlock, None, None)
        for ops, at_safe, proposal, link, deadline, interlock in product(
            OPS, (False, True), (None, FOUND), (None, LINK), (None, LATE, NO_CLOCK), (None, TRIP)
        )
    ] + [Facts(NOW, ops) for ops in OPS]


def relative(state: SupervisorState) -> SupervisorState:
    """The state as it looks one second later, with `NOW` for now again."""
    well_ns = -1
    if state.well_since_ns >= 0:
        well_ns = NOW - min(NOW - state.well_since_ns + S, LONG_AGO_NS)
    since_ns = NOW - min(NOW - state.since_ns + S, LONG_AGO_NS)
    return state._replace(since_ns=since_ns, well_since_ns=well_ns)


def reachable() -> Iterator[tuple[SupervisorState, Facts, SupervisorState]]:
    """Every transition of every state that can be reached, from boot and from a latched trip."""
    given = every_fact()
    seen: set[SupervisorState] = set()
    todo = [supervisor.initial(T0), supervisor.initial(T0, TRIP)]
    while todo:
        state = todo.pop()
        if state in seen:
            continue
        seen.add(state)
        for facts in given:
            after = supervisor.step(RULES, state, facts)
            yield state, facts, after
            todo.append(relative(after))


def failed(facts: Facts) -> bool:
    return any(check is not None for check in facts[3:])


def trips(facts: Facts) -> bool:
    return severity.of(severity.worst(*facts[3:])) == Severity.TRIP


def reaches_active(state: SupervisorState) -> bool:
    """Whether a person who resets and arms, with nothing wrong, gets control back."""
    for k in range(1, 40):
        op = {Mode.TRIPPED: {Op.RESET}, Mode.SAFE: {Op.ARM}}.get(state.mode, set())
        ops = frozenset(int(o) for o in op)
        good = Facts(NOW + k * S, ops, True, None, None, None, None, None, None)
        state = supervisor.step(RULES, state, good)
        if state.mode == Mode.ACTIVE:
            return True
    return False


def test_the_laws_of_the_supervisor_hold_in_every_state_that_can_be_reached() -> None:
    states: set[SupervisorState] = set()
    for state, facts, after in reachable():
        states.add(state)
        if after.mode == Mode.ACTIVE:
            assert not failed(facts)
            assert after.cause is None
            assert not facts.ops & {Op.STOP, Op.DISARM}
            assert state.mode in (Mode.ARMING, Mode.ACTIVE, Mode.HOLDING, Mode.RAMPING)
            assert after.misses.bit_count() < RULES.deadline_misses_to_ramp
        elif after.mode != Mode.SAFE:
            assert after.cause is not None
        if state.mode == Mode.TRIPPED and after.mode != Mode.TRIPPED:
            assert Op.RESET in facts.ops
            assert after.mode == Mode.SAFE
            assert not trips(facts)
        if Op.STOP in facts.ops or (trips(facts) and state.mode != Mode.SAFE):
            assert after.mode == Mode.TRIPPED
        if state.mode == Mode.SAFE and after.mode == Mode.ARMING:
            assert Op.ARM in facts.ops
            assert not trips(facts)
        if state.mode == Mode.RAMPING and after.mode == Mode.ACTIVE:
            assert facts.now_ns - state.well_since_ns >= RULES.return_dwell_ns
        assert 0 <= after.held_ns <= RULES.hold_limit_ns + 1
        if after.mode == Mode.HOLDING == state.mode:
            assert facts.now_ns - state.since_ns <= RULES.hold_limit_ns
    assert {state.mode for state in states} == set(Mode)
    assert all(reaches_active(state) for state in states)
    assert len(states) > 100
