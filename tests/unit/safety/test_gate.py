"""Only a tuple of finite floats, one per actuator and in time, becomes counts."""

import math
from typing import Any

import numpy as np
import pytest

from edge_agent.core.records import Proposal, Reason, Rule
from edge_agent.safety.gate import admit
from tests.unit.safety.lab import S, envelope

LIMITS = envelope()


def test_finite_floats_become_whole_counts() -> None:
    assert admit(Proposal((1.24, -3.0)), LIMITS) == ((12, -30), [])


def test_a_finite_value_out_of_range_is_the_envelopes_business() -> None:
    assert admit(Proposal((9999.0, -9999.0)), LIMITS) == ((99990, -99990), [])


def test_minus_zero_is_zero() -> None:
    assert admit(Proposal((-0.0, 0.0)), LIMITS) == ((0, 0), [])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, -1e300, 1.8e308, 1e9])
@pytest.mark.parametrize("position", [0, 1])
def test_what_has_no_counts_is_no_proposal(value: float, position: int) -> None:
    values = [0.0, 0.0]
    values[position] = value
    wanted, reasons = admit(Proposal((values[0], values[1])), LIMITS)
    assert wanted is None
    assert reasons == [Reason(Rule.NOT_FINITE, 1 + position)]


@pytest.mark.parametrize(
    "value",
    [None, True, 1, "1.0", b"1", [1.0], np.float32(1.0), np.float64(1.0), np.array(1.0), 1j],
)
def test_what_is_no_float_is_no_proposal(value: Any) -> None:
    wanted, reasons = admit(Proposal((0.0, value)), LIMITS)
    assert wanted is None
    assert reasons == [Reason(Rule.WRONG_SHAPE, 2)]


@pytest.mark.parametrize(
    "values",
    [(), (0.0,), (0.0, 0.0, 0.0), [0.0, 0.0], np.zeros(2), "00", {0.0: 0.0, 1.0: 0.0}, 0.0, True],
    ids=str,
)
def test_a_wrong_shape_is_no_proposal(values: Any) -> None:
    assert admit(Proposal(values), LIMITS) == (None, [Reason(Rule.WRONG_SHAPE)])


def test_the_policys_own_reasons_are_kept() -> None:
    why = (Reason(Rule.OUTSIDE_TRAINING_RANGE, -1, 3), Reason(Rule.MODEL_ERROR))
    assert admit(Proposal(None, 0, why), LIMITS) == (None, list(why))


def test_no_values_and_no_reason_is_called_no_model() -> None:
    assert admit(Proposal(None), LIMITS) == (None, [Reason(Rule.NO_MODEL)])


@pytest.mark.parametrize("elapsed_ns", [S // 5 + 1, 3600 * S, -1, -(2**63)])
def test_a_late_or_impossible_time_is_no_proposal(elapsed_ns: int) -> None:
    wanted, reasons = admit(Proposal((0.0, 0.0), elapsed_ns), LIMITS)
    assert wanted is None
    assert reasons == [Reason(Rule.LATE, 1, elapsed_ns)]


@pytest.mark.parametrize("elapsed_ns", [0, S // 5])
def test_a_proposal_just_in_time_is_taken(elapsed_ns: int) -> None:
    assert admit(Proposal((0.0, 0.0), elapsed_ns), LIMITS) == ((0, 0), [])
