"""Messages: read back as meant, and refused when impossible."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.errors import MessageError, WireValueError
from firmware_bridge.frames import Frame
from firmware_bridge.messages import (
    Ack,
    Arm,
    Hello,
    HelloAck,
    Kind,
    Layout,
    Telemetry,
    parse_ack,
    parse_arm,
    parse_empty,
    parse_hello,
    parse_hello_ack,
    parse_ident,
    parse_set,
    parse_telemetry,
    schema_hash,
    session_salt,
    set_values,
    telemetry_values,
)

LAYOUT = Layout(2, 1)
U32 = 2**32 - 1
HELLO = (1, 1, U32, U32, 7, 0, 500)
TELEMETRY = (1000, 2, 0, 9, 3, 0, 0, 1, 5, -5, -70000)


def frame(kind: Kind, values: tuple[int, ...]) -> Frame:
    return Frame(kind, 0, 0, values)


def test_every_message_is_read_back_as_it_was_meant() -> None:
    assert parse_hello(frame(Kind.HELLO, HELLO)) == Hello(*HELLO)
    assert parse_hello_ack(frame(Kind.HELLO_ACK, (1, 2))) == HelloAck(1, 2)
    assert parse_arm(frame(Kind.ARM, (1, 2))) == Arm(1, 2)
    assert parse_ack(frame(Kind.ACK, (1, 2))) == Ack(1, 2)
    assert parse_ident(frame(Kind.IDENT, (1,))) == 1
    assert parse_set(frame(Kind.SET, (-32768, 32767)), LAYOUT) == (-32768, 32767)
    parse_empty(frame(Kind.DISARM, ()))


@given(
    st.lists(st.integers(-(2**15), 2**15 - 1), min_size=2, max_size=2).map(tuple),
    st.integers(-(2**31), 2**31 - 1),
)
def test_telemetry_survives_the_round_trip(applied: tuple[int, ...], sensor: int) -> None:
    sent = Telemetry(U32, 1, 3, 0xFFFF, 3, U32, 0, 5, applied, (sensor,))
    assert parse_telemetry(frame(Kind.TELEMETRY, telemetry_values(sent)), LAYOUT) == sent


def test_every_message_with_a_field_too_few_or_too_many_is_refused() -> None:
    parsers = (
        (parse_hello, HELLO),
        (parse_hello_ack, (1, 2)),
        (parse_arm, (1, 2)),
        (parse_ack, (1, 2)),
        (parse_ident, (1,)),
        (lambda f: parse_set(f, LAYOUT), (1, 2)),
        (lambda f: parse_telemetry(f, LAYOUT), TELEMETRY),
    )
    for parse, values in parsers:
        for wrong in (values[1:], (*values, 0)):
            with pytest.raises(MessageError):
                parse(frame(Kind.ARM, wrong))
    with pytest.raises(MessageError):
        parse_empty(frame(Kind.DISARM, (1,)))


@pytest.mark.parametrize(
    ("index", "value"),
    [(0, -1), (2, -1), (4, -1), (5, 4), (5, -1), (6, 0), (6, 65536)],
)
def test_an_impossible_hello_is_refused(index: int, value: int) -> None:
    values = (*HELLO[:index], value, *HELLO[index + 1 :])
    with pytest.raises(MessageError):
        parse_hello(frame(Kind.HELLO, values))


@pytest.mark.parametrize(
    ("index", "value"),
    [
        (0, -1),
        (1, 3),
        (1, -1),
        (2, 4),
        (3, 65536),
        (4, 4),
        (5, -1),
        (6, -1),
        (7, -1),
        (8, 32768),
        (9, -32769),
        (10, 2**31),
    ],
)
def test_impossible_telemetry_is_refused(index: int, value: int) -> None:
    values = (*TELEMETRY[:index], value, *TELEMETRY[index + 1 :])
    with pytest.raises(MessageError):
        parse_telemetry(frame(Kind.TELEMETRY, values), LAYOUT)


@pytest.mark.parametrize("counts", [(1,), (1, 2, 3), (32768, 0), (0, -32769)])
def test_a_vector_that_does_not_fit_is_not_sent(counts: tuple[int, ...]) -> None:
    with pytest.raises(WireValueError):
        set_values(counts, LAYOUT)
    with pytest.raises(MessageError):
        parse_set(frame(Kind.SET, counts), LAYOUT)


@pytest.mark.parametrize(("actuators", "sensors"), [(0, 0), (33, 0), (1, -1), (1, 33)])
def test_a_layout_the_wire_cannot_carry_is_refused(actuators: int, sensors: int) -> None:
    with pytest.raises(WireValueError):
        Layout(actuators, sensors)


def test_the_schema_hash_depends_on_every_name_and_its_place() -> None:
    hashes = {
        schema_hash(("a", "b"), ("c",)),
        schema_hash(("b", "a"), ("c",)),
        schema_hash(("a",), ("b", "c")),
        schema_hash(("a", "b"), ("d",)),
    }
    assert len(hashes) == 4


def test_the_salt_depends_on_both_hashes_and_both_nonces() -> None:
    hello = Hello(*HELLO)
    salts = {session_salt(hello, 1), session_salt(hello, 2)}
    for name in ("schema_hash", "envelope_hash", "boot_nonce"):
        salts.add(session_salt(msgspec.structs.replace(hello, **{name: 55}), 1))
    assert len(salts) == 5
