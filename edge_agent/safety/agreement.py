"""Agreement: two sensors of one quantity, neither believed while they are apart for too long.

Owns: one debt of difference per declared agreement (see `debt.py`). Must not: choose which of
the two is right, or average them; no proposal is made from either.

A second source that is not GOOD confirms nothing, so its time counts as time apart, and what
is reported then is what ails it.
"""

from collections.abc import Mapping

from edge_agent.core.records import Quality, Reason, Rule, Snapshot
from edge_agent.safety import debt
from edge_agent.safety.limits import Envelope

_GOOD = int(Quality.GOOD)
BAD_INPUT: Mapping[int, Rule] = {
    Quality.STALE: Rule.STALE_INPUT,
    Quality.MISSING: Rule.MISSING_INPUT,
    Quality.INVALID: Rule.INVALID_INPUT,
}


def bad_input(snapshot: Snapshot, channel: int) -> Reason:
    """What ails a channel that is not GOOD."""
    rule = BAD_INPUT[snapshot.qualities[channel]]
    numbers = snapshot.ages_ns if rule == Rule.STALE_INPUT else snapshot.counts
    return Reason(rule, channel, numbers[channel])


def initial(envelope: Envelope) -> tuple[int, ...]:
    """Nothing was apart yet."""
    return (0,) * len(envelope.agreements)


def step(
    envelope: Envelope, debts: tuple[int, ...], snapshot: Snapshot, elapsed_ns: int
) -> tuple[tuple[int, ...], Reason | None]:
    """The debts after this tick, and why the first pair cannot be believed, or None."""
    counts, qualities = snapshot.counts, snapshot.qualities
    after = []
    refused: Reason | None = None
    for (one, other, rule), before_ns in zip(envelope.agreements, debts, strict=True):
        apart = abs(counts[one] - counts[other])
        unseen = next((c for c in (one, other) if qualities[c] != _GOOD), None)
        bad = unseen is not None or apart > rule.max_difference_counts
        debt_ns = debt.after(before_ns, elapsed_ns, rule.within_ns, bad=bad)
        if debt_ns > rule.within_ns and refused is None:
            refused = Reason(Rule.SOURCES_DISAGREE, one, apart)
            if unseen is not None:
                refused = bad_input(snapshot, unseen)
        after.append(debt_ns)
    return tuple(after), refused
