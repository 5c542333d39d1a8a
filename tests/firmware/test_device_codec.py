"""One wire, several implementations: Python, C and JavaScript read and write the same bytes."""

import random
import struct
import subprocess
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from firmware_bridge.device.build import KEYED_LIBRARY, compile_to, compiler, tiny_compiler
from firmware_bridge.device.library import Codec
from firmware_bridge.device.tables import Ends
from firmware_bridge.frames import BadFrames, Direction, Frame, FrameDecoder, encode_frame
from firmware_bridge.keyed import Tags
from tests.firmware import toolchain
from tests.unit.firmware_bridge.test_vectors import PATH, SESSION, VECTORS

SALT = SESSION["salt"]
KEYED = VECTORS["keyed"]
CAUSES = BadFrames.__struct_fields__
EDGES = (0, 127, 128, 255, 256, 65535, 65536, 2**31, 2**32 - 1, -1, -32, -33, -128, -129, -(2**31))

# First bytes of integers: every form of msgpack at its edges, and what is none.
HEADS = (0, 1, 0x7F, 0x80, *range(0xCC, 0xD4), 0xDF, 0xE0, 0xFF)


def ends(expect: int = 0) -> Ends:
    """For the C codec: the session of the golden frames, the other end's direction bit."""
    return Ends(salt=SALT, open=1, expect=expect)


def frames(seed: int, count: int) -> Iterator[Frame]:
    draw = random.Random(seed)
    for _ in range(count):
        values = tuple(
            draw.choice(EDGES) if draw.random() < 0.3 else draw.randint(-(2**31), 2**32 - 1)
            for _ in range(draw.randrange(20))
        )
        kind = draw.choice((0x00, 0x01, 0x10, 0x41, 0x90, 0x81, 0xC1))
        yield Frame(kind, draw.randrange(65536), draw.randrange(65536), values)


def in_python(piece: bytes, expect: int) -> Frame | int:
    """As Codec.decode answers, by frames.py."""
    receiver = FrameDecoder(Direction(expect))
    receiver.salt = SALT
    found = receiver.feed(b"\0" + piece + b"\0")
    counts = [getattr(receiver.bad, cause) for cause in CAUSES]
    return found[0] if found else counts.index(1)


def sealed(body: bytes) -> bytes:
    """The intact piece of a SET around any body."""
    raw = b"\x10\1\1\1\1" + body
    raw += zlib.crc32(raw, SALT).to_bytes(4, "little")
    return b"".join(bytes((len(run) + 1,)) + run for run in raw.split(b"\0"))


def damaged(wire: bytes, draw: random.Random) -> bytes:
    """A piece with up to three faults and no zero in it."""
    piece = bytearray(wire[1:-1])
    for _ in range(draw.randrange(4)):
        at = draw.randrange(len(piece))
        match draw.randrange(3):
            case 0:
                piece[at] ^= 1 << draw.randrange(8)
            case 1:
                del piece[at]
            case _:
                piece.insert(at, draw.randrange(1, 256))
    return bytes(byte or 1 for byte in piece)


def test_both_codecs_write_and_read_the_same_bytes() -> None:
    codec = Codec()
    for frame in frames(seed=1, count=5_000):
        wire = encode_frame(frame, SALT)
        assert codec.encode(frame, ends()) == wire
        assert codec.decode(wire[1:-1], ends(frame.kind & 0x80)) == frame


def test_both_codecs_refuse_the_same_pieces_for_the_same_cause() -> None:
    codec, draw = Codec(), random.Random(2)
    seen = set()
    for frame in frames(seed=3, count=20_000):
        piece = damaged(encode_frame(frame, SALT), draw)
        expect = draw.choice((0, 0x80))
        answer = codec.decode(piece, ends(expect))
        assert answer == in_python(piece, expect), piece.hex()
        seen.add(answer if isinstance(answer, int) else "good")
    assert {CAUSES.index("cobs"), CAUSES.index("reflected"), CAUSES.index("crc"), "good"} <= seen


def test_both_codecs_judge_any_body_alike() -> None:
    """Intact frames whose body is noise: only the strict reading of integers is left."""
    codec, draw = Codec(), random.Random(4)
    good = 0
    for _ in range(20_000):
        body = bytes([0x90 + draw.randrange(4)]) + bytes(
            draw.choice(HEADS) for _ in range(draw.randrange(9))
        )
        piece = sealed(body)
        answer = codec.decode(piece, ends(0))
        assert answer == in_python(piece, 0), body.hex()
        good += isinstance(answer, Frame)
    assert good > 100


