"""Faults do what their names say, and impossible ones are refused."""

import math

import pytest

from edge_agent.core.clock import NS_PER_S, ManualClock
from edge_agent.core.errors import ConfigError
from edge_agent.core.records import Quality, Reading
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim.faults import (
    MODEL_FAULTS,
    Fault,
    FaultKind,
    FaultyPolicy,
    distorted,
    require_possible,
)
from tests.simulation.rig import SplitRangePolicy

WIRE = ("fan_current", "damper_position")
GOOD = Reading(3, 2100, 7, Quality.GOOD)


def sensor(kind: FaultKind, channel: str = "supply_temperature", spike: float = 0.0) -> Fault:
    return Fault(kind=kind, start_s=1.0, duration_s=2.0, channel=channel, spike=spike)


def test_a_fault_is_present_from_its_start_up_to_its_end() -> None:
    fault = sensor(FaultKind.SENSOR_NAN)
    present = [s for s in range(5) if fault.at(s * NS_PER_S)]
    assert present == [1, 2]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FaultKind.SENSOR_SILENT, None),
        (FaultKind.SENSOR_NAN, Reading(3, 0, 7, Quality.INVALID)),
        (FaultKind.SENSOR_FROZEN, Reading(3, 1999, 7, Quality.GOOD)),
    ],
)
def test_a_faulty_sensor_says_what_its_fault_makes_it_say(
    kind: FaultKind, expected: Reading | None
) -> None:
    assert distorted(GOOD, sensor(kind), 1999, 100) == expected


def test_a_spike_adds_its_size_in_the_channels_unit() -> None:
    fault = sensor(FaultKind.SENSOR_SPIKE, spike=-25.0)
    assert distorted(GOOD, fault, 1999, 100) == Reading(3, 2100 - 2500, 7, Quality.GOOD)


def test_a_fault_of_something_else_does_not_act_on_a_sensor() -> None:
    with pytest.raises(ValueError, match="does not act on a sensor"):
        distorted(GOOD, Fault(kind=FaultKind.MCU_RESET, start_s=0.0), 0, 100)


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ([sensor(FaultKind.SENSOR_NAN, "no_such_sensor")], "unknown sensor"),
        ([sensor(FaultKind.SENSOR_NAN, "fan_current")], "freeze or spike, no more"),
        ([sensor(FaultKind.SENSOR_SILENT, "damper_position")], "freeze or spike, no more"),
        ([sensor(FaultKind.SENSOR_NAN, "")], "a channel belongs to"),
        ([sensor(FaultKind.MODEL_NAN)], "a channel belongs to"),
        ([sensor(FaultKind.SENSOR_SPIKE)], "needs its size"),
        ([sensor(FaultKind.SENSOR_FROZEN, spike=1.0)], "nothing else has one"),
        ([Fault(kind=FaultKind.MODEL_NAN, start_s=-1.0, duration_s=1.0)], "start_s"),
        ([Fault(kind=FaultKind.MODEL_NAN, start_s=1.0)], "duration_s belongs"),
        ([Fault(kind=FaultKind.MCU_RESET, start_s=1.0, duration_s=1.0)], "every fault but a reset"),
        ([Fault(kind=FaultKind.MODEL_NAN, start_s=1.0, duration_s=-1.0)], "start_s"),
        ([sensor(FaultKind.SENSOR_NAN), sensor(FaultKind.SENSOR_FROZEN)], "overlaps"),
        (
            [
                Fault(kind=FaultKind.MODEL_NAN, start_s=1.0, duration_s=5.0),
                Fault(kind=FaultKind.MODEL_HUGE, start_s=5.0, duration_s=5.0),
            ],
            "overlaps",
        ),
        (
            [
                Fault(kind=FaultKind.SERIAL_UNPLUGGED, start_s=1.0, duration_s=5.0),
                Fault(kind=FaultKind.MCU_RESET, start_s=2.0),
            ],
            "overlaps",
        ),
    ],
)
def test_a_fault_that_cannot_be_produced_is_refused(faults: list[Fault], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        require_possible(faults, ENVELOPE, WIRE)


def test_faults_of_different_targets_may_overlap() -> None:
    faults = [
        sensor(FaultKind.SENSOR_NAN),
        sensor(FaultKind.SENSOR_FROZEN, "fan_current"),
        Fault(kind=FaultKind.MODEL_NAN, start_s=1.0, duration_s=1.0),
        Fault(kind=FaultKind.SERIAL_UNPLUGGED, start_s=1.0, duration_s=1.0),
    ]
    require_possible(faults, ENVELOPE, WIRE)


def values(kind: FaultKind, calls: int) -> list[tuple[float, ...]]:
    clock = ManualClock(1)
    fault = Fault(kind=kind, start_s=0.0, duration_s=1.0)
    policy = FaultyPolicy(SplitRangePolicy(), [fault], clock, 4)
    given = [policy.propose((0.0, 0.0, 0.0, 1.0)).values for _ in range(calls)]
    return [v for v in given if v is not None]


def test_each_garbage_is_of_its_own_kind() -> None:
    assert all(math.isnan(x) for x in values(FaultKind.MODEL_NAN, 1)[0])
    assert values(FaultKind.MODEL_INFINITE, 1) == [(math.inf,) * 4]
    assert len(values(FaultKind.MODEL_WRONG_SHAPE, 1)[0]) == 5
    assert min(values(FaultKind.MODEL_HUGE, 1)[0]) > 1e5
    assert values(FaultKind.MODEL_ALTERNATING, 3) == [(100.0,) * 4, (0.0,) * 4, (100.0,) * 4]


@pytest.mark.parametrize("kind", MODEL_FAULTS)
def test_a_policy_is_itself_outside_its_fault(kind: FaultKind) -> None:
    clock = ManualClock()
    fault = Fault(kind=kind, start_s=1.0, duration_s=1.0)
    policy = FaultyPolicy(SplitRangePolicy(), [fault], clock, 4)
    features = (0.5, 0.1, 1.0, 1.0)
    honest = SplitRangePolicy().propose(features)
    assert policy.propose(features) == honest
    clock.advance_ns(NS_PER_S)
    assert policy.propose(features) != honest
    clock.advance_ns(NS_PER_S)
    assert policy.propose(features) == honest


def test_a_policy_without_model_faults_is_never_touched() -> None:
    policy = FaultyPolicy(SplitRangePolicy(), [sensor(FaultKind.SENSOR_NAN)], ManualClock(), 4)
    assert policy.propose((0.0, 0.0, 0.0, 1.0)) == SplitRangePolicy().propose((0.0, 0.0, 0.0, 1.0))
