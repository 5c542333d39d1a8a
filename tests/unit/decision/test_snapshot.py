"""What a channel is worth: fresh, plausible and alive, or not to be trusted."""

import pytest

from edge_agent.core.records import Quality, Reading
from edge_agent.decision.snapshot import SnapshotBuilder
from tests.unit.safety.lab import T0, S, envelope

GOOD, STALE, MISSING, INVALID = Quality
PUMP = 1


def fed(*readings: Reading, now_ns: int = T0) -> SnapshotBuilder:
    builder = SnapshotBuilder(envelope())
    builder.add(readings, now_ns)
    return builder


def level(counts: int, stamp_ns: int = T0, quality: int = GOOD) -> Reading:
    return Reading(0, counts, stamp_ns, quality)


def quality_of(builder: SnapshotBuilder, now_ns: int = T0, channel: int = 0) -> int:
    return builder.at(now_ns).qualities[channel]


def test_a_channel_never_seen_is_missing_at_age_zero() -> None:
    snapshot = fed().at(T0)
    assert snapshot.qualities == (MISSING, MISSING, MISSING)
    assert snapshot.ages_ns == (0, 0, 0)


@pytest.mark.parametrize(
    ("counts", "quality"),
    [(0, GOOD), (1000, GOOD), (-1, INVALID), (1001, INVALID), (2**63, INVALID)],
)
def test_a_value_out_of_range_is_invalid_not_clamped(counts: int, quality: int) -> None:
    assert quality_of(fed(level(counts))) == quality


@pytest.mark.parametrize("quality", [STALE, MISSING, INVALID, 17])
def test_a_sample_that_its_source_does_not_call_good_is_invalid(quality: int) -> None:
    assert quality_of(fed(level(500, quality=quality))) == INVALID


def test_age_counts_from_the_stamp_not_from_arrival() -> None:
    snapshot = fed(level(500, T0 - S - 1)).at(T0)
    assert (snapshot.ages_ns[0], snapshot.qualities[0]) == (S + 1, STALE)


@pytest.mark.parametrize(("age_ns", "quality"), [(S, GOOD), (S + 1, STALE)])
def test_a_sample_is_fresh_to_its_very_limit(age_ns: int, quality: int) -> None:
    assert quality_of(fed(level(500)), T0 + age_ns) == quality


def test_an_invalid_sample_that_grows_old_is_stale() -> None:
    assert quality_of(fed(level(-1)), T0 + S + 1) == STALE


def test_feedback_of_an_actuator_has_its_own_limits() -> None:
    builder = fed(Reading(PUMP, 300, T0, GOOD))
    assert quality_of(builder, T0 + S // 2, PUMP) == GOOD
    assert quality_of(builder, T0 + S // 2 + 1, PUMP) == STALE
    assert quality_of(fed(Reading(PUMP, 301, T0, GOOD)), T0, PUMP) == INVALID


def test_feedback_may_jump_over_its_whole_range() -> None:
    builder = fed(Reading(PUMP, -100, T0, GOOD), Reading(PUMP, 300, T0, GOOD))
    assert quality_of(builder, T0, PUMP) == GOOD


@pytest.mark.parametrize("channel", [-1, 3, 2**40, -(2**63)])
def test_a_channel_that_does_not_exist_is_dropped(channel: int) -> None:
    assert fed(Reading(channel, 5, T0, GOOD)).at(T0) == fed().at(T0)


@pytest.mark.parametrize("stamp_ns", [-1, -2, -(2**63)])
def test_a_stamp_from_before_time_began_is_dropped(stamp_ns: int) -> None:
    """Or the mark of a channel never seen would pass for a sample that is always fresh."""
    assert quality_of(fed(level(500, stamp_ns)), T0 + 3600 * S) == MISSING


def test_a_sample_older_than_what_is_known_is_dropped() -> None:
    builder = fed(level(500), level(400, T0 - 1))
    assert builder.at(T0).counts[0] == 500
    builder = fed(level(500, quality=INVALID), level(400, T0 - 1))
    assert quality_of(builder) == INVALID


def test_a_sample_from_the_future_is_invalid_and_blocks_no_later_one() -> None:
    builder = fed(level(500, T0 + 3600 * S))
    assert quality_of(builder) == INVALID
    builder.add([level(500, T0 + S)], T0 + S)
    assert quality_of(builder, T0 + S) == GOOD


def test_after_a_clock_that_went_back_nothing_is_fresh() -> None:
    builder = fed(level(500))
    assert quality_of(builder, T0 - 1) == STALE
    builder.add([level(500, T0 - 1)], T0 - 1)
    assert quality_of(builder, T0 - 1) == STALE


def test_one_sample_out_of_line_is_a_spike_and_two_that_agree_are_a_change() -> None:
    builder = fed(level(500), level(900, T0 + 1), now_ns=T0 + 1)
    snapshot = builder.at(T0 + 1)
    assert (snapshot.qualities[0], snapshot.counts[0]) == (INVALID, 500)
    builder.add([level(850, T0 + 2)], T0 + 2)
    snapshot = builder.at(T0 + 2)
    assert (snapshot.qualities[0], snapshot.counts[0]) == (GOOD, 850)


def test_back_in_line_after_a_spike_is_good_at_once() -> None:
    builder = fed(level(500), level(900, T0 + 1), level(510, T0 + 2), now_ns=T0 + 2)
    assert quality_of(builder, T0 + 2) == GOOD


@pytest.mark.parametrize(("jump", "quality"), [(100, GOOD), (101, INVALID)])
def test_a_step_may_be_as_large_as_declared(jump: int, quality: int) -> None:
    assert quality_of(fed(level(500), level(500 + jump))) == quality
    assert quality_of(fed(level(500), level(500 - jump))) == quality


def test_a_value_that_never_moves_is_stuck_though_it_keeps_arriving() -> None:
    builder = fed()
    for k in range(22):
        builder.add([level(500, T0 + k * S)], T0 + k * S)
        assert quality_of(builder, T0 + k * S) == (GOOD if k <= 20 else INVALID)
    builder.add([level(501, T0 + 22 * S)], T0 + 22 * S)
    assert quality_of(builder, T0 + 22 * S) == GOOD


def test_a_bad_value_keeps_the_last_good_counts_for_display() -> None:
    assert fed(level(500), level(-1)).at(T0).counts[0] == 500


def test_a_snapshot_does_not_change_when_new_samples_arrive() -> None:
    builder = fed(level(500))
    before = builder.at(T0)
    builder.add([level(510, T0 + 1)], T0 + 1)
    assert before.counts[0] == 500
