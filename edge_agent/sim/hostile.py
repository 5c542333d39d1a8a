"""A policy that tries to break the envelope, in every way that a policy can.

Owns: what it proposes in one tick, drawn from one seeded generator. Must not: know how the
envelope decides; it knows the limits, as an attacker would.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from edge_agent.core.records import Proposal, Reason, Rule
from edge_agent.core.units import COUNTS_LIMIT
from edge_agent.safety.limits import ActuatorLimits, Envelope

_NS_PER_S = 1_000_000_000
_NOT_NUMBERS = (float("nan"), float("inf"), -float("inf"), 1e300, -1e300, 2.0**63)
_NOT_FLOATS: tuple[Any, ...] = (None, True, 1, "1.0", b"1", (1.0,), [1.0], 1j, 10**400)


class HostilePolicy:
    """Proposes what does most harm, in one of several ways at a time."""

    def __init__(self, envelope: Envelope, generator: random.Random) -> None:
        self._actuators = envelope.actuators
        self._random = generator
        self._tick = 0
        self._last = [float(a.safe.counts) for a in self._actuators]
        self._replayed = Proposal(None)
        self._half_period = 10  # ticks; the adversary's genes ...
        self._gain = 1.0  # ... how far beyond the range it swings ...
        self._phases = [0] * len(self._actuators)  # ... and who swings against whom
        self.kind = "square"

    def breed(self, parent: tuple[int, float, list[int]] | None) -> tuple[int, float, list[int]]:
        """New genes: a mutation of `parent`, or drawn anew. They are returned to be scored."""
        draw = self._random
        if parent is None or draw.random() < 0.3:
            self._half_period = draw.choice((1, 2, 3, 5, 10, 50, 200, 500))
            self._gain = draw.choice((0.3, 0.9, 1.0, 1.1, 10.0))
            self._phases = [draw.randrange(2) for _ in self._actuators]
        else:
            half_period, self._gain, phases = parent
            self._half_period = max(1, half_period + draw.choice((-7, -1, 0, 1, 7)))
            self._phases = [p ^ (draw.random() < 0.2) for p in phases]
        return self._half_period, self._gain, list(self._phases)

    def propose(self, features: Sequence[float]) -> Proposal:  # noqa: ARG002 - Policy's signature
        """One proposal of the present kind; the features do not matter to it."""
        self._tick += 1
        return POLICIES[self.kind](self)

    def _values(self, counts: Sequence[float]) -> tuple[float, ...]:
        pairs = zip(counts, self._actuators, strict=True)
        return tuple(n / a.counts_per_unit for n, a in pairs)

    def calm(self) -> Proposal:
        return Proposal(self._values([_calm_counts(a) for a in self._actuators]))

    def square(self) -> Proposal:
        side = self._tick // self._half_period
        counts = []
        for a, phase in zip(self._actuators, self._phases, strict=True):
            middle, half = (a.min_counts + a.max_counts) / 2, (a.max_counts - a.min_counts) / 2
            counts.append(middle + (1 if (side + phase) % 2 else -1) * half * self._gain)
        proposal = Proposal(self._values(counts))
        if self._random.random() < 0.01:
            self._replayed = proposal
        return proposal

    def replay(self) -> Proposal:
        return self._replayed if self._replayed.values else self.square()

    def walk(self) -> Proposal:
        for i, a in enumerate(self._actuators):
            span = a.max_counts - a.min_counts
            moved = self._last[i] + self._random.gauss(0, span / 20)
            self._last[i] = min(max(moved, a.min_counts - span / 5), a.max_counts + span / 5)
        return Proposal(self._values(self._last))

    def huge(self) -> Proposal:
        sides = (-0.999, 0.999, -1e-3, 1e-3)
        picks = [self._random.choice(sides) for _ in self._last]
        return Proposal(self._values([side * COUNTS_LIMIT for side in picks]))

    def not_a_number(self) -> Proposal:
        return Proposal(self._with(self._random.choice(_NOT_NUMBERS)))

    def not_a_float(self) -> Proposal:
        return Proposal(self._with(self._random.choice(_NOT_FLOATS)))

    def _with(self, value: Any) -> tuple[Any, ...]:
        values = list(self._values(self._last))
        values[self._random.randrange(len(values))] = value
        return tuple(values)

    def shapeless(self) -> Proposal:
        values = self._values(self._last)
        shapes: tuple[Any, ...] = ((), values[1:], (*values, 0.0), list(values), "0", 0.0, {})
        return Proposal(self._random.choice(shapes))

    def late(self) -> Proposal:
        least = min(a.proposal_max_age_ns for a in self._actuators)
        elapsed_ns = self._random.choice((least, least + 1, 3600 * _NS_PER_S, -1, -(2**63)))
        return Proposal(self.square().values, elapsed_ns)

    def silent(self) -> Proposal:
        why = self._random.choice(((), (Reason(Rule.OUTSIDE_TRAINING_RANGE, -1, 3),)))
        return Proposal(None, 0, why)

    def mixed(self) -> Proposal:
        kinds = [kind for kind in POLICIES if kind != "mixed"]
        return POLICIES[self._random.choice(kinds)](self)


POLICIES: Mapping[str, Callable[[HostilePolicy], Proposal]] = MappingProxyType(
    {
        "calm": HostilePolicy.calm,
        "square": HostilePolicy.square,
        "replay": HostilePolicy.replay,
        "walk": HostilePolicy.walk,
        "huge": HostilePolicy.huge,
        "not a number": HostilePolicy.not_a_number,
        "not a float": HostilePolicy.not_a_float,
        "shapeless": HostilePolicy.shapeless,
        "late": HostilePolicy.late,
        "silent": HostilePolicy.silent,
        "mixed": HostilePolicy.mixed,
    }
)


def _calm_counts(a: ActuatorLimits) -> float:
    """Two fifths of the way up: what a well-meant policy might ask for."""
    return (3 * a.min_counts + 2 * a.max_counts) / 5
