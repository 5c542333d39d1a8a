"""Range and speed over a whole reduced domain: every last command, wish, carry and step."""

from itertools import product

from edge_agent.core.records import Mode
from edge_agent.safety.envelope import NS_PER_S, step
from tests.unit.safety.lab import T0, S, actuator, envelope, order, snapshot, state

LAST = (-100, -99, -1, 0, 19, 20, 21, 150, 298, 299, 300)
WISHES = (-(2**62), -1000, *range(-102, 303, 3), 1000, 2**62)
CARRIES = (0, 1, NS_PER_S // 2, NS_PER_S)
STEPS_NS = (-S, 0, 1, S // 1000, S // 80, S // 50, S // 10, S, 5 * S)


def test_every_step_of_a_reduced_domain_is_in_range_and_not_too_fast() -> None:
    limits = envelope(locked=False)
    pump = actuator("pump")
    full = pump.travel_max_counts * pump.travel_window_ns
    for last, carry, dt_ns in product(LAST, CARRIES, STEPS_NS):
        start = state(limits, last=(last, last))._replace(
            carry_up=(carry, carry), carry_down=(carry, carry), travel=(full, full)
        )
        earned_ns = min(max(dt_ns, 0), S)
        up = (carry + pump.rate_up_counts_per_s * earned_ns) // NS_PER_S
        down = (carry + pump.rate_down_counts_per_s * earned_ns) // NS_PER_S
        before = pump.min_counts
        for wish in WISHES:
            after, verdict = step(
                limits, start, order(Mode.ACTIVE, wish, 20), snapshot(), T0 + dt_ns
            )
            got = verdict.command[0]
            assert pump.min_counts <= got <= pump.max_counts
            assert last - down <= got <= last + up
            assert got >= before  # a larger wish never gives a smaller command
            before = got
            reachable = max(last - down, pump.min_counts) <= wish <= min(last + up, pump.max_counts)
            assert not reachable or got == wish
            assert 0 <= after.carry_up[0] <= NS_PER_S
            assert 0 <= after.carry_down[0] <= NS_PER_S
            assert 0 <= after.travel[0] <= full
