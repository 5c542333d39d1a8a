"""Goals that people set: which channels are wishes and not measurements, and what is wished.

Owns: the table of such channels per device, and the present goals. Must not: be a way to
pretend a measurement: a channel that is not in the table cannot be set, and a goal goes through
the same checks of range and step as a sample.

A goal is a band from `low` to `high` of what the wish is about; a single value is a band without
width. The wish is the point of the band that is nearest to the measured value: inside the band
nothing is to be corrected, and outside the nearer edge is to be reached. That is range control,
as by a thermostat with a dead band or a zone in predictive control: what the process does by
itself inside the band costs no energy.

A goal holds until it is cleared or the process ends. While there is one, samples of its channel
from elsewhere are recorded and have no effect.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from edge_agent.core.records import Intent, Op, Quality, Reading, Snapshot
from edge_agent.safety.limits import Envelope, SensorLimits

# Device -> wish -> the measured channel that it is about, of the same resolution.
_SETTABLE: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"air-handler": MappingProxyType({"supply_setpoint": "supply_temperature"})}
)


def settable(envelope: Envelope) -> Mapping[str, SensorLimits]:
    """The channels of this device that take a goal, and their limits."""
    names = _SETTABLE.get(envelope.device, {})
    return {s.name: s for s in envelope.sensors if s.name in names}


class _Goal(NamedTuple):
    """A band in counts, and where in it the wish stands; None before a value was measured."""

    low: int
    high: int
    wish: int | None


class Goals:
    """The present goals of one device."""

    def __init__(self, envelope: Envelope) -> None:
        index = envelope.sensor_index
        self._ranges = {
            index[name]: (limits.min_counts, limits.max_counts)
            for name, limits in settable(envelope).items()
        }
        self._measured = {
            index[wish]: index[measured]
            for wish, measured in _SETTABLE.get(envelope.device, {}).items()
        }
        self._goals: dict[int, _Goal] = {}

    def take(self, intents: Sequence[Intent]) -> None:
        """Set and clear; what is not possible is not done, whoever let it through."""
        for intent in intents:
            c, low, high = intent.channel, intent.counts, intent.counts
            if intent.op == Op.CLEAR_GOAL:
                self._goals.pop(c, None)
                continue
            if intent.op == Op.SET_BAND:
                high = intent.high_counts
            elif intent.op != Op.SET_GOAL:
                continue
            least, most = self._ranges.get(c, (1, 0))
            if least <= low <= high <= most:
                self._goals[c] = _Goal(low, high, low if low == high else None)

    def over(
        self, readings: Sequence[Reading], now_ns: int, last: Snapshot | None
    ) -> Sequence[Reading]:
        """The readings with each goal's wish in the place of its channel's samples. `last` is
        the snapshot of the tick before; a measurement that was not GOOD moves no wish."""
        if not self._goals:
            return readings
        wishes = []
        for c, goal in self._goals.items():
            measured = self._measured[c]
            wish = goal.wish
            if last is not None and last.qualities[measured] == Quality.GOOD:
                wish = min(max(last.counts[measured], goal.low), goal.high)
                self._goals[c] = goal._replace(wish=wish)
            if wish is not None:
                wishes.append(Reading(c, wish, now_ns, Quality.GOOD))
        return [*(r for r in readings if r.channel not in self._goals), *wishes]
