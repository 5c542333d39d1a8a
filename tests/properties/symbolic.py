"""Runs real functions on symbolic integers: every path of the shipped code, not a copy of it.

`Symbol` is an unbounded integer of z3 that survives arithmetic and comparison. Where the code
branches on one, Python asks for a truth value; the explorer then takes one side, notes the
condition, and later runs the function again for the other side, until every path was taken.
What holds on every path holds for all integers.

A property is only worth what it can refute: `compiled` makes a module from the same source with
one piece of text replaced, for the same proof to fail on.
"""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import z3

_TIMEOUT_MS = 20_000


class Symbol:
    """An integer that z3 knows; everything derived from it is noted with its explorer."""

    __slots__ = ("explorer", "term")

    def __init__(self, explorer: "Explorer", term: Any) -> None:
        self.explorer = explorer
        self.term = term

    def _new(self, term: Any) -> "Symbol":
        if not any(term.eq(known) for known in self.explorer.formed):
            self.explorer.formed.append(term)
        return Symbol(self.explorer, term)

    def __add__(self, other: Any) -> "Symbol":
        return self._new(self.term + term(other))

    def __sub__(self, other: Any) -> "Symbol":
        return self._new(self.term - term(other))

    def __rsub__(self, other: Any) -> "Symbol":
        return self._new(term(other) - self.term)

    def __mul__(self, other: Any) -> "Symbol":
        return self._new(self.explorer.product(self.term, term(other)))

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> "Symbol":
        return self._new(-self.term)

    def __floordiv__(self, other: Any) -> "Symbol":
        """Floor division by what is positive (else the quotient is left open)."""
        return self._new(self.explorer.quotient(self.term, term(other)))

    def __lt__(self, other: Any) -> bool:
        return self.explorer.decide(self.term < term(other))

    def __le__(self, other: Any) -> bool:
        return self.explorer.decide(self.term <= term(other))

    def __gt__(self, other: Any) -> bool:
        return self.explorer.decide(self.term > term(other))

    def __ge__(self, other: Any) -> bool:
        return self.explorer.decide(self.term >= term(other))

    def __eq__(self, other: object) -> bool:
        return self.explorer.decide(self.term == term(other))

    def __ne__(self, other: object) -> bool:
        return self.explorer.decide(self.term != term(other))

    def __bool__(self) -> bool:
        return self.explorer.decide(self.term != 0)

    def __hash__(self) -> int:
        return hash(self.term)

    def __repr__(self) -> str:
        return str(self.term)


def term(value: Any) -> Any:
    """The z3 term of a symbol or of a plain integer."""
    return value.term if isinstance(value, Symbol) else z3.IntVal(value)


