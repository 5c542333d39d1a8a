"""Effect checks: what was commanded must show on another sensor, within a time.

Owns: one pair of timers per actuator that declares a check. Must not: act; it reports, and
the supervisor trips. A check whose sensor is not GOOD keeps running on its timer: not seen
counts as not happened.
"""

from typing import NamedTuple

from edge_agent.core.records import Quality, Reason, Rule, Snapshot
from edge_agent.safety.limits import EffectCheck, Envelope

_NOT_WAITING = -1


class EffectState(NamedTuple):
    """Since when each actuator's expected effect has been missing, ns; -1 when it is not."""

    high_since_ns: tuple[int, ...]
    low_since_ns: tuple[int, ...]


def initial(envelope: Envelope) -> EffectState:
    """Nothing is awaited yet."""
    none = (_NOT_WAITING,) * len(envelope.actuators)
    return EffectState(none, none)


def step(
    envelope: Envelope,
    state: EffectState,
    command: tuple[int, ...],
    snapshot: Snapshot,
    now_ns: int,
) -> tuple[EffectState, Reason | None]:
    """`command` is what was sent last. Returns the first effect that is overdue, or None."""
    highs, lows = [], []
    overdue: Reason | None = None
    for i, limits in enumerate(envelope.actuators):
        high = low = _NOT_WAITING
        check = limits.effect
        if isinstance(check, EffectCheck):
            sensor = envelope.sensor_index[check.sensor]
            value = snapshot.counts[sensor]
            seen = snapshot.qualities[sensor] == Quality.GOOD
            if command[i] >= check.when_at_least and not (seen and value >= check.expect_at_least):
                high = _since(state.high_since_ns[i], now_ns)
            if command[i] <= check.when_at_most and not (seen and value <= check.expect_at_most):
                low = _since(state.low_since_ns[i], now_ns)
            late = (high != _NOT_WAITING and now_ns - high > check.within_ns) or (
                low != _NOT_WAITING and now_ns - low > check.within_ns
            )
            if late and overdue is None:
                overdue = Reason(Rule.EFFECT_MISSING, len(envelope.sensors) + i, value)
        highs.append(high)
        lows.append(low)
    return EffectState(tuple(highs), tuple(lows)), overdue


def _since(since_ns: int, now_ns: int) -> int:
    return now_ns if since_ns == _NOT_WAITING else since_ns
