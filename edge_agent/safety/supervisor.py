"""The supervisor: which mode the device is in, and how it leaves and returns.

Owns: the mode, the root cause of the present stop, and the deadline budget. Must not: look at
proposals or commands; it sees facts only. Boot state is SAFE.

    SAFE      outputs safe, not armed; nothing moves
    ARMING    a person armed it; waiting for inputs, a proposal and the hardware
    ACTIVE    the policy decides, inside the envelope
    HOLDING   one decision is missing; outputs stand still
    RAMPING   on the way to safe, or there; returns by itself when all is well for the dwell
    TRIPPED   latched; safe at once; left only by a reset with the cause gone

The rows of each mode are tried in order and the first that holds is taken, worst first, so
the worst fact wins; the reason of the row that left ACTIVE is kept as the root cause.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from edge_agent.core.records import Mode, Op, Reason, Rule
from edge_agent.safety.limits import Supervision


class SupervisorState(NamedTuple):
    """A pure value."""

    mode: Mode
    since_ns: int  # when the mode was entered
    cause: Reason | None  # root cause of the present stop
    well_since_ns: int  # since when every fact has been good, -1 when one is not
    misses: int  # bit mask of the last ticks' missed deadlines
    disarming: bool  # RAMPING ends in SAFE


class Facts(NamedTuple):
    """What the supervisor may know of one tick."""

    now_ns: int
    ops: frozenset[int]  # requested operations (Op)
    no_proposal: Reason | None  # why there is no usable proposal (bad inputs included)
    link_lost: Reason | None  # an actuator whose hardware does not answer
    missed: Reason | None  # this tick came too late
    trip: Reason | None  # a fact that must latch
    at_safe: bool  # every output stands at its safe value


_Row = Callable[[Supervision, SupervisorState, Facts], SupervisorState]


def initial(now_ns: int) -> SupervisorState:
    """Boot: SAFE, not armed."""
    return SupervisorState(Mode.SAFE, now_ns, None, -1, 0, disarming=False)


def step(rules: Supervision, state: SupervisorState, facts: Facts) -> SupervisorState:
    """The next state. Total: every mode has a row that holds, if only to stay."""
    window = (1 << rules.deadline_window_ticks) - 1
    misses = (state.misses << 1 | (facts.missed is not None)) & window
    trouble = facts.link_lost or facts.no_proposal or facts.missed
    well_since_ns = -1
    if trouble is None:
        well_since_ns = state.well_since_ns if state.well_since_ns >= 0 else facts.now_ns
    if misses != state.misses or well_since_ns != state.well_since_ns:
        state = state._replace(misses=misses, well_since_ns=well_since_ns)
    if Op.STOP in facts.ops and state.mode != Mode.TRIPPED:
        return _enter(state, Mode.TRIPPED, facts, Reason(Rule.STOP_REQUESTED))
    if facts.trip is not None and state.mode not in (Mode.SAFE, Mode.TRIPPED):
        return _enter(state, Mode.TRIPPED, facts, facts.trip)
    return _ROWS[state.mode](rules, state, facts)


def _enter(
    state: SupervisorState, mode: Mode, facts: Facts, cause: Reason | None
) -> SupervisorState:
    return state._replace(mode=mode, since_ns=facts.now_ns, cause=cause, disarming=False)


def _safe(_rules: Supervision, state: SupervisorState, facts: Facts) -> SupervisorState:
    if Op.ARM in facts.ops and Op.DISARM not in facts.ops and facts.trip is None:
        return _enter(state, Mode.ARMING, facts, Reason(Rule.NOT_ARMED))
    return state


def _arming(_rules: Supervision, state: SupervisorState, facts: Facts) -> SupervisorState:
    if Op.DISARM in facts.ops:
        return _enter(state, Mode.SAFE, facts, Reason(Rule.DISARM_REQUESTED))
    trouble = facts.link_lost or facts.no_proposal
    if trouble is None:
        return _enter(state, Mode.ACTIVE, facts, None)
    return state._replace(cause=trouble)


def _active(rules: Supervision, state: SupervisorState, facts: Facts) -> SupervisorState:
    leave = _must_ramp(rules, state, facts)
    if leave is not None:
        return leave
    pause = facts.no_proposal or facts.missed
    return state if pause is None else _enter(state, Mode.HOLDING, facts, pause)


def _holding(rules: Supervision, state: SupervisorState, facts: Facts) -> SupervisorState:
    leave = _must_ramp(rules, state, facts)
    if leave is not None:
        return leave
    if facts.no_proposal is None and facts.missed is None:
        return _enter(state, Mode.ACTIVE, facts, None)
    if facts.now_ns - state.since_ns > rules.hold_limit_ns:
        return _enter(state, Mode.RAMPING, facts, state.cause)
    return state


def _must_ramp(rules: Supervision, state: SupervisorState, facts: Facts) -> SupervisorState | None:
    """Common to ACTIVE and HOLDING: what cannot wait for the hold to run out."""
    if Op.DISARM in facts.ops:
        ramping = _enter(state, Mode.RAMPING, facts, Reason(Rule.DISARM_REQUESTED))
        return ramping._replace(disarming=True)
    if facts.link_lost is not None:
        return _enter(state, Mode.RAMPING, facts, facts.link_lost)
    missed = state.misses.bit_count()
    if missed >= rules.deadline_misses_to_ramp:
        return _enter(state, Mode.RAMPING, facts, Reason(Rule.TOO_MANY_MISSES, -1, missed))
    return None


def _ramping(rules: Supervision, state: SupervisorState, facts: Facts) -> SupervisorState:
    if Op.DISARM in facts.ops:
        state = state._replace(disarming=True, cause=Reason(Rule.DISARM_REQUESTED))
    if state.disarming:
        return _enter(state, Mode.SAFE, facts, state.cause) if facts.at_safe else state
    well = state.well_since_ns >= 0
    if well and facts.now_ns - state.well_since_ns >= rules.return_dwell_ns:
        return _enter(state, Mode.ACTIVE, facts, None)._replace(misses=0)
    return state


def _tripped(_rules: Supervision, state: SupervisorState, facts: Facts) -> SupervisorState:
    if Op.RESET in facts.ops and facts.trip is None and Op.STOP not in facts.ops:
        return _enter(state, Mode.SAFE, facts, state.cause)
    return state


_ROWS: Mapping[Mode, _Row] = {
    Mode.SAFE: _safe,
    Mode.ARMING: _arming,
    Mode.ACTIVE: _active,
    Mode.HOLDING: _holding,
    Mode.RAMPING: _ramping,
    Mode.TRIPPED: _tripped,
}
