"""The supervisor: which mode the device is in, and how it leaves and returns.

Owns: the mode, the root cause of the present stop, and the budgets of missed deadlines and of
holding. Must not: look at proposals or commands; it sees facts only. Boot state is SAFE, or
TRIPPED when the last run ended in a trip that nobody has reset.

    SAFE      outputs safe, not armed; nothing moves
    ARMING    a person armed it; waiting for inputs, a proposal and the hardware
    ACTIVE    the policy decides, inside the envelope
    HOLDING   one decision is missing; outputs stand still
    RAMPING   on the way to safe, or there; returns by itself when all is well for the dwell
    TRIPPED   latched; safe at once; left only by a reset with the cause gone

Every fact has a severity (`severity.py`); the worst counts. The rows of each mode (`_ROWS`)
are tried in order and the first whose condition holds is taken; with none, the mode stays.
The cause that a row takes along is the one root cause of the stop.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from edge_agent.core.records import Mode, Op, Reason, Rule
from edge_agent.safety import debt, severity
from edge_agent.safety.limits import Supervision
from edge_agent.safety.severity import Clears, Severity

_NOT_EVALUATED: Final = Reason(Rule.NOT_EVALUATED)
_NOT_ARMED: Final = Reason(Rule.NOT_ARMED)
_STOP: Final = Reason(Rule.STOP_REQUESTED)
_DISARM: Final = Reason(Rule.DISARM_REQUESTED)
_ALL_WELL: Final = (None,) * 6  # Facts from its fourth field on
# A plain integer: an enumeration's member costs a lookup each time it is named.
_ACTIVE: Final = int(Mode.ACTIVE)


class SupervisorState(NamedTuple):
    """A pure value."""

    mode: Mode
    since_ns: int  # when the mode was entered
    cause: Reason | None  # root cause of the present stop
    well_since_ns: int  # since when every fact has been good, -1 when one is not
    misses: int  # bit mask of the last ticks' missed deadlines
    held_ns: int  # debt of holding when the mode was entered, 0 to hold_limit_ns + 1


class Facts(NamedTuple):
    """What the supervisor may know of one tick.

    Each check is None when it was made and is good. One that nobody made counts as failed.
    """

    now_ns: int
    ops: frozenset[int] = frozenset()  # requested operations (Op)
    at_safe: bool = False  # every output stands at its safe value
    proposal: Reason | None = _NOT_EVALUATED  # why there is none to use (bad inputs included)
    link: Reason | None = _NOT_EVALUATED  # an actuator whose hardware does not obey
    deadline: Reason | None = _NOT_EVALUATED  # this tick came too late, or no time passed
    interlock: Reason | None = _NOT_EVALUATED  # one that latches is engaged
    effect: Reason | None = _NOT_EVALUATED  # a command that no sensor shows
    follow: Reason | None = _NOT_EVALUATED  # hardware that applies something else


class _Case(NamedTuple):
    """What the condition of a row may look at."""

    rules: Supervision
    state: SupervisorState
    facts: Facts
    found: Reason | None  # the worst of facts and wishes
    severity: Severity  # of `found`


def initial(now_ns: int, latched: Reason | None = None) -> SupervisorState:
    """Boot: not armed. `latched` is the cause of a trip that an earlier run ended with."""
    mode = Mode.SAFE if latched is None else Mode.TRIPPED
    return SupervisorState(mode, now_ns, latched, -1, 0, 0)


def step(rules: Supervision, state: SupervisorState, facts: Facts) -> SupervisorState:
    """The next state. Total: a mode without a row that holds stays as it is."""
    if state.mode == _ACTIVE and not state.misses and _all_well(facts) and not facts.ops:
        return state  # nearly every tick
    state = _counted(rules, state, facts)
    found = _worst(rules, state, facts)
    case = _Case(rules, state, facts, found, severity.of(found))
    for holds, mode, cause in _ROWS[state.mode]:
        if holds(case):
            return _enter(case, mode, cause(case))
    return state


def _all_well(facts: Facts) -> bool:
    return facts[3:] == _ALL_WELL


def _counted(rules: Supervision, state: SupervisorState, facts: Facts) -> SupervisorState:
    """The tick counted in the deadline budget and in the time that all has been well."""
    window = (1 << rules.deadline_window_ticks) - 1
    misses = (state.misses << 1 | (facts.deadline is not None)) & window
    well_since_ns = -1
    if _all_well(facts):
        well_since_ns = state.well_since_ns if state.well_since_ns >= 0 else facts.now_ns
    return state._replace(misses=misses, well_since_ns=well_since_ns)


def _worst(rules: Supervision, state: SupervisorState, facts: Facts) -> Reason | None:
    """The worst of what a person wants, what was found, and what was found too often."""
    missed = state.misses.bit_count()
    return severity.worst(
        _STOP if Op.STOP in facts.ops else None,
        _DISARM if Op.DISARM in facts.ops else None,
        facts.interlock,
        facts.effect,
        facts.follow,
        facts.link,
        facts.proposal,
        facts.deadline,
        Reason(Rule.TOO_MANY_MISSES, -1, missed)
        if missed >= rules.deadline_misses_to_ramp
        else None,
    )


def _enter(case: _Case, mode: Mode, cause: Reason | None) -> SupervisorState:
    state, now_ns = case.state, case.facts.now_ns
    if mode == state.mode:
        return state._replace(cause=cause)
    held_ns, misses = 0, state.misses
    if state.mode in (Mode.ACTIVE, Mode.HOLDING):
        held_ns = _held_ns(case)
    elif mode == Mode.ACTIVE:
        misses = 0
    return SupervisorState(mode, now_ns, cause, state.well_since_ns, misses, held_ns)


def _held_ns(case: _Case) -> int:
    """The debt of holding now: it grows in HOLDING and shrinks in ACTIVE."""
    state = case.state
    lived_ns = case.facts.now_ns - state.since_ns
    limit_ns = case.rules.hold_limit_ns
    return debt.after(state.held_ns, lived_ns, limit_ns, bad=state.mode == Mode.HOLDING)


# ---- conditions ----


def _wants_stop(case: _Case) -> bool:
    return Op.STOP in case.facts.ops


def _wants_arm(case: _Case) -> bool:
    ops = case.facts.ops
    return Op.ARM in ops and Op.DISARM not in ops and case.severity < Severity.TRIP


def _wants_disarm(case: _Case) -> bool:
    return Op.DISARM in case.facts.ops


def _wants_reset(case: _Case) -> bool:
    return Op.RESET in case.facts.ops and case.severity < Severity.TRIP


def _trips(case: _Case) -> bool:
    return case.severity >= Severity.TRIP


def _ramps(case: _Case) -> bool:
    return case.severity >= Severity.RAMP


def _holds(case: _Case) -> bool:
    return case.severity >= Severity.HOLD


def _well(case: _Case) -> bool:
    return case.severity == Severity.NOTHING


def _hold_is_spent(case: _Case) -> bool:
    return _held_ns(case) > case.rules.hold_limit_ns


def _no_clock(case: _Case) -> bool:
    """A ramp that no clock drives would never arrive."""
    late = case.facts.deadline
    return late is not None and late.rule == Rule.CLOCK_FAULT


def _is_disarmed(case: _Case) -> bool:
    """Disarmed, and arrived."""
    disarming = _wants_disarm(case) or severity.clears(case.state.cause) == Clears.ARM
    return disarming and case.facts.at_safe


def _well_for_the_dwell(case: _Case) -> bool:
    state = case.state
    well_ns = case.facts.now_ns - state.well_since_ns
    return (
        severity.clears(state.cause) != Clears.ARM
        and state.well_since_ns >= 0
        and well_ns >= case.rules.return_dwell_ns
    )


# ---- causes ----


def _none(_case: _Case) -> Reason | None:
    return None


def _kept(case: _Case) -> Reason | None:
    return case.state.cause


def _found(case: _Case) -> Reason | None:
    return case.found


def _late(case: _Case) -> Reason | None:
    return case.facts.deadline


def _not_armed(_case: _Case) -> Reason | None:
    return _NOT_ARMED


def _disarm(_case: _Case) -> Reason | None:
    return _DISARM


_Row = tuple[Callable[[_Case], bool], Mode, Callable[[_Case], Reason | None]]

_ROWS: Mapping[Mode, tuple[_Row, ...]] = MappingProxyType(
    {
        Mode.SAFE: (
            (_wants_stop, Mode.TRIPPED, _found),
            (_wants_arm, Mode.ARMING, _not_armed),
        ),
        Mode.ARMING: (
            (_trips, Mode.TRIPPED, _found),
            (_wants_disarm, Mode.SAFE, _disarm),
            (_holds, Mode.ARMING, _found),
            (_well, Mode.ACTIVE, _none),
        ),
        Mode.ACTIVE: (
            (_trips, Mode.TRIPPED, _found),
            (_ramps, Mode.RAMPING, _found),
            (_holds, Mode.HOLDING, _found),
        ),
        Mode.HOLDING: (
            (_trips, Mode.TRIPPED, _found),
            (_ramps, Mode.RAMPING, _found),
            (_hold_is_spent, Mode.RAMPING, _kept),
            (_well, Mode.ACTIVE, _none),
        ),
        Mode.RAMPING: (
            (_trips, Mode.TRIPPED, _found),
            (_no_clock, Mode.TRIPPED, _late),
            (_is_disarmed, Mode.SAFE, _disarm),
            (_wants_disarm, Mode.RAMPING, _disarm),
            (_well_for_the_dwell, Mode.ACTIVE, _none),
        ),
        Mode.TRIPPED: ((_wants_reset, Mode.SAFE, _kept),),
    }
)
