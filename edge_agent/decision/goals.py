"""Goals that people set: which channels are wishes and not measurements, and what is wished.

Owns: the table of such channels per device, and the present goals. Must not: be a way to
pretend a measurement: a channel that is not in the table cannot be set, and a goal goes through
the same checks of range and step as a sample.

A goal holds until it is cleared or the process ends. While there is one, samples of its channel
from elsewhere are recorded and have no effect.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from edge_agent.core.records import Intent, Op, Quality, Reading
from edge_agent.safety.limits import Envelope, SensorLimits

_SETTABLE: Mapping[str, tuple[str, ...]] = MappingProxyType({"air-handler": ("supply_setpoint",)})


def settable(envelope: Envelope) -> Mapping[str, SensorLimits]:
    """The channels of this device that take a goal, and their limits."""
    names = _SETTABLE.get(envelope.device, ())
    return {s.name: s for s in envelope.sensors if s.name in names}


class Goals:
    """The present goals of one device."""

    def __init__(self, envelope: Envelope) -> None:
        self._ranges = {
            envelope.sensor_index[name]: (limits.min_counts, limits.max_counts)
            for name, limits in settable(envelope).items()
        }
        self._counts: dict[int, int] = {}

    def take(self, intents: Sequence[Intent]) -> None:
        """Set and clear; what is not possible is not done, whoever let it through."""
        for intent in intents:
            low, high = self._ranges.get(intent.channel, (1, 0))
            if intent.op == Op.CLEAR_GOAL:
                self._counts.pop(intent.channel, None)
            elif intent.op == Op.SET_GOAL and low <= intent.counts <= high:
                self._counts[intent.channel] = intent.counts

    def over(self, readings: Sequence[Reading], now_ns: int) -> Sequence[Reading]:
        """The readings with each goal in the place of its channel's samples."""
        if not self._counts:
            return readings
        goals = [Reading(c, n, now_ns, Quality.GOOD) for c, n in self._counts.items()]
        return [*(r for r in readings if r.channel not in self._counts), *goals]
