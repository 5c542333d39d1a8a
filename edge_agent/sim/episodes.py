"""Episodes: what the world does to an air handler, drawn from a seed.

Owns: weather, set-point, occupancy, gains, water temperatures and the unit's hidden
condition, for a batch of episodes. Must not: know the plant or a controller.

Every quantity is a table of knots a minute apart, so an episode is the same whatever the
step and can be kept, plotted or replaced by a measured day. Only + - * / are used, so a seed
gives the same bytes on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

KNOT_S = 60.0

# Rows of Episode.knots: the first four are interpolated, the last two stand until changed.
OUTDOOR, CHILLED_WATER, HOT_WATER, GAINS, SETPOINT, OCCUPANCY = range(6)
_SMOOTH = 4

OUTDOOR_RANGE_DEGC = (-15.0, 38.0)
SETPOINT_RANGE_DEGC = (10.0, 32.0)
CAPACITY_RANGE = (0.7, 1.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A batch of B episodes of equal length.

    `knots` has shape (K, 6, B): degC, degC, degC, fraction of full gains, degC, 0 or 1.
    The other arrays have shape (B,).
    """

    seeds: tuple[int, ...]
    knots: FloatArray
    cooling_capacity: FloatArray  # factor on the coil's effectiveness, 1 = as fitted
    heating_capacity: FloatArray
    noise: FloatArray  # factor on the sensors' noise
    zone_start_degc: FloatArray

    @property
    def duration_s(self) -> float:
        return (len(self.knots) - 1) * KNOT_S

    def at(self, time_s: float) -> FloatArray:
        """Disturbances at `time_s`, shape (6, B); the ends stand beyond the episode."""
        position = max(time_s, 0.0) / KNOT_S
        last = len(self.knots) - 1
        k = min(max(int(position), 0), last)
        now: FloatArray = self.knots[k].copy()
        if k < last:
            now[:_SMOOTH] += (self.knots[k + 1, :_SMOOTH] - now[:_SMOOTH]) * (position - k)
        return now


def sample(seeds: Sequence[int], duration_s: float) -> Episode:
    """One episode per seed. An episode does not depend on the others of the batch."""
    drawn = [_draw(seed, int(duration_s / KNOT_S) + 1) for seed in seeds]
    return Episode(
        seeds=tuple(seeds),
        knots=np.stack([knots for knots, _ in drawn], axis=2),
        cooling_capacity=np.array([hidden[0] for _, hidden in drawn]),
        heating_capacity=np.array([hidden[1] for _, hidden in drawn]),
        noise=np.array([hidden[2] for _, hidden in drawn]),
        zone_start_degc=np.array([hidden[3] for _, hidden in drawn]),
    )


def shoulder_morning(seed: int) -> Episode:
    """Thirty minutes of an April morning: heating, then free cooling, then the chiller.

    The default of the simulator: outdoor air warms from 4 to 20 degC (in a fraction of the
    time that a real morning takes) while the set-point steps 20, 16, 13, 17.
    """
    minutes = np.arange(31, dtype=np.float64)
    knots = np.empty((31, 6, 1))
    knots[:, OUTDOOR, 0] = 4.0 + minutes * (16.0 / 30.0)
    knots[:, CHILLED_WATER, 0] = 6.5
    knots[:, HOT_WATER, 0] = 55.0
    knots[:, GAINS, 0] = np.where(minutes < 5, 0.3, 0.7)
    setpoints = [(0, 20.0), (8, 16.0), (16, 13.0), (25, 17.0)]
    for start, value in setpoints:
        knots[start:, SETPOINT, 0] = value
    knots[:, OCCUPANCY, 0] = 1.0
    rng = np.random.default_rng(seed)
    return Episode(
        seeds=(seed,),
        knots=knots,
        cooling_capacity=_uniform(rng, 0.85, 1.0),
        heating_capacity=_uniform(rng, 0.85, 1.0),
        noise=np.ones(1),
        zone_start_degc=_uniform(rng, 20.0, 22.0),
    )


