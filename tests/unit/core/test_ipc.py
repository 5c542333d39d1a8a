"""The messages between control and gateway: round trips, and whatever else may arrive."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.ipc import (
    MAX_DATAGRAM_BYTES,
    MAX_READINGS_PER_BATCH,
    Bye,
    Codec,
    ControlMessage,
    GatewayMessage,
    GatewayReport,
    Hello,
    ReadingsBatch,
    StatusReport,
    Tick,
    Welcome,
)
from edge_agent.core.records import Quality, Reading

FROM_GATEWAY: list[GatewayMessage] = [
    Hello("gateway", 4711),
    ReadingsBatch((Reading(0, -4, 10**15, Quality.GOOD), Reading(6, 0, 1, Quality.INVALID))),
    GatewayReport({"mqtt.state": "connected", "mqtt.connects": 2}),
]
FROM_CONTROL: list[ControlMessage] = [
    Welcome("b00t", "air-handler", {"envelope": "ab"}),
    Tick(b"\x01\x02"),
    StatusReport({"mode": "SAFE", "ports": {"serial": {"crc_errors": 0}}}),
    Bye("stop"),
]


@pytest.mark.parametrize("message", FROM_GATEWAY, ids=lambda m: type(m).__name__)
def test_what_the_gateway_says_comes_back_equal(message: GatewayMessage) -> None:
    codec = Codec()
    assert codec.from_gateway(codec.encode(message) or b"") == message


@pytest.mark.parametrize("message", FROM_CONTROL, ids=lambda m: type(m).__name__)
def test_what_control_says_comes_back_equal(message: ControlMessage) -> None:
    codec = Codec()
    assert codec.from_control(codec.encode(message) or b"") == message


@pytest.mark.parametrize("message", FROM_CONTROL, ids=lambda m: type(m).__name__)
def test_a_gateway_may_not_speak_as_control(message: ControlMessage) -> None:
    codec = Codec()
    assert codec.from_gateway(codec.encode(message) or b"") is None


def test_a_message_beyond_the_limit_is_not_encoded_and_not_decoded() -> None:
    codec = Codec()
    assert codec.encode(Tick(b"x" * MAX_DATAGRAM_BYTES)) is None
    oversize = msgspec.msgpack.encode(Tick(b"x" * MAX_DATAGRAM_BYTES))
    assert codec.from_control(oversize) is None
    assert codec.from_gateway(oversize) is None


def test_the_largest_batch_of_readings_fits() -> None:
    worst = Reading(2**31, -(2**31), 2**63, 2**31)
    assert Codec().encode(ReadingsBatch((worst,) * MAX_READINGS_PER_BATCH)) is not None


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\xc1",
        b"\x92\x01",
        b"\x92\x01\xa1\xff",  # not UTF-8
        b"\x92\x63\x00",  # unknown tag
        b"\x92\x02\x91\x94\x00\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\x00\x00",  # NaN counts
        b"\x91" * 5000,  # nested deeper than any message
        b"\x93\x01\xa1a\x01" + b"\x91" * 5000,  # likewise, behind a valid message
        b"\x93\x01\xa1a\x01\x00\x00",  # trailing bytes
    ],
)
def test_a_malformed_datagram_is_none(datagram: bytes) -> None:
    assert Codec().from_gateway(datagram) is None
    assert Codec().from_control(datagram) is None


@given(st.binary(max_size=200))
def test_no_bytes_raise(datagram: bytes) -> None:
    codec = Codec()
    codec.from_gateway(datagram)
    codec.from_control(datagram)
