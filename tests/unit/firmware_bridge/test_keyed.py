"""The keyed mode: nobody without the key says anything, and nothing is said twice."""

import hashlib
import random

import pytest

from firmware_bridge.errors import KeyMismatchError, MessageError, WireValueError
from firmware_bridge.frames import Direction, Frame, Stranger, encode_frame
from firmware_bridge.keyed import KeyedDecoder, Tags, nearest_number
from firmware_bridge.link import LinkState
from firmware_bridge.messages import DeviceState, Kind, parse_hello
from firmware_bridge.probe import Probe
from tests.unit.firmware_bridge.test_link import MS, Bench

KEY = bytes(range(32))
OTHER = bytes(reversed(range(32)))
SESSION = b"0123456789abcdefghij"


def ends(expect: Direction = Direction.FROM_DEVICE) -> tuple[Tags, KeyedDecoder]:
    """The tags of one end and the decoder of the other, in one session."""
    tags = Tags(KEY)
    tags.begin(SESSION)
    decoder = KeyedDecoder(expect, tags)
    decoder.salt = 0
    return tags, decoder


def sealed(tags: Tags, frame: Frame, number: int) -> bytes:
    return encode_frame(frame, 0, lambda raw: tags.of(raw, number))


def drive(bench: Bench) -> None:
    bench.arm()
    for _ in range(20):
        bench.step()
    assert bench.mcu.outputs != (0, 0, 0, 0)


def test_two_ends_with_one_key_arm_and_drive() -> None:
    drive(Bench(host_key=KEY, device_key=KEY))


def test_a_key_of_another_size_is_refused() -> None:
    with pytest.raises(WireValueError, match="16 bytes"):
        Tags(bytes(16))


@pytest.mark.parametrize(
    ("host_key", "device_key", "who"),
    [
        (None, KEY, Stranger.WITH_KEY),
        (KEY, None, Stranger.WITHOUT_KEY),
        (KEY, OTHER, Stranger.OTHER_KEY),
    ],
)
def test_ends_without_the_same_key_never_arm_and_the_host_says_why(
    host_key: bytes | None, device_key: bytes | None, who: Stranger
) -> None:
    bench = Bench(host_key=host_key, device_key=device_key)
    bench.until(LinkState.REFUSED)
    for _ in range(50):
        bench.step()
    assert bench.link.state is LinkState.REFUSED
    assert str(bench.link.refusal) == who.value
    with pytest.raises(KeyMismatchError):
        bench.link.arm(bench.now_ns)
    assert bench.mcu.state is DeviceState.SAFE
    assert bench.mcu.counters.sets_applied == 0
    probe = Probe(100 * MS, host_key)
    bench.mcu.receive(bench.now_ns, probe.tick(bench.now_ns))
    probe.receive(bench.now_ns, bench.mcu.advance(bench.now_ns))
    assert probe.hello is None
    assert probe.stranger is who
    assert bench.mcu.bad_frames.total() == 0


def test_the_right_key_after_a_wrong_one_is_enough() -> None:
    bench = Bench(host_key=KEY, device_key=OTHER)
    bench.until(LinkState.REFUSED)
    bench.device_key = KEY
    bench.mcu = bench.boot(nonce=12)
    drive(bench)


def test_a_stranger_in_mid_session_ends_nothing() -> None:
    bench = Bench(host_key=KEY, device_key=KEY)
    bench.arm()
    hello = Frame(Kind.HELLO, 0, 0, (1, 1, 2, 3, 4, 0, 100))
    bench.link.receive(bench.now_ns, encode_frame(hello, 0))
    assert bench.link.state is LinkState.ARMED
    assert bench.link.refusal is None


