"""The keyed mode: an 8-byte BLAKE2s tag where the CRC stands, that only the key's owners can make.

Owns: what a tag covers, the count of frames beyond their 16-bit number, and the judgement of a
tag. Must not: read a key from anywhere, or keep one longer than the line lives. PROTOCOL.md says
what an attacker on the wire can then still do, and why each part is there.
"""

import hmac
import struct
from hashlib import blake2s
from typing import Final

from firmware_bridge.errors import WireValueError
from firmware_bridge.frames import (
    CRC_RESIDUE,
    RAW_MIN,
    UNSALTED,
    Direction,
    FrameDecoder,
    Stranger,
    crc32,
    is_body,
)

KEY_SIZE: Final = 32
TAG_SIZE: Final = 8
_PREFIX_SIZE: Final = 24  # the session, and how often the sequence numbers have wrapped in it
_U32_MASK: Final = 0xFFFF_FFFF
_TAGGED: Final = CRC_RESIDUE  # what the decoder takes for "proved"
_pack_turns: Final = struct.Struct("<I").pack
_seq_of: Final = struct.Struct("<xH").unpack_from


def nearest_number(newest: int, seq: int) -> int:
    """The u32 count of frames whose lower half is `seq` and that is nearest to `newest`."""
    ahead = (seq - newest) & 0xFFFF
    return (newest + ahead - (0 if ahead < 0x8000 else 0x10000)) & _U32_MASK


class Tags:
    """The tags of one line, of both directions; one session at a time."""

    def __init__(self, key: bytes) -> None:
        """WireValueError unless the key is 32 bytes."""
        if len(key) != KEY_SIZE:
            raise WireValueError(f"a key of {len(key)} bytes; the wire's is {KEY_SIZE}")
        self._key = key
        self._opening = blake2s(bytes(_PREFIX_SIZE), key=key, digest_size=TAG_SIZE)
        self._session = self._opening

    def begin(self, session: bytes) -> None:
        """Another session: the 20 bytes that name it, see `messages.session_name`."""
        self._session = blake2s(session, key=self._key, digest_size=TAG_SIZE)

    def of(self, raw: bytes | bytearray, number: int) -> bytes:
        """The tag of header and body; `number` is the frame's in its session and direction."""
        if raw[0] & UNSALTED:
            tag = self._opening.copy()
        else:
            tag = self._session.copy()
            tag.update(_pack_turns(number >> 16))
        tag.update(raw)
        return tag.digest()


class KeyedDecoder(FrameDecoder):
    """As FrameDecoder, but proves each frame by its tag; `bad.crc` counts the wrong ones."""

    def __init__(self, expect: Direction, tags: Tags) -> None:
        super().__init__(expect)
        self.newest = 0  # number of the newest good frame of the session
        self._tags = tags
        self._check_size = TAG_SIZE
        self._least = RAW_MIN + TAG_SIZE - 4
        self._remainder = self._judge

    def _judge(self, raw: bytearray, _: int) -> int:
        proved = raw[:-TAG_SIZE]
        number = nearest_number(self.newest, *_seq_of(raw))
        if not hmac.compare_digest(self._tags.of(proved, number), raw[-TAG_SIZE:]):
            return _TAGGED ^ 1
        if not raw[0] & UNSALTED and (number - self.newest) & _U32_MASK < 0x8000:
            self.newest = number
        return _TAGGED

    def _who(self, raw: bytearray) -> Stranger | None:
        if crc32(raw, 0) == CRC_RESIDUE:
            return Stranger.WITHOUT_KEY
        return Stranger.OTHER_KEY if is_body(raw[5:-TAG_SIZE]) else None
