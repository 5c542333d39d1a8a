"""The rival: split-range PI control as a good installer sets it up, gains found by search.

Owns: the controller and its gains. Must not: see more than the sensors, or less: it gets
filtering, anti-windup, a differential dry-bulb economiser and a gain for each device.

One integrating signal u runs through three devices: -1 to 0 heating (100 to 0 %), 0 to 1 the
damper (minimum to 100 %, when outdoor air is the cooler one), 1 to 2 cooling (0 to 100 %).
`python models/air-handler/pid.py` searches the gains anew, on seeds used for nothing else.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
from closed_loop import Score, run
from teacher import COLDEST_MIXED_DEGC, FAN, MIN_OUTDOOR_DAMPER

from edge_agent.sim.episodes import FloatArray, sample

ECONOMISER_BAND_K = 1.0  # outdoor air helps from so much below return air
SEARCH_SEEDS = range(20_000, 20_048)
SEARCH_DURATION_S, SEARCH_DT_S = 3600.0, 1.0
SEARCH_TRIALS = 150
TRAVEL_PRICE = 0.05 / 100.0  # K per %/h: what the search pays for travel


@dataclass(frozen=True, slots=True, kw_only=True)
class Gains:
    """Per K of error for each device, in shares of its stroke; times in seconds."""

    heating: float
    damper: float
    cooling: float
    reset_heating_s: float
    reset_damper_s: float
    reset_cooling_s: float
    filter_s: float
    dead_band_k: float


class SplitRangePi:
    """Batched controller; `decide` as in closed_loop.Controller."""

    def __init__(self, gains: Gains) -> None:
        self._gains = gains
        self._filtered: FloatArray | None = None
        self._last_error: FloatArray | None = None
        self._u = np.zeros(1)
        self._economising = np.zeros(1, dtype=bool)

    def decide(self, values: list[FloatArray], commands: FloatArray, dt_s: float) -> FloatArray:  # noqa: ARG002 - one signature for all controllers
        """Wanted positions (4, B) in percent."""
        g = self._gains
        supply, mixed, outdoor, returned, setpoint, status, occupancy = values[:7]
        if self._filtered is None:
            self._filtered, self._u = supply.copy(), np.zeros_like(supply)
            self._economising = np.zeros(len(supply), dtype=bool)
        self._filtered = self._filtered + (supply - self._filtered) * (dt_s / (g.filter_s + dt_s))
        error = self._filtered - setpoint  # positive: too warm, u must rise
        error = np.sign(error) * np.maximum(np.abs(error) - g.dead_band_k, 0.0)
        change = error - self._last_error if self._last_error is not None else np.zeros_like(error)
        self._last_error = error
        self._economising = np.where(
            self._economising,
            outdoor < returned,
            outdoor < returned - ECONOMISER_BAND_K,
        )
        running = (status > 0.5) & (occupancy > 0.5)
        u = self._u + self._increment(error, change, dt_s)
        skipped = np.where(u > self._u, 1.0, 0.0)  # no free cooling: jump over its range
        u = np.where(~self._economising & (u > 0.0) & (u < 1.0), skipped, u)
        self._u = np.where(running, u.clip(-1.0, 2.0), 0.0)
        return self._positions(mixed, outdoor, occupancy)

    def _increment(self, error: FloatArray, change: FloatArray, dt_s: float) -> FloatArray:
        g, u = self._gains, self._u
        gain = np.where(u < 0.0, g.heating, np.where(u < 1.0, g.damper, g.cooling))
        reset = np.where(
            u < 0.0, g.reset_heating_s, np.where(u < 1.0, g.reset_damper_s, g.reset_cooling_s)
        )
        increment: FloatArray = gain * (change + error * dt_s / reset)
        return increment

    def _positions(
        self, mixed: FloatArray, outdoor: FloatArray, occupancy: FloatArray
    ) -> FloatArray:
        u = self._u
        free = np.where(self._economising, u.clip(0.0, 1.0), 0.0)
        damper = MIN_OUTDOOR_DAMPER + (1.0 - MIN_OUTDOOR_DAMPER) * free
        # Low limit of the mixed air: close in proportion over two degrees.
        damper *= np.where(
            outdoor < mixed, ((mixed - COLDEST_MIXED_DEGC + 2.0) / 2.0).clip(0.0, 1.0), 1.0
        )
        positions = np.stack(
            [damper, (u - 1.0).clip(0.0, 1.0), (-u).clip(0.0, 1.0), np.full_like(u, FAN)]
        )
        return positions * 100.0 * (occupancy > 0.5)


# Found by `python models/air-handler/pid.py`.
TUNED = Gains(
    heating=0.0571,
    damper=0.0465,
    cooling=0.0295,
    reset_heating_s=36.0,
    reset_damper_s=37.0,
    reset_cooling_s=42.1,
    filter_s=10.5,
    dead_band_k=0.0987,
)
_FIELDS = [f.name for f in dataclasses.fields(Gains)]
_LOW = np.array([0.005, 0.01, 0.002, 10.0, 10.0, 10.0, 0.5, 0.0])
_HIGH = np.array([0.5, 0.5, 0.2, 300.0, 300.0, 300.0, 20.0, 0.3])


def price(score: Score) -> float:
    """What the search makes small: error and, a little, travel."""
    return score.rms_k() + TRAVEL_PRICE * score.travel_percent_h()


def search() -> Gains:
    """Random search, first wide, then around the best."""
    rng = np.random.default_rng(0)
    episode = sample(SEARCH_SEEDS, SEARCH_DURATION_S)
    best = np.array([getattr(TUNED, n) for n in _FIELDS])
    least = np.inf
    for trial in range(SEARCH_TRIALS):
        x = best.copy()
        if 0 < trial < SEARCH_TRIALS // 3:
            x = np.exp(rng.uniform(np.log(_LOW + 1e-3), np.log(_HIGH)))
        elif trial > 0:
            x = (best * np.exp(rng.normal(0.0, 0.3, len(best)))).clip(_LOW, _HIGH)
        gains = Gains(**dict(zip(_FIELDS, map(float, x), strict=True)))
        score = run(episode, SplitRangePi(gains), SEARCH_DT_S)
        if price(score) < least:
            least, best = price(score), x
            print(
                trial,
                f"{score.rms_k():.3f} K {score.travel_percent_h():.0f} %/h"
                f" {score.energy_kwh():.3f} kWh {score.overshoot():.2f}",
                gains,
                flush=True,
            )
    return Gains(**dict(zip(_FIELDS, map(float, best), strict=True)))


if __name__ == "__main__":
    print(search())
