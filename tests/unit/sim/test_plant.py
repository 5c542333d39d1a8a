"""The simulated air handler obeys physics, and repeats exactly."""

import itertools

import numpy as np
import pytest

from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim import episodes
from edge_agent.sim.episodes import Episode, sample, shoulder_morning
from edge_agent.sim.plant import AirHandlerPlant
from edge_agent.sim.plant_fitted import FITTED
from edge_agent.sim.thermal import AIR_J_KG_K, outdoor_fraction

DAY = {
    episodes.OUTDOOR: 10.0,
    episodes.CHILLED_WATER: 7.0,
    episodes.HOT_WATER: 55.0,
    episodes.GAINS: 0.5,
    episodes.SETPOINT: 16.0,
    episodes.OCCUPANCY: 1.0,
}


def steady_day(batch: int = 1, **changed: float) -> Episode:
    """Nothing changes and nothing is noisy for two hours."""
    knots = np.empty((121, 6, batch))
    for row, value in DAY.items():
        knots[:, row] = value
    knots[:, episodes.OUTDOOR] = changed.get("outdoor", DAY[episodes.OUTDOOR])
    ones = np.ones(batch)
    return Episode(
        seeds=tuple(range(batch)),
        knots=knots,
        cooling_capacity=ones,
        heating_capacity=ones,
        noise=0.0 * ones,
        zone_start_degc=22.0 * ones,
    )


def settle(plant: AirHandlerPlant, commands: list[float], seconds: int = 600) -> None:
    for _ in range(seconds):
        plant.step(commands, 1.0)


def supply_after(commands: list[float], outdoor: float = 10.0) -> float:
    plant = AirHandlerPlant(steady_day(outdoor=outdoor))
    settle(plant, commands)
    return float(plant.supply_temperature_true[0])


@pytest.mark.parametrize(("valve", "sign"), [(1, -1.0), (2, 1.0)])
def test_supply_follows_a_valve_monotonically(valve: int, sign: float) -> None:
    commands = [[30.0, 0.0, 0.0, 60.0] for _ in range(6)]
    for command, opening in zip(commands, (0.0, 10.0, 25.0, 50.0, 75.0, 100.0), strict=True):
        command[valve] = opening
    temperatures = [sign * supply_after(command) for command in commands]
    assert all(a < b for a, b in itertools.pairwise(temperatures))


def test_opening_the_damper_cools_in_the_cold_and_warms_in_the_heat() -> None:
    assert supply_after([100.0, 0, 0, 60.0], 5.0) < supply_after([30.0, 0, 0, 60.0], 5.0) - 2.0
    assert supply_after([100.0, 0, 0, 60.0], 35.0) > supply_after([30.0, 0, 0, 60.0], 35.0) + 2.0


def test_outdoor_fraction_grows_with_the_damper_and_stays_a_fraction() -> None:
    fractions = outdoor_fraction(np.linspace(0.0, 1.0, 50), FITTED)
    assert np.all(np.diff(fractions) > 0.0)
    assert 0.0 <= fractions[0] < fractions[-1] <= 1.0


def test_coil_heat_equals_the_warming_of_the_air() -> None:
    plant = AirHandlerPlant(steady_day())
    settle(plant, [30.0, 0.0, 60.0, 60.0])
    s = plant.state
    air_w_k = FITTED.flow_kg_s * AIR_J_KG_K * s.positions[3]
    fan_w = air_w_k * FITTED.fan_rise_k * s.positions[3] ** 2
    lost_w = FITTED.casing_loss_w_k * (s.supply_degc - FITTED.plant_room_degc)
    carried_w = air_w_k * (s.supply_degc - s.mixed_degc)
    assert plant.heating_power_w[0] > 1000.0
    assert plant.cooling_power_w[0] == 0.0
    assert carried_w + lost_w - fan_w == pytest.approx(plant.heating_power_w, rel=0.01)


def test_still_air_takes_no_heat_from_an_open_coil() -> None:
    plant = AirHandlerPlant(steady_day())
    settle(plant, [0.0, 0.0, 100.0, 0.0])
    assert plant.heating_power_w[0] == 0.0
    assert plant.energy_j[1, 0] == 0.0


