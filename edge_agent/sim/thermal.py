"""The physics of an air handler: one pure function from a state to the next.

Owns: the equations. Must not: keep state, draw noise or read a clock.

Only operators, `clip` and a stacking function given by the caller are used, so the very same
equations run on NumPy arrays in the simulator and on arrays with gradients in training. The
last axis of every array is the unit of a batch. All heat balances and lags are backward
Euler: stable for any step and any command. docs/plant.md writes the equations out.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from edge_agent.sim.episodes import CHILLED_WATER, GAINS, HOT_WATER, OUTDOOR
from edge_agent.sim.plant_parameters import PlantParameters

AIR_J_KG_K = 1006.0
_MOST = 0.95  # effectiveness of a large coil at small flow


class State(NamedTuple):
    """State of the units. Positions and speeds are fractions, 0 to 1."""

    positions: Any  # (4, B): damper, cooling valve, heating valve, fan
    fan_proof_s: Any  # (B,): how long the fan has been above its proving speed, bounded
    effects: Any  # (2, B): effectiveness of the cooling and the heating coil as they are now
    mixed_degc: Any
    supply_degc: Any
    zone_degc: Any
    sensors_degc: Any  # (2, B): supply and mixed, behind the sensors' lag
    return_degc: Any
    coil_w: Any  # (2, B): heat taken by the cooling coil, given by the heating coil


class Coefficients(NamedTuple):
    """Parameters prepared for one step size; arrays are columns, to meet a batch."""

    p: PlantParameters
    dt_s: float
    position_gain: Any  # (4, 1)
    dead: Any  # (2, 1): cooling, heating, as all pairs here
    opening: Any  # (2, 1): 1 / (1 - dead)
    curve: Any  # (2, 1)
    straight: Any  # (2, 1): 1 - curve
    effectiveness: Any  # (2, 1)
    coil_gain: float
    sensor_gain: float
    stack: Callable[[list[Any]], Any]


def coefficients(
    p: PlantParameters,
    dt_s: float,
    array: Callable[[list[list[float]]], Any],
    stack: Callable[[list[Any]], Any],
) -> Coefficients:
    """Parameters for a step of `dt_s`, as arrays made by `array` and joined by `stack`."""
    lags_s = (p.damper_lag_s, p.valve_lag_s, p.valve_lag_s, p.fan_lag_s)
    dead = (p.cooling_dead, p.heating_dead)
    curve = (p.cooling_curve, p.heating_curve)
    return Coefficients(
        p=p,
        dt_s=dt_s,
        position_gain=array([[_gain(lag_s, dt_s)] for lag_s in lags_s]),
        dead=array([[d] for d in dead]),
        opening=array([[1.0 / (1.0 - d)] for d in dead]),
        curve=array([[c] for c in curve]),
        straight=array([[1.0 - c] for c in curve]),
        effectiveness=array([[p.cooling_effectiveness], [p.heating_effectiveness]]),
        coil_gain=_gain(p.coil_lag_s, dt_s),
        sensor_gain=_gain(p.sensor_lag_s, dt_s),
        stack=stack,
    )


def advance(s: State, commands: Any, world: Any, capacity: Any, c: Coefficients) -> State:
    """The units one step later.

    `commands`: (4, B), 0 to 1. `world`: rows of `Episode.knots`. `capacity`: (2, B), factors
    on the cooling and the heating coil.
    """
    p = c.p
    positions = s.positions + (commands - s.positions) * c.position_gain
    damper, fan = positions[0], positions[3]
    air_w_k = fan * (p.flow_kg_s * AIR_J_KG_K)

    mixing = s.return_degc + outdoor_fraction(damper, p) * (world[OUTDOOR] - s.return_degc)
    mixed = _casing(s.mixed_degc, air_w_k, mixing, p.mixing_capacity_j_k, c)

    settled = coil_effects(positions[1:3], fan, capacity, c)
    effects = s.effects + (settled - s.effects) * c.coil_gain
    heated = mixed + effects[1] * (world[HOT_WATER] - mixed)
    cooled = heated + effects[0] * (world[CHILLED_WATER] - heated)
    blown = cooled + fan * fan * p.fan_rise_k
    supply = _casing(s.supply_degc, air_w_k, blown, p.duct_capacity_j_k, c)

    zone = _zone(s.zone_degc, air_w_k, supply, world, c)
    air = c.stack([supply, mixed])
    return State(
        positions=positions,
        fan_proof_s=((s.fan_proof_s + c.dt_s) * (fan > p.prove_speed)).clip(0.0, p.prove_delay_s),
        effects=effects,
        mixed_degc=mixed,
        supply_degc=supply,
        zone_degc=zone,
        sensors_degc=s.sensors_degc + (air - s.sensors_degc) * c.sensor_gain,
        return_degc=zone + world[GAINS] * p.plenum_rise_k,
        coil_w=c.stack([heated - cooled, heated - mixed]) * air_w_k,
    )


def outdoor_fraction(damper: Any, p: PlantParameters) -> Any:
    """Share of outdoor air in the mixed air for a damper position."""
    span = p.outdoor_full - p.outdoor_leak
    eased = damper * (damper * -2.0 + 3.0) * (1.0 - p.outdoor_linear) + p.outdoor_linear
    return damper * eased * span + p.outdoor_leak


def coil_effects(valves: Any, fan: Any, capacity: Any, c: Coefficients) -> Any:
    """Effectiveness at which the two coils would settle, bounded by physics; (2, B)."""
    opened = ((valves - c.dead) * c.opening).clip(0.0, 1.0)
    shape = opened / (opened * c.straight + c.curve)
    sag = (1.0 + c.p.flow_sag) / (fan * c.p.flow_sag + 1.0)
    return (shape * c.effectiveness * capacity * sag).clip(0.0, _MOST)


def _gain(lag_s: float, dt_s: float) -> float:
    return dt_s / (lag_s + dt_s)


def _casing(now: Any, air_w_k: Any, inflow: Any, capacity_j_k: float, c: Coefficients) -> Any:
    """Temperature of a casing with air flowing through it and a loss to the plant room."""
    store, loss_w_k = capacity_j_k / c.dt_s, c.p.casing_loss_w_k
    gain = now * store + air_w_k * inflow + loss_w_k * c.p.plant_room_degc
    return gain / (air_w_k + (store + loss_w_k))


def _zone(zone: Any, air_w_k: Any, supply: Any, world: Any, c: Coefficients) -> Any:
    """Temperature of the zone; terminal units hold it near their target, within bounds."""
    p = c.p
    lacking = (p.zone_target_degc - zone) * p.terminal_gain_w_k
    terminal_w = lacking.clip(-p.terminal_max_w, p.terminal_max_w)
    store = p.zone_capacity_j_k / c.dt_s
    gain = zone * store + air_w_k * supply + world[OUTDOOR] * p.zone_loss_w_k
    return (gain + world[GAINS] * p.gains_full_w + terminal_w) / (
        air_w_k + (store + p.zone_loss_w_k)
    )
