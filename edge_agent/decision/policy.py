"""What a policy is to the agent, and the guard on what it may be asked.

A policy turns one feature vector into one Proposal. It measures its own time (the adapter has
the clock) and never raises: a failure is a Proposal without values. The range guard refuses
to ask a learned policy about a world it was not trained on, because a saturated network
answers with confidence: no limit on the output can catch that.
"""

from collections.abc import Sequence
from typing import Protocol

from edge_agent.core.records import Proposal, Reason, Rule


class Policy(Protocol):
    """Features in, proposal out."""

    def propose(self, features: Sequence[float]) -> Proposal:
        """One decision: a float per actuator in its unit, or none and why."""


class NoPolicy:
    """Stands where no model is loaded: it never has a value."""

    def propose(self, features: Sequence[float]) -> Proposal:  # noqa: ARG002 - as every policy
        """No, and why."""
        return Proposal(None, 0, (Reason(Rule.NO_MODEL),))


def first_outside(
    features: Sequence[float], minima: Sequence[float], maxima: Sequence[float]
) -> int:
    """Index of the first feature outside its range (NaN is outside), -1 if all are inside."""
    for i, (low, x, high) in enumerate(zip(minima, features, maxima, strict=True)):
        if not low <= x <= high:
            return i
    return -1
