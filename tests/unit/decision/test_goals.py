"""Goals: what may be set, and that the agent goes by it and by nothing else."""

import pytest

from edge_agent.core.records import Intent, Op, Quality, Reading, Snapshot
from edge_agent.decision.goals import Goals, settable
from edge_agent.safety.devices.air_handler import ENVELOPE
from tests.unit.safety.lab import envelope

SETPOINT = ENVELOPE.sensor_index["supply_setpoint"]
SUPPLY = ENVELOPE.sensor_index["supply_temperature"]
MEASURED = [Reading(0, 2000, 5, 0), Reading(SETPOINT, 1300, 5, 0)]


def _set(counts: int, channel: int = SETPOINT) -> Intent:
    return Intent(Op.SET_GOAL, "test", channel, counts)


def test_without_a_goal_the_readings_stay_as_they_are() -> None:
    assert Goals(ENVELOPE).over(MEASURED, 9, None) is MEASURED


def test_a_goal_takes_the_place_of_its_channel_until_it_is_cleared() -> None:
    goals = Goals(ENVELOPE)
    goals.take([_set(1500)])
    assert goals.over(MEASURED, 9, None) == [MEASURED[0], Reading(SETPOINT, 1500, 9, Quality.GOOD)]
    assert goals.over([], 10, None) == [Reading(SETPOINT, 1500, 10, Quality.GOOD)]
    goals.take([Intent(Op.CLEAR_GOAL, "test", SETPOINT)])
    assert goals.over(MEASURED, 11, None) is MEASURED


@pytest.mark.parametrize("counts", [499, 4001, -(2**40), 2**40])
def test_a_goal_outside_the_envelope_is_not_taken_whoever_let_it_through(counts: int) -> None:
    goals = Goals(ENVELOPE)
    goals.take([_set(1500), _set(counts)])
    assert goals.over([], 9, None)[0].counts == 1500


@pytest.mark.parametrize("channel", [-1, 0, 1, len(ENVELOPE.sensors), 10**6])
def test_a_measurement_or_an_actuator_is_never_set(channel: int) -> None:
    goals = Goals(ENVELOPE)
    goals.take([_set(1500, channel)])
    assert goals.over(MEASURED, 9, None) is MEASURED


def test_other_operations_set_nothing() -> None:
    goals = Goals(ENVELOPE)
    goals.take(
        [Intent(op, "test", SETPOINT, 1500) for op in Op if op not in (Op.SET_GOAL, Op.SET_BAND)]
    )
    assert goals.over(MEASURED, 9, None) is MEASURED


def _band(low: int, high: int) -> Intent:
    return Intent(Op.SET_BAND, "test", SETPOINT, low, high_counts=high)


def _seen(counts: int, quality: Quality = Quality.GOOD) -> Snapshot:
    """The supply temperature as the last tick knew it."""
    n = len(ENVELOPE.channel_names)
    counts_of = tuple(counts if c == SUPPLY else 0 for c in range(n))
    return Snapshot(counts_of, (0,) * n, tuple(quality if c == SUPPLY else 0 for c in range(n)))


@pytest.mark.parametrize(
    ("measured", "wish"),
    [(1200, 1400), (1399, 1400), (1400, 1400), (1550, 1550), (1700, 1700), (2500, 1700)],
)
def test_the_wish_of_a_band_is_its_point_nearest_to_the_measured_value(
    measured: int, wish: int
) -> None:
    goals = Goals(ENVELOPE)
    goals.take([_band(1400, 1700)])
    assert goals.over(MEASURED, 9, _seen(measured))[1:] == [Reading(SETPOINT, wish, 9, 0)]


@pytest.mark.parametrize("quality", [q for q in Quality if q != Quality.GOOD])
def test_a_measurement_that_is_not_good_moves_no_wish(quality: Quality) -> None:
    goals = Goals(ENVELOPE)
    goals.take([_band(1400, 1700)])
    assert goals.over([], 9, _seen(1500, quality)) == []  # nothing is made up
    goals.over([], 9, _seen(1500))
    assert goals.over([], 9, _seen(1600, quality)) == [Reading(SETPOINT, 1500, 9, 0)]


@pytest.mark.parametrize(
    ("low", "high"), [(499, 1700), (1400, 4001), (1700, 1400), (-(2**40), 2**40), (1400, 0)]
)
def test_a_band_that_cannot_be_is_not_taken_whoever_let_it_through(low: int, high: int) -> None:
    goals = Goals(ENVELOPE)
    goals.take([_set(1500), _band(low, high)])
    assert goals.over([], 9, _seen(2000)) == [Reading(SETPOINT, 1500, 9, 0)]


def test_a_value_takes_the_place_of_a_band_and_is_met_exactly() -> None:
    goals = Goals(ENVELOPE)
    goals.take([_band(1400, 1700)])
    goals.take([_set(1500)])
    assert goals.over([], 9, _seen(1600)) == [Reading(SETPOINT, 1500, 9, 0)]


def test_a_wish_and_what_it_is_about_are_of_one_resolution() -> None:
    wish, measured = ENVELOPE.sensors[SETPOINT], ENVELOPE.sensors[SUPPLY]
    assert (wish.unit, wish.counts_per_unit) == (measured.unit, measured.counts_per_unit)


def test_a_device_without_a_row_takes_no_goal() -> None:
    assert settable(envelope()) == {}
