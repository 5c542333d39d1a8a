"""Requests and answers of Modbus RTU, as pymodbus makes them and as they were made by hand."""

import sys
from importlib import metadata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from edge_agent.core.errors import ConfigError
from edge_agent.ports.modbus_frames import Ask, Codec, Fault, Found, Function, Refusal
from tests.unit.ports.modbus_device import refused, registers, sealed

CODEC = Codec("modbus[0]")
TWO = Ask(7, Function.READ_INPUT_REGISTERS, 100, 2)
BITS = Ask(7, Function.READ_COILS, 19, 10)
GOOD = registers(7, 4, (0x1234, 0xFFFF))
ASKS = st.builds(
    Ask,
    st.integers(1, 247),
    st.sampled_from(Function),
    st.integers(0, 65_535),
    st.integers(1, 125),
)


def test_the_installed_pymodbus_is_one_that_was_tried() -> None:
    """When this fails, a newer release changed or left the range: try it before widening that."""
    wanted = [Requirement(text) for text in metadata.requires("edge-autonomy") or []]
    ranges = [requirement.specifier for requirement in wanted if requirement.name == "pymodbus"]
    assert ranges
    assert all(one.contains(metadata.version("pymodbus")) for one in ranges)
    Codec("modbus[0]")


@given(ASKS)
def test_every_request_is_one_to_read_and_the_same_as_by_hand(ask: Ask) -> None:
    body = bytes((ask.device_id, ask.function))
    body += ask.address.to_bytes(2, "big") + ask.quantity.to_bytes(2, "big")
    assert CODEC.request(ask) == sealed(body)


def test_no_function_but_the_four_that_read_can_be_named() -> None:
    assert sorted(Function) == [1, 2, 3, 4]
    assert set(CODEC._requests) == set(Function)
    assert {int(kind.function_code) for kind in CODEC._requests.values()} == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("ask", "data", "found"),
    [
        (TWO, GOOD, Found((0x1234, 0xFFFF), 9)),
        (TWO, b"\x00" + GOOD, Found((0x1234, 0xFFFF), 10)),
        (TWO, b"\x07\x04\x04" + GOOD + b"more", Found((0x1234, 0xFFFF), 12)),
        (TWO, CODEC.request(TWO) + GOOD, Found((0x1234, 0xFFFF), 17)),
        (TWO, refused(7, 4, 2), Found(Refusal("illegal_data_address"), 5)),
        (TWO, refused(7, 4, 77), Found(Refusal("77"), 5)),
        (BITS, sealed(b"\x07\x01\x02\xcd\xff"), Found((1, 0, 1, 1, 0, 0, 1, 1, 1, 1), 7)),
    ],
)
def test_an_answer_is_found_with_what_stands_around_it(ask: Ask, data: bytes, found: Found) -> None:
    assert CODEC.answer(ask, data) == found
    for size in range(found.end):
        assert CODEC.answer(ask, data[:size]) is None


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", Fault.SILENT),
        (GOOD[:-1], Fault.INCOMPLETE),
        (GOOD[:3], Fault.INCOMPLETE),
        (GOOD[:-1] + b"\x00", Fault.CHECKSUM),
        (GOOD[:4] + b"\x35" + GOOD[5:], Fault.CHECKSUM),
        (registers(8, 4, (1, 2)), Fault.WRONG_DEVICE),
        (refused(8, 4, 2), Fault.WRONG_DEVICE),
        (registers(7, 3, (1, 2)), Fault.WRONG_FUNCTION),
        (refused(7, 3, 2), Fault.WRONG_FUNCTION),
        (registers(7, 4, (1,)), Fault.WRONG_LENGTH),
        (registers(7, 4, (1,)) + b"\x00\x00", Fault.WRONG_LENGTH),
        (registers(7, 4, (1, 2, 3)), Fault.WRONG_LENGTH),
        (registers(7, 4, ()), Fault.WRONG_LENGTH),
        (b"\x07", Fault.NOISE),
        (b"\xff" * 300, Fault.NOISE),
        (registers(7, 23, (1, 2)), Fault.NOISE),
        (b"booting...", Fault.NOISE),
    ],
)
def test_what_is_no_answer_is_told_apart(data: bytes, fault: Fault) -> None:
    assert CODEC.answer(TWO, data) is None
    assert CODEC.fault(TWO, data) == fault


def test_a_line_full_of_damage_writes_nothing_to_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """The package logs what it cannot read; a log that grows with noise blocks in the end."""
    for damaged in (GOOD[1:], GOOD[:-1], registers(8, 4, (1,)), registers(7, 4, ()), b"\xff" * 99):
        CODEC.answer(TWO, damaged)
        CODEC.fault(TWO, damaged)
    assert caplog.records == []


@given(ASKS, st.binary(max_size=300))
def test_no_bytes_raise_and_noise_is_no_answer(ask: Ask, noise: bytes) -> None:
    """A right checksum over the right first bytes has a chance of 2^-40 a place."""
    assert CODEC.answer(ask, noise) is None
    assert CODEC.fault(ask, noise) in set(Fault)


@given(st.binary(max_size=40), st.binary(max_size=40), st.lists(st.integers(0, 65_535), min_size=2))
def test_noise_around_an_answer_changes_nothing(
    before: bytes, after: bytes, values: list[int]
) -> None:
    values = values[:125]
    ask = TWO._replace(quantity=len(values))
    data = before + registers(7, 4, values)
    assert CODEC.answer(ask, data + after) == Found(tuple(values), len(data))


@given(st.integers(0, 8), st.integers(1, 255))
def test_one_wrong_byte_is_always_seen(place: int, wrong: int) -> None:
    damaged = bytearray(GOOD)
    damaged[place] ^= wrong
    assert CODEC.answer(TWO, bytes(damaged)) is None


# ---- the package -----------------------------------------------------------------------------


def test_without_the_package_the_section_and_the_command_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pymodbus.framer", None)
    with pytest.raises(ConfigError, match="pymodbus") as refusal:
        Codec("agent.toml: modbus[1]")
    assert refusal.value.where == "agent.toml: modbus[1]"
    assert refusal.value.fix == "pip install 'edge-autonomy[modbus]'"
    assert refusal.value.exit_code == 78


def _other_size(_framer: Any, data: bytes) -> tuple[int, int, int, bytes]:
    return len(data), 0, 0, b""


def _other_bytes(_framer: Any, _message: Any) -> bytes:
    return b"\x11\x06\x00\x6b\x00\x03\xba\x87"  # a valid request to write


def _no_longer_there(_framer: Any, _message: Any) -> bytes:
    raise AttributeError


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("decode", _other_size),
        ("buildFrame", _other_bytes),
        ("buildFrame", _no_longer_there),
    ],
)
def test_a_pymodbus_that_has_changed_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, other: Any
) -> None:
    from pymodbus.framer import FramerRTU

    monkeypatch.setattr(FramerRTU, name, other)
    with pytest.raises(ConfigError, match="other frames"):
        Codec("modbus[0]")
