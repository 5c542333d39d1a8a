"""Features mean the same on the device and in training, from the first sample on."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.decision.features import FeatureKind, Features, FeatureSpec

SENSORS = ("supply", "setpoint", "outdoor")
ACTUATORS = ("valve", "fan")
READ_VALUE = FeatureSpec(kind=FeatureKind.VALUE, channel="supply")
ERROR = FeatureSpec(kind=FeatureKind.DIFFERENCE, channel="setpoint", minus="supply")
LAST_FAN = FeatureSpec(kind=FeatureKind.COMMAND, channel="fan")
TEMPERATURES = st.floats(-50, 100)
STEPS = st.floats(0, 1e4)


def _mean(tau_s: float, minus: str | None = None) -> FeatureSpec:
    kind = FeatureKind.MEAN
    return FeatureSpec(kind=kind, channel="supply", minus=minus, time_constant_s=tau_s)


def _run(spec: FeatureSpec, samples: list[Any], dt_s: float) -> list[Any]:
    """The one feature of `spec` after each sample of the supply channel."""
    features = Features([spec], SENSORS, ACTUATORS)
    return [features.compute((x, 0.0, 0.0), (0.0, 0.0), dt_s)[0] for x in samples]


def test_each_kind_reads_what_its_row_says() -> None:
    rows = [READ_VALUE, ERROR, LAST_FAN, _mean(60.0), _mean(60.0, minus="outdoor")]
    features = Features(rows, SENSORS, ACTUATORS)
    assert features.compute((18.0, 20.0, 5.0), (30.0, 70.0), 0.1) == [18.0, 2.0, 70.0, 18.0, 13.0]


def test_features_come_in_the_order_of_the_rows() -> None:
    forward = Features([READ_VALUE, LAST_FAN], SENSORS, ACTUATORS)
    backward = Features([LAST_FAN, READ_VALUE], SENSORS, ACTUATORS)
    sample = ((18.0, 20.0, 5.0), (30.0, 70.0), 0.1)
    assert forward.compute(*sample) == backward.compute(*sample)[::-1]


def test_no_rows_are_no_features() -> None:
    assert Features([], SENSORS, ACTUATORS).compute((1.0, 2.0, 3.0), (0.0, 0.0), 0.1) == []


@given(first=TEMPERATURES, tau_s=st.floats(0.1, 1e5), dt_s=STEPS)
def test_a_mean_starts_at_its_first_sample(first: float, tau_s: float, dt_s: float) -> None:
    assert _run(_mean(tau_s), [first], dt_s) == [first]


def test_a_mean_follows_the_backward_euler_recurrence() -> None:
    assert _run(_mean(3.0), [0.0, 8.0, 8.0], dt_s=1.0) == [0.0, 2.0, 3.5]


def test_a_mean_covers_about_63_percent_of_a_step_in_one_time_constant() -> None:
    after_tau = _run(_mean(10.0), [0.0, *[1.0] * 1000], dt_s=0.01)[-1]
    assert math.isclose(after_tau, 1 - math.exp(-1), abs_tol=1e-3)


@given(samples=st.lists(TEMPERATURES, min_size=1), tau_s=st.floats(0.1, 1e5), dt_s=STEPS)
def test_a_mean_stays_within_its_samples_for_every_step(
    samples: list[float], tau_s: float, dt_s: float
) -> None:
    last = _run(_mean(tau_s), samples, dt_s)[-1]
    assert min(samples) - 1e-9 <= last <= max(samples) + 1e-9


def test_no_time_passed_changes_no_mean() -> None:
    assert _run(_mean(60.0), [4.0, 99.0, -7.0], dt_s=0.0) == [4.0, 4.0, 4.0]


def test_a_very_long_step_forgets_the_past() -> None:
    assert math.isclose(_run(_mean(60.0), [4.0, 99.0], dt_s=1e12)[-1], 99.0, rel_tol=1e-9)


def test_reset_starts_every_mean_anew() -> None:
    features = Features([_mean(60.0)], SENSORS, ACTUATORS)
    features.compute((4.0, 0.0, 0.0), (0.0, 0.0), 1.0)
    features.reset()
    assert features.compute((50.0, 0.0, 0.0), (0.0, 0.0), 1.0) == [50.0]


def test_two_means_of_one_channel_do_not_share_state() -> None:
    features = Features([_mean(1.0), _mean(1e6)], SENSORS, ACTUATORS)
    features.compute((0.0, 0.0, 0.0), (0.0, 0.0), 1.0)
    fast, slow = features.compute((10.0, 0.0, 0.0), (0.0, 0.0), 1.0)
    assert fast == 5.0
    assert slow < 1e-4


@given(
    episodes=st.lists(st.lists(TEMPERATURES, min_size=4, max_size=4), min_size=1, max_size=6),
    dt_s=st.floats(0, 100),
)
def test_arrays_of_episodes_give_exactly_the_floats(
    episodes: list[list[float]], dt_s: float
) -> None:
    """Training computes many episodes at once; the device one: bit for bit the same."""
    spec = _mean(30.0)
    one_by_one = [_run(spec, samples, dt_s)[-1] for samples in episodes]
    columns = list(np.array(episodes, dtype=np.float64).T)
    assert _run(spec, columns, dt_s)[-1].tolist() == one_by_one


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_passes_through_for_the_gate_to_refuse(bad: float) -> None:
    value, difference = Features([READ_VALUE, ERROR], SENSORS, ACTUATORS).compute(
        (bad, 20.0, 5.0), (0.0, 0.0), 0.1
    )
    assert not math.isfinite(value)
    assert not math.isfinite(difference)


def test_huge_values_stay_finite() -> None:
    assert _run(_mean(60.0), [1e300, -1e300], dt_s=1.0)[-1] < 1e300


@pytest.mark.parametrize(
    "spec",
    [
        FeatureSpec(kind=FeatureKind.VALUE, channel="nonsense"),
        FeatureSpec(kind=FeatureKind.VALUE, channel="valve"),  # an actuator is no sensor
        FeatureSpec(kind=FeatureKind.COMMAND, channel="supply"),  # and the other way round
        FeatureSpec(kind=FeatureKind.DIFFERENCE, channel="supply", minus="nonsense"),
    ],
)
def test_an_unknown_channel_is_refused_by_name(spec: FeatureSpec) -> None:
    with pytest.raises(ValueError, match=r"^unknown channel '\w+'; known: \w+"):
        Features([spec], SENSORS, ACTUATORS)


def test_too_few_values_are_an_error_and_not_a_guess() -> None:
    with pytest.raises(IndexError):
        Features([ERROR], SENSORS, ACTUATORS).compute((18.0,), (0.0, 0.0), 0.1)
