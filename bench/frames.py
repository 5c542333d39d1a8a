"""What a frame costs the host: decoding, encoding, and the way through a pseudo-terminal.

    python bench/frames.py [--blocks N] [--json]

What is not the project's is measured beside it, if installed (`pip install pymavlink fastcrc cobs
msgpack`): pymavlink's parser on a message of the same size on the wire, and the same frame read
by C extensions alone, which prove less of it. A round trip is beside a bare `os.read` loop. Both
sides of a ratio alternate in one run, and each figure is the best block: the others tell of the
machine's other work. Owns: the stop watch and the echo. Exit 1 when a figure misses its target.
"""

import argparse
import contextlib
import json
import os
import platform
import pty
import select
import struct
import sys
import time
import tty
import zlib
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

from firmware_bridge.frames import Direction, Frame, FrameDecoder, encode_frame
from firmware_bridge.serial_port import SerialPort

SALT = 0x1234_5678
# 40 bytes on the wire: an air handler's four outputs and two sensors, in operation.
TELEMETRY = Frame(
    0x90, 51_234, 40_321, (983_240_132, 2, 2, 3_311, 0, 3, 0, 1, 400, 0, 120, 650, 812, 398)
)
SET = Frame(0x10, 51_235, 40_322, (400, 0, 120, 650))
CHUNK = 64
FRAMES = 1_000
ROUND_TRIPS = 200
CRC_RESIDUE = 0x2144DF1C  # of any bytes followed by their own CRC
BYTES_PER_S = 300_000  # 3 Mbaud, 10 bits a byte


def _require(count: int) -> None:
    if count != FRAMES:
        raise SystemExit(f"{count} frames of {FRAMES}: not measured")


def decode_block(stream: bytes) -> None:
    decoder = FrameDecoder(Direction.FROM_DEVICE)
    decoder.salt = SALT
    count = 0
    for position in range(0, len(stream), CHUNK):
        count += len(decoder.feed(stream[position : position + CHUNK]))
    _require(count)


def encode_block(_: bytes) -> None:
    for _turn in range(FRAMES):
        encode_frame(SET, SALT)


