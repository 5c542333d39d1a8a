"""Frames: what one message looks like on the wire, and how to find it in a stream of noise.

Owns: COBS, the CRC and its salt, the 5-byte header, the strict integer-only body, and the
decoder that survives any chunking and any damage. Must not: know what a message means, read
a clock or do I/O.

    wire = 0x00 | COBS(kind u8, seq u16 LE, token u16 LE, msgpack array of ints, crc32 LE) | 0x00

A delimiter at both ends costs one byte and means that no line fault ever takes an untouched
neighbour with it. The body has exactly one valid encoding (shortest forms only), so a message
and its bytes are the same thing. Kinds with `UNSALTED` set open a session and are checked
with salt 0; every other kind is checked with the session's salt.
"""

import struct
import zlib
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Final

import msgspec

from firmware_bridge.errors import WireValueError

RAW_MAX: Final = 200  # bytes before COBS: keeps every run below 254, so COBS costs one byte
RAW_MIN: Final = 10  # header 5, empty array 1, CRC 4
FROM_DEVICE: Final = 0x80  # bit 7 of the kind: the direction
UNSALTED: Final = 0x40  # bit 6 of the kind: opens a session, salt 0
INT_MIN: Final = -(2**31)
INT_MAX: Final = 2**32 - 1

# The CRC-32 of any message followed by its own CRC, whatever the initial value.
CRC_RESIDUE: Final = 0x2144DF1C
_HEADER: Final = struct.Struct("<BHH")
_CODES: Final = tuple(bytes((run + 1,)) for run in range(RAW_MAX + 1))

_WireInt = Annotated[int, msgspec.Meta(ge=INT_MIN, le=INT_MAX)]
# Bound once: these run for every frame, and each attribute look-up is 30 ns.
_encode_body: Final = msgspec.msgpack.Encoder().encode
_decode_body: Final = msgspec.msgpack.Decoder(tuple[_WireInt, ...]).decode
_pack_header: Final = _HEADER.pack
_unpack_header: Final = _HEADER.unpack_from
_pack_crc: Final = struct.Struct("<I").pack
crc32: Final = zlib.crc32


class Direction(Enum):
    """Which end wrote a frame; the value is bit 7 of its kind."""

    FROM_HOST = 0
    FROM_DEVICE = FROM_DEVICE


class Stranger(Enum):
    """Who wrote an opening frame that this end cannot prove, as far as its shape tells."""

    WITH_KEY = "the device uses a key, this host none"
    WITHOUT_KEY = "this host uses a key, the device none"
    OTHER_KEY = "the device uses another key than this host"


