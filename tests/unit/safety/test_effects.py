"""What was commanded must show on a sensor, within its time."""

import dataclasses

import pytest

from edge_agent.core.records import Quality, Reason, Rule, Snapshot
from edge_agent.safety import effects
from edge_agent.safety.limits import Envelope
from tests.unit.safety.lab import S, envelope, snapshot

LIMITS = envelope(checked=True)
WITHIN = 5 * S


def overdue_after(command: int, seen: Snapshot, waited_ns: int) -> Reason | None:
    """The overdue effect when `command` has stood for `waited_ns` with `seen` on the sensor."""
    _, overdue = effects.step(LIMITS, effects.initial(LIMITS), (command, 0), seen, waited_ns)
    return overdue


@pytest.mark.parametrize(
    ("command", "level", "due"),
    [
        (200, 499, True),
        (200, 500, False),
        (199, 0, False),
        (0, 101, True),
        (0, 100, False),
        (1, 1000, False),
    ],
)
def test_only_a_missing_effect_is_overdue(command: int, level: int, due: bool) -> None:
    reason = overdue_after(command, snapshot(level), WITHIN + 1)
    assert reason == (Reason(Rule.EFFECT_MISSING, 1, level) if due else None)


@pytest.mark.parametrize(("command", "level"), [(200, 0), (0, 1000)])
def test_it_may_take_exactly_its_time(command: int, level: int) -> None:
    assert overdue_after(command, snapshot(level), WITHIN) is None


@pytest.mark.parametrize("quality", [Quality.STALE, Quality.MISSING, Quality.INVALID])
@pytest.mark.parametrize("command", [200, 0])
def test_not_seen_counts_as_not_happened(quality: Quality, command: int) -> None:
    level = 1000 if command else 0  # what would be the right effect
    assert overdue_after(command, snapshot(level, quality), WITHIN + 1) is not None


def test_a_moment_of_effect_buys_a_quarter_of_a_moment() -> None:
    """It used to start the time anew: an effect that came and went was never overdue."""
    debts, _ = effects.step(LIMITS, effects.initial(LIMITS), (200, 0), snapshot(0), WITHIN)
    debts, _ = effects.step(LIMITS, debts, (200, 0), snapshot(500), 4 * S)
    assert debts == (WITHIN - S, 0)
    debts, overdue = effects.step(LIMITS, debts, (200, 0), snapshot(0), S)
    assert overdue is None
    _, overdue = effects.step(LIMITS, debts, (200, 0), snapshot(0), 1)
    assert overdue == Reason(Rule.EFFECT_MISSING, 1, 0)


def test_a_clock_that_went_back_is_not_overdue() -> None:
    assert overdue_after(200, snapshot(0), -1) is None


def test_an_actuator_that_declares_no_check_awaits_nothing() -> None:
    plain = envelope()
    assert effects.step(plain, effects.initial(plain), (300, 300), snapshot(0), S) == ((), None)


def twins() -> Envelope:
    """Two actuators whose effect is checked."""
    both = envelope(checked=True)
    pump = both.actuators[0]
    return dataclasses.replace(both, actuators=(pump, dataclasses.replace(pump, name="twin")))


def test_the_first_of_two_overdue_effects_is_reported() -> None:
    start = effects.initial(twins())
    debts, overdue = effects.step(twins(), start, (200, 200), snapshot(0), WITHIN + 1)
    assert overdue == Reason(Rule.EFFECT_MISSING, 1, 0)
    assert debts == (WITHIN + 1, 0, WITHIN + 1, 0)


def test_every_check_keeps_its_own_time_in_both_directions() -> None:
    debts, _ = effects.step(twins(), (0, 0, 0, 0), (100, 0), snapshot(500), S)
    assert debts == (0, 0, 0, S)
    debts, _ = effects.step(twins(), debts, (100, 0), snapshot(500), S)
    assert debts == (0, 0, 0, 2 * S)
    debts, _ = effects.step(twins(), debts, (100, 100), snapshot(500), 4 * S)
    assert debts == (0, 0, 0, S)


def test_the_time_of_another_check_does_not_make_one_overdue() -> None:
    before = (0, 0, WITHIN + 1, 0)
    debts, overdue = effects.step(twins(), before, (200, 100), snapshot(0), 4 * S)
    assert debts == (4 * S, 0, WITHIN + 1 - S, 0)
    assert overdue is None
