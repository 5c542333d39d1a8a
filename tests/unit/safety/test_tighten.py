"""Config may make a limit stricter, and nothing else."""

import math
from typing import Any

import pytest

from edge_agent.core.errors import ConfigError
from edge_agent.safety.limits import Envelope
from edge_agent.safety.tighten import tighten
from tests.unit.safety.lab import envelope

STRICTER = [
    ("level", "min_counts", 1),
    ("level", "max_counts", -1),
    ("level", "max_step_counts", -1),
    ("level", "max_age_ns", -1),
    ("pump", "min_counts", 1),
    ("pump", "max_counts", -1),
    ("pump", "rate_up_counts_per_s", -1),
    ("pump", "rate_down_counts_per_s", -1),
    ("pump", "travel_max_counts", -1),
    ("pump", "proposal_max_age_ns", -1),
    ("pump", "feedback_max_age_ns", -1),
    ("pump", "lease_ns", -1),
]


def free() -> Envelope:
    """Without the interlock, which forces the pump to its very minimum."""
    return envelope(locked=False)


def limit_of(limits: Envelope, channel: str, name: str) -> int:
    at = limits.channel_names.index(channel)
    value: int = getattr((*limits.sensors, *limits.actuators)[at], name)
    return value


@pytest.mark.parametrize(("channel", "limit", "step"), STRICTER)
def test_a_stricter_limit_is_taken_and_the_compiled_one_untouched(
    channel: str, limit: str, step: int
) -> None:
    compiled = free()
    before = limit_of(compiled, channel, limit)
    tight = tighten(compiled, {channel: {limit: before + step}})
    assert limit_of(tight, channel, limit) == before + step
    assert limit_of(compiled, channel, limit) == before
    assert compiled == free()


@pytest.mark.parametrize(("channel", "limit", "step"), STRICTER)
def test_a_wider_limit_is_refused_with_both_values(channel: str, limit: str, step: int) -> None:
    compiled = limit_of(free(), channel, limit)
    with pytest.raises(ConfigError) as caught:
        tighten(free(), {channel: {limit: compiled - step}})
    assert caught.value.where == f"limits.{channel}.{limit}"
    assert caught.value.what == f"{compiled - step} is wider than the hard-coded {compiled}"


@pytest.mark.parametrize(("channel", "limit", "step"), STRICTER)
def test_the_compiled_value_itself_may_be_written(channel: str, limit: str, step: int) -> None:
    assert step
    assert tighten(free(), {channel: {limit: limit_of(free(), channel, limit)}}) == free()


def test_no_change_gives_an_equal_envelope_with_an_equal_hash() -> None:
    assert tighten(envelope(), {}) == envelope()
    assert tighten(envelope(), {}).sha256() == envelope().sha256()


def test_a_change_of_one_limit_changes_the_hash() -> None:
    assert tighten(free(), {"pump": {"lease_ns": 1}}).sha256() != free().sha256()


def test_an_unknown_channel_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'pump'") as caught:
        tighten(envelope(), {"pumb": {"min_counts": 0}})
    assert caught.value.where == "limits.pumb"


def test_an_unknown_channel_like_no_other_is_refused_with_the_list() -> None:
    with pytest.raises(ConfigError, match="one of: level, pump, valve"):
        tighten(envelope(), {"zzz": {"min_counts": 0}})


def test_an_unknown_limit_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'rate_up_counts_per_s'"):
        tighten(envelope(), {"pump": {"rate_upp_counts_per_s": 1}})


@pytest.mark.parametrize("limit", ["safe", "effect", "name", "stuck_after_ns", "needed"])
def test_what_is_not_a_limit_cannot_be_configured(limit: str) -> None:
    for channel in ("pump", "level"):
        with pytest.raises(ConfigError, match="this limit cannot be configured"):
            tighten(envelope(), {channel: {limit: 1}})


@pytest.mark.parametrize("value", [math.nan, math.inf, 1.5, "1", None, True])
def test_a_limit_that_is_no_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="is not a whole number"):
        tighten(envelope(), {"pump": {"max_counts": value}})


@pytest.mark.parametrize(
    ("channel", "limit", "value", "words"),
    [
        ("pump", "min_counts", 21, "safe value is out of range"),
        ("pump", "max_counts", 19, "safe value is out of range"),
        ("pump", "min_counts", 300, "need"),
        ("pump", "lease_ns", 0, "must be positive"),
        ("pump", "rate_up_counts_per_s", -5, "must be positive"),
        ("level", "max_age_ns", 0, "must be positive"),
    ],
)
def test_a_stricter_limit_that_contradicts_another_is_refused(
    channel: str, limit: str, value: int, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        tighten(free(), {channel: {limit: value}})
    assert caught.value.where == "limits"


def test_a_sensor_range_that_would_silence_an_interlock_is_refused() -> None:
    with pytest.raises(ConfigError, match="no value of level can engage it"):
        tighten(envelope(), {"level": {"min_counts": 200}})
