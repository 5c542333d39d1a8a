"""Rows of configuration that give channels their numbers, and the Readings these become.

Owns: what rows of every port to boards that are not ours have in common. Must not: know where
in a line or a register a number stands.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

from edge_agent.core.errors import ConfigError
from edge_agent.core.fields import Cause, SourceRow, counts_of, linear, unknown_name
from edge_agent.core.records import Quality, Reading
from edge_agent.safety.limits import SensorLimits

RowT = TypeVar("RowT", bound=SourceRow)


class Target(NamedTuple):
    """The channel that a raw number is for: value in its unit = raw * `scale` + `offset`."""

    channel: int
    scale: float
    offset: float
    limits: SensorLimits

    def counts(self, raw: float | Cause) -> int | Cause:
        """In counts, or why there are none."""
        if isinstance(raw, Cause):
            return raw
        return counts_of(raw, self.scale, self.offset, self.limits.counts_per_unit)


def targets(
    rows: Sequence[RowT], sensors: Sequence[SensorLimits], where: str
) -> Iterator[tuple[str, RowT, Target]]:
    """Each row of the section `where` with its own place and target; ConfigError for the first
    that names no channel or a unit that does not fit."""
    if not rows:
        raise ConfigError("has no rows", where=f"{where}.sensor", fix="add a row, or remove it")
    by_name = {limits.name: (index, limits) for index, limits in enumerate(sensors)}
    for number, row in enumerate(rows):
        here = f"{where}.sensor[{number}]"
        if row.channel not in by_name:
            raise unknown_name(row.channel, by_name, "channel", here)
        index, limits = by_name[row.channel]
        scale, offset = linear(row, limits.unit, here)
        yield here, row, Target(index, scale, offset, limits)


def reading_of(channel: int, counts: int | Cause, stamp_ns: int, tally: Counter[str]) -> Reading:
    """GOOD, or INVALID by its cause; either is counted."""
    if isinstance(counts, Cause):
        tally[counts.value] += 1
        return Reading(channel, 0, stamp_ns, Quality.INVALID)
    tally["good"] += 1
    return Reading(channel, counts, stamp_ns, Quality.GOOD)
