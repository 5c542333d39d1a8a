"""Losing trust takes one refusal, regaining it the whole dwell without one."""

from edge_agent.decision import trust

DWELL = 100


def test_one_refusal_costs_the_whole_dwell() -> None:
    assert trust.after(trust.TRUSTED, 7, DWELL, admitted=False) == DWELL
    assert trust.after(3, 7, DWELL, admitted=False) == DWELL


def test_trust_returns_after_exactly_the_dwell() -> None:
    left = trust.after(DWELL, DWELL - 1, DWELL, admitted=True)
    assert left == 1
    assert trust.after(left, 1, DWELL, admitted=True) == trust.TRUSTED


def test_a_trusted_model_stays_trusted() -> None:
    assert trust.after(trust.TRUSTED, 10**18, DWELL, admitted=True) == trust.TRUSTED


def test_time_that_goes_back_earns_nothing() -> None:
    assert trust.after(50, -10, DWELL, admitted=True) == 50
