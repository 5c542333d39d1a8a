"""Units become counts exactly, and what has no value has no counts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.units import COUNTS_LIMIT, UNITS, to_counts, to_value

RESOLUTIONS = st.sampled_from([1, 10, 100, 1000])


@pytest.mark.parametrize(
    ("unit", "raw", "base", "value"),
    [
        ("degC", 21.5, "degC", 21.5),
        ("degF", 32.0, "degC", 0.0),
        ("degF", 212.0, "degC", 100.0),
        ("degF", -40.0, "degC", -40.0),
        ("K", 273.15, "degC", 0.0),
        ("percent", 55.0, "percent", 55.0),
        ("fraction", 0.55, "percent", 55.0),
        ("A", 2.0, "A", 2.0),
        ("mA", 1500.0, "A", 1.5),
        ("bool", 1.0, "bool", 1.0),
    ],
)
def test_a_known_point_of_each_unit(unit: str, raw: float, base: str, value: float) -> None:
    conversion = UNITS[unit]
    assert conversion.base == base
    assert math.isclose(raw * conversion.scale + conversion.offset, value, abs_tol=1e-9)


def test_every_base_unit_converts_to_itself() -> None:
    for conversion in UNITS.values():
        assert UNITS[conversion.base] == (conversion.base, 1.0, 0.0)


@pytest.mark.parametrize(
    ("value", "per_unit", "counts"),
    [
        (21.5, 100, 2150),
        (-0.004, 100, 0),
        (0.5, 1, 0),  # half goes to the even neighbour ...
        (1.5, 1, 2),
        (2.5, 1, 2),
        (-2.5, 1, -2),
        (1.0, 1, 1),
        (COUNTS_LIMIT, 1, COUNTS_LIMIT),
        (-COUNTS_LIMIT, 1, -COUNTS_LIMIT),
    ],
)
def test_a_value_becomes_the_nearest_count(value: float, per_unit: int, counts: int) -> None:
    assert to_counts(value, per_unit) == counts


@pytest.mark.parametrize(
    "value", [math.nan, -math.nan, math.inf, -math.inf, 1e300, -1e300, COUNTS_LIMIT + 1]
)
def test_what_no_channel_can_measure_has_no_counts(value: float) -> None:
    assert to_counts(value, 1) is None


def test_a_value_that_overflows_only_after_scaling_has_no_counts() -> None:
    assert to_counts(COUNTS_LIMIT / 10, 100) is None
    assert to_counts(1e308, 100) is None


@given(counts=st.integers(-COUNTS_LIMIT, COUNTS_LIMIT), per_unit=RESOLUTIONS)
def test_counts_survive_the_way_to_a_value_and_back(counts: int, per_unit: int) -> None:
    assert to_counts(to_value(counts, per_unit), per_unit) == counts


@given(value=st.floats(-1e5, 1e5), per_unit=RESOLUTIONS)
def test_rounding_costs_at_most_half_a_count(value: float, per_unit: int) -> None:
    counts = to_counts(value, per_unit)
    assert counts is not None
    assert abs(counts - value * per_unit) <= 0.5


@given(value=st.floats())
def test_counts_are_a_bounded_integer_or_nothing(value: float) -> None:
    counts = to_counts(value, 100)
    assert counts is None or (type(counts) is int and abs(counts) <= COUNTS_LIMIT)


@given(a=st.floats(-1e6, 1e6), b=st.floats(-1e6, 1e6))
def test_a_larger_value_never_has_fewer_counts(a: float, b: float) -> None:
    low, high = to_counts(min(a, b), 100), to_counts(max(a, b), 100)
    assert low is not None
    assert high is not None
    assert low <= high