@pytest.mark.parametrize(
    ("head", "integers"), [("dc0110", 16), ("dc0100", 128), ("dc0000", 0), ("dc000f", 15)]
)
def test_both_codecs_refuse_an_array_that_is_not_as_long_as_it_says(
    head: str, integers: int
) -> None:
    piece = sealed(bytes.fromhex(head) + b"\1" * integers)
    assert Codec().decode(piece, ends()) == in_python(piece, 0) == CAUSES.index("body")


def test_without_a_session_only_what_opens_one_is_read() -> None:
    codec, closed = Codec(), Ends(salt=SALT, open=0, expect=0)
    frame = Frame(0x10, 1, 2, (3,))
    assert codec.decode(encode_frame(frame, SALT)[1:-1], closed) == CAUSES.index("no_session")
    opening = Frame(0x41, 1, 2, (3,))
    assert codec.decode(encode_frame(opening, SALT)[1:-1], closed) == opening


@pytest.mark.parametrize("newest", [0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x1_0000, 0x2_8001, 2**32 - 1])
def test_both_keyed_codecs_number_a_frame_by_the_newest_one(newest: int) -> None:
    codec, key = Codec(KEYED_LIBRARY), bytes(range(32))
    session = Ends(schema_hash=1, envelope_hash=2, boot_nonce=3, host_nonce=4, number=5, open=1)
    session.key[:] = key
    tags = Tags(key)
    tags.begin(struct.pack("<5I", 1, 2, 3, 4, 5))
    for ahead, good in ((-0x8001, False), (-0x8000, True), (-1, True), (0, True), (1, True),
                        (0x7FFF, True), (0x8000, False)):  # fmt: skip
        number = (newest + ahead) % 2**32
        frame = Frame(0x10, number & 0xFFFF, 8, (1, -2))
        wire = encode_frame(frame, 0, partial(tags.of, number=number))
        session.frames = number
        assert codec.encode(frame, session) == wire
        session.frames = newest
        assert codec.decode(wire[1:-1], session) == (frame if good else CAUSES.index("crc"))


def test_the_c_codec_reproduces_the_golden_frames() -> None:
    codec = Codec()
    for vector in VECTORS["accept"]:
        frame = Frame(vector["kind"], vector["seq"], vector["token"], tuple(vector["values"]))
        assert codec.encode(frame, ends()).hex() == vector["wire"], vector["name"]


def test_a_decoder_written_from_the_document_alone_agrees() -> None:
    script = Path(__file__).with_name("decoder.js")
    done = subprocess.run(
        [toolchain.program("node"), script, PATH], capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = [f"{len(v['accept'])} accepted, {len(v['reject'])} rejected" for v in (VECTORS, KEYED)]
    assert done.stdout == f"{said[0]}; keyed: {said[1]}\n"


@pytest.mark.parametrize("keyed", [0, 1])
def test_no_corrupted_frame_is_accepted_and_no_good_neighbour_is_lost(
    keyed: int, tmp_path: Path
) -> None:
    """`make corrupt` runs a hundred times as many."""
    source = toolchain.ROOT / "tests/firmware/corrupt.c"
    words = (*toolchain.WARNINGS, "-O2", f"-DEB1_KEYED={keyed}")
    toolchain.compiled(*words, source, "-o", "corrupt", folder=tmp_path)
    done = subprocess.run(
        [tmp_path / "corrupt", "100000", "1"], capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("false accepts 0, good ones lost 0") == 5


@pytest.mark.parametrize("tiny", [False, True])
def test_a_library_of_either_compiler_is_the_same_device(tiny: bool, tmp_path: Path) -> None:
    library = tmp_path / "libeb1.so"
    compile_to(library, tiny_compiler() if tiny else compiler())
    codec = Codec(library)
    for frame in frames(seed=5, count=200):
        assert codec.encode(frame, ends()) == encode_frame(frame, SALT)
    for vector in VECTORS["reject"]:
        expect = 0 if vector.get("receiver") == "device" else 0x80
        piece = bytes.fromhex(vector["wire"])[1:-1]
        assert codec.decode(piece, ends(expect)) == CAUSES.index(vector["cause"]), vector["name"]
