"""The bytes of a recording: one append-only segment file.

    file    MAGIC (6 bytes), format version (u16), records
    record  SYNC (u16), payload length (u32), CRC-32 of length and payload (u32), payload

Little-endian. The first record is the Header, every other one a TickRecord; payloads are
msgpack, so any msgpack library reads them. Owns: this layout and the Header. Must not: touch
a file.

The marker makes damage local: a length that was hit by an error cannot be trusted, so a
reader looks for the next marker whose length and checksum fit. A marker inside a payload is
harmless, since it passes the checksum once in 2^32. Every TickRecord stands alone; losing one
costs that one.
"""

import struct
import zlib
from typing import Final

import msgspec

from edge_agent.core.errors import EdgeAgentError
from edge_agent.safety.limits import Envelope

MAGIC: Final = b"EA-REC"
VERSION: Final = 1
FILE_START: Final = MAGIC + struct.pack("<H", VERSION)
SYNC: Final = b"\xeb\x90"
RECORD_HEAD: Final = struct.Struct("<2sII")
# Far above any TickRecord; a larger length is damage, not a record.
PAYLOAD_BYTES_MAX: Final = 1 << 16
_LENGTH: Final = struct.Struct("<I")


class RecordingError(EdgeAgentError):
    """A file that is no recording, or one of a version that this program cannot read."""


class ChannelInfo(msgspec.Struct, frozen=True):
    """How to read a channel's counts: value in `unit` = counts / counts_per_unit."""

    name: str
    unit: str
    counts_per_unit: int


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader needs to understand, date and repeat the ticks of a file.

    `started_ns` is the monotonic clock at `started_utc_ns`, so a tick's date is
    started_utc_ns + (now_ns - started_ns). `hashes` holds hex digests by name (envelope,
    config, model, manifest). `seed` and `scenario` are set for a simulated run only.
    """

    device: str
    boot: str
    code_version: str
    hashes: dict[str, str]
    sensors: tuple[ChannelInfo, ...]
    actuators: tuple[ChannelInfo, ...]
    started_utc_ns: int
    started_ns: int = 0
    seed: int | None = None
    scenario: str = ""


def channel_infos(envelope: Envelope) -> tuple[tuple[ChannelInfo, ...], tuple[ChannelInfo, ...]]:
    """The sensors and the actuators of a device, as the header names them."""
    sensors = tuple(ChannelInfo(s.name, s.unit, s.counts_per_unit) for s in envelope.sensors)
    actuators = tuple(ChannelInfo(a.name, a.unit, a.counts_per_unit) for a in envelope.actuators)
    return sensors, actuators


def encode_record(payload: bytes) -> bytes:
    """One framed record; ValueError when the payload is empty or too large for a reader."""
    if not 0 < len(payload) <= PAYLOAD_BYTES_MAX:
        raise ValueError(f"a payload of {len(payload)} bytes; 1 to {PAYLOAD_BYTES_MAX} fit")
    return RECORD_HEAD.pack(SYNC, len(payload), _checksum(len(payload), payload)) + payload


def record_at(data: bytes, offset: int) -> bytes | None:
    """The payload of the record that begins at `offset`, None when there is no intact one."""
    start = offset + RECORD_HEAD.size
    if start > len(data):
        return None
    sync, length, crc = RECORD_HEAD.unpack_from(data, offset)
    if sync != SYNC or not 0 < length <= PAYLOAD_BYTES_MAX or start + length > len(data):
        return None
    payload = data[start : start + length]
    return payload if _checksum(length, payload) == crc else None


def is_cut_short(data: bytes, offset: int) -> bool:
    """Whether the bytes from `offset` are the plausible beginning of a longer record."""
    rest = data[offset : offset + RECORD_HEAD.size]
    if len(rest) < RECORD_HEAD.size:
        return rest[: len(SYNC)] == SYNC[: len(rest)]
    sync, length = rest[: len(SYNC)], _LENGTH.unpack_from(rest, len(SYNC))[0]
    end: int = offset + RECORD_HEAD.size + length
    return 0 < length <= PAYLOAD_BYTES_MAX and sync == SYNC and end > len(data)


def _checksum(length: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(_LENGTH.pack(length)))