class Frame(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One intact frame. `token` is the age token (units of 10 ms of the device's clock)."""

    kind: int
    seq: int
    token: int
    values: tuple[int, ...]


class BadFrames(msgspec.Struct):
    """How many pieces of the stream were dropped, by the first check that failed."""

    too_long: int = 0
    too_short: int = 0
    cobs: int = 0
    reflected: int = 0  # written by our own end: transmit wired to receive
    no_session: int = 0  # needs a session salt, and there is no session
    crc: int = 0  # or the tag in its place
    body: int = 0  # intact, but not the one encoding of an array of 32-bit ints

    def total(self) -> int:
        return sum(msgspec.structs.astuple(self))


def is_body(data: bytearray) -> bool:
    """Whether it is the one encoding of an array of 32-bit integers."""
    try:
        return _encode_body(_decode_body(data)) == data
    except msgspec.DecodeError:
        return False


def encode_frame(frame: Frame, salt: int, tag_of: Callable[[bytes], bytes] | None = None) -> bytes:
    """The wire bytes of `frame`; `salt` (u32) is ignored for kinds with UNSALTED set. With
    `tag_of` the frame ends with the tag of its header and body instead of the CRC.

    Raises WireValueError for anything that a decoder would not give back unchanged.
    """
    kind, values = frame.kind, frame.values
    try:
        body = _encode_body(values)
        _decode_body(body)  # refuses floats, booleans, nesting and 33 bits at C speed
        raw = _pack_header(kind, frame.seq, frame.token) + body
    except (struct.error, msgspec.DecodeError, OverflowError, TypeError) as error:
        raise WireValueError(f"the wire cannot carry {frame!r}: {error}") from error
    raw += _pack_crc(crc32(raw, 0 if kind & UNSALTED else salt)) if tag_of is None else tag_of(raw)
    if len(raw) > RAW_MAX:
        raise WireValueError(f"{len(raw)} bytes before COBS; the limit is {RAW_MAX}")
    wire = b"\0"
    for run in raw.split(b"\0"):  # quicker than a join: most frames have fewer than six runs
        wire += _CODES[len(run)] + run
    return wire + b"\0"


class FrameDecoder:
    """Finds the other end's good frames in a byte stream; counts the rest by cause.

    Holds at most one frame's bytes. Starts by skipping to the first delimiter, because a port
    is opened in mid-frame. Set `salt` when a session begins; None means no session.
    """

    def __init__(self, expect: Direction) -> None:
        self.bad = BadFrames()
        self.stranger: Stranger | None = None  # the last one heard; whoever reads it clears it
        self._remainder: Callable[[bytearray, int], int] = crc32
        self._check_size = 4
        self._least = RAW_MIN
        self._expect_bit = expect.value
        self._salts: list[int | None] = [None] * 4  # by the upper two bits of the kind
        self._salts[(expect.value | UNSALTED) >> 6] = 0
        self._tail = bytearray()
        self._skipping = True

    @property
    def salt(self) -> int | None:
        """The session's, u32."""
        return self._salts[self._expect_bit >> 6]

    @salt.setter
    def salt(self, salt: int | None) -> None:
        self._salts[self._expect_bit >> 6] = salt

    def restart(self) -> None:
        """Another stream begins: forget the half frame, skip to the next delimiter."""
        self._tail.clear()
        self._skipping = True

    def feed(self, data: bytes) -> list[Frame]:
        """Every good frame that `data` completes, in order."""
        pieces = (self._tail + data).split(b"\0")
        self._tail = pieces.pop()
        if self._skipping or len(self._tail) > RAW_MAX + 1:
            self._skip(pieces)
        frames: list[Frame] = []
        for piece in pieces:
            if piece:  # nothing stands between two delimiters
                self._decode(piece, frames)
        return frames

    def _skip(self, pieces: list[bytearray]) -> None:
        """Drop what goes on with a piece that was not kept, and begin to when one is too long."""
        if pieces and self._skipping:
            self._skipping = False
            del pieces[0]
        if len(self._tail) > RAW_MAX + 1:
            self.bad.too_long += not self._skipping
            self._skipping = True
        if self._skipping:
            self._tail.clear()

    def _decode(self, raw: bytearray, frames: list[Frame]) -> None:
        """Append the frame in one delimited, zero-free, non-empty piece, or count why not.
        Undoes the COBS in place."""
        size = len(raw)
        if not self._least < size <= RAW_MAX + 1:
            self.bad.too_short += size <= self._least
            self.bad.too_long += size > self._least
            return
        position = raw[0]
        while position < size:  # each code is the distance to the next zero, at least 1
            step = raw[position]
            raw[position] = 0
            position += step
        if position != size:
            self.bad.cobs += 1
            return
        del raw[0]  # the first code stands where no zero was
        kind, seq, token = _unpack_header(raw)
        salt = self._salts[kind >> 6]
        if salt is None:
            reflected = kind & FROM_DEVICE != self._expect_bit
            self.bad.reflected += reflected
            self.bad.no_session += not reflected
        elif self._remainder(raw, salt) != CRC_RESIDUE:
            self.bad.crc += 1
            if kind & UNSALTED:
                self.stranger = self._who(raw) or self.stranger
        else:
            body = raw[5 : -self._check_size]
            try:
                values = _decode_body(body)
                if _encode_body(values) == body:
                    frames.append(Frame(kind, seq, token, values))
                    return
            except msgspec.DecodeError:
                pass
            self.bad.body += 1

    def _who(self, raw: bytearray) -> Stranger | None:
        """Whose opening frame this may be: a tag is four bytes longer than a CRC."""
        return Stranger.WITH_KEY if is_body(raw[5:-8]) else None