def test_energy_counters_add_up_power() -> None:
    plant = AirHandlerPlant(steady_day())
    settle(plant, [30.0, 40.0, 0.0, 60.0])
    before, power = plant.energy_j[0, 0], float(plant.cooling_power_w[0])
    settle(plant, [30.0, 40.0, 0.0, 60.0], seconds=100)
    assert plant.energy_j[0, 0] - before == pytest.approx(100.0 * power, rel=0.02)
    assert plant.fan_energy_j[0] > 0.0


def test_fan_status_closes_late_and_opens_when_the_fan_slows() -> None:
    plant = AirHandlerPlant(steady_day())
    plant.step([0.0, 0.0, 0.0, 60.0], 1.0)
    assert not plant.fan_status[0]
    settle(plant, [0.0, 0.0, 0.0, 60.0], seconds=30)
    assert plant.fan_status[0]
    settle(plant, [0.0, 0.0, 0.0, 0.0], seconds=30)
    assert not plant.fan_status[0]


def test_sensors_come_in_the_envelopes_order_and_within_its_ranges() -> None:
    plant = AirHandlerPlant(shoulder_morning(3))
    for _ in range(600):
        plant.step([40.0, 0.0, 50.0, 60.0], 0.1)
        for sensor, value in zip(ENVELOPE.sensors, plant.measure(), strict=True):
            assert sensor.min_counts <= value * sensor.counts_per_unit <= sensor.max_counts
    reading = dict(zip((s.name for s in ENVELOPE.sensors), plant.measure(), strict=True))
    assert reading["supply_setpoint"] == 20.0
    assert reading["fan_status"] == reading["occupancy"] == 1.0
    assert reading["damper_position"] == pytest.approx(40.0, abs=2.0)
    assert reading["fan_current"] > 2.0


def test_current_shows_a_running_fan_to_the_envelopes_effect_check() -> None:
    plant = AirHandlerPlant(shoulder_morning(3))
    settle(plant, [0.0, 0.0, 0.0, 30.0], seconds=60)
    assert plant.measure()[7] >= 0.20
    settle(plant, [0.0, 0.0, 0.0, 5.0], seconds=60)
    assert plant.measure()[7] <= 2.00


def test_measure_refuses_a_batch() -> None:
    with pytest.raises(ValueError, match="batch of 2"):
        AirHandlerPlant(sample([1, 2], 600.0)).measure()


def test_same_seed_gives_the_same_bytes() -> None:
    def run() -> bytes:
        plant = AirHandlerPlant(sample([5], 600.0))
        out = []
        for k in range(500):
            plant.step([k % 100, 20.0, 0.0, 60.0], 0.1)
            out.append(plant.measure())
        return np.array(out).tobytes()

    assert run() == run()


def test_a_unit_of_a_batch_behaves_as_if_alone() -> None:
    batch = AirHandlerPlant(sample([4, 5, 6], 600.0))
    alone = AirHandlerPlant(sample([5], 600.0))
    for k in range(500):
        commands = [k % 100, 0.0, 50.0, 60.0]
        batch.step(commands, 0.1)
        alone.step(commands, 0.1)
        values = [float(v[1]) for v in batch.measure_batch()]
        assert values == alone.measure()


@pytest.mark.parametrize("dt_s", [0.1, 1.0, 60.0])
def test_no_command_and_no_step_size_makes_the_plant_leave_the_physical(dt_s: float) -> None:
    plant = AirHandlerPlant(sample(range(20), 7200.0))
    rng = np.random.default_rng(0)
    for _ in range(1500):
        plant.step(list(100.0 * rng.integers(0, 2, (4, 20))), dt_s)
        assert np.all(np.isfinite(plant.measure_batch()))
        for temperature in (plant.state.supply_degc, plant.state.mixed_degc, plant.state.zone_degc):
            assert np.all((temperature > -30.0) & (temperature < 75.0))


def test_step_size_hardly_changes_the_course() -> None:
    fine, coarse = AirHandlerPlant(steady_day()), AirHandlerPlant(steady_day())
    for _ in range(1200):
        fine.step([50.0, 0.0, 40.0, 60.0], 0.1)
    for _ in range(120):
        coarse.step([50.0, 0.0, 40.0, 60.0], 1.0)
    assert fine.supply_temperature_true == pytest.approx(coarse.supply_temperature_true, abs=0.3)
