"""The table of scenarios holds together, and a wrong name is answered with the right one."""

import pytest

from edge_agent.core.errors import ConfigError
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim.faults import FaultKind, require_possible
from edge_agent.sim.scenarios import ALL, DEFAULT, SCENARIOS, Scenario, select

EVERY = list(SCENARIOS.values())


@pytest.mark.parametrize("scenario", EVERY, ids=lambda s: s.name)
def test_every_scenario_is_possible_and_long_enough_for_its_promises(scenario: Scenario) -> None:
    require_possible(scenario.faults, ENVELOPE, ("fan_current", "damper_position"))
    assert scenario.summary
    for injection in scenario.injections:
        assert scenario.arm_s < injection.fault.start_s
        assert injection.settled_s < scenario.duration_s


def test_every_kind_of_fault_is_in_some_scenario() -> None:
    assert {f.kind for s in EVERY for f in s.faults} == set(FaultKind)


def test_the_default_breaks_nothing() -> None:
    assert SCENARIOS[DEFAULT].faults == ()


def test_a_name_selects_one_and_all_selects_every_one() -> None:
    assert [s.name for s in select("sensor-nan")] == ["sensor-nan"]
    assert list(select(ALL)) == EVERY


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'sensor-frozen'"):
        select("sensor-froze")


def test_a_name_like_no_other_is_answered_with_the_list() -> None:
    with pytest.raises(ConfigError, match=r"one of: normal, .*, all") as refusal:
        select("%%%")
    assert "did you mean" not in str(refusal.value)