class Explorer:
    """One run of the code along one path; what is assumed grows with every decision.

    z3 decides linear arithmetic, and is lost among products of two unknowns. So a product is an
    unknown of its own, of which only laws of multiplication are assumed: its sign, and that it
    grows with each factor. What follows from the laws holds for the real product too; what does
    not is tried again with the real one.
    """

    def __init__(self, prefix: list[bool]) -> None:
        self.open_ends: list[list[bool]] = []
        self.formed: list[Any] = []  # every intermediate value
        self.bounds: list[tuple[Any, int]] = []  # (term, its magnitude at most): a law to use
        self.exact: list[Any] = []  # what the products really are
        self.solver = z3.SimpleSolver()
        self.solver.set("timeout", _TIMEOUT_MS)
        self._prefix = prefix
        self._decided: list[bool] = []
        self._products: list[tuple[Any, Any, Any]] = []
        self._quotients: list[tuple[Any, Any, Any]] = []
        self._names = 0

    def symbol(self, name: str) -> Any:
        """Any integer at all. (`Any`: it stands where the code expects an int.)"""
        return Symbol(self, z3.Int(name))

    def fresh(self, name: str) -> Any:
        """A term that nothing else uses, with the same name in every run."""
        self._names += 1
        return z3.Int(f"{name}!{self._names}")

    def assume(self, condition: Any) -> None:
        """Restrict the path to what satisfies `condition`."""
        self.solver.add(condition)

    def product(self, a: Any, b: Any) -> Any:
        """A * b, opaque unless one of them is a number."""
        if z3.is_int_value(a) or z3.is_int_value(b):
            return a * b
        for known_a, known_b, known in self._products:
            if (known_a.eq(a) and known_b.eq(b)) or (known_a.eq(b) and known_b.eq(a)):
                return known
        p = self.fresh("product")
        self.exact.append(p == a * b)
        self.assume(z3.Implies(z3.Or(z3.And(a >= 0, b >= 0), z3.And(a <= 0, b <= 0)), p >= 0))
        self.assume(z3.Implies(z3.Or(z3.And(a >= 0, b <= 0), z3.And(a <= 0, b >= 0)), p <= 0))
        for x, y in ((a, b), (b, a)):
            self.assume(z3.Implies(z3.And(x >= 1, y >= 0), p >= y))
            self.assume(z3.Implies(z3.And(x <= -1, y >= 0), p <= -y))
        for bounded, limit in self.bounds:
            for x, y in ((a, b), (b, a)):
                if x.eq(bounded):
                    small = z3.And(-limit <= x, x <= limit, y >= 0)
                    self.assume(z3.Implies(small, z3.And(-limit * y <= p, p <= limit * y)))
        for pair in self._products:
            for common, one in ((a, b), (b, a)):
                for their_common, other in (pair[:2], pair[1::-1]):
                    if common.eq(their_common):
                        self._grows(common, (one, p), (other, pair[2]))
        self._products.append((a, b, p))
        return p

    def quotient(self, a: Any, b: Any) -> Any:
        """Floor of a / b for a positive b; without a meaning for another."""
        for known_a, known_b, known in self._quotients:
            if known_a.eq(a) and known_b.eq(b):
                return known
        q, rest = self.fresh("quotient"), self.fresh("rest")
        euclid = z3.And(a == self.product(q, b) + rest, rest >= 0, rest < b)
        self.assume(z3.Implies(b > 0, euclid))
        self.assume(z3.Implies(z3.And(b > 0, a >= 0), z3.And(q >= 0, q <= a)))
        self._quotients.append((a, b, q))
        return q

    def _grows(self, common: Any, one: tuple[Any, Any], other: tuple[Any, Any]) -> None:
        for (x, xp), (y, yp) in ((one, other), (other, one)):
            self.assume(z3.Implies(z3.And(common >= 0, x <= y), xp <= yp))
            self.assume(z3.Implies(z3.And(common >= 0, x <= -y), xp <= -yp))
            self.assume(z3.Implies(z3.And(common >= 0, -x <= y), -xp <= yp))

    def decide(self, condition: Any) -> bool:
        """The side of a branch that this run takes."""
        at = len(self._decided)
        if at < len(self._prefix):
            side = self._prefix[at]
        else:
            side = self._possible(condition)
            if side and self._possible(z3.Not(condition)):
                self.open_ends.append([*self._decided, False])
        self._decided.append(side)
        self.assume(condition if side else z3.Not(condition))
        return side

    def _possible(self, condition: Any) -> bool:
        """What z3 cannot tell counts as possible."""
        return bool(self.solver.check(condition) != z3.unsat)

    def counterexample(self, claim: Any) -> str | None:
        """Values on this path for which the claim is false, or None: there are none."""
        self.solver.push()
        self.solver.add(z3.Not(claim))
        answer = self.solver.check()
        if answer != z3.unsat and self.exact:
            answer = self._exactly(self.solver.assertions())
        self.solver.pop()
        if answer == z3.unknown:
            raise AssertionError(f"z3 cannot tell whether {claim} holds")
        return f"{claim} can fail" if answer == z3.sat else None

    def _exactly(self, assertions: Any) -> Any:
        """The same with real products; first a small search, then without a bound."""
        for least in (True, False):
            solver = z3.Solver()
            solver.set("timeout", _TIMEOUT_MS // 4 if least else _TIMEOUT_MS)
            solver.add(*assertions, *self.exact)
            if least:
                model = [z3.Int(name) == n for name, n in _TRIED]
                solver.add(*model)
            answer = solver.check()
            if answer == z3.sat or not least:
                return answer
        return z3.unknown


# Numbers with which a counterexample is looked for first: with them all products are linear.
_TRIED = (
    ("travel_window_ns", 1_000_000_000),
    ("travel_max_counts", 1_000),
    ("dt_ns", 10_000_000),
)


def refute(run: Callable[[Explorer], list[Any]]) -> str | None:
    """A counterexample to a claim that `run` returns on some path, or None: all are proven.

    `run` makes its own symbols and may assume what it likes. Raises AssertionError when z3
    cannot tell.
    """
    prefixes: list[list[bool]] = [[]]
    paths = 0
    while prefixes:
        explorer = Explorer(prefixes.pop())
        claims = run(explorer)
        paths += bool(explorer.solver.check() != z3.unsat)
        for claim in claims:
            found = explorer.counterexample(claim)
            if found is not None:
                return found
        prefixes += explorer.open_ends
    assert paths > 0, "the assumptions exclude each other: nothing was proven"
    return None


def compiled(module: ModuleType, old: str = "", new: str = "", **names: Any) -> Any:
    """`module` compiled anew from its own source; the one place that reads `old` is replaced.

    `names` stand in front of the builtins: `min` and `max` that do not branch, or a `type` that
    takes a symbol for an integer.
    """
    assert module.__file__ is not None
    source = Path(module.__file__).read_text(encoding="utf-8")
    if old:
        assert source.count(old) == 1, f"{source.count(old)} places read {old!r}"
        source = source.replace(old, new)
    copy: Any = ModuleType(module.__name__)
    copy.__dict__.update(names)
    exec(compile(source, module.__file__, "exec"), copy.__dict__)  # noqa: S102 - the project's own source
    return copy


def least(*values: Any) -> Any:
    """`min` without a branch."""
    return _chosen(values, lambda a, b: a <= b)


def most(*values: Any) -> Any:
    """`max` without a branch."""
    return _chosen(values, lambda a, b: a >= b)


def type_of(value: Any) -> type:
    """`type`, for which a symbol is an integer."""
    return int if isinstance(value, Symbol) else type(value)


def _chosen(values: tuple[Any, ...], better: Callable[[Any, Any], Any]) -> Any:
    first, *others = values[0] if len(values) == 1 else values
    for other in others:
        symbol = first if isinstance(first, Symbol) else other
        if isinstance(symbol, Symbol):
            a, b = term(first), term(other)
            first = Symbol(symbol.explorer, z3.If(better(a, b), a, b))
        elif not better(first, other):
            first = other
    return first