def _uniform(rng: np.random.Generator, low: float, high: float, size: int = 1) -> FloatArray:
    return low + (high - low) * rng.random(size)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(rng.random())


def _wander(rng: np.random.Generator, count: int, spacing: int) -> FloatArray:
    """Smooth noise in -1..1: random levels `spacing` knots apart, eased between."""
    levels = 2.0 * rng.random(count // spacing + 2) - 1.0
    k = np.arange(count)
    i, x = k // spacing, (k % spacing) / spacing
    ease = x * x * (3.0 - 2.0 * x)
    eased: FloatArray = levels[i] + (levels[i + 1] - levels[i]) * ease
    return eased


def _daily(hour: FloatArray) -> FloatArray:
    """A day's swing in -1..1 from parabolas: coldest at 3, warmest at 15 o'clock."""
    phase = (hour - 9.0) / 24.0
    phase = phase - np.floor(phase)
    half = np.where(phase < 0.5, phase, phase - 0.5) * 2.0
    arch = 4.0 * half * (1.0 - half)
    wave: FloatArray = np.where(phase < 0.5, arch, -arch)
    return wave


def _draw(seed: int, count: int) -> tuple[FloatArray, tuple[float, float, float, float]]:
    rng = np.random.default_rng(seed)
    minutes = np.arange(count, dtype=np.float64)
    hour = _between(rng, 5.0, 18.0) + minutes / 60.0
    mean = _between(rng, -11.0, 33.0)
    swing = _between(rng, 1.0, 5.0)
    outdoor = mean + swing * _daily(hour) + 1.0 * _wander(rng, count, 20)
    knots = np.empty((count, 6))
    knots[:, OUTDOOR] = np.clip(outdoor, *OUTDOOR_RANGE_DEGC)
    knots[:, CHILLED_WATER] = _between(rng, 5.5, 8.0) + 0.7 * _wander(rng, count, 12)
    knots[:, HOT_WATER] = _between(rng, 48.0, 65.0) + 3.0 * _wander(rng, count, 12)
    knots[:, SETPOINT] = _setpoints(rng, count, mean)
    occupied = _occupancy(rng, count)
    knots[:, OCCUPANCY] = occupied
    load = _between(rng, 0.3, 0.9) + 0.1 * _wander(rng, count, 10)
    knots[:, GAINS] = np.where(occupied > 0.0, load, 0.1)
    hidden = (
        _between(rng, *CAPACITY_RANGE),
        _between(rng, *CAPACITY_RANGE),
        _between(rng, 0.5, 1.5),
        _between(rng, 18.0, 25.0),
    )
    return knots, hidden


def _level(rng: np.random.Generator, outdoor_mean: float) -> float:
    """A set-point: 12 to 20 degC mostly, higher in the cold, seldom anywhere."""
    kind = rng.random()
    if kind < 0.1:
        return _between(rng, *SETPOINT_RANGE_DEGC)
    if outdoor_mean < 5.0 and kind < 0.4:
        return _between(rng, 16.0, 24.0)
    return _between(rng, 12.0, 20.0)


def _setpoints(rng: np.random.Generator, count: int, outdoor_mean: float) -> FloatArray:
    """Levels that stand for 15 to 50 minutes; half of the steps are small."""
    values = np.empty(count)
    k, level = 0, _level(rng, outdoor_mean)
    while k < count:
        length = int(_between(rng, 15.0, 50.0))
        values[k : k + length] = level
        k += length
        if rng.random() < 0.5:
            level = level + _between(rng, -2.5, 2.5)
        else:
            level = _level(rng, outdoor_mean)
        level = min(max(level, SETPOINT_RANGE_DEGC[0]), SETPOINT_RANGE_DEGC[1])
    return values


def _occupancy(rng: np.random.Generator, count: int) -> FloatArray:
    """Occupied throughout, or starting late, or leaving early."""
    occupied = np.ones(count)
    kind = rng.random()
    cut = int(_between(rng, 0.1, 0.3) * count)
    if kind < 0.25:
        occupied[:cut] = 0.0
    elif kind < 0.35:
        occupied[count - cut :] = 0.0
    return occupied
