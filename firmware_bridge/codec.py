"""The host's way to write and read frames: proved by a CRC, or by a tag if there is a key.

Owns: what the two ways have different in a session's beginning. Must not: know the link's rules.
"""

from typing import Protocol

from firmware_bridge.frames import Direction, Frame, FrameDecoder, encode_frame
from firmware_bridge.keyed import KeyedDecoder, Tags, nearest_number
from firmware_bridge.messages import (
    PROTOCOL_VERSION,
    Hello,
    Kind,
    parse_hello,
    session_name,
    session_salt,
)


def question() -> bytes:
    """IDENT. It moves nothing, so it is asked without a key: any firmware answers, and the answer
    shows whether the two ends have the same key."""
    return encode_frame(Frame(Kind.IDENT, 0, 0, (PROTOCOL_VERSION,)), 0)


class Codec(Protocol):
    """Frames to bytes and back, in the session that was begun."""

    decoder: FrameDecoder

    def hello(self, frame: Frame) -> Hello:
        """What the device says of itself; MessageError when it cannot be."""

    def hello_ack(self, hello: Hello, host_nonce: int) -> tuple[int, ...]:
        """The answer to it."""

    def begin(self, hello: Hello, host_nonce: int) -> None:
        """The session of these two; the next frame written has seq 1."""

    def end(self) -> None:
        """No session."""

    def encode(self, frame: Frame) -> bytes:
        """Wire bytes; WireValueError for what the wire cannot carry."""


def codec_of(key: bytes | None) -> Codec:
    """With `key` (32 bytes) only devices with the same one are understood; None: without."""
    return PlainCodec() if key is None else KeyedCodec(key)


class PlainCodec:
    """CRC-32, salted by the session: against faults, not against attackers."""

    def __init__(self) -> None:
        self.decoder = FrameDecoder(Direction.FROM_DEVICE)
        self._salt = 0

    def hello(self, frame: Frame) -> Hello:
        return parse_hello(frame)

    def hello_ack(self, hello: Hello, host_nonce: int) -> tuple[int, ...]:
        return hello.boot_nonce, host_nonce

    def begin(self, hello: Hello, host_nonce: int) -> None:
        self._salt = session_salt(hello, host_nonce)
        self.decoder.salt = self._salt

    def end(self) -> None:
        self.decoder.salt = None

    def encode(self, frame: Frame) -> bytes:
        return encode_frame(frame, self._salt)


class KeyedCodec:
    """Tags: nobody without the key writes a frame, or sends an old one again."""

    def __init__(self, key: bytes) -> None:
        self._tags = Tags(key)
        self._keyed = KeyedDecoder(Direction.FROM_DEVICE, self._tags)
        self.decoder: FrameDecoder = self._keyed
        self._written = 0  # number of the newest frame

    def hello(self, frame: Frame) -> Hello:
        return parse_hello(frame, keyed=True)

    def hello_ack(self, hello: Hello, host_nonce: int) -> tuple[int, ...]:
        return hello.boot_nonce, host_nonce, hello.session_number

    def begin(self, hello: Hello, host_nonce: int) -> None:
        self._tags.begin(session_name(hello, host_nonce))
        self._written = self._keyed.newest = 0
        self._keyed.salt = 0

    def end(self) -> None:
        self._keyed.salt = None

    def encode(self, frame: Frame) -> bytes:
        return encode_frame(frame, 0, self._tag)

    def _tag(self, raw: bytes) -> bytes:
        seq = int.from_bytes(raw[1:3], "little")
        self._written = nearest_number(self._written, seq)
        return self._tags.of(raw, self._written)