def mavlink_block() -> Callable[[bytes], None] | None:
    """Pymavlink on ATTITUDE, 28 bytes of payload in 40; None when it is not installed."""
    try:
        from pymavlink.dialects.v20 import common
    except ImportError:
        return None
    writer = common.MAVLink(None)
    message = common.MAVLink_attitude_message(123_456, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    stream = message.pack(writer) * FRAMES

    def run(_: bytes) -> None:
        parser = common.MAVLink(None)
        count = 0
        for position in range(0, len(stream), CHUNK):
            count += len(parser.parse_buffer(stream[position : position + CHUNK]) or ())
        _require(count)

    return run


def extensions_block() -> Callable[[bytes], None] | None:
    """COBS and msgpack of the packages with a C extension, CRC, header: what any Python has to
    pay for a frame. No proof of the body, direction, length or record. None when not installed.
    """
    try:
        import msgpack
        from cobs import cobs
    except ImportError:
        return None
    unpack_header = struct.Struct("<BHH").unpack_from

    def run(stream: bytes) -> None:
        tail, count = b"", 0
        for position in range(0, len(stream), CHUNK):
            *pieces, tail = (tail + stream[position : position + CHUNK]).split(b"\0")
            for piece in pieces:
                if piece:
                    raw = cobs.decode(piece)
                    if zlib.crc32(raw, SALT) == CRC_RESIDUE:
                        unpack_header(raw)
                        msgpack.unpackb(raw[5:-4])
                        count += 1
        _require(count)

    return run


def best_us(blocks: dict[str, Callable[[bytes], None]], turns: int) -> dict[str, float]:
    """CPU time per frame of each, the best of `turns` alternating blocks."""
    stream = encode_frame(TELEMETRY, SALT) * FRAMES
    found: dict[str, list[float]] = {name: [] for name in blocks}
    for _ in range(turns):
        for name, block in blocks.items():
            start_ns = time.thread_time_ns()
            block(stream)
            found[name].append((time.thread_time_ns() - start_ns) / FRAMES / 1000)
    return {name: min(figures) for name, figures in found.items()}


@contextlib.contextmanager
def echo() -> Iterator[str]:
    """A process behind a pseudo-terminal that sends back what it gets; gives the port's path."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    child = os.fork()
    if child == 0:
        with contextlib.suppress(OSError):
            while data := os.read(master, 4096):
                os.write(master, data)
        os._exit(0)
    try:
        yield os.ttyname(slave)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(master)
        os.close(slave)


def bare_round_trips(path: str, wire: bytes) -> list[int]:
    """The least that can be done: blocking `os.write` and `os.read`."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
    trips = []
    for _ in range(ROUND_TRIPS):
        start_ns = time.monotonic_ns()
        os.write(descriptor, wire)
        missing = len(wire)
        while missing:
            missing -= len(os.read(descriptor, 4096))
        trips.append(time.monotonic_ns() - start_ns)
    os.close(descriptor)
    return trips


def bridge_round_trips(path: str, wire: bytes) -> list[int]:
    """The port as the agent uses it: wait, read, decode."""
    port = SerialPort(path, 3_000_000)
    decoder = FrameDecoder(Direction.FROM_DEVICE)
    decoder.salt = SALT
    trips = []
    for _ in range(ROUND_TRIPS):
        start_ns = time.monotonic_ns()
        port.write(wire)
        frames: list[Frame] = []
        while not frames:
            select.select((port.fileno(),), (), ())
            frames = decoder.feed(port.read())
        trips.append(time.monotonic_ns() - start_ns)
    port.close()
    return trips


def round_trips(turns: int) -> tuple[float, float, float]:
    """The best turn's p50 in us, bare and bridge, and the median of the turns' ratios: the two of
    a turn follow each other, so a busy machine slows both, where the best of each may be luck.
    """
    wire = encode_frame(TELEMETRY, SALT)
    bare, bridge = [], []
    with echo() as path:
        for _ in range(turns):
            bare.append(median(bare_round_trips(path, wire)) / 1000)
            bridge.append(median(bridge_round_trips(path, wire)) / 1000)
    return min(bare), min(bridge), median(b / a for a, b in zip(bare, bridge, strict=True))


def measure(turns: int) -> list[tuple[str, float, float, str]]:
    """(what, figure, target, unit); a target of 0 has no judgement."""
    blocks: dict[str, Callable[[bytes], None]] = {"decode": decode_block, "encode": encode_block}
    others = {"pymavlink": mavlink_block(), "extensions": extensions_block()}
    blocks |= {name: block for name, block in others.items() if block is not None}
    cost = best_us(blocks, turns)
    size = len(encode_frame(TELEMETRY, SALT))
    rows = [
        (f"decode a frame of {size} bytes", cost["decode"], 1.0, "us"),
        ("encode a SET of four outputs", cost["encode"], 0.6, "us"),
        ("parsing at 3 Mbaud, of one core", cost["decode"] * BYTES_PER_S / size / 1e4, 1.0, "%"),
    ]
    if "pymavlink" in cost:
        rows.append(("pymavlink, ATTITUDE of 40 bytes", cost["pymavlink"], 0.0, "us"))
        # At least 5 times as quick: our share of its time is at most a fifth.
        rows.append(("decode / pymavlink", cost["decode"] / cost["pymavlink"], 0.2, ""))
    if "extensions" in cost:
        rows.append(("C extensions alone, proving less", cost["extensions"], 0.0, "us"))
        rows.append(("decode / C extensions", cost["decode"] / cost["extensions"], 0.0, ""))
    bare, bridge, ratio = round_trips(turns)
    rows += [
        ("round trip p50, bare os.read", bare, 0.0, "us"),
        ("round trip p50, serial_port and frames", bridge, 0.0, "us"),
        ("round trip, bridge / bare", ratio, 1.2, ""),
    ]
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description="What a frame costs the host.")
    parser.add_argument("--blocks", type=int, default=30, help="of each side")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(options.blocks)
    missed = [what for what, figure, target, _ in rows if target and figure > target]
    if options.json:
        document: dict[str, Any] = {what: figure for what, figure, _, _ in rows}
        print(json.dumps({**document, "missed": missed}, indent=2))
    else:
        print(f"{platform.python_implementation()} {sys.version}")
        for what, figure, target, unit in rows:
            goal = f"at most {target:g}" if target else ""
            print(f"{what:<40} {figure:8.3f} {unit:<3} {goal}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
