"""From the bytes of one MQTT payload to counts, or to the named reason why not.

Owns: the three payload formats and every way in which they go wrong. Must not: raise for a
payload, whatever it holds, or guess: "21,5", "on" and "#VALUE!" are not numbers.
"""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from edge_agent.core.fields import Cause, counts_of, parse_json, parse_number, select, word_of

__all__ = ["MAX_PAYLOAD_BYTES", "Cause", "SensorDecoder"]

MAX_PAYLOAD_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorDecoder:
    """How one channel is read from its topic.

    value in the channel's unit = raw * `scale` + `offset`. `words`: off and on, where the
    device does not write a number.
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
    words: tuple[str, str] | None = None

    def decode(self, payload: bytes) -> int | Cause:
        """Counts, or why there are none."""
        if not payload:
            return Cause.EMPTY
        if len(payload) > MAX_PAYLOAD_BYTES:
            return Cause.TOO_LARGE
        raw = self._raw(payload)
        if isinstance(raw, Cause):
            return raw
        return counts_of(raw, self.scale, self.offset, self.counts_per_unit)

    def _raw(self, payload: bytes) -> float | Cause:
        if self.form == "number":
            return _parse_text(payload, self.words)
        document = parse_json(payload) if self.form == "json" else _parse_msgpack(payload)
        return select(document, self.path, is_bool=self.is_bool, words=self.words)


def _parse_text(payload: bytes, words: tuple[str, str] | None) -> float | Cause:
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return Cause.NOT_TEXT
    return parse_number(text) if words is None else word_of(text, words)


def _parse_msgpack(payload: bytes) -> Any:
    try:
        return msgspec.msgpack.decode(payload)
    except RecursionError:
        return Cause.TOO_DEEP
    except (msgspec.DecodeError, ValueError, TypeError):  # TypeError: an unhashable map key
        return Cause.NOT_MSGPACK
