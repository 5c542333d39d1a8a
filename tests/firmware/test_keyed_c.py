"""The keyed mode in C: BLAKE2s as in RFC 7693, the golden frames, the same tags as Python."""

import ctypes
import hashlib
import random
from pathlib import Path

import pytest

from firmware_bridge.device.build import KEYED_LIBRARY, compile_to
from firmware_bridge.device.library import Codec, load
from firmware_bridge.device.tables import KEY_SIZE, Ends
from firmware_bridge.frames import BadFrames, Direction, Frame, encode_frame
from firmware_bridge.keyed import KeyedDecoder, Tags
from firmware_bridge.messages import Hello, session_name
from tests.firmware import toolchain
from tests.firmware.test_device_codec import KEYED, damaged, frames
from tests.unit.firmware_bridge.test_vectors import SESSION

CAUSES = BadFrames.__struct_fields__
KEY = bytes.fromhex(KEYED["key"])
NAMES = ("schema_hash", "envelope_hash", "boot_nonce", "host_nonce")
HASHES = (SESSION["schema_hash"], SESSION["envelope_hash"])
HELLO = Hello(1, 1, *HASHES, SESSION["boot_nonce"], 0, 1, KEYED["session_number"])
# RFC 7693, appendix E: the hash of the hashes of its self-test.
RFC_SELF_TEST = "6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe"


def blake2s(size: int, key: bytes, data: bytes) -> bytes:
    """By the C."""
    out = ctypes.create_string_buffer(size)
    load(KEYED_LIBRARY).eb1_host_blake2s(out, size, key, len(key), data, len(data))
    return out.raw


def rfc_sequence(size: int, seed: int) -> bytes:
    """Appendix E's selftest_seq."""
    a, b, out = 0xDEAD4BAD * seed & 0xFFFFFFFF, 1, bytearray()
    for _ in range(size):
        a, b = b, (a + b) & 0xFFFFFFFF
        out.append(b >> 24)
    return bytes(out)


def ends(number: int, expect: int = 0) -> Ends:
    """For the C codec: the keyed session of the golden frames, at this number of a frame."""
    named = {name: SESSION[name] for name in NAMES}
    key = (ctypes.c_uint8 * KEY_SIZE)(*KEY)
    return Ends(
        open=1, expect=expect, number=KEYED["session_number"], frames=number, key=key, **named
    )


def tags() -> Tags:
    made = Tags(KEY)
    made.begin(session_name(HELLO, SESSION["host_nonce"]))
    return made


def written(frame: Frame, number: int) -> bytes:
    """By keyed.py."""
    return encode_frame(frame, 0, lambda raw: tags().of(raw, number))


def in_python(piece: bytes, number: int, expect: int) -> Frame | int:
    """As Codec.decode answers, by keyed.py."""
    receiver = KeyedDecoder(Direction(expect), tags())
    receiver.salt, receiver.newest = 0, number
    found = receiver.feed(b"\0" + piece + b"\0")
    counts = [getattr(receiver.bad, cause) for cause in CAUSES]
    return found[0] if found else counts.index(1)


def test_blake2s_is_that_of_the_rfc() -> None:
    hashes = b""
    for size in (16, 20, 28, 32):
        for data in (rfc_sequence(n, n) for n in (0, 3, 64, 65, 255, 1024)):
            hashes += blake2s(size, b"", data) + blake2s(size, rfc_sequence(size, size), data)
    assert blake2s(32, b"", hashes).hex() == RFC_SELF_TEST
    assert blake2s(32, b"", b"abc") == hashlib.blake2s(b"abc").digest()


def test_blake2s_with_a_key_is_the_same_for_every_size() -> None:
    for size in range(200):
        data = rfc_sequence(size, size + 1)
        assert blake2s(8, KEY, data) == hashlib.blake2s(data, key=KEY, digest_size=8).digest()
    for size in range(1, 33):
        wanted = hashlib.blake2s(b"abc", key=KEY[:size], digest_size=size).digest()
        assert blake2s(size, KEY[:size], b"abc") == wanted


def test_both_codecs_reproduce_every_keyed_golden_frame() -> None:
    codec = Codec(KEYED_LIBRARY)
    assert len(KEYED["accept"]) >= 8
    for vector in KEYED["accept"]:
        number, kind = vector["number"], vector["kind"]
        frame = Frame(kind, vector["seq"], vector["token"], tuple(vector["values"]))
        wire = bytes.fromhex(vector["wire"])
        assert codec.encode(frame, ends(number)) == wire, vector["name"]
        assert written(frame, number) == wire
        assert codec.decode(wire[1:-1], ends(number, kind & 0x80)) == frame, vector["name"]
        assert in_python(wire[1:-1], number, kind & 0x80) == frame, vector["name"]


def test_both_codecs_refuse_every_bad_keyed_frame_for_its_cause() -> None:
    codec = Codec(KEYED_LIBRARY)
    assert len(KEYED["reject"]) >= 9
    for vector in KEYED["reject"]:
        piece, number = bytes.fromhex(vector["wire"])[1:-1], vector["number"]
        assert codec.decode(piece, ends(number)) == CAUSES.index(vector["cause"]), vector["name"]
        assert in_python(piece, number, 0) == CAUSES.index(vector["cause"]), vector["name"]


@pytest.mark.parametrize("sanitized", [False, True])
def test_both_codecs_judge_keyed_frames_alike_good_and_damaged(
    sanitized: bool, tmp_path: Path
) -> None:
    """Undefined behaviour would end the process."""
    library = KEYED_LIBRARY
    if sanitized:
        library = tmp_path / "libeb1_keyed.so"
        words = ("-std=c99", "-O1", "-g", "-fPIC", "-shared", "-fsanitize=undefined")
        compile_to(library, (toolchain.program("gcc"), *words, "-fno-sanitize-recover=all"))
    codec, draw = Codec(library), random.Random(8)
    good = 0
    for frame in frames(seed=8, count=3000):
        number = draw.randrange(1 << 15) << 16 | frame.seq
        wire = codec.encode(frame, ends(number))
        assert written(frame, number) == wire
        piece, expect = damaged(wire, draw), frame.kind & 0x80
        newest = max(0, number + draw.randrange(-40_000, 40_000))
        answer = codec.decode(piece, ends(newest, expect))
        assert answer == in_python(piece, newest, expect)
        good += answer == frame
    assert 300 < good < 2900
