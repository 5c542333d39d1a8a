"""The delays between attempts."""

import random

from edge_agent.core.clock import NS_PER_S
from edge_agent.gateway.backoff import Backoff


class _Highest(random.Random):
    """Always draws the upper bound."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_the_bound_doubles_from_one_second_to_sixty() -> None:
    backoff = Backoff(_Highest())
    delays_s = [backoff.next_delay_ns() / NS_PER_S for _ in range(8)]
    assert delays_s == [1, 2, 4, 8, 16, 32, 60, 60]
    backoff.reset()
    assert backoff.next_delay_ns() == NS_PER_S


def test_a_fleet_does_not_return_in_step() -> None:
    firsts = [Backoff(random.Random(seed)).next_delay_ns() for seed in range(1000)]
    in_tenths = [sum(n * 10 // NS_PER_S == tenth for n in firsts) for tenth in range(10)]
    assert min(in_tenths) > 50, "spread over the whole second"
