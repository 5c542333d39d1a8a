"""What a fault on the line costs, and whether damage is ever taken for a frame.

    python -m tests.unit.firmware_bridge.line_faults --faults 100000 --frames 10000000 --seed 1

Strikes a stream of good frames once per trial with each of five faults and counts untouched
frames that were lost; then damages single frames and counts those accepted as something that
nobody sent. Exit 0 only when both counts are 0. The same seed gives the same run.
"""

import argparse
import random
import struct
import sys
import zlib
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from firmware_bridge.frames import BadFrames, Direction, Frame, FrameDecoder, encode_frame

SALT = 0x9E37_79B9
POOL = 64
WINDOW = 5  # frames around one fault
# Damages the stream at a position; the bytes from the first to before the second were touched.
Fault = Callable[[random.Random, bytearray, int], tuple[int, int]]
Damage = Callable[[random.Random, bytes, bytes], bytes]


def bit_flip(rng: random.Random, stream: bytearray, at: int) -> tuple[int, int]:
    stream[at] ^= 1 << rng.randrange(8)
    return at, at + 1


def byte_lost(_: random.Random, stream: bytearray, at: int) -> tuple[int, int]:
    del stream[at]
    return at, at + 1


def byte_inserted(rng: random.Random, stream: bytearray, at: int) -> tuple[int, int]:
    stream[at:at] = rng.randbytes(1)
    return at - 1, at + 1


def garbage_16(rng: random.Random, stream: bytearray, at: int) -> tuple[int, int]:
    stream[at : at + 16] = rng.randbytes(len(stream[at : at + 16]))
    return at, at + 16


def lost_16(_: random.Random, stream: bytearray, at: int) -> tuple[int, int]:
    del stream[at : at + 16]
    return at, at + 16


FAULTS: tuple[Fault, ...] = (bit_flip, byte_lost, byte_inserted, garbage_16, lost_16)


class Cost(NamedTuple):
    """Of some faults of one class: untouched frames lost, and frames that nobody sent."""

    faults: int
    collateral: int
    invented: int


def frames_of(rng: random.Random) -> list[Frame]:
    """Frames of every length from a short ACK to the longest telemetry."""
    values = (0, 1, 127, 500, -3, -40_000, 70_000, 2**31)
    return [
        Frame(
            0x90, rng.randrange(2**16), rng.randrange(2**16), tuple(rng.choices(values, k=k % 24))
        )
        for k in range(POOL)
    ]


def decoder() -> FrameDecoder:
    made = FrameDecoder(Direction.FROM_DEVICE)
    made.salt = SALT
    return made


def strike(fault: Fault, faults: int, seed: int) -> Cost:
    """`faults` trials of one class, each in a window of a few random frames."""
    rng = random.Random(seed)
    pool = [(frame, encode_frame(frame, SALT)) for frame in frames_of(rng)]
    collateral = invented = 0
    for _ in range(faults):
        sent = rng.sample(pool, WINDOW)  # each once, so that none stands for another
        stream = bytearray().join(wire for _, wire in sent)
        first, last = fault(rng, stream, rng.randrange(1, len(stream)))
        received = decoder().feed(bytes(stream))
        end, position = 0, 0
        for frame, wire in sent:
            begin, end = end, end + len(wire)
            if position < len(received) and received[position] == frame:
                position += 1
            elif end <= first or begin >= last:
                collateral += 1
        invented += len(received) - position
    return Cost(faults, collateral, invented)


# ---- damage to one frame ---------------------------------------------------------------------


def stuffed(raw: bytes) -> bytes:
    return b"\0" + b"".join(bytes((len(r) + 1,)) + r for r in raw.split(b"\0")) + b"\0"


def raw_of(wire: bytes) -> bytes:
    """The frame before COBS, by another road than the decoder's."""
    out, position = bytearray(), 1
    while position < len(wire) - 1:
        step = wire[position]
        out += wire[position + 1 : position + step] + b"\0"
        position += step
    return bytes(out[:-1])


def flipped(rng: random.Random, wire: bytes, _other: bytes) -> bytes:
    """One to eight bits, somewhere on the wire."""
    damaged = bytearray(wire)
    for _ in range(rng.randrange(1, 9)):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def burst(rng: random.Random, wire: bytes, _: bytes) -> bytes:
    at, size = rng.randrange(len(wire)), rng.randrange(1, 17)
    return wire[:at] + rng.randbytes(size) + wire[at + size :]


def shifted(rng: random.Random, wire: bytes, _: bytes) -> bytes:
    """Bytes lost in one place, others inserted in another."""
    a, b = sorted(rng.choices(range(len(wire)), k=2))
    return wire[:a] + wire[a + rng.randrange(3) : b] + rng.randbytes(rng.randrange(3)) + wire[b:]


def spliced(rng: random.Random, wire: bytes, other: bytes) -> bytes:
    """The head of one frame and the tail of another, cut anywhere."""
    return wire[: rng.randrange(2, len(wire))] + other[rng.randrange(1, len(other)) :]


def behind_stuffing(rng: random.Random, wire: bytes, _: bytes) -> bytes:
    """Damage that leaves COBS valid: only the CRC stands between it and the machine."""
    return stuffed(bytes(flipped(rng, raw_of(wire), wire)))


def of_another_session(rng: random.Random, wire: bytes, _: bytes) -> bytes:
    """Intact, and sealed with another salt."""
    raw = raw_of(wire)[:-4]
    salt = rng.getrandbits(32)
    return stuffed(raw + struct.pack("<I", zlib.crc32(raw, salt if salt != SALT else 0)))


# Half of the damage is of the kind that only the CRC sees.
DAMAGES: tuple[Damage, ...] = (
    *(behind_stuffing, of_another_session, behind_stuffing, flipped, burst, shifted, spliced),
)


class Deceit(NamedTuple):
    """Damaged frames offered, those accepted as something nobody sent, and what refused them."""

    frames: int
    accepted: int
    refused: BadFrames


def deceive(frames: int, seed: int) -> Deceit:
    """Offer `frames` damaged frames, one kind of damage after the other."""
    rng = random.Random(seed)
    pool = [(frame, encode_frame(frame, SALT)) for frame in frames_of(rng)]
    receiver = decoder()
    accepted = 0
    for number in range(frames):
        (frame, wire), (other_frame, other) = rng.choice(pool), rng.choice(pool)
        damage = DAMAGES[number % len(DAMAGES)]
        damaged = damage(rng, wire, other)
        for got in receiver.feed(b"\0" + damaged + b"\0"):
            # Whole frames may be left beside the damage; another session's never is.
            if damage is of_another_session or got not in (frame, other_frame):
                accepted += 1
    return Deceit(frames, accepted, receiver.bad)


def main() -> int:
    parser = argparse.ArgumentParser(description="Faults on the line, counted.")
    parser.add_argument("--faults", type=int, default=100_000, help="of each of five classes")
    parser.add_argument("--frames", type=int, default=10_000_000, help="damaged frames")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    failures = 0
    for fault in FAULTS:
        cost = strike(fault, options.faults, options.seed)
        failures += cost.collateral + cost.invented
        print(
            f"{fault.__name__:<14} {cost.faults:>10,} faults {cost.collateral:>3} untouched frames"
            f" lost {cost.invented:>3} invented",
            flush=True,
        )
    deceit = deceive(options.frames, options.seed)
    failures += deceit.accepted
    print(f"{'damaged':<14} {deceit.frames:>10,} frames {deceit.accepted:>3} accepted; refused by:")
    for cause, count in msgspec.structs.asdict(deceit.refused).items():
        print(f"  {cause:<12} {count:>10,}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
