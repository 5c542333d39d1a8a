"""A debt of bad time: what lasts fires on time, and what toggles fires as well."""

import pytest

from edge_agent.safety import debt

LIMIT = 100


def test_bad_time_adds_up_and_fires_only_beyond_the_limit() -> None:
    at_limit = debt.after(40, 60, LIMIT, bad=True)
    assert at_limit == LIMIT
    assert debt.after(at_limit, 1, LIMIT, bad=True) == LIMIT + 1


def test_it_never_exceeds_the_limit_by_more_than_one() -> None:
    assert debt.after(LIMIT + 1, 10**18, LIMIT, bad=True) == LIMIT + 1


def test_a_quarter_of_the_good_time_is_paid_back_and_no_more_than_was_owed() -> None:
    assert debt.after(50, 80, LIMIT, bad=False) == 30
    assert debt.after(50, 10**18, LIMIT, bad=False) == 0


@pytest.mark.parametrize("bad", [True, False])
@pytest.mark.parametrize("elapsed", [0, -1, -(10**18)])
def test_time_that_does_not_pass_changes_nothing(elapsed: int, bad: bool) -> None:
    assert debt.after(50, elapsed, LIMIT, bad=bad) == 50


@pytest.mark.parametrize(("bad", "good", "fires"), [(1, 1, True), (1, 3, True), (1, 4, False)])
def test_what_is_bad_for_more_than_a_fifth_of_the_time_fires(
    bad: int, good: int, fires: bool
) -> None:
    owed = 0
    for k in range(100 * LIMIT):
        owed = debt.after(owed, 4, LIMIT, bad=k % (bad + good) < bad)
        if owed > LIMIT:
            break
    assert (owed > LIMIT) == fires
