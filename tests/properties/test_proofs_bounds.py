"""Proofs that 64 bits are enough (I5), that a configuration only tightens (I11), and that what
the proofs assume of an envelope is what `checks.py` demands of it."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
import z3

from edge_agent.core.errors import ConfigError
from edge_agent.core.units import COUNTS_LIMIT
from edge_agent.safety import checks, tighten
from edge_agent.safety import envelope as real
from tests.properties.proof_case import Case, Claims, device, limits, sound
from tests.properties.symbolic import Explorer, compiled, least, most, refute, term, type_of
from tests.unit.safety.lab import sensor

INT64 = 2**63 - 1


# ---- I5: 64 bits are enough ----


def _fit(x: Explorer) -> Claims:
    return [z3.And(*(z3.And(value >= -INT64, value <= INT64) for value in x.formed))]


def following_fits(module: Any) -> str | None:
    def run(x: Explorer) -> Claims:
        case = Case(x)
        x.assume(z3.And(case.wish.term >= -COUNTS_LIMIT, case.wish.term <= COUNTS_LIMIT))
        case.follow(module)
        return _fit(x)

    return refute(run)


def booking_fits(module: Any) -> str | None:
    def run(x: Explorer) -> Claims:
        case = Case(x)
        counts = x.symbol("counts")
        low, high = term(case.motion.min_counts), term(case.motion.max_counts)
        x.assume(z3.And(low <= counts.term, counts.term <= high))
        x.product(counts.term - case.last, term(case.motion.travel_price))
        module._booked((case.motion,), case.state, [counts], case.dt_ns)
        return _fit(x)

    return refute(run)


def ramping_fits(module: Any) -> str | None:
    def run(x: Explorer) -> Claims:
        case = Case(x)
        module._ramp(case.device, case.state, (case.motion,), case.dt_ns)
        return _fit(x)

    return refute(run)


FITS: dict[Callable[[Any], str | None], tuple[str, str]] = {
    following_fits: (
        "earned = travel + dt_ns * per_ns",
        "earned = (travel + dt_ns * per_ns) * NS_PER_S",
    ),
    booking_fits: (
        "budget = travel + per_ns * dt_ns",
        "budget = travel + per_ns * dt_ns * NS_PER_S",
    ),
    ramping_fits: (
        "(carry_up + motion.rate_up * dt_ns)",
        "(carry_up + motion.rate_up * dt_ns * dt_ns)",
    ),
}


@pytest.mark.parametrize("proof", FITS, ids=lambda proof: proof.__name__)
def test_every_intermediate_value_fits_64_bits(proof: Callable[[Any], str | None]) -> None:
    assert proof(real) is None


@pytest.mark.parametrize("proof", FITS, ids=lambda proof: proof.__name__)
def test_a_mutant_that_overflows_is_refuted(proof: Callable[[Any], str | None]) -> None:
    assert proof(compiled(real, *FITS[proof])) is not None


# ---- I11: a configuration only tightens ----

# What each limit that a configuration may touch must be, against the compiled one.
STRICTER: dict[str, Callable[[Any, Any], Any]] = {
    "min_counts": lambda new, old: new >= old,
    "max_counts": lambda new, old: new <= old,
    "max_step_counts": lambda new, old: new <= old,
    "max_age_ns": lambda new, old: new <= old,
    "rate_up_counts_per_s": lambda new, old: new <= old,
    "rate_down_counts_per_s": lambda new, old: new <= old,
    "travel_max_counts": lambda new, old: new <= old,
    "dwell_ns": lambda new, old: new >= old,
    "proposal_max_age_ns": lambda new, old: new <= old,
    "feedback_max_age_ns": lambda new, old: new <= old,
    "lease_ns": lambda new, old: new <= old,
}


def tightened(module: Any, table: str, name: str) -> str | None:
    """Every value that is accepted for one limit is as strict as the compiled one."""

    def run(x: Explorer) -> Claims:
        value, old = x.symbol("value"), limits(x)
        directions = getattr(module, table)
        before = old if hasattr(old, name) else replace(sensor(), **{name: x.symbol(name)})
        try:
            after = module._stricter(before, {name: value}, directions)
        except ConfigError:
            return []
        new = {f.name: getattr(after, f.name) for f in fields(after)}
        kept = [new[f.name] is getattr(before, f.name) for f in fields(after) if f.name != name]
        return [STRICTER[name](term(new[name]), term(getattr(before, name))), z3.BoolVal(all(kept))]

    return refute(run)


TABLES = ("_SENSOR_LIMITS", "_ACTUATOR_LIMITS")
TOUCHABLE = [(table, name) for table in TABLES for name in getattr(tighten, table)]


@pytest.mark.parametrize(("table", "name"), TOUCHABLE)
def test_whatever_is_accepted_is_stricter(table: str, name: str) -> None:
    assert tightened(compiled(tighten, type=type_of), table, name) is None


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("* directions[name] < 0", "* directions[name] < -1", "lease_ns"),
        ("(value - compiled)", "(compiled - value)", "max_counts"),
        ('"dwell_ns": _LARGER,', '"dwell_ns": _SMALLER,', "dwell_ns"),
    ],
)
def test_a_mutant_that_widens_is_refuted(old: str, new: str, name: str) -> None:
    module = compiled(tighten, old, new, type=type_of)
    assert tightened(module, "_ACTUATOR_LIMITS", name) is not None


# ---- the checks that the proofs stand on ----


def checks_are_assumed(module: Any) -> str | None:
    """What `checks.py` accepts satisfies everything that `sound` assumes."""

    def run(x: Explorer) -> Claims:
        a = limits(x)
        return [sound(a)] if not list(module._actuator_problems(a, device(a))) else []

    return refute(run)


UNCHECKED = [
    ("2 * (a.max_counts - a.min_counts)", "(a.max_counts - a.min_counts)"),
    ("elif a.travel_max_counts > INT32:", "elif a.travel_max_counts > INT32 + 1:"),
    (
        "if not a.min_counts <= a.safe.counts <= a.max_counts:",
        "if not a.min_counts <= a.safe.counts:",
    ),
    ("max(speeds) > INT32", "max(speeds) > INT32 + 1"),
    ("        a.rate_down_counts_per_s,\n        a.travel_max", "        a.travel_max"),
]


def test_the_checks_let_through_only_what_the_proofs_assume() -> None:
    assert checks_are_assumed(compiled(checks, min=least, max=most)) is None


@pytest.mark.parametrize(("old", "new"), UNCHECKED)
def test_a_check_that_is_missing_is_found(old: str, new: str) -> None:
    assert checks_are_assumed(compiled(checks, old, new, min=least, max=most)) is not None
