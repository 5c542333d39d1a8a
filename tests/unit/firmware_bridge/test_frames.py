"""Frames: any chunking, every damage, every value that must not pass."""

import struct
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.errors import WireValueError
from firmware_bridge.frames import (
    FROM_DEVICE,
    INT_MAX,
    INT_MIN,
    RAW_MAX,
    UNSALTED,
    Direction,
    Frame,
    FrameDecoder,
    encode_frame,
)

SALT = 0x1234_5678
integers = st.integers(INT_MIN, INT_MAX)
frames = st.builds(
    Frame,
    st.integers(0x80, 0xFF),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.lists(integers, max_size=37).map(tuple),
)


def decoder(salt: int | None = SALT) -> FrameDecoder:
    made = FrameDecoder(Direction.FROM_DEVICE)
    made.salt = salt
    return made


def wire_of(raw: bytes) -> bytes:
    """Any bytes, correctly stuffed: what a faulty peer with a working codec could send."""
    return b"\0" + b"".join(bytes([len(r) + 1]) + r for r in raw.split(b"\0")) + b"\0"


def sealed(raw: bytes, salt: int = SALT) -> bytes:
    return wire_of(raw + struct.pack("<I", zlib.crc32(raw, salt)))


@given(st.lists(frames, max_size=5), st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_every_frame_survives_any_chunking(sent: list[Frame], sizes: list[int]) -> None:
    stream = b"".join(encode_frame(frame, SALT) for frame in sent)
    receiver, received, position, turn = decoder(), [], 0, 0
    while position < len(stream):
        size = sizes[turn % len(sizes)]
        received += receiver.feed(stream[position : position + size])
        position += size
        turn += 1
    assert received == sent
    assert receiver.bad.total() == 0


@given(frames)
def test_a_delimiter_is_never_inside_and_stuffing_costs_one_byte(frame: Frame) -> None:
    wire = encode_frame(frame, SALT)
    body = msgspec.msgpack.encode(frame.values)
    assert wire[0] == wire[-1] == 0
    assert 0 not in wire[1:-1]
    assert len(wire) == 5 + len(body) + 4 + 3


@given(frames, st.data())
def test_no_single_bit_flip_is_accepted_as_another_frame(frame: Frame, data: st.DataObject) -> None:
    wire = bytearray(encode_frame(frame, SALT))
    bit = data.draw(st.integers(0, len(wire) * 8 - 1))
    wire[bit // 8] ^= 1 << bit % 8
    assert decoder().feed(b"\0" + bytes(wire) + b"\0") in ([], [frame])


@given(st.binary(max_size=2000))
def test_garbage_never_raises_and_the_buffer_stays_bounded(noise: bytes) -> None:
    receiver = decoder()
    receiver.feed(noise)
    assert len(receiver._tail) <= RAW_MAX + 1


def test_reading_starts_by_skipping_half_a_frame() -> None:
    frame = Frame(0x90, 1, 2, (3,))
    wire = encode_frame(frame, SALT)
    receiver = decoder()
    assert receiver.feed(wire[5:] + wire) == [frame]
    assert receiver.bad.total() == 0


def test_restart_forgets_the_half_frame_of_the_old_stream() -> None:
    frame = Frame(0x90, 1, 2, (3,))
    wire = encode_frame(frame, SALT)
    receiver = decoder()
    receiver.feed(wire[:8])
    receiver.restart()
    assert receiver.feed(wire) == [frame]
    assert receiver.bad.total() == 0


def test_an_endless_piece_is_dropped_once_and_the_next_frame_is_good() -> None:
    frame = Frame(0x90, 1, 2, (3,))
    receiver = decoder()
    receiver.feed(b"\0")
    for _ in range(50):
        receiver.feed(b"\x01" * 100)
        assert len(receiver._tail) <= RAW_MAX + 1
    assert receiver.feed(encode_frame(frame, SALT)) == [frame]
    assert receiver.bad.too_long == 1


@pytest.mark.parametrize(
    ("cause", "wire"),
    [
        ("too_short", b"\0\x05abcd\0"),
        ("too_long", b"\0" + b"\x01" * 202 + b"\0"),
        ("cobs", b"\0" + b"\xff" * 30 + b"\0"),
        ("reflected", encode_frame(Frame(0x10, 1, 1, (1,)), SALT)),
        ("crc", encode_frame(Frame(0x90, 1, 1, (1,)), SALT + 1)),
        ("body", sealed(b"\x90\1\0\1\0" + msgspec.msgpack.encode((1.0,)))),
        ("body", sealed(b"\x90\1\0\1\0" + msgspec.msgpack.encode((True,)))),
        ("body", sealed(b"\x90\1\0\1\0" + msgspec.msgpack.encode((None,)))),
        ("body", sealed(b"\x90\1\0\1\0" + msgspec.msgpack.encode(((1,),)))),
        ("body", sealed(b"\x90\1\0\1\0" + msgspec.msgpack.encode({}))),
        ("body", sealed(b"\x90\1\0\1\0" + msgspec.msgpack.encode((2**32,)))),
        ("body", sealed(b"\x90\1\0\1\0" + msgspec.msgpack.encode((-(2**31) - 1,)))),
        ("body", sealed(b"\x90\1\0\1\0\x91\xd1\0\5")),  # 5 in three bytes
        ("body", sealed(b"\x90\1\0\1\0\x92\1")),  # one value short
        ("body", sealed(b"\x90\1\0\1\0\x91\1\1")),  # one byte more
    ],
)
def test_each_kind_of_bad_frame_is_counted_by_its_cause(cause: str, wire: bytes) -> None:
    receiver = decoder()
    assert receiver.feed(wire) == []
    assert getattr(receiver.bad, cause) == receiver.bad.total() == 1


def test_without_a_session_only_opening_kinds_pass() -> None:
    receiver = decoder(salt=None)
    opening = Frame(FROM_DEVICE | UNSALTED | 1, 0, 0, (1,))
    assert receiver.feed(encode_frame(opening, 99)) == [opening]
    assert receiver.feed(encode_frame(Frame(0x90, 1, 1, (1,)), SALT)) == []
    assert receiver.bad.no_session == 1


@given(frames.filter(lambda frame: not frame.kind & UNSALTED), st.integers(1, 2**32 - 1))
def test_an_intact_frame_of_another_session_never_passes(frame: Frame, difference: int) -> None:
    assert decoder().feed(encode_frame(frame, SALT ^ difference)) == []


@pytest.mark.parametrize(
    "frame",
    [
        Frame(256, 0, 0, ()),
        Frame(1, 65536, 0, ()),
        Frame(1, 0, -1, ()),
        Frame(1, 0, 0, (2**32,)),
        Frame(1, 0, 0, (2**70,)),
        Frame(1, 0, 0, (-(2**31) - 1,)),
        Frame(1, 0, 0, (True,)),
        Frame(1, 0, 0, (float("nan"),)),  # type: ignore[arg-type]
        Frame(1, 0, 0, (object(),)),  # type: ignore[arg-type]
        Frame(1, 0, 0, (2**31,) * 40),
    ],
)
def test_what_no_decoder_would_give_back_is_not_sent(frame: Frame) -> None:
    with pytest.raises(WireValueError):
        encode_frame(frame, SALT)
