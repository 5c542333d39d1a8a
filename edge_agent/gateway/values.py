"""A tick in the device's own words: measured values and commands by name and in their units.

Owns: the way from counts to values. Must not: know a document or a topic.
"""

from typing import NamedTuple

from edge_agent.core.records import Quality, TickRecord
from edge_agent.core.units import to_value
from edge_agent.safety.limits import Envelope


class Measured(NamedTuple):
    """Every channel; None where there is no usable value, and then `doubtful` says why."""

    values: dict[str, float | None]
    doubtful: dict[str, str]


class Values:
    """The words of one device."""

    def __init__(self, envelope: Envelope) -> None:
        self.names = envelope.channel_names
        self.scales = (
            *(sensor.counts_per_unit for sensor in envelope.sensors),
            *(actuator.counts_per_unit for actuator in envelope.actuators),
        )
        self._actuators = slice(len(envelope.sensors), None)

    def measured(self, record: TickRecord) -> Measured:
        """What the tick knew; ValueError for a quality that this version does not know."""
        values: dict[str, float | None] = {}
        doubtful: dict[str, str] = {}
        snapshot = record.snapshot
        for name, scale, counts, quality in zip(
            self.names, self.scales, snapshot.counts, snapshot.qualities, strict=False
        ):
            good = quality == Quality.GOOD
            values[name] = to_value(counts, scale) if good else None
            if not good:
                doubtful[name] = Quality(quality).name
        return Measured(values, doubtful)

    def command(self, record: TickRecord) -> dict[str, float]:
        """What the tick decided; ValueError for another number of actuators."""
        return {
            name: to_value(counts, scale)
            for name, scale, counts in zip(
                self.names[self._actuators],
                self.scales[self._actuators],
                record.verdict.command,
                strict=True,
            )
        }
