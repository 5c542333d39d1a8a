"""A fault on the line costs the frames it touched and no other: ten thousand faults."""

import random
from collections.abc import Callable

import pytest

from firmware_bridge.frames import Direction, Frame, FrameDecoder, encode_frame

SALT = 99
COUNT = 20
FAULTS_PER_CLASS = 2_000
Fault = Callable[[random.Random, bytearray, int], tuple[int, int]]


def flip(rng: random.Random, stream: bytearray, at: int) -> tuple[int, int]:
    stream[at] ^= 1 << rng.randrange(8)
    return at, at + 1


def lose(_: random.Random, stream: bytearray, at: int) -> tuple[int, int]:
    del stream[at]
    return at, at + 1


def insert(rng: random.Random, stream: bytearray, at: int) -> tuple[int, int]:
    stream[at:at] = rng.randbytes(1)
    return at - 1, at + 1


def burst(rng: random.Random, stream: bytearray, at: int) -> tuple[int, int]:
    stream[at : at + 16] = rng.randbytes(len(stream[at : at + 16]))
    return at, at + 16


def lose_many(_: random.Random, stream: bytearray, at: int) -> tuple[int, int]:
    del stream[at : at + 16]
    return at, at + 16


@pytest.mark.parametrize("fault", [flip, lose, insert, burst, lose_many])
def test_no_untouched_frame_is_ever_lost_and_no_wrong_one_accepted(fault: Fault) -> None:
    rng = random.Random(2)
    sent = [
        Frame(0x90, seq, seq * 3, tuple(rng.choice((0, 1, 500, 70_000)) for _ in range(10)))
        for seq in range(COUNT)
    ]
    wires = [encode_frame(frame, SALT) for frame in sent]
    ends = [sum(map(len, wires[: n + 1])) for n in range(COUNT)]
    whole = b"".join(wires)
    for _ in range(FAULTS_PER_CLASS):
        stream = bytearray(whole)
        first, last = fault(rng, stream, rng.randrange(1, len(whole)))
        decoder = FrameDecoder(Direction.FROM_DEVICE)
        decoder.salt = SALT
        received = decoder.feed(bytes(stream))
        untouched = [
            frame
            for frame, wire, end in zip(sent, wires, ends, strict=True)
            if end <= first or end - len(wire) >= last
        ]
        assert set(map(tuple_of, untouched)) <= set(map(tuple_of, received))
        assert set(map(tuple_of, received)) <= set(map(tuple_of, sent))


def tuple_of(frame: Frame) -> tuple[int, int, int, tuple[int, ...]]:
    return frame.kind, frame.seq, frame.token, frame.values
