"""From what foreign devices write to counts, or to the named reason why not.

Owns: numbers in text, places inside documents, and every way in which they go wrong. Must not:
raise for what a device wrote, whatever it is, or guess: "21,5", "on" and "#VALUE!" are not
numbers.
"""

import difflib
import json
import math
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Protocol

from edge_agent.core.errors import ConfigError
from edge_agent.core.units import UNITS, to_counts

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)


class Cause(StrEnum):
    """Why a value has no counts."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NOT_TEXT = "not_text"
    NOT_A_NUMBER = "not_a_number"
    NOT_FINITE = "not_finite"
    NOT_JSON = "not_json"
    NOT_MSGPACK = "not_msgpack"
    TOO_DEEP = "too_deep"
    PATH_MISSING = "path_missing"
    NULL = "null"
    WRONG_TYPE = "wrong_type"
    BEYOND_COUNTS = "beyond_counts"
    CHECKSUM = "checksum"
    WRONG_COLUMNS = "wrong_columns"


class SourceRow(Protocol):
    """What every row of configuration says about the number that it reads."""

    @property
    def channel(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def scale(self) -> float: ...
    @property
    def offset(self) -> float: ...


def unknown_name(name: str, known: Iterable[str], kind: str, where: str) -> ConfigError:
    """The error for a row that names no known `kind`; it suggests the nearest."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    fix = f"did you mean {close[0]!r}? " if close else ""
    return ConfigError(
        f"unknown {kind} {name!r}",
        where=f"{where}.{kind}",
        fix=f"{fix}known: {', '.join(names)}",
    )


def require_range(value: float, low: float, high: float, where: str) -> None:
    """ConfigError for a number that is not from `low` to `high`, both included."""
    if not low <= value <= high:
        raise ConfigError(
            f"{value} is out of range", where=where, fix=f"choose {low:g} to {high:g}"
        )


def linear(row: SourceRow, base: str, where: str) -> tuple[float, float]:
    """(scale, offset) from the raw number to `base`, the channel's unit; ConfigError."""
    if row.unit not in UNITS:
        raise unknown_name(row.unit, UNITS, "unit", where)
    conversion = UNITS[row.unit]
    if conversion.base != base:
        fitting = ", ".join(name for name, unit in UNITS.items() if unit.base == base)
        raise ConfigError(
            f"{row.unit} cannot be converted to {base}, the unit of {row.channel}",
            where=f"{where}.unit",
            fix=f"use one of: {fitting}",
        )
    if not math.isfinite(row.scale) or row.scale == 0.0:
        raise ConfigError("must be finite and not 0", where=f"{where}.scale", fix="such as 1.0")
    if not math.isfinite(row.offset):
        raise ConfigError("must be finite", where=f"{where}.offset", fix="such as 0.0")
    return row.scale * conversion.scale, row.offset * conversion.scale + conversion.offset


def place_of(path: str, form: str, where: str, prefix: str = "") -> tuple[str, ...]:
    """The steps of a dotted path into a document; ConfigError for a number, which has no inside.
    `prefix` stands before the names of both keys."""
    if path and form == "number":
        raise ConfigError(
            f"a path selects inside a document, but {prefix}format is 'number'",
            where=f"{where}.{prefix}path",
            fix=f"remove {prefix}path, or set {prefix}format = 'json' or 'msgpack'",
        )
    return tuple(path.split(".")) if path else ()


def parse_number(text: str) -> float | Cause:
    """The number that `text` is, and nothing else."""
    text = text.strip()
    if not text:
        return Cause.EMPTY
    if _NUMBER.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else Cause.BEYOND_COUNTS
    return Cause.NOT_FINITE if _NOT_FINITE.fullmatch(text) else Cause.NOT_A_NUMBER


def parse_json(payload: bytes) -> Any:
    """The document, or a Cause."""
    try:
        return json.loads(payload.decode())
    except UnicodeDecodeError:
        return Cause.NOT_TEXT
    except RecursionError:
        return Cause.TOO_DEEP
    except ValueError:  # not JSON, or an integer of thousands of digits
        return Cause.NOT_JSON


def word_of(text: str, words: tuple[str, str]) -> float | Cause:
    """0 for the first of two words, 1 for the second."""
    return float(words.index(text)) if text in words else Cause.NOT_A_NUMBER


def select(
    document: Any, path: tuple[str, ...], *, is_bool: bool, words: tuple[str, str] | None = None
) -> float | Cause:
    """The number at `path`, or which of `words` stands there; a Cause passes through."""
    found = document if isinstance(document, Cause) else _walk(document, path)
    if words is not None and isinstance(found, str) and not isinstance(found, Cause):
        return word_of(found, words)
    if found is None:
        return Cause.NULL
    if isinstance(found, bool) and not is_bool:
        return Cause.WRONG_TYPE
    if isinstance(found, int | float | Cause):
        return found
    return Cause.NOT_A_NUMBER if isinstance(found, str) else Cause.WRONG_TYPE


def counts_of(raw: float, scale: float, offset: float, counts_per_unit: int) -> int | Cause:
    """In counts: raw * scale + offset."""
    try:
        value = raw * scale + offset
    except OverflowError:  # an integer that no float can hold
        return Cause.BEYOND_COUNTS
    if math.isnan(raw) or math.isinf(raw):
        return Cause.NOT_FINITE
    counts = to_counts(value, counts_per_unit)
    return Cause.BEYOND_COUNTS if counts is None else counts


def _walk(document: Any, path: tuple[str, ...]) -> Any:
    """What stands at `path`: keys of maps, positions of lists."""
    for key in path:
        if isinstance(document, dict) and key in document:
            document = document[key]
        elif isinstance(document, list) and key.isdecimal() and int(key) < len(document):
            document = document[int(key)]
        else:
            return Cause.PATH_MISSING
    return document
