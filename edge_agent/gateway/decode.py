"""From the bytes of one MQTT payload to counts, or to the named reason why not.

Owns: the three payload formats and every way in which they go wrong. Must not: raise for a
payload, whatever it holds, or guess: "21,5", "on" and "#VALUE!" are not numbers.
"""

import json
import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import msgspec

from edge_agent.core.units import to_counts

MAX_PAYLOAD_BYTES = 65_536
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)


class Cause(StrEnum):
    """Why a payload has no counts."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorDecoder:
    """How one channel is read from its topic.

    value in the channel's unit = raw * `scale` + `offset`.
    """

    channel: int
    name: str
    topic: str
    form: Literal["number", "json", "msgpack"]
    path: tuple[str, ...]
    scale: float
    offset: float
    counts_per_unit: int
    is_bool: bool

    def decode(self, payload: bytes) -> int | Cause:
        """Counts, or why there are none."""
        if not payload:
            return Cause.EMPTY
        if len(payload) > MAX_PAYLOAD_BYTES:
            return Cause.TOO_LARGE
        if self.form == "number":
            raw = _parse_number(payload)
        elif self.form == "json":
            raw = self._select(_parse_json(payload))
        else:
            raw = self._select(_parse_msgpack(payload))
        return raw if isinstance(raw, Cause) else self._counts(raw)

    def _select(self, document: Any) -> float | Cause:
        """The number at `path`; a Cause passes through."""
        found = document if isinstance(document, Cause) else _walk(document, self.path)
        if found is None:
            return Cause.NULL
        if isinstance(found, bool) and not self.is_bool:
            return Cause.WRONG_TYPE
        if isinstance(found, int | float | Cause):
            return found
        return Cause.NOT_A_NUMBER if isinstance(found, str) else Cause.WRONG_TYPE

    def _counts(self, raw: float) -> int | Cause:
        try:
            value = raw * self.scale + self.offset
        except OverflowError:  # an integer that no float can hold
            return Cause.BEYOND_COUNTS
        if math.isnan(raw) or math.isinf(raw):
            return Cause.NOT_FINITE
        counts = to_counts(value, self.counts_per_unit)
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


def _parse_number(payload: bytes) -> float | Cause:
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError:
        return Cause.NOT_TEXT
    if not text:
        return Cause.EMPTY
    if _NUMBER.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else Cause.BEYOND_COUNTS
    return Cause.NOT_FINITE if _NOT_FINITE.fullmatch(text) else Cause.NOT_A_NUMBER


def _parse_json(payload: bytes) -> Any:
    try:
        return json.loads(payload.decode())
    except UnicodeDecodeError:
        return Cause.NOT_TEXT
    except RecursionError:
        return Cause.TOO_DEEP
    except ValueError:  # not JSON, or an integer of thousands of digits
        return Cause.NOT_JSON


def _parse_msgpack(payload: bytes) -> Any:
    try:
        return msgspec.msgpack.decode(payload)
    except RecursionError:
        return Cause.TOO_DEEP
    except (msgspec.DecodeError, ValueError, TypeError):  # TypeError: an unhashable map key
        return Cause.NOT_MSGPACK
