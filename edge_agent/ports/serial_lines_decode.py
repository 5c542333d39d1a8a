"""Lines of text from a board that is not ours: found in a stream of noise, and read.

Owns: the bounded line buffer, JSON, CSV and NMEA 0183 lines, and every way in which they go
wrong. Must not: raise for what arrived, do I/O, or keep a value: a line says what it says.

A damaged line makes the channels that it stands for INVALID, not absent: their last good value
was true once, and the board is saying something else now.
"""

from dataclasses import dataclass
from typing import Any, Literal

from edge_agent.core.fields import Cause, parse_json, parse_number, select
from edge_agent.ports.rows import Target

LINE_MAX = 1024  # bytes; NMEA allows 82, a JSON line of a sensor board has a few hundred
_CHECKSUM_DIGITS = 2


class LineBuffer:
    """Whole lines out of any chunking. Starts by skipping to the first line end, because a port
    is opened in mid-line; never holds more than LINE_MAX bytes."""

    def __init__(self) -> None:
        self.too_long = 0
        self._tail = b""
        self._skipping = True

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends and without empty ones."""
        lines = (self._tail + data).split(b"\n")
        self._tail = lines.pop()
        if lines and self._skipping:
            self._skipping = False
            del lines[0]
        if len(self._tail) > LINE_MAX:
            self.too_long += not self._skipping
            self._skipping = True
        if self._skipping:
            self._tail = b""
        whole = []
        for line in lines:
            stripped = line.strip(b"\r\t ")
            if len(line) > LINE_MAX:
                self.too_long += 1
            elif stripped:
                whole.append(stripped)
        return whole


@dataclass(frozen=True, slots=True, kw_only=True)
class LineField:
    """How one channel is read. `sentence`: NMEA only, with or without the talker's two letters."""

    target: Target
    sentence: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LineDecoder:
    """What the lines of one board say about some channels."""

    form: Literal["json", "csv", "nmea"]
    fields: tuple[LineField, ...]
    columns: int  # csv: exactly so many; 0: enough

    def decode(self, line: bytes) -> list[tuple[int, int | Cause]]:
        """(channel, counts or why there are none) for each channel that this line is about."""
        fields = self.fields
        if self.form == "json":
            document = parse_json(line)
        elif self.form == "csv":
            document = self._split_csv(line)
        else:
            name, document = _split_nmea(line)
            fields = tuple(field for field in fields if _is_about(field, name))
        return [(field.target.channel, _read(field, document)) for field in fields]

    def _split_csv(self, line: bytes) -> list[float | Cause] | Cause:
        try:
            cells = line.decode("ascii").split(",")
        except UnicodeDecodeError:
            return Cause.NOT_TEXT
        if self.columns and len(cells) != self.columns:
            return Cause.WRONG_COLUMNS
        return [parse_number(cell) for cell in cells]


def _read(field: LineField, document: Any) -> int | Cause:
    is_bool = field.target.limits.unit == "bool"
    return field.target.counts(select(document, field.path, is_bool=is_bool))


def _split_nmea(line: bytes) -> tuple[str, list[float | Cause] | Cause]:
    """(address such as WIMDA, its numbers by position); a line without one is about nothing."""
    try:
        text = line.decode("ascii")
    except UnicodeDecodeError:
        return "", Cause.NOT_TEXT
    if text[:1] not in {"$", "!"}:
        return "", Cause.NOT_TEXT
    body, star, checksum = text[1:].partition("*")
    cells = body.split(",")
    wanted = 0
    for character in body:
        wanted ^= ord(character)
    if not star or len(checksum) != _CHECKSUM_DIGITS or checksum.upper() != f"{wanted:02X}":
        return cells[0], Cause.CHECKSUM
    return cells[0], [parse_number(cell) for cell in cells]


def _is_about(field: LineField, name: str) -> bool:
    """The whole address, or the sentence of any talker."""
    return field.sentence in {name, name[2:]}
