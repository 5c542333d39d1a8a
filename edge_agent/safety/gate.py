"""The gate: the one place where a policy's floats become counts, or nothing.

Owns: shape, number, finiteness and age of a proposal. Must not: clamp; a finite value out of
range is the envelope's business and is clamped there with a reason.

Every test is in the positive form `lo <= x <= hi`, because NaN fails it; the usual clamp does
not stop NaN (in Python `max(lo, min(hi, nan))` is `hi`: full actuation).
"""

from edge_agent.core.records import Proposal, Reason, Rule
from edge_agent.core.units import to_counts
from edge_agent.safety.limits import Envelope


def admit(proposal: Proposal, envelope: Envelope) -> tuple[tuple[int, ...] | None, list[Reason]]:
    """Counts per actuator, or None and the reasons why there is no usable proposal."""
    values: object = proposal.values  # whatever a policy really put there
    if values is None:
        return None, list(proposal.reasons) or [Reason(Rule.NO_MODEL)]
    actuators = envelope.actuators
    if not isinstance(values, tuple) or len(values) != len(actuators):
        return None, [Reason(Rule.WRONG_SHAPE)]
    channel = len(envelope.sensors)
    elapsed_ns = proposal.elapsed_ns
    counts = []
    for value, limits in zip(values, actuators, strict=True):
        if not 0 <= elapsed_ns <= limits.proposal_max_age_ns:
            return None, [Reason(Rule.LATE, channel, elapsed_ns)]
        if type(value) is not float:  # a bool, a string or an array is not a proposal
            return None, [Reason(Rule.WRONG_SHAPE, channel)]
        whole = to_counts(value, limits.counts_per_unit)
        if whole is None:
            return None, [Reason(Rule.NOT_FINITE, channel)]
        counts.append(whole)
        channel += 1
    return tuple(counts), []
