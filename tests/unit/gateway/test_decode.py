"""Payloads to counts: three formats, units, and a zoo of what sensors really send."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.records import Quality, Reading
from edge_agent.core.units import COUNTS_LIMIT
from edge_agent.gateway.decode import MAX_PAYLOAD_BYTES, Cause, SensorDecoder
from edge_agent.gateway.intake import Intake
from edge_agent.gateway.settings import MqttSensor, MqttSettings, sensor_decoders
from edge_agent.safety.devices.air_handler import ENVELOPE

NAN = msgspec.msgpack.encode({"v": float("nan")})


def _decoder(form: str = "number", path: str = "", **changes: object) -> SensorDecoder:
    row: dict[str, object] = {
        "channel": "supply_temperature", "topic": "t", "unit": "degC", "form": form, "path": path,
    }  # fmt: skip
    sensor = MqttSensor(**(row | changes))  # type: ignore[arg-type]
    (decoder,) = sensor_decoders(MqttSettings(sensor=(sensor,)), ENVELOPE.sensors)
    return decoder


@pytest.mark.parametrize(
    ("payload", "counts"),
    [
        (b"21.5", 2150),
        (b" 21.5\r\n", 2150),
        (b"-0.04", -4),
        (b"+5", 500),
        (b".5", 50),
        (b"5.", 500),
        (b"2.15e1", 2150),
        (b"0", 0),
        (b"-0", 0),
    ],
)
def test_a_number_in_text(payload: bytes, counts: int) -> None:
    assert _decoder().decode(payload) == counts


@pytest.mark.parametrize(
    ("payload", "cause"),
    [
        (b"", Cause.EMPTY),
        (b"  \n", Cause.EMPTY),
        (b"#VALUE!", Cause.NOT_A_NUMBER),
        (b"21,5", Cause.NOT_A_NUMBER),
        (b"21.5 C", Cause.NOT_A_NUMBER),
        (b"1_000", Cause.NOT_A_NUMBER),
        (b"0x15", Cause.NOT_A_NUMBER),
        (b"true", Cause.NOT_A_NUMBER),
        (b'"21.5"', Cause.NOT_A_NUMBER),
        ("٢١".encode(), Cause.NOT_A_NUMBER),
        (b"21.5\x00", Cause.NOT_A_NUMBER),
        (b"NaN", Cause.NOT_FINITE),
        (b"-inf", Cause.NOT_FINITE),
        (b"Infinity", Cause.NOT_FINITE),
        (b"1e999", Cause.BEYOND_COUNTS),
        (b"9" * 5000, Cause.BEYOND_COUNTS),
        (b"1e9", Cause.BEYOND_COUNTS),
        (b"\xff\xfe2", Cause.NOT_TEXT),
        (b"1" * (MAX_PAYLOAD_BYTES + 1), Cause.TOO_LARGE),
    ],
)
def test_text_that_is_no_usable_number(payload: bytes, cause: Cause) -> None:
    assert _decoder().decode(payload) is cause


@pytest.mark.parametrize(
    ("payload", "path", "counts"),
    [
        (b'{"a": {"t": 12.345}}', "a.t", 1234),
        (b'{"a": [1, 21.5]}', "a.1", 2150),
        (b'{"1": 2}', "1", 200),
        (b"21.5", "", 2150),
        (b'{"t": 1, "t": 2}', "t", 200),
    ],
)
def test_a_number_in_json(payload: bytes, path: str, counts: int) -> None:
    assert _decoder("json", path).decode(payload) == counts


@pytest.mark.parametrize(
    ("payload", "cause"),
    [
        (b"", Cause.EMPTY),
        (b"{", Cause.NOT_JSON),
        (b'{"v": 1}x', Cause.NOT_JSON),
        (b'{"v": 1' + b"0" * 5000 + b"}", Cause.NOT_JSON),
        (b'{"v": 1' + b"0" * 400 + b"}", Cause.BEYOND_COUNTS),
        (b"\xff", Cause.NOT_TEXT),
        (b"[" * 60_000, Cause.TOO_DEEP),
        (b'{"v":' * 10_000, Cause.TOO_DEEP),
        (b"{}", Cause.PATH_MISSING),
        (b"[1]", Cause.PATH_MISSING),
        (b"5", Cause.PATH_MISSING),
        (b'{"v": null}', Cause.NULL),
        (b'{"v": "21.5"}', Cause.NOT_A_NUMBER),
        (b'{"v": "#VALUE!"}', Cause.NOT_A_NUMBER),
        (b'{"v": true}', Cause.WRONG_TYPE),
        (b'{"v": {}}', Cause.WRONG_TYPE),
        (b'{"v": [1]}', Cause.WRONG_TYPE),
        (b'{"v": NaN}', Cause.NOT_FINITE),
        (b'{"v": -Infinity}', Cause.NOT_FINITE),
        (b'{"v": 1e999}', Cause.NOT_FINITE),
        (b'{"v": "' + b"x" * MAX_PAYLOAD_BYTES + b'"}', Cause.TOO_LARGE),
    ],
)
def test_json_without_a_usable_number(payload: bytes, cause: Cause) -> None:
    assert _decoder("json", "v").decode(payload) is cause


@pytest.mark.parametrize(
    ("payload", "outcome"),
    [
        (msgspec.msgpack.encode({"v": 21.5}), 2150),
        (msgspec.msgpack.encode({"v": -3}), -300),
        (msgspec.msgpack.encode({"v": "21.5"}), Cause.NOT_A_NUMBER),
        (msgspec.msgpack.encode({"v": b"21"}), Cause.WRONG_TYPE),
        (msgspec.msgpack.encode({"v": None}), Cause.NULL),
        (msgspec.msgpack.encode({"w": 1}), Cause.PATH_MISSING),
        (NAN, Cause.NOT_FINITE),
        (NAN[:-1], Cause.NOT_MSGPACK),
        (NAN + b"\x00", Cause.NOT_MSGPACK),
        (b"\xc1", Cause.NOT_MSGPACK),
        (b"\x81\xa1\xff\x01", Cause.NOT_MSGPACK),
        (b"\x81\x80\x01", Cause.NOT_MSGPACK),  # a map as a key
        (b"\x91" * 60_000, Cause.TOO_DEEP),
        (b"\xdd\xff\xff\xff\xff", Cause.NOT_MSGPACK),  # claims four billion elements
    ],
)
def test_msgpack(payload: bytes, outcome: int | Cause) -> None:
    assert _decoder("msgpack", "v").decode(payload) == outcome


@pytest.mark.parametrize("form", ["number", "json", "msgpack"])
@given(payload=st.binary(max_size=64) | st.text(max_size=64).map(str.encode))
def test_no_payload_raises_and_counts_are_in_range(form: str, payload: bytes) -> None:
    outcome = _decoder(form).decode(payload)
    assert isinstance(outcome, Cause) or -COUNTS_LIMIT <= outcome <= COUNTS_LIMIT


def test_units_scale_and_offset_are_applied_before_counting() -> None:
    assert _decoder(unit="degF").decode(b"32") == 0
    assert _decoder(unit="degF").decode(b"75.92") == 2440
    assert _decoder(unit="K").decode(b"273.15") == 0
    tenths = _decoder(unit="degF", scale=0.1, offset=2.0)
    assert tenths.decode(b"660") == 2000, "66 + 2 degF"


@pytest.mark.parametrize(
    ("payload", "outcome"),
    [(b"true", 1), (b"false", 0), (b"1", 1), (b'"on"', Cause.NOT_A_NUMBER)],
)
def test_a_bool_is_a_value_of_a_bool_channel_only(payload: bytes, outcome: int | Cause) -> None:
    decoder = _decoder("json", channel="fan_status", unit="bool")
    assert decoder.decode(payload) == outcome


def test_one_topic_may_feed_several_channels_each_with_its_own_fate() -> None:
    rows = tuple(
        MqttSensor(channel=name, topic="ahu", unit="degC", form="json", path=path)
        for name, path in (("supply_temperature", "s"), ("mixed_temperature", "m"))
    )
    intake = Intake(sensor_decoders(MqttSettings(sensor=rows), ENVELOPE.sensors))
    assert intake.topics == ("ahu",)
    assert intake.readings("ahu", b'{"s": 1, "m": "x"}', 7, retained=False) == [
        Reading(0, 100, 7, Quality.GOOD),
        Reading(1, 0, 7, Quality.INVALID),
    ]
    assert intake.readings("ahu", None, 8, retained=False) == [
        Reading(0, 0, 8, Quality.INVALID),
        Reading(1, 0, 8, Quality.INVALID),
    ]
    assert intake.readings("ahu", b'{"s": 1}', 9, retained=True) == []
    assert intake.readings("elsewhere", b"1", 9, retained=False) == []
    assert intake.counters() == {
        "sensor.supply_temperature.good": 1,
        "sensor.mixed_temperature.not_a_number": 1,
        "sensor.supply_temperature.too_large": 1,
        "sensor.mixed_temperature.too_large": 1,
        "sensor.supply_temperature.stale_retained": 1,
        "sensor.mixed_temperature.stale_retained": 1,
    }
