"""Reads a segment back, whatever happened to it.

Owns: finding the intact records of a file and saying where and how it is damaged. Must not:
write, repair, or stop at damage that it can step over.

After damage the reader looks for the next marker whose length and checksum fit and goes on
there: the format gives every record a marker, and every TickRecord stands alone. A tail that
ends inside a record is reported as `CUT_SHORT`: the usual end of a file whose writer was
killed, or is still writing. Reading the file again later simply yields more.
"""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import msgspec

from edge_agent.core.records import TickRecord
from edge_agent.recording.format import (
    FILE_START,
    MAGIC,
    RECORD_HEAD,
    SYNC,
    VERSION,
    Header,
    RecordingError,
    is_cut_short,
    record_at,
)


class DamageKind(StrEnum):
    """How a stretch of a file failed to be records."""

    CUT_SHORT = "the file ends inside a record"
    CORRUPTED = "bytes that are no intact record"
    NOT_UNDERSTOOD = "an intact record that does not decode"


class Damage(msgspec.Struct, frozen=True):
    """`length` bytes from byte `offset` of the file gave nothing."""

    kind: DamageKind
    offset: int
    length: int

    def __str__(self) -> str:
        return f"byte {self.offset}: {self.kind.value} ({self.length} bytes)"


class SegmentReader:
    """One segment file as it is at this moment; iterate for its TickRecords."""

    def __init__(self, path: Path) -> None:
        """Read the file and its header.

        `header` is None when the header record is damaged; the ticks can still be read.
        Raises RecordingError when the file cannot be opened, is no recording, or is of
        another format version.
        """
        self.path = path
        self.header: Header | None = None
        self.damage: list[Damage] = []
        self._data = _read(path)
        self._first = 0  # offset of the first record that may be a tick
        self._header_damage: list[Damage] = []
        self._read_header()
        self.damage = list(self._header_damage)

    def __iter__(self) -> Iterator[TickRecord]:
        """Every intact tick in order; `damage` is complete when the iteration is."""
        self.damage = list(self._header_damage)
        decode = msgspec.msgpack.Decoder(TickRecord).decode
        offset, end = self._first, len(self._data)
        while offset < end:
            payload = record_at(self._data, offset)
            if payload is None:
                offset = self._skip(offset)
                continue
            length = RECORD_HEAD.size + len(payload)
            try:
                tick = decode(payload)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self.damage.append(Damage(DamageKind.NOT_UNDERSTOOD, offset, length))
            else:
                yield tick
            offset += length

    def _read_header(self) -> None:
        data = self._data
        if len(data) < len(FILE_START):
            # Not even the start is whole: a file that was created and never written to.
            self._first = len(data)
            self._header_damage.append(Damage(DamageKind.CUT_SHORT, 0, len(data)))
            return
        self._first = len(FILE_START)
        payload = record_at(data, self._first)
        if payload is None:
            return  # the iteration will report it, and step over
        length = RECORD_HEAD.size + len(payload)
        try:
            self.header = msgspec.msgpack.decode(payload, type=Header)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # a tick, if the header is missing altogether
        self._first += length

    def _skip(self, offset: int) -> int:
        """Book the damage at `offset`; where the next intact record begins, or the end."""
        data = self._data
        found = data.find(SYNC, offset + 1)
        while found >= 0 and record_at(data, found) is None:
            found = data.find(SYNC, found + 1)
        next_offset = found if found >= 0 else len(data)
        cut_short = found < 0 and is_cut_short(data, offset)
        kind = DamageKind.CUT_SHORT if cut_short else DamageKind.CORRUPTED
        self.damage.append(Damage(kind, offset, next_offset - offset))
        return next_offset


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordingError(
            str(error.strerror), where=str(path), fix="name a readable .rec file"
        ) from error
    magic, version = data[: len(MAGIC)], data[len(MAGIC) : len(FILE_START)]
    if magic != MAGIC[: len(magic)]:
        raise RecordingError(
            "this is not a recording", where=str(path), fix="name a .rec file of edge-agent"
        )
    if len(data) >= len(FILE_START) and data[: len(FILE_START)] != FILE_START:
        raise RecordingError(
            f"format version {int.from_bytes(version, 'little')}, this program reads {VERSION}",
            where=str(path),
            fix="use the version of edge-agent that wrote it",
        )
    return data


def segments(folder: Path) -> list[Path]:
    """Every segment of a folder, oldest first."""
    return sorted(folder.glob("*.rec"))
