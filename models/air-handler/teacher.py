"""The teacher: the settled optimum of the plant, computed from what a policy cannot see.

Owns: inverting the plant's own equations with the true temperatures, water temperatures and
coil conditions. Must not: be deployed; no sensor gives what it reads.

Least coil energy for a supply temperature: mix outdoor and return air as near to the wanted
coil inlet as the damper allows, then close the rest of the gap with one coil.
"""

import numpy as np

from edge_agent.sim import episodes
from edge_agent.sim.episodes import FloatArray
from edge_agent.sim.plant import AirHandlerPlant
from edge_agent.sim.plant_parameters import PlantParameters
from edge_agent.sim.thermal import outdoor_fraction

MIN_OUTDOOR_DAMPER = 0.30  # ventilation while occupied
FAN = 0.60  # supply fan while occupied
COLDEST_MIXED_DEGC = 6.0  # the envelope's freeze interlock stands at 3
LEAD = 0.6  # share of the present error that is asked for on top, to settle sooner

_DAMPERS = np.linspace(0.0, 1.0, 201)


def teach(plant: AirHandlerPlant) -> FloatArray:
    """Commands for the plant as it stands; (4, B) in percent."""
    p, s, world = plant.parameters, plant.state, plant.disturbances
    occupied = world[episodes.OCCUPANCY] > 0.0
    rise = p.fan_rise_k * FAN * FAN
    setpoint = world[episodes.SETPOINT]
    correction = np.where(plant.fan_status, LEAD * (setpoint - s.supply_degc), 0.0)
    wanted = setpoint - rise + correction.clip(-2.0, 2.0)
    damper, mixed = _damper(s.return_degc, world[episodes.OUTDOOR], wanted, p)
    valves = _valves(plant, mixed, wanted)
    fan = np.full_like(damper, FAN)
    positions: FloatArray = np.stack([damper, valves[0], valves[1], fan]) * occupied * 100.0
    return positions


def reachable(plant: AirHandlerPlant) -> FloatArray:
    """Lowest and highest supply temperature that the plant could settle at now; (2, B)."""
    ends = []
    for wanted, coil in ((-50.0, 0), (80.0, 1)):
        world = plant.disturbances
        _, mixed = _damper(
            plant.state.return_degc,
            world[episodes.OUTDOOR],
            np.full(plant.batch, wanted),
            plant.parameters,
        )
        water = world[episodes.CHILLED_WATER + coil]
        ends.append(mixed + _full_effect(plant)[coil] * (water - mixed))
    rise = plant.parameters.fan_rise_k * FAN * FAN
    return np.stack(ends) + rise


def _full_effect(plant: AirHandlerPlant) -> FloatArray:
    p = plant.parameters
    sag = (1.0 + p.flow_sag) / (1.0 + p.flow_sag * FAN)
    full = np.stack(
        [
            p.cooling_effectiveness * plant.episode.cooling_capacity,
            p.heating_effectiveness * plant.episode.heating_capacity,
        ]
    )
    effect: FloatArray = (full * sag).clip(0.0, 0.95)
    return effect


def _damper(
    returned: FloatArray, outdoor: FloatArray, wanted: FloatArray, p: PlantParameters
) -> tuple[FloatArray, FloatArray]:
    """Damper position and the mixed temperature it will give."""
    fractions = outdoor_fraction(_DAMPERS, p)
    low, high = outdoor_fraction(MIN_OUTDOOR_DAMPER, p), fractions[-1]
    span = outdoor - returned
    span = np.where(np.abs(span) < 0.3, np.where(span < 0.0, -0.3, 0.3), span)
    fraction = ((wanted - returned) / span).clip(low, high)
    cold = (COLDEST_MIXED_DEGC - returned) / span
    fraction = np.where(
        outdoor < COLDEST_MIXED_DEGC, np.minimum(fraction, np.maximum(cold, 0.0)), fraction
    )
    return np.interp(fraction, fractions, _DAMPERS), returned + fraction * (outdoor - returned)


def _valves(plant: AirHandlerPlant, mixed: FloatArray, wanted: FloatArray) -> FloatArray:
    """Cooling and heating valve that bring air of `mixed` to `wanted`; (2, B), 0 to 1."""
    p, world = plant.parameters, plant.disturbances
    water = world[[episodes.CHILLED_WATER, episodes.HOT_WATER]]
    gap = wanted - mixed
    approach = water - mixed
    sides = np.stack([np.minimum(approach[0], -0.5), np.maximum(approach[1], 0.5)])
    share = (gap / sides / _full_effect(plant)).clip(0.0, 1.0)
    curve = np.array([[p.cooling_curve], [p.heating_curve]])
    dead = np.array([[p.cooling_dead], [p.heating_dead]])
    opened = share * curve / (1.0 - (1.0 - curve) * share)
    valves: FloatArray = np.where(share > 0.0, dead + (1.0 - dead) * opened, 0.0)
    return valves
