"""Every rule is judged, the worst fact counts, and each clears as its row says."""

import pytest

from edge_agent.core.records import Mode, Op, Reason, Rule
from edge_agent.safety import severity, supervisor
from edge_agent.safety.severity import REACTIONS, Clears, Severity
from edge_agent.safety.supervisor import Facts, SupervisorState
from tests.unit.safety.lab import T0, S, envelope

RULES = envelope().supervision
# These shape a command or inform; none of them is ever a fact.
NEVER_FACTS = {
    *(Rule.ABOVE_MAX, Rule.BELOW_MIN, Rule.RATE_UP, Rule.RATE_DOWN, Rule.TRAVEL),
    *(Rule.EXCLUSIVE, Rule.DWELL, Rule.NOT_ARMED, Rule.BY_HAND),
}
WISHES = {Rule.STOP_REQUESTED: Op.STOP, Rule.DISARM_REQUESTED: Op.DISARM}
CHECKED = sorted(rule for rule in REACTIONS if rule != Rule.TOO_MANY_MISSES)


def good(*ops: int, now_ns: int = T0, at_safe: bool = False) -> Facts:
    return Facts(now_ns, frozenset(ops), at_safe, None, None, None, None, None, None)


def test_severities_and_clear_rules_are_numbered_from_the_mildest_to_the_worst() -> None:
    assert list(Severity) == [0, 1, 2, 3]
    assert list(Clears) == [1, 2, 3, 4]


def test_every_rule_has_a_row_or_is_never_a_fact() -> None:
    assert set(REACTIONS) | NEVER_FACTS == set(Rule)
    assert not set(REACTIONS) & NEVER_FACTS


def test_a_rule_that_nobody_judged_is_the_worst() -> None:
    assert severity.of(Reason(251)) == Severity.TRIP
    assert severity.clears(Reason(251)) == Clears.RESET


def test_nothing_found_is_no_severity_and_has_nothing_to_clear() -> None:
    assert severity.of(None) == Severity.NOTHING
    assert severity.clears(None) == Clears.NEXT_TICK
    assert severity.worst() is None
    assert severity.worst(None, None) is None


def test_the_worst_wins_and_the_first_of_equals() -> None:
    hold, ramp = Reason(Rule.LATE), Reason(Rule.LINK_LOST)
    assert severity.worst(hold, None, ramp) == ramp
    assert severity.worst(ramp, hold) == ramp
    assert severity.worst(ramp, Reason(Rule.LINK_LOST, 7)) == ramp


@pytest.mark.parametrize("rule", CHECKED)
def test_each_fault_is_left_as_its_row_says(rule: int) -> None:
    """From control, one tick of it, then a long time with nothing wrong and nobody there."""
    active = SupervisorState(Mode.ACTIVE, T0, None, T0, 0, 0)
    given = good(WISHES[Rule(rule)]) if rule in WISHES else good()._replace(proposal=Reason(rule))
    state = supervisor.step(RULES, active, given)
    expected = {Severity.HOLD: Mode.HOLDING, Severity.RAMP: Mode.RAMPING}
    assert state.mode == expected.get(REACTIONS[rule].severity, Mode.TRIPPED)
    state = supervisor.step(RULES, state, good(now_ns=T0 + 1))
    at_once = state.mode == Mode.ACTIVE
    state = supervisor.step(RULES, state, good(now_ns=T0 + 60 * S, at_safe=True))
    by_itself = state.mode == Mode.ACTIVE
    cleared = {
        (True, True): Clears.NEXT_TICK,
        (False, True): Clears.DWELL,
        (False, False): Clears.ARM if state.mode == Mode.SAFE else Clears.RESET,
    }[at_once, by_itself]
    assert cleared == REACTIONS[rule].clears
