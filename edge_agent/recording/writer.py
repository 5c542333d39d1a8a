"""The flight recorder: appends records to segment files within a bounded space.

Owns: the files of one folder: their names, rotation, the total they may take, and what is
done when the disk fails. Must not: raise into its caller's loop, know what a payload says, or
run a thread. A failure costs the record in hand, is counted, and is named in `status`.

Every record is handed to the operating system in one write (or one per `flush_every_bytes`),
so a killed process loses nothing that it had appended; a power cut may lose what the kernel
had not yet written, and only the tail. Only rotation and close wait for the disk.
"""

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edge_agent.core.clock import NS_PER_S
from edge_agent.core.errors import ConfigError
from edge_agent.recording.format import FILE_START, Header, encode_record

SUFFIX = ".rec"
# After a failed open only every n-th record tries again: a dead disk may not slow the caller.
_RETRY_OPEN_EVERY = 50


class SegmentWriter:
    """Writes `<utc>-<boot>-<n>.rec` files; the oldest go when the total would be exceeded."""

    def __init__(
        self,
        folder: Path,
        header: Header,
        segment_bytes_max: int,
        total_bytes_max: int,
        flush_every_bytes: int = 0,
    ) -> None:
        """Open the first segment. `flush_every_bytes`: 0 hands every record over at once.

        ConfigError when the limits contradict each other; a disk that fails is only counted.
        """
        self._header = encode_record(msgspec.msgpack.encode(header))
        smallest = 2 * (len(FILE_START) + len(self._header))
        if not smallest <= segment_bytes_max <= total_bytes_max // 2:
            raise ConfigError(
                f"segments of {segment_bytes_max} bytes in a total of {total_bytes_max}",
                where="recording",
                fix=f"at least {smallest} bytes a segment, and a total of two segments or more",
            )
        self._folder = folder
        self._stem = f"{_utc_text(header.started_utc_ns)}-{header.boot}"
        self._segment_bytes_max = segment_bytes_max
        self._total_bytes_max = total_bytes_max
        self._flush_every_bytes = flush_every_bytes
        self._fd = -1
        self._number = 0
        self._written = 0  # bytes of intact records in the open segment
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._skipped = 0  # records since the last attempt to open
        self._records = 0
        self._records_lost = 0
        self._segments_deleted = 0
        self._error = ""
        self._last_path = ""
        self._open()

    @property
    def path(self) -> Path | None:
        """The segment being written; None while the disk refuses."""
        return self._folder / self._name() if self._fd >= 0 else None

    def append(self, payload: bytes) -> None:
        """Keep one encoded TickRecord, or count it as lost."""
        try:
            record = encode_record(payload)
        except ValueError as error:
            self._lose(1, str(error))
            return
        held = self._written + self._pending_bytes
        if self._fd >= 0 and held + len(record) > self._segment_bytes_max:
            self._end_segment()
            self._open()
        if self._fd < 0 and not self._reopen():
            self._lose(1, self._error)
            return
        self._pending.append(record)
        self._pending_bytes += len(record)
        if self._pending_bytes > self._flush_every_bytes:
            self.flush()

    def flush(self) -> None:
        """Hand everything appended so far to the operating system."""
        if not self._pending or self._fd < 0:
            return
        data, count = b"".join(self._pending), len(self._pending)
        self._pending = []
        self._pending_bytes = 0
        try:
            self._write(data)
        except OSError as error:
            self._lose(count, _words(error))
            # No half record may stay: the next one starts where the last whole one ended.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._written)
                os.lseek(self._fd, self._written, os.SEEK_SET)
            return
        self._written += len(data)
        self._records += count

    def status(self) -> dict[str, int | str]:
        """Counters, the newest segment (also after `close`) and the last failure, by name."""
        return {
            "path": self._last_path,
            "records": self._records,
            "records_lost": self._records_lost,
            "segments": self._number,
            "segments_deleted": self._segments_deleted,
            "error": self._error,
        }

    def close(self) -> None:
        """Write out, wait for the disk, and release the file; harmless when repeated."""
        self._end_segment()

    def _name(self) -> str:
        return f"{self._stem}-{self._number:06d}{SUFFIX}"

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def _reopen(self) -> bool:
        self._skipped += 1
        if self._skipped < _RETRY_OPEN_EVERY:
            return False
        return self._open()

    def _open(self) -> bool:
        """Start the next segment; False, with the error kept, when the disk refuses."""
        self._skipped = 0
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._make_room()
            # Exclusive: a name that exists is another run's evidence, never overwritten.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._number += 1
            self._fd = os.open(self._folder / self._name(), flags, 0o640)
            self._write(FILE_START + self._header)
        except OSError as error:
            self._error = _words(error)
            self._abandon()
            return False
        self._written = len(FILE_START) + len(self._header)
        self._last_path = str(self.path)
        return True

    def _abandon(self) -> None:
        """Give up a segment that could not even take its header."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            with contextlib.suppress(OSError):
                (self._folder / self._name()).unlink()

    def _make_room(self) -> None:
        """Delete the oldest segments until one more of full size fits in the total."""
        found = sorted(self._folder.glob(f"*{SUFFIX}"))
        sizes = [path.stat().st_size for path in found]
        total = sum(sizes) + self._segment_bytes_max
        for path, size in zip(found, sizes, strict=True):
            if total <= self._total_bytes_max:
                return
            path.unlink()
            total -= size
            self._segments_deleted += 1

    def _end_segment(self) -> None:
        if self._fd < 0:
            return
        self.flush()
        try:
            os.fsync(self._fd)
        except OSError as error:
            self._error = _words(error)
        os.close(self._fd)
        self._fd = -1

    def _lose(self, count: int, error: str) -> None:
        self._records_lost += count
        self._error = error


def _utc_text(utc_ns: int) -> str:
    """20260131T235959Z: sorts as text as it does in time."""
    return f"{datetime.fromtimestamp(utc_ns // NS_PER_S, UTC):%Y%m%dT%H%M%SZ}"


def _words(error: OSError) -> str:
    return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
