"""Conversion between the units people write and the integer counts the agent decides in.

Owns: the table of known units and `to_counts`. Must not: guess. A unit that is not in the
table is an error; a value that is not finite has no counts.
"""

from collections.abc import Mapping
from typing import NamedTuple

# Counts must fit the wire and the MCU's int32 with room for arithmetic.
COUNTS_LIMIT = 1_000_000_000


class UnitConversion(NamedTuple):
    """base value = raw value * scale + offset."""

    base: str
    scale: float
    offset: float


# Sources: SI Brochure 9th ed. (degC), NIST SP 811 (degF: (F - 32) / 1.8).
UNITS: Mapping[str, UnitConversion] = {
    "degC": UnitConversion("degC", 1.0, 0.0),
    "degF": UnitConversion("degC", 1 / 1.8, -32 / 1.8),
    "K": UnitConversion("degC", 1.0, -273.15),
    "percent": UnitConversion("percent", 1.0, 0.0),
    "fraction": UnitConversion("percent", 100.0, 0.0),
    "A": UnitConversion("A", 1.0, 0.0),
    "mA": UnitConversion("A", 1e-3, 0.0),
    "bool": UnitConversion("bool", 1.0, 0.0),
}


def to_counts(value: float, counts_per_unit: int) -> int | None:
    """`value` (in the channel's unit) in whole counts, half to even; None if it has none.

    NaN, infinities and magnitudes that no real channel reaches have no counts.
    """
    scaled = value * counts_per_unit
    if not -COUNTS_LIMIT <= scaled <= COUNTS_LIMIT:  # false for NaN as well
        return None
    return round(scaled)


def to_value(counts: int, counts_per_unit: int) -> float:
    """The value in the channel's unit that `counts` stands for."""
    return counts / counts_per_unit
