"""What the hardware applies is what it was told, but for a moment and a little."""

import pytest

from edge_agent.core.records import Quality, Reason, Rule, Snapshot
from edge_agent.safety import following
from tests.unit.safety.lab import S, envelope

LIMITS = envelope()  # 400 counts apart for 1 s
TOLD = (20, 0)


def seen(*applied: int) -> Snapshot:
    return Snapshot((500, *applied), (0, 0, 0), (Quality.GOOD,) * 3)


@pytest.mark.parametrize(
    ("applied", "channel"),
    [((421, 0), 1), ((-381, 0), 1), ((20, 401), 2), ((20, -401), 2), ((421, 401), 1)],
)
def test_hardware_that_applies_something_else_is_found_after_its_time(
    applied: tuple[int, int], channel: int
) -> None:
    debts, found = following.step(LIMITS, (0, 0), TOLD, seen(*applied), S)
    assert found is None
    _, found = following.step(LIMITS, debts, TOLD, seen(*applied), 1)
    assert found == Reason(Rule.NOT_FOLLOWED, channel, applied[channel - 1])


@pytest.mark.parametrize("applied", [(20, 0), (420, 0), (-380, 400), (20, -400)])
def test_as_much_as_is_allowed_is_never_a_fault(applied: tuple[int, int]) -> None:
    debts, found = following.step(LIMITS, (0, 0), TOLD, seen(*applied), 10**15)
    assert (debts, found) == ((0, 0), None)


def test_hardware_that_follows_every_second_tick_is_found_as_well() -> None:
    debts = following.initial(LIMITS)
    for k in range(40):
        debts, found = following.step(LIMITS, debts, TOLD, seen(20 + k % 2 * 401, 0), S // 10)
        if found is not None:
            break
    assert found == Reason(Rule.NOT_FOLLOWED, 1, 421)


def test_at_first_nothing_is_owed() -> None:
    assert following.initial(LIMITS) == (0,) * len(LIMITS.actuators)


def test_hardware_that_is_exactly_where_it_was_told_pays_its_debt() -> None:
    debts, found = following.step(LIMITS, (S, 0), TOLD, seen(*TOLD), 2 * S)
    assert (debts, found) == ((S // 2, 0), None)


@pytest.mark.parametrize("told", [(20,), (20, 0, 0)])
def test_a_command_of_another_length_is_not_compared_in_part(told: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="zip"):
        following.step(LIMITS, (0, 0), told, seen(*TOLD), S)
