"""What the envelope keeps from one tick to the next, to the last unit.

Found by mutants that the larger tests let live: each differs from the shipped code in one value.
"""

import pytest

from edge_agent.core.records import Mode
from edge_agent.safety.envelope import NS_PER_S, EnvelopeState, _booked, initial, restart_from, step
from tests.unit.safety.lab import T0, S, envelope, order, snapshot, state

LIMITS = envelope()
MOTION = LIMITS.motions[0]


@pytest.mark.parametrize(("short_by", "left"), [(2, 0), (1, 0), (0, 0), (-1, 1)])
def test_a_forced_move_spends_what_travel_there_is(short_by: int, left: int) -> None:
    budget = 50 * MOTION.travel_price - short_by  # from -50 to -100
    start = state(LIMITS, last=(-50, 20))._replace(
        travel=(budget - MOTION.travel_per_ns, MOTION.travel_full)
    )
    after, verdict = step(LIMITS, start, order(Mode.HOLDING), snapshot(0), T0 + 1)
    assert verdict.command == (-100, 20)
    assert after.travel[0] == left


@pytest.mark.parametrize("moved", [1, -1])
@pytest.mark.parametrize(("short_by", "left"), [(2, 0), (1, 0), (0, 0), (-1, 1)])
def test_a_forced_move_spends_what_speed_there_is(moved: int, short_by: int, left: int) -> None:
    carry = (NS_PER_S - short_by,) * 2
    start = state(LIMITS)._replace(carry_up=carry, carry_down=carry)
    ups, downs, _, _ = _booked(LIMITS.motions, start, [20 + moved, 20], 0)
    assert (ups if moved > 0 else downs)[0] == left
    assert (downs if moved > 0 else ups)[0] == min(NS_PER_S - short_by, NS_PER_S)


def test_a_ramp_that_began_when_time_did_has_begun() -> None:
    start = state(LIMITS, last=(300, 20))._replace(now_ns=0, ramp_since_ns=0)
    after, verdict = step(LIMITS, start, order(Mode.RAMPING), snapshot(), 3 * S)
    assert after.ramp_since_ns == 0
    assert verdict.command == (200, 20)  # the hold of 2 s is over, one second counts


@pytest.mark.parametrize("counts", [(20,), (20, 20, 20)])
def test_a_wish_or_a_measurement_of_another_shape_is_refused_not_completed(
    counts: tuple[int, ...],
) -> None:
    with pytest.raises(ValueError, match="zip"):
        restart_from(LIMITS, state(LIMITS), counts)
    with pytest.raises(ValueError, match="zip"):
        step(LIMITS, state(LIMITS), order(Mode.ACTIVE, *counts), snapshot(), T0 + 1)


def test_at_boot_everything_is_safe_nothing_is_saved_and_every_interlock_is_engaged() -> None:
    full = tuple(motion.travel_full for motion in LIMITS.motions)
    nothing, rests = (0, 0), tuple(motion.dwell_ns for motion in LIMITS.motions)
    booted = EnvelopeState(T0, (20, 20), nothing, nothing, full, rests, (-1,), -1)
    assert initial(LIMITS, T0) == booted


def test_what_is_measured_is_taken_into_the_range_and_nothing_is_saved() -> None:
    saved = state(LIMITS)._replace(carry_up=(NS_PER_S, 1), carry_down=(1, NS_PER_S))
    after = restart_from(LIMITS, saved, (301, -101))
    assert after == saved._replace(last=(300, -100), carry_up=(0, 0), carry_down=(0, 0))
