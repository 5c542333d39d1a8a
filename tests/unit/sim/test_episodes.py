"""Episodes are seeded, smooth and within what the sensors can say."""

import numpy as np
import pytest

from edge_agent.sim import episodes
from edge_agent.sim.episodes import (
    CAPACITY_RANGE,
    OUTDOOR_RANGE_DEGC,
    SETPOINT_RANGE_DEGC,
    sample,
    shoulder_morning,
)


def test_same_seeds_give_the_same_bytes() -> None:
    first, second = sample([1, 2], 3600.0), sample([1, 2], 3600.0)
    assert first.knots.tobytes() == second.knots.tobytes()
    assert first.heating_capacity.tobytes() == second.heating_capacity.tobytes()


def test_an_episode_does_not_depend_on_its_batch() -> None:
    batch, alone = sample([7, 8, 9], 3600.0), sample([8], 3600.0)
    assert np.array_equal(batch.knots[:, :, 1:2], alone.knots)
    assert batch.cooling_capacity[1] == alone.cooling_capacity[0]


def test_different_seeds_differ() -> None:
    knots = sample([1, 2], 3600.0).knots
    assert not np.array_equal(knots[:, :, 0], knots[:, :, 1])


def test_every_quantity_stays_in_its_declared_range() -> None:
    episode = sample(range(200), 7200.0)
    outdoor, setpoint = (
        episode.knots[:, episodes.OUTDOOR],
        episode.knots[:, episodes.SETPOINT],
    )
    for values, (low, high) in (
        (outdoor, OUTDOOR_RANGE_DEGC),
        (setpoint, SETPOINT_RANGE_DEGC),
        (episode.cooling_capacity, CAPACITY_RANGE),
        (episode.heating_capacity, CAPACITY_RANGE),
    ):
        assert values.min() >= low
        assert values.max() <= high
    assert outdoor.max() - outdoor.min() > 40.0
    assert np.median(setpoint) == pytest.approx(16.5, abs=1.5)


def test_weather_is_smooth_and_setpoints_are_steps() -> None:
    episode = sample([11], 7200.0)
    minute_changes = np.abs(np.diff(episode.knots[:, episodes.OUTDOOR, 0]))
    assert minute_changes.max() < 0.3
    between = episode.at(90.0)
    left, right = episode.knots[1], episode.knots[2]
    assert between[episodes.OUTDOOR] == pytest.approx((left + right)[episodes.OUTDOOR] / 2.0)
    assert between[episodes.SETPOINT] == left[episodes.SETPOINT]


def test_the_ends_stand_before_and_after_an_episode() -> None:
    episode = sample([11], 600.0)
    assert np.array_equal(episode.at(-5.0), episode.knots[0])
    assert np.array_equal(episode.at(1e6), episode.knots[-1])
    assert episode.duration_s == 600.0


def test_some_episodes_start_or_end_unoccupied() -> None:
    occupied = sample(range(100), 3600.0).knots[:, episodes.OCCUPANCY]
    assert 10 < (occupied[0] == 0.0).sum() < 45
    assert 2 < (occupied[-1] == 0.0).sum() < 30


def test_the_default_morning_needs_heating_then_free_cooling_then_the_chiller() -> None:
    knots = shoulder_morning(1).knots[:, :, 0]
    setpoint, outdoor = knots[:, episodes.SETPOINT], knots[:, episodes.OUTDOOR]
    assert setpoint[0] > outdoor[0] + 10.0
    assert np.any((setpoint < 20.0) & (outdoor < setpoint - 3.0))
    assert np.any(outdoor > setpoint + 2.0)
    assert shoulder_morning(1).duration_s == 1800.0
