"""Follow checks: what the hardware reports as applied is what it was told.

Owns: one debt of difference per actuator (see `debt.py`). Must not: act, or be asked while the
hardware is not armed: then it stands at its own safe value by right.

A difference is normal for a moment: the report is a telemetry period old. One that lasts is
another hand on the actuator, a drive that is stuck, or a command that never arrives.
"""

from edge_agent.core.records import Reason, Rule, Snapshot
from edge_agent.safety import debt
from edge_agent.safety.limits import Envelope


def initial(envelope: Envelope) -> tuple[int, ...]:
    """No difference seen yet."""
    return (0,) * len(envelope.actuators)


def step(
    envelope: Envelope,
    debts: tuple[int, ...],
    command: tuple[int, ...],
    snapshot: Snapshot,
    elapsed_ns: int,
) -> tuple[tuple[int, ...], Reason | None]:
    """`command` is what was sent last. The debts after this tick, and the first actuator that
    does not follow, or None."""
    first = len(envelope.sensors)
    if snapshot.counts[first:] == command and not any(debts):
        return debts, None  # nearly every tick
    after = []
    apart: Reason | None = None
    channel = first - 1
    rows = zip(command, snapshot.counts[first:], debts, envelope.follow_checks, strict=True)
    for sent, applied, before_ns, (most, within_ns) in rows:
        channel += 1
        differs = not -most <= applied - sent <= most
        debt_ns = debt.after(before_ns, elapsed_ns, within_ns, bad=differs)
        if debt_ns > within_ns and apart is None:
            apart = Reason(Rule.NOT_FOLLOWED, channel, applied)
        after.append(debt_ns)
    return tuple(after), apart
