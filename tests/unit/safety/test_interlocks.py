"""Interlocks at the edges of their bands: the last value inside is inside, on both sides."""

import dataclasses

import pytest

from edge_agent.core.records import Reason, Rule
from edge_agent.safety import interlocks
from tests.unit.safety.lab import envelope, interlock, snapshot

# In order from 200 to 900, clear again from 300 to 800.
LOCK = dataclasses.replace(interlock(), ok_max=900, clear_max=800)
LIMITS = dataclasses.replace(envelope(), interlocks=(LOCK,))


@pytest.mark.parametrize(
    ("level", "after"), [(199, -1), (200, 0), (201, 0), (899, 0), (900, 0), (901, -1)]
)
def test_a_released_interlock_engages_only_outside_the_ok_band(level: int, after: int) -> None:
    assert interlocks.advance(LIMITS, (0,), snapshot(level)) == (after,)


@pytest.mark.parametrize(
    ("level", "after"), [(299, -1), (300, 0), (301, 0), (799, 0), (800, 0), (801, -1)]
)
def test_an_engaged_interlock_clears_only_inside_the_clear_band(level: int, after: int) -> None:
    assert interlocks.advance(LIMITS, (-1,), snapshot(level)) == (after,)


@pytest.mark.parametrize(("level", "trips"), [(199, True), (200, False), (900, False), (901, True)])
def test_an_engaged_interlock_trips_only_by_a_value_outside_the_ok_band(
    level: int, trips: bool
) -> None:
    found = interlocks.tripped(LIMITS, (-1,), snapshot(level))
    assert found == (Reason(Rule.INTERLOCK, 0, level) if trips else None)
