"""Golden vectors: a model that answers otherwise, or not with numbers, is found out."""

import math

import pytest

from edge_agent.core.errors import ModelError
from edge_agent.core.records import Proposal
from edge_agent.inference.golden import GoldenVector, largest_deviation

VECTORS = (
    GoldenVector((1.0,), int8=(10.0, 20.0), float32=(10.0, 20.0)),
    GoldenVector((2.0,), int8=(30.0, 40.0), float32=(30.0, 40.0)),
)


class Answers:
    """A policy that gives these values, one tuple after the other."""

    def __init__(self, *answers: tuple[float, ...] | None) -> None:
        self._answers = list(answers)

    def propose(self, features: object) -> Proposal:
        return Proposal(self._answers.pop(0))


def test_the_largest_difference_of_any_output_counts() -> None:
    assert largest_deviation(Answers((10.0, 20.5), (29.0, 40.0)), VECTORS) == 1.0


def test_equal_answers_differ_by_nothing() -> None:
    assert largest_deviation(Answers((10.0, 20.0), (30.0, 40.0)), VECTORS) == 0.0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_answer_that_is_no_number_is_infinitely_wrong(value: float) -> None:
    assert largest_deviation(Answers((10.0, value), (30.0, 40.0)), VECTORS) == math.inf


def test_a_refused_observation_is_a_model_error() -> None:
    with pytest.raises(ModelError, match="golden vector 1 is refused"):
        largest_deviation(Answers((10.0, 20.0), None), VECTORS)
