"""Closed loops of any controller with the plant, as the device would run them.

Owns: a batched copy of what the envelope does in ordinary running (range, rate, resolution,
interlocks; not its faults) and the measures by which controllers are compared. Must not:
know a particular controller.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from observation import ACTUATORS, SENSORS
from teacher import reachable

from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim.episodes import Episode, FloatArray
from edge_agent.sim.plant import AirHandlerPlant

DAMPER, COOLING, HEATING, FAN = range(4)
RATE_PERCENT_S = np.array(
    [[a.rate_up_counts_per_s / a.counts_per_unit] for a in ENVELOPE.actuators]
)
FREEZE = next(i for i in ENVELOPE.interlocks if i.name == "freeze")
FREEZE_BELOW_DEGC, FREEZE_CLEAR_DEGC = FREEZE.ok_min / 100.0, FREEZE.clear_min / 100.0
SETTLE_S = 300.0  # from the fan's proof until errors count
GRACE_S = 180.0  # from a step of the set-point until overshoot counts as such
KELVIN_OF_REACH = 0.3
MIXED, SETPOINT = SENSORS.index("mixed_temperature"), SENSORS.index("supply_setpoint")
FAN_STATUS, OCCUPANCY = SENSORS.index("fan_status"), SENSORS.index("occupancy")


class Controller(Protocol):
    """Decides for a batch."""

    def decide(self, values: list[FloatArray], commands: FloatArray, dt_s: float) -> FloatArray:
        """Wanted positions (4, B) in percent for nine sensor values and the last commands."""


class Limits:
    """Range, rate, resolution and interlocks of the envelope for a batch."""

    def __init__(self, batch: int) -> None:
        self.commands = np.zeros((len(ACTUATORS), batch))
        self._frozen = np.zeros(batch, dtype=bool)

    def apply(self, wanted: FloatArray, values: list[FloatArray], dt_s: float) -> FloatArray:
        most = RATE_PERCENT_S * dt_s
        moved = self.commands + (wanted.clip(0.0, 100.0) - self.commands).clip(-most, most)
        moved = np.round(moved * 10.0) / 10.0  # the resolution of a command is a tenth
        still = values[FAN_STATUS] < 0.5
        moved[COOLING:FAN, still] = 0.0
        self._frozen = np.where(
            self._frozen, values[MIXED] < FREEZE_CLEAR_DEGC, values[MIXED] < FREEZE_BELOW_DEGC
        )
        moved[:HEATING, self._frozen] = 0.0
        moved[COOLING, moved[HEATING] > 0.0] = 0.0
        limited: FloatArray = moved
        self.commands = limited
        return limited


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Measures per episode, each (B,)."""

    squared_error: FloatArray  # sum over counted seconds, K2 s
    counted_s: FloatArray
    overshoot_k: FloatArray  # largest passing beyond a new set-point after a step
    coil_kwh: FloatArray
    travel_percent: FloatArray  # damper and both valves
    occupied_s: FloatArray
    simultaneous_s: FloatArray
    freezing_s: FloatArray

    def rms_k(self) -> float:
        return float(np.sqrt(self.squared_error.sum() / self.counted_s.sum()))

    def overshoot(self) -> float:
        return float(self.overshoot_k.mean())

    def energy_kwh(self) -> float:
        return float(self.coil_kwh.mean())

    def travel_percent_h(self) -> float:
        return float(self.travel_percent.sum() / self.occupied_s.sum() * 3600.0)


def run(episode: Episode, controller: Controller, dt_s: float) -> Score:
    """All episodes to their end. Errors count while occupied, SETTLE_S after the fan is
    proved, where the set-point is within reach of the plant at all (the same rows for every
    controller, up to what its own return air makes of the zone)."""
    plant = AirHandlerPlant(episode)
    limits = Limits(plant.batch)
    zero = np.zeros(plant.batch)
    sums = {n: zero.copy() for n in ("sq", "n", "over", "travel", "occ", "both", "cold")}
    running, since_step, last_setpoint, side = zero.copy(), zero + 1e9, None, zero.copy()
    for _ in range(round(episode.duration_s / dt_s)):
        values = plant.measure_batch()
        before = limits.commands
        commands = limits.apply(controller.decide(values, before, dt_s), values, dt_s)
        plant.step(list(commands), dt_s)
        occupied = values[OCCUPANCY] > 0.5
        running = np.where(plant.fan_status & occupied, running + dt_s, 0.0)
        setpoint = values[SETPOINT]
        error = plant.supply_temperature_true - setpoint
        low, high = reachable(plant)
        within = (setpoint > low + KELVIN_OF_REACH) & (setpoint < high - KELVIN_OF_REACH)
        counted = (running > SETTLE_S) & within
        sums["sq"] += np.where(counted, error * error, 0.0) * dt_s
        sums["n"] += counted * dt_s
        if last_setpoint is not None:
            stepped = setpoint != last_setpoint
            side = np.where(stepped, np.sign(setpoint - last_setpoint), side)
            since_step = np.where(stepped, 0.0, since_step + dt_s)
        last_setpoint = setpoint
        passing = np.where(counted & (since_step < 600.0), error * side, 0.0)
        sums["over"] = np.maximum(sums["over"], passing)
        sums["travel"] += np.abs(commands - before)[:FAN].sum(axis=0) * occupied
        sums["occ"] += occupied * dt_s
        sums["both"] += ((commands[COOLING] > 0) & (commands[HEATING] > 0)) * dt_s
        sums["cold"] += (values[MIXED] < FREEZE_BELOW_DEGC) * dt_s
    return Score(
        squared_error=sums["sq"],
        counted_s=sums["n"],
        overshoot_k=sums["over"],
        coil_kwh=plant.energy_j.sum(axis=0) / 3.6e6,
        travel_percent=sums["travel"],
        occupied_s=sums["occ"],
        simultaneous_s=sums["both"],
        freezing_s=sums["cold"],
    )
