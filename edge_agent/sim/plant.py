"""The simulated air handler: a mixing box, two water coils, a fan, a duct and a zone.

Owns: one batch of units with their clocks, sensors and energy counters. Must not: hold the
physics (`thermal.py`), limit or judge a command, or know a controller.

Every quantity is an array whose last axis is the unit of the batch. Only + - * / and
comparisons are used, so equal seeds give equal bytes on every machine.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge_agent.sim import episodes
from edge_agent.sim.episodes import Episode, FloatArray
from edge_agent.sim.plant_fitted import FITTED
from edge_agent.sim.plant_parameters import PlantParameters
from edge_agent.sim.thermal import Coefficients, State, advance, coefficients

# The sum of four uniforms has variance 4/12; this makes it one.
_UNIT = 1.7320508075688772
_NOISE_BLOCK = 128  # measurements drawn at once, per unit
_NOISY = 6  # supply, mixed, outdoor, return, current, position
_TURNING = 0.005  # fan speed below which the motor draws nothing


class AirHandlerPlant:
    """A batch of B units living through an episode."""

    def __init__(self, episode: Episode, parameters: PlantParameters = FITTED) -> None:
        self.episode = episode
        self.parameters = parameters
        self.batch = len(episode.seeds)
        self.time_s = 0.0
        self.energy_j = np.zeros((2, self.batch))  # cooling, heating
        self.fan_energy_j = np.zeros(self.batch)
        self.disturbances = episode.at(0.0)
        self.state = initial_state(episode, parameters)
        self._capacity = np.stack([episode.cooling_capacity, episode.heating_capacity])
        self._coefficients: dict[float, Coefficients] = {}
        # A stream of its own per unit, so that a unit does not depend on its batch.
        self._generators = [np.random.default_rng((seed, 1)) for seed in episode.seeds]
        self._noise = np.empty((0, _NOISY, self.batch))
        self._noise_used = 0

    def step(self, commands: Sequence[float | FloatArray], dt_s: float) -> None:
        """Move on by `dt_s` with damper, cooling, heating and fan commanded in percent."""
        if dt_s not in self._coefficients:
            self._coefficients[dt_s] = coefficients(self.parameters, dt_s, np.array, np.array)
        fractions = np.array(commands, dtype=np.float64).reshape(4, -1) * 0.01
        self.disturbances = self.episode.at(self.time_s)
        s = self.state = advance(
            self.state, fractions, self.disturbances, self._capacity, self._coefficients[dt_s]
        )
        self.time_s += dt_s
        self.energy_j += s.coil_w * dt_s
        fan = s.positions[3]
        self.fan_energy_j += fan * fan * fan * (self.parameters.fan_power_w * dt_s)

    @property
    def supply_temperature_true(self) -> FloatArray:
        """Air temperature in the supply duct, degC, before the sensor's lag and noise."""
        supply: FloatArray = self.state.supply_degc
        return supply

    @property
    def cooling_power_w(self) -> FloatArray:
        """Heat that the cooling coil takes from the air."""
        power: FloatArray = self.state.coil_w[0]
        return power

    @property
    def heating_power_w(self) -> FloatArray:
        """Heat that the heating coil gives to the air."""
        power: FloatArray = self.state.coil_w[1]
        return power

    @property
    def outdoor_true(self) -> FloatArray:
        """Outdoor temperature, degC, before the sensor's noise."""
        outdoor: FloatArray = self.disturbances[episodes.OUTDOOR]
        return outdoor

    @property
    def fan_status(self) -> npt.NDArray[np.bool_]:
        """Whether the flow is proved."""
        proved: npt.NDArray[np.bool_] = self.state.fan_proof_s >= self.parameters.prove_delay_s
        return proved

    def measure_batch(self) -> list[FloatArray]:
        """The nine sensors in the envelope's order and units, each of shape (B,)."""
        s, p, now, noise = self.state, self.parameters, self.disturbances, self._next_noise()
        damper, _, _, fan = s.positions
        current = p.fan_idle_a + p.fan_current_a * fan * fan + noise[4]
        position = (damper + noise[5]) * 100.0
        supply, mixed = s.sensors_degc + noise[:2]
        return [
            supply,
            mixed,
            now[episodes.OUTDOOR] + noise[2],
            s.return_degc + noise[3],
            now[episodes.SETPOINT],
            self.fan_status.astype(np.float64),
            now[episodes.OCCUPANCY],
            (current * (fan > _TURNING)).clip(0.0),
            position.clip(0.0, 100.0),
        ]

    def measure(self) -> list[float]:
        """The nine sensors of a single unit; ValueError for a batch."""
        if self.batch != 1:
            raise ValueError(f"measure() is for one unit, this is a batch of {self.batch}")
        return [float(value[0]) for value in self.measure_batch()]

    def _next_noise(self) -> FloatArray:
        """Noise of one measurement, shape (6, B): sums of uniforms, whose bytes are portable."""
        if self._noise_used == len(self._noise):
            p = self.parameters
            shape = (4, _NOISE_BLOCK, _NOISY)
            drawn = [g.random(shape).sum(axis=0) - 2.0 for g in self._generators]
            t = p.temperature_noise_k
            deviation = np.array([t, t, t, t, p.current_noise_a, p.position_noise]) * _UNIT
            scale = deviation[:, None] * self.episode.noise
            self._noise = np.stack(drawn, axis=2) * scale
            self._noise_used = 0
        self._noise_used += 1
        block: FloatArray = self._noise[self._noise_used - 1]
        return block


def initial_state(episode: Episode, p: PlantParameters) -> State:
    """Everything off and shut; the casing at the plant room's temperature."""
    batch = len(episode.seeds)
    room = np.full(batch, p.plant_room_degc)
    zone = np.array(episode.zone_start_degc)
    return State(
        positions=np.zeros((4, batch)),
        fan_proof_s=np.zeros(batch),
        effects=np.zeros((2, batch)),
        mixed_degc=room,
        supply_degc=room,
        zone_degc=zone,
        sensors_degc=np.stack([room, room]),
        return_degc=zone,
        coil_w=np.zeros((2, batch)),
    )
