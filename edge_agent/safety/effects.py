"""Effect checks: what was commanded must show on another sensor, within a time.

Owns: two debts of missing effect per declared check (see `debt.py`). Must not: act; it
reports, and the supervisor trips. A check whose sensor is not GOOD keeps running on its timer:
not seen counts as not happened.
"""

from edge_agent.core.records import Quality, Reason, Rule, Snapshot
from edge_agent.safety import debt
from edge_agent.safety.limits import Envelope

_GOOD = int(Quality.GOOD)


def initial(envelope: Envelope) -> tuple[int, ...]:
    """Nothing is awaited yet: per check, the debts of a high and of a low command, ns."""
    return (0, 0) * len(envelope.effect_checks)


def step(
    envelope: Envelope,
    debts: tuple[int, ...],
    command: tuple[int, ...],
    snapshot: Snapshot,
    elapsed_ns: int,
) -> tuple[tuple[int, ...], Reason | None]:
    """`command` is what was sent last. The debts after this tick, and the first effect that is
    overdue, or None."""
    after = list(debts)
    overdue: Reason | None = None
    counts, qualities = snapshot.counts, snapshot.qualities
    k = -2
    for i, sensor, check in envelope.effect_checks:
        k += 2
        value, sent = counts[sensor], command[i]
        seen = qualities[sensor] == _GOOD
        high = sent >= check.when_at_least and not (seen and value >= check.expect_at_least)
        low = sent <= check.when_at_most and not (seen and value <= check.expect_at_most)
        if not (high or low or debts[k] or debts[k + 1]):
            continue  # nearly every tick
        within_ns = check.within_ns
        after[k] = debt.after(debts[k], elapsed_ns, within_ns, bad=high)
        after[k + 1] = debt.after(debts[k + 1], elapsed_ns, within_ns, bad=low)
        if max(after[k : k + 2]) > within_ns and overdue is None:
            overdue = Reason(Rule.EFFECT_MISSING, len(envelope.sensors) + i, value)
    return tuple(after), overdue
