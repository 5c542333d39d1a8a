"""Goals: what may be set, and that the agent goes by it and by nothing else."""

import pytest

from edge_agent.core.records import Intent, Op, Quality, Reading
from edge_agent.decision.goals import Goals, settable
from edge_agent.safety.devices.air_handler import ENVELOPE
from tests.unit.safety.lab import envelope

SETPOINT = ENVELOPE.sensor_index["supply_setpoint"]
MEASURED = [Reading(0, 2000, 5, 0), Reading(SETPOINT, 1300, 5, 0)]


def _set(counts: int, channel: int = SETPOINT) -> Intent:
    return Intent(Op.SET_GOAL, "test", channel, counts)


def test_without_a_goal_the_readings_stay_as_they_are() -> None:
    assert Goals(ENVELOPE).over(MEASURED, 9) is MEASURED


def test_a_goal_takes_the_place_of_its_channel_until_it_is_cleared() -> None:
    goals = Goals(ENVELOPE)
    goals.take([_set(1500)])
    assert goals.over(MEASURED, 9) == [MEASURED[0], Reading(SETPOINT, 1500, 9, Quality.GOOD)]
    assert goals.over([], 10) == [Reading(SETPOINT, 1500, 10, Quality.GOOD)]
    goals.take([Intent(Op.CLEAR_GOAL, "test", SETPOINT)])
    assert goals.over(MEASURED, 11) is MEASURED


@pytest.mark.parametrize("counts", [499, 4001, -(2**40), 2**40])
def test_a_goal_outside_the_envelope_is_not_taken_whoever_let_it_through(counts: int) -> None:
    goals = Goals(ENVELOPE)
    goals.take([_set(1500), _set(counts)])
    assert goals.over([], 9)[0].counts == 1500


@pytest.mark.parametrize("channel", [-1, 0, 1, len(ENVELOPE.sensors), 10**6])
def test_a_measurement_or_an_actuator_is_never_set(channel: int) -> None:
    goals = Goals(ENVELOPE)
    goals.take([_set(1500, channel)])
    assert goals.over(MEASURED, 9) is MEASURED


def test_other_operations_set_nothing() -> None:
    goals = Goals(ENVELOPE)
    goals.take([Intent(op, "test", SETPOINT, 1500) for op in Op if op != Op.SET_GOAL])
    assert goals.over(MEASURED, 9) is MEASURED


def test_a_device_without_a_row_takes_no_goal() -> None:
    assert settable(envelope()) == {}
