"""Two sensors of one quantity are believed only while they agree."""

import dataclasses

import pytest

from edge_agent.core.records import Quality, Reason, Rule, Snapshot
from edge_agent.safety import agreement
from edge_agent.safety.completeness import matrix
from edge_agent.safety.limits import Agreement, Envelope
from tests.unit.safety.lab import S, envelope, sensor


def twins() -> Envelope:
    """Level and its second source: 30 counts apart for 2 s."""
    pair = Agreement(sensor="second", max_difference_counts=30, within_ns=2 * S)
    level = dataclasses.replace(sensor(), agreement=pair)
    second = dataclasses.replace(sensor("second"), needed=False)
    return dataclasses.replace(envelope(), sensors=(level, second))


LIMITS = twins()
ALL_GOOD = (Quality.GOOD,) * 4


def seen(level: int, second: int, qualities: tuple[int, ...] = ALL_GOOD) -> Snapshot:
    return Snapshot((level, second, 0, 0), (0, 7, 0, 0), qualities)


@pytest.mark.parametrize(("level", "second"), [(500, 531), (531, 500)])
def test_sensors_that_stay_apart_are_not_believed_after_their_time(level: int, second: int) -> None:
    debts, found = agreement.step(LIMITS, agreement.initial(LIMITS), seen(level, second), 2 * S)
    assert found is None
    _, found = agreement.step(LIMITS, debts, seen(level, second), 1)
    assert found == Reason(Rule.SOURCES_DISAGREE, 0, 31)


@pytest.mark.parametrize("second", [470, 500, 530])
def test_as_far_apart_as_is_allowed_is_agreement(second: int) -> None:
    assert agreement.step(LIMITS, (0,), seen(500, second), 10**15) == ((0,), None)


def test_sensors_that_disagree_every_second_tick_are_not_believed_either() -> None:
    debts, found = agreement.initial(LIMITS), None
    for k in range(80):
        debts, found = agreement.step(LIMITS, debts, seen(500, 500 + k % 2 * 31), S // 10)
        if found is not None:
            break
    assert found == Reason(Rule.SOURCES_DISAGREE, 0, 31)


@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        (Quality.STALE, Reason(Rule.STALE_INPUT, 1, 7)),
        (Quality.MISSING, Reason(Rule.MISSING_INPUT, 1, 500)),
        (Quality.INVALID, Reason(Rule.INVALID_INPUT, 1, 500)),
    ],
)
def test_a_second_source_that_is_not_seen_confirms_nothing(quality: int, reason: Reason) -> None:
    qualities = (0, quality, 0, 0)
    debts, found = agreement.step(LIMITS, (0,), seen(500, 500, qualities), 2 * S)
    assert found is None
    _, found = agreement.step(LIMITS, debts, seen(500, 500, qualities), 1)
    assert found == reason


def test_the_first_of_two_pairs_apart_is_reported() -> None:
    both = (
        LIMITS.sensors[0],
        dataclasses.replace(
            LIMITS.sensors[1],
            agreement=Agreement(sensor="level", max_difference_counts=0, within_ns=1),
        ),
    )
    limits = dataclasses.replace(LIMITS, sensors=both)
    _, found = agreement.step(limits, agreement.initial(limits), seen(500, 540), 3 * S)
    assert found == Reason(Rule.SOURCES_DISAGREE, 0, 40)


def test_a_device_without_second_sources_has_nothing_to_compare() -> None:
    assert agreement.initial(envelope()) == ()


def test_the_completeness_matrix_names_the_second_source() -> None:
    declared = {
        c.declared for c in matrix(LIMITS) if (c.channel, c.check) == ("level", "second source")
    }
    assert declared == {"second within 3 %"}
