"""Proofs over all integers, by z3, of the shipped functions (I1 to I4 of docs/safety-case.md).

Each proof is a function of a module: it gives None for the shipped one, and a counterexample for
every mutant of its source.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import z3

from edge_agent.core.records import Mode, Snapshot
from edge_agent.safety import envelope as real
from tests.properties.proof_case import NS, Case, Claims, device, invariant, limits, sound
from tests.properties.symbolic import Explorer, compiled, refute, term

# ---- I1: range ----


def range_holds(module: Any) -> str | None:
    def run(x: Explorer) -> Claims:
        case = Case(x)
        counts, _ = case.follow(module)
        return [term(case.motion.min_counts) <= counts, counts <= term(case.motion.max_counts)]

    return refute(run)


def ramp_stays_in_range(module: Any) -> str | None:
    def run(x: Explorer) -> Claims:
        case = Case(x)
        (counts,) = module._ramp(case.device, case.state, (case.motion,), case.dt_ns)
        low, high = term(case.motion.min_counts), term(case.motion.max_counts)
        safe = term(case.limits.safe.counts)
        nearer = z3.Or(
            z3.And(safe <= term(counts), term(counts) <= case.last),
            z3.And(case.last <= term(counts), term(counts) <= safe),
        )
        return [low <= term(counts), term(counts) <= high, nearer, case.within_speed(term(counts))]

    return refute(run)


def whatever_came_out_the_last_test_is_in_range(module: Any) -> str | None:
    def run(x: Explorer) -> Claims:
        a = limits(x)
        x.assume(sound(a))
        command, reasons = [x.symbol("anything")], list[Any]()
        before = command[0]
        module._check_range(device(a), command, reasons)
        low, high, after = term(a.min_counts), term(a.max_counts), term(command[0])
        silent = z3.Implies(
            z3.And(low <= term(before), term(before) <= high), after == term(before)
        )
        return [
            low <= after,
            after <= high,
            silent,
            z3.BoolVal(not reasons) == (after == term(before)),
        ]

    return refute(run)


# ---- I2: speed and travel, one step and every window ----


def one_step_is_no_faster(module: Any) -> str | None:
    def run(x: Explorer) -> Claims:
        case = Case(x)
        counts, _ = case.follow(module)
        return [case.within_speed(counts)]

    return refute(run)


def one_step_is_within_travel(module: Any) -> str | None:
    def run(x: Explorer) -> Claims:
        case = Case(x)
        counts, _ = case.follow(module)
        return [case.cost(counts) <= case.budget()]

    return refute(run)


def booking(module: Any) -> str | None:
    """What is kept after a move that was within speed and travel: the balance never grows by
    more than was earned, which is what sums up to every window."""

    def run(x: Explorer) -> Claims:
        case = Case(x)
        counts = x.symbol("counts")
        moved = counts.term - case.last
        x.assume(z3.And(case.within_speed(counts.term), case.cost(counts.term) <= case.budget()))
        ups, downs, travels, rests = module._booked(
            (case.motion,), case.state, [counts], case.dt_ns
        )
        up, down, travel = term(ups[0]), term(downs[0]), term(travels[0])
        dt, m = case.dt_ns, case.motion
        return [
            up + moved * NS <= case.up + term(m.rate_up * dt),
            down - moved * NS <= case.down + term(m.rate_down * dt),
            travel + case.cost(counts.term) <= case.travel + term(m.travel_per_ns * dt),
            z3.Implies(moved != 0, term(rests[0]) == term(m.dwell_ns)),
            z3.Implies(moved == 0, term(rests[0]) >= case.rest - term(dt)),
        ]

    return refute(run)


def follows(assumed: list[Any], claim: Any) -> bool:
    solver = z3.Solver()
    solver.add(*assumed, z3.Not(claim))
    answer = solver.check()
    assert answer != z3.unknown
    return bool(answer == z3.unsat)


def test_the_balance_of_every_step_bounds_every_window() -> None:
    """Induction over the steps of a window of length T, from the step proven by `booking`."""
    moved, step, carry, carry2, carry0, rate, t, dt = z3.Ints("moved step c c2 c0 rate t dt")
    so_far = moved * NS + carry <= carry0 + rate * t
    next_step = step * NS + carry2 <= carry + rate * dt
    both = (moved + step) * NS + carry2 <= carry0 + rate * (t + dt)
    assert follows([so_far, next_step], both)
    kept = [carry >= 0, carry0 >= 0, carry0 <= NS, so_far]
    assert follows(kept, moved * NS <= rate * t + NS)  # one count, no more
    assert not follows(kept, moved * NS <= rate * t)

    most_, window, travel, travel0, far = z3.Ints("most window travel travel0 far")
    spent = far * 2 * window + travel <= travel0 + most_ * t
    bounds = [travel >= 0, travel0 <= most_ * window, t <= window, window > 0, most_ > 0]
    assert follows([spent, *bounds], far <= most_)
    assert not follows([spent, *bounds[:2], *bounds[3:]], far <= most_)


# ---- I3: a safe wish passes; the command grows with the wish ----


def a_safe_wish_passes(module: Any) -> str | None:
    def run(x: Explorer) -> Claims:
        case = Case(x)
        wish = term(case.wish)
        x.assume(z3.And(term(case.motion.min_counts) <= wish, wish <= term(case.motion.max_counts)))
        x.assume(z3.And(case.within_speed(wish), case.cost(wish) <= case.budget()))
        x.assume(case.rest <= term(case.dt_ns))
        counts, reasons = case.follow(module)
        return [counts == wish, z3.BoolVal(not reasons)]

    return refute(run)


def a_changed_wish_has_a_reason(module: Any) -> str | None:
    def run(x: Explorer) -> Claims:
        case = Case(x)
        counts, reasons = case.follow(module)
        return [z3.Or(counts == term(case.wish), z3.BoolVal(bool(reasons)))]

    return refute(run)


def a_larger_wish_is_never_a_smaller_command(module: Any) -> str | None:
    def run(x: Explorer) -> Claims:
        case = Case(x)
        low, _ = case.follow(module)
        high, _ = case.follow(module, case.wish + 1)  # and so on, one by one, to any larger
        return [low <= high]

    return refute(run)


# ---- I4: the invariant is established and kept ----


def boot_establishes(module: Any) -> str | None:
    def run(x: Explorer) -> Claims:
        a = limits(x)
        x.assume(sound(a))
        return [invariant(device(a), module.initial(device(a), x.symbol("now_ns")))]

    return refute(run)


def restart_keeps(module: Any) -> str | None:
    def run(x: Explorer) -> Claims:
        case = Case(x)
        state = module.restart_from(case.device, case.state, (x.symbol("measured"),))
        return [invariant(case.device, state)]

    return refute(run)


def booking_keeps(module: Any) -> str | None:
    """Whatever the move, forced ones too."""

    def run(x: Explorer) -> Claims:
        case = Case(x)
        counts = x.symbol("counts")
        low, high = term(case.motion.min_counts), term(case.motion.max_counts)
        x.assume(z3.And(low <= counts.term, counts.term <= high))
        booked = module._booked((case.motion,), case.state, [counts], case.dt_ns)
        return [invariant(case.device, (0, (counts,), *booked, (), 0))]

    return refute(run)


@pytest.mark.parametrize("mode", [Mode.SAFE, Mode.ACTIVE, Mode.HOLDING, Mode.RAMPING])
def test_a_whole_step_keeps_the_invariant_for_every_clock(mode: Mode) -> None:
    """The real `step`, with a clock that may stand, go back or leap, and any wish or none.

    `_follow` and `_booked` are replaced by what is proven of them above; that they are called
    with a lawful step of time is proven here.
    """
    module = compiled(real)

    def run(x: Explorer) -> Claims:
        case = Case(x)
        claims: Claims = []
        low, high = term(case.motion.min_counts), term(case.motion.max_counts)

        def follow(_e: Any, _s: Any, _w: Any, dt_ns: Any, _r: Any) -> list[Any]:
            counts = x.symbol("followed")
            x.assume(z3.And(low <= counts.term, counts.term <= high))
            claims.append(z3.And(term(dt_ns) >= 0, term(dt_ns) <= real.DT_MAX_NS))
            return [counts]

        def booked(_m: Any, _s: Any, command: list[Any], dt_ns: Any) -> tuple[Any, ...]:
            kept = tuple((x.symbol(f"booked_{k}"),) for k in range(4))
            x.assume(invariant(case.device, (0, case.state.last, *kept, (), 0)))
            claims.append(z3.And(term(dt_ns) >= 0, term(dt_ns) <= real.DT_MAX_NS))
            claims.append(z3.And(low <= term(command[0]), term(command[0]) <= high))
            return kept

        module._follow, module._booked = follow, booked
        order = real.Order(mode, (case.wish,))
        now_ns = x.symbol("now_ns")
        state, verdict = module.step(case.device, case.state, order, Snapshot((), (), ()), now_ns)
        return [
            *claims,
            invariant(case.device, state),
            term(verdict.command[0]) == term(state.last[0]),
            term(state.now_ns) >= term(case.state.now_ns),
        ]

    assert refute(run) is None


# ---- every proof, and the mutants that it must refute ----

PROOFS: dict[Callable[[Any], str | None], Sequence[tuple[str, str]]] = {
    range_holds: [
        ("target = high\n", "target = wish\n"),
        ("target = low\n", "target = low - 1\n"),
    ],
    ramp_stays_in_range: [
        ("command.append(min(safe, last +", "command.append(max(safe, last +"),
        ("last - (carry_down + motion.rate_down * dt_ns) // NS_PER_S))", "last - 1))"),
    ],
    whatever_came_out_the_last_test_is_in_range: [
        ("if not low <= counts <= high:", "if not low <= counts <= high + 1:"),
        ("command[i] = envelope.safe_counts[i]", "command[i] = counts"),
    ],
    one_step_is_no_faster: [
        (
            "if target > reach:\n                reasons.append(Reason(_RATE_UP",
            "if target > reach + 1:\n                reasons.append(Reason(_RATE_UP",
        ),
        ("(carry_down + rate_down * dt_ns)", "(carry_down + rate_up * dt_ns)"),
    ],
    one_step_is_within_travel: [
        ("target = last + budget // price", "target = last + budget"),
        ("if (last - target) * price > budget:", "if (last - target) > budget:"),
        ("earned = travel + dt_ns * per_ns", "earned = full + dt_ns * per_ns"),
    ],
    booking: [
        ("up -= moved * NS_PER_S", "up -= NS_PER_S"),
        ("budget -= moved * price", "budget -= price"),
        ("rest = dwell_ns\n", "rest = rest_ns\n"),
        ("down += moved * NS_PER_S", "down -= moved * NS_PER_S"),
    ],
    a_safe_wish_passes: [
        ("if wish > high:", "if wish >= high:"),
        ("if rest_ns > dt_ns and target != last:", "if rest_ns >= dt_ns and target != last:"),
        ("(carry_up + rate_up * dt_ns)", "(rate_up * dt_ns)"),
    ],
    a_changed_wish_has_a_reason: [
        ("reasons.append(Reason(_ABOVE_MAX, channel, wish))", "pass"),
        ("reasons.append(Reason(_RATE_DOWN, channel, target))", "pass"),
    ],
    a_larger_wish_is_never_a_smaller_command: [
        ("target = high\n", "target = low\n"),
    ],
    boot_establishes: [
        ("envelope.safe_counts,\n        nothing,", "nothing,\n        nothing,"),
        ("tuple(m.travel_full for m", "tuple(m.travel_full + 1 for m"),
    ],
    restart_keeps: [
        ("min(max(counts, motion.min_counts), motion.max_counts)", "counts"),
        (", motion.max_counts)\n", ", motion.max_counts + 1)\n"),
    ],
    booking_keeps: [
        ("                    up = 0", "                    up = up"),
        ("                budget = 0", "                budget = -1"),
        ("downs.append(down if down < NS_PER_S else NS_PER_S)", "downs.append(down)"),
        ("rest = rest_ns - dt_ns if rest_ns > dt_ns else 0", "rest = rest_ns - dt_ns"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.__name__)
def test_the_shipped_code_is_proven(proof: Callable[[Any], str | None]) -> None:
    assert proof(real) is None


@pytest.mark.parametrize(
    ("proof", "old", "new"),
    [(proof, old, new) for proof, mutants in PROOFS.items() for old, new in mutants],
    ids=lambda part: getattr(part, "__name__", None),
)
def test_a_mutant_is_refuted(proof: Callable[[Any], str | None], old: str, new: str) -> None:
    assert proof(compiled(real, old, new)) is not None
