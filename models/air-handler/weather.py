"""Episodes to train on: drawn ones, and windows of the recorded days.

Owns: mixing the two sources and widening the starts. Must not: be used to score.
"""

from pathlib import Path

import numpy as np
from airlog import FIT_DAYS, read_days
from fit_plant import as_episode

from edge_agent.sim import episodes
from edge_agent.sim.episodes import Episode, FloatArray, sample

RECORDED_SHARE = 0.25
WIDE_SHARE = 0.15  # units that start from a zone between WIDE_ZONE_DEGC
WIDE_ZONE_DEGC = (8.0, 36.0)
TRAINING_SEEDS = 1_000_000  # the first of the seeds reserved for training


class Weather:
    """An endless, seeded source of training episodes."""

    def __init__(self, seed: int, log: Path) -> None:
        self._rng = np.random.default_rng(seed)
        self._recorded = as_episode(read_days(log, FIT_DAYS)).knots
        self._next_seed = TRAINING_SEEDS

    def draw(self, batch: int, duration_s: float) -> Episode:
        """A batch of new episodes."""
        seeds = range(self._next_seed, self._next_seed + batch)
        self._next_seed += batch
        episode = sample(seeds, duration_s)
        count = len(episode.knots)
        for b in range(int(batch * RECORDED_SHARE)):
            episode.knots[:, :, b] = self._window(count)
        wide = self._rng.random(batch) < WIDE_SHARE
        starts = self._rng.uniform(*WIDE_ZONE_DEGC, batch)
        episode.zone_start_degc[wide] = starts[wide]
        return episode

    def _window(self, count: int) -> FloatArray:
        """Part of a recorded day, half of them around the start of occupancy at six, with
        water temperatures of its own."""
        day = self._rng.integers(self._recorded.shape[2])
        last = len(self._recorded) - count
        start = (
            self._rng.integers(last) if self._rng.random() < 0.5 else self._rng.integers(320, 360)
        )
        window: FloatArray = self._recorded[start : start + count, :, day].copy()
        window[:, episodes.CHILLED_WATER] = self._rng.uniform(5.5, 8.0)
        window[:, episodes.HOT_WATER] = self._rng.uniform(48.0, 65.0)
        return window