def test_every_flipped_bit_of_a_frame_is_noticed() -> None:
    tags, decoder = ends()
    wire = sealed(tags, Frame(0x90, 7, 8, (1, -2, 300, 70_000)), 7)
    for bit in range(8, len(wire) * 8 - 8):
        broken = bytearray(wire)
        broken[bit // 8] ^= 1 << bit % 8
        assert decoder.feed(b"\0" + bytes(broken) + b"\0") == []
    assert decoder.feed(wire) == [Frame(0x90, 7, 8, (1, -2, 300, 70_000))]


def test_no_frame_is_accepted_that_was_made_without_the_key() -> None:
    _, decoder = ends()
    draw = random.Random(1)
    for _ in range(20_000):
        kind = draw.choice((0x81, 0x90, 0xC1))
        raw = bytes((kind, 1, 0, 1, 0, 0x91, draw.randrange(128))) + draw.randbytes(8)
        piece = b"".join(bytes((len(run) + 1,)) + run for run in raw.split(b"\0"))
        assert decoder.feed(b"\0" + piece + b"\0") == []
    assert decoder.bad.crc == 20_000


def test_a_frame_whose_tag_is_a_crc_is_not_accepted() -> None:
    _, decoder = ends()
    assert decoder.feed(encode_frame(Frame(0x90, 1, 1, (1, 2, 3, 4)), 0)) == []
    assert decoder.bad.total() == decoder.bad.crc == 1


def test_the_same_frame_of_another_session_direction_or_number_is_not_accepted() -> None:
    tags, decoder = ends()
    frame = Frame(0x90, 3, 8, (1, 2))
    assert decoder.feed(sealed(tags, frame, 0x1_0003)) == []
    tags.begin(SESSION[:-1] + b"k")
    assert decoder.feed(sealed(tags, frame, 3)) == [frame]  # both ends began the other session
    wire = sealed(tags, frame, 3)
    tags.begin(SESSION)
    assert decoder.feed(wire) == []
    assert decoder.feed(sealed(tags, Frame(0x10, 3, 8, (1, 2)), 3)) == []
    assert decoder.bad.reflected == 1


def test_the_number_of_a_frame_grows_beyond_its_16_bits() -> None:
    assert nearest_number(0xFFFE, 1) == 0x1_0001
    assert nearest_number(0x1_0001, 0xFFFE) == 0xFFFE
    assert nearest_number(0, 0xFFFF) == 0xFFFF_FFFF  # before the first: proves nothing
    tags, decoder = ends()
    old = sealed(tags, Frame(0x90, 5, 0, ()), 5)
    for number in range(0, 0x1_8000, 0x3000):
        frame = Frame(0x90, number & 0xFFFF, 0, ())
        assert decoder.feed(sealed(tags, frame, number)) == [frame]
    assert decoder.feed(old) == []  # its 16 bits are ahead again; its tag is of long ago


def record(bench: Bench) -> list[bytes]:
    """What the host sends from now on."""
    sent: list[bytes] = []

    def tap(data: bytes) -> bytes:
        sent.append(data)
        return data

    bench.to_device = tap
    return sent


def test_a_recorded_session_played_again_opens_and_moves_nothing() -> None:
    bench = Bench(host_key=KEY, device_key=KEY)
    sent = record(bench)
    drive(bench)
    bench.send(bench.link.disarm(bench.now_ns))
    counters = bench.mcu.counters
    now_ns = bench.now_ns
    for wait_ns in (100 * MS, 65_536 * 10 * MS):  # at once, and when its age tokens are back
        bench.mcu.advance(now_ns + wait_ns)
        for data in sent:
            bench.mcu.receive(now_ns + wait_ns, data)
            assert bench.mcu.state is DeviceState.SAFE
    assert bench.mcu.counters.sets_applied == counters.sets_applied


def test_a_session_that_was_held_back_is_not_for_later() -> None:
    """An attacker keeps the commands of one session from the device, lets the host open another,
    and sends the old ones when their age tokens are fresh again."""
    bench = Bench(host_key=KEY, device_key=KEY)
    bench.until(LinkState.READY)
    held: list[bytes] = []

    def hold(data: bytes) -> bytes:
        held.append(data)
        return b""

    bench.to_device = hold
    bench.send(bench.link.arm(bench.now_ns))
    for _ in range(8):
        bench.step()
    bench.to_device = lambda data: data
    bench.open()
    bench.until(LinkState.READY)
    later_ns = bench.now_ns + 65_536 * 10 * MS
    bench.mcu.advance(later_ns)
    before = bench.mcu.bad_frames.crc
    for data in held:
        bench.mcu.receive(later_ns, data)
    assert bench.mcu.state is DeviceState.SAFE
    assert bench.mcu.bad_frames.crc > before


def test_a_hello_from_before_opens_a_session_that_the_device_does_not_prove() -> None:
    heard: list[bytes] = []

    def tap(data: bytes) -> bytes:
        heard.append(data)
        return data

    bench = Bench(to_host=tap, host_key=KEY, device_key=KEY)
    drive(bench)
    recorded = b"".join(heard)
    bench.to_host = lambda data: b""
    bench.open()
    for _ in range(5):
        bench.step()
        bench.link.receive(bench.now_ns, recorded)
    assert bench.link.state is LinkState.SESSION
    assert bench.link.counters.frames_missed == 0


def test_hello_has_eight_fields_with_a_key_and_seven_without() -> None:
    values = (1, 1, 2, 3, 4, 0, 100)
    assert parse_hello(Frame(Kind.HELLO, 0, 0, (*values, 9)), keyed=True).session_number == 9
    for keyed, wrong in ((True, values), (False, (*values, 9)), (True, (*values, -1))):
        with pytest.raises(MessageError):
            parse_hello(Frame(Kind.HELLO, 0, 0, wrong), keyed=keyed)


def test_a_tag_is_the_keyed_hash_that_the_document_says() -> None:
    tags, _ = ends()
    raw = b"\x10\1\0\2\0\x91\7"
    assert (
        tags.of(raw, 0x2_0001)
        == hashlib.blake2s(SESSION + b"\2\0\0\0" + raw, key=KEY, digest_size=8).digest()
    )
    opening = b"\x41" + raw[1:]
    assert (
        tags.of(opening, 5) == hashlib.blake2s(bytes(24) + opening, key=KEY, digest_size=8).digest()
    )
