"""What was commanded must show on a sensor, within its time."""

import pytest

from edge_agent.core.records import Quality, Reason, Rule, Snapshot
from edge_agent.safety import effects
from tests.unit.safety.lab import T0, S, envelope, snapshot

LIMITS = envelope(checked=True)
WITHIN = 5 * S


def overdue_after(command: int, seen: Snapshot, waited_ns: int) -> Reason | None:
    """The overdue effect when `command` has stood for `waited_ns` with `seen` on the sensor."""
    state, first = effects.step(LIMITS, effects.initial(LIMITS), (command, 0), seen, T0)
    assert first is None
    _, overdue = effects.step(LIMITS, state, (command, 0), seen, T0 + waited_ns)
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


def test_a_moment_of_effect_starts_the_time_anew() -> None:
    state = effects.initial(LIMITS)
    state, _ = effects.step(LIMITS, state, (200, 0), snapshot(0), T0)
    state, _ = effects.step(LIMITS, state, (200, 0), snapshot(500), T0 + WITHIN)
    assert state == effects.initial(LIMITS)
    state, _ = effects.step(LIMITS, state, (200, 0), snapshot(0), T0 + WITHIN + 1)
    _, overdue = effects.step(LIMITS, state, (200, 0), snapshot(0), T0 + 2 * WITHIN)
    assert overdue is None


def test_a_clock_that_went_back_is_not_overdue() -> None:
    assert overdue_after(200, snapshot(0), -T0 - 1) is None


def test_an_actuator_that_declares_no_check_awaits_nothing() -> None:
    plain = envelope()
    state, overdue = effects.step(plain, effects.initial(plain), (300, 300), snapshot(0), T0)
    assert (state, overdue) == (effects.initial(plain), None)


def test_the_first_of_two_overdue_effects_is_reported() -> None:
    both = envelope(checked=True)
    pump = both.actuators[0]
    twins = both.__class__(
        **{**{f: getattr(both, f) for f in both.__dataclass_fields__}, "actuators": (pump, pump)}
    )
    state, _ = effects.step(twins, effects.initial(twins), (200, 200), snapshot(0), T0)
    _, overdue = effects.step(twins, state, (200, 200), snapshot(0), T0 + WITHIN + 1)
    assert overdue == Reason(Rule.EFFECT_MISSING, 1, 0)
