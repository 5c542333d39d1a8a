"""The guard on what a policy may be asked."""

import math

import pytest

from edge_agent.decision.policy import first_outside

LOW, HIGH = (-1.0, 0.0), (1.0, 10.0)


@pytest.mark.parametrize("features", [(0.0, 5.0), (-1.0, 0.0), (1.0, 10.0)])
def test_inside_includes_the_ends(features: tuple[float, ...]) -> None:
    assert first_outside(features, LOW, HIGH) == -1


@pytest.mark.parametrize(
    ("features", "index"),
    [
        ((1.01, 5.0), 0),
        ((-1.01, 5.0), 0),
        ((0.0, 10.01), 1),
        ((9.0, 99.0), 0),
        ((math.nan, 5.0), 0),
        ((0.0, math.nan), 1),
        ((math.inf, 5.0), 0),
        ((0.0, -math.inf), 1),
    ],
)
def test_the_first_outside_is_named_and_nan_is_outside(
    features: tuple[float, ...], index: int
) -> None:
    assert first_outside(features, LOW, HIGH) == index


def test_a_vector_of_the_wrong_length_is_an_error_not_a_pass() -> None:
    with pytest.raises(ValueError, match="zip"):
        first_outside((0.0,), LOW, HIGH)


def test_no_features_are_all_inside() -> None:
    assert first_outside((), (), ()) == -1
