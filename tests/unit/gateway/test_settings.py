"""The `[mqtt]` section: what is refused, and that the message names the key and the fix."""

import msgspec
import pytest

from edge_agent.core.errors import ConfigError
from edge_agent.gateway.settings import MqttSensor, MqttSettings, sensor_decoders
from edge_agent.safety.devices.air_handler import ENVELOPE

ROW: dict[str, object] = {"channel": "supply_temperature", "topic": "a/b", "unit": "degF"}


def _rows(*rows: dict[str, object]) -> MqttSettings:
    return MqttSettings(sensor=tuple(MqttSensor(**row) for row in rows))  # type: ignore[arg-type]


def _refusal(settings: MqttSettings) -> str:
    with pytest.raises(ConfigError) as caught:
        sensor_decoders(settings, ENVELOPE.sensors)
    return str(caught.value)


def test_the_section_is_written_with_the_names_that_users_know() -> None:
    text = """
    host = "broker.local"
    [[sensor]]
    channel = "supply_temperature"
    topic = "ahu/1"
    unit = "degF"
    format = "json"
    path = "temperature"
    """
    settings = msgspec.toml.decode(text, type=MqttSettings)
    (decoder,) = sensor_decoders(settings, ENVELOPE.sensors)
    assert (decoder.channel, decoder.path) == (0, ("temperature",))
    assert (settings.keepalive_s, settings.base_topic) == (15, "edge")


@pytest.mark.parametrize("text", ['hots = "x"', '[[sensor]]\nchanel = "x"', "port = 'x'"])
def test_unknown_keys_and_wrong_types_are_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.toml.decode(text, type=MqttSettings)


@pytest.mark.parametrize(
    ("change", "where", "fix"),
    [
        ({"channel": "suply_temperature"}, "mqtt.sensor[0].channel", "'supply_temperature'"),
        ({"channel": "supply_fan"}, "mqtt.sensor[0].channel", "known:"),  # an actuator
        ({"unit": "degf"}, "mqtt.sensor[0].unit", "did you mean 'degF'"),
        ({"unit": "percent"}, "mqtt.sensor[0].unit", "use one of: degC, degF, K"),
        ({"topic": "a/+/b"}, "mqtt.sensor[0].topic", "full topic"),
        ({"topic": "a/#"}, "mqtt.sensor[0].topic", "full topic"),
        ({"topic": ""}, "mqtt.sensor[0].topic", "such as"),
        ({"topic": "a\0b"}, "mqtt.sensor[0].topic", "such as"),
        ({"scale": 0.0}, "mqtt.sensor[0].scale", "such as"),
        ({"scale": float("nan")}, "mqtt.sensor[0].scale", "such as"),
        ({"offset": float("inf")}, "mqtt.sensor[0].offset", "such as"),
        ({"max_age_s": 151.0}, "mqtt.sensor[0].max_age_s", "at most 150"),
        ({"max_age_s": 0.0}, "mqtt.sensor[0].max_age_s", "at most 150"),
        ({"max_age_s": float("nan")}, "mqtt.sensor[0].max_age_s", "at most 150"),
        ({"path": "a"}, "mqtt.sensor[0].path", "format = 'json'"),
    ],
)
def test_a_row_that_cannot_work_names_key_and_fix(
    change: dict[str, object], where: str, fix: str
) -> None:
    text = _refusal(_rows(ROW | change))
    assert text.startswith(where)
    assert fix in text


def test_two_sources_for_one_channel_are_refused() -> None:
    text = _refusal(_rows(ROW, ROW | {"topic": "other"}))
    assert text.startswith("mqtt.sensor[1].channel")
    assert "one [[mqtt.sensor]] row per channel" in text


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        (MqttSettings(host=""), "mqtt.host"),
        (MqttSettings(port=0), "mqtt.port"),
        (MqttSettings(port=65_536), "mqtt.port"),
        (MqttSettings(keepalive_s=0), "mqtt.keepalive_s"),
        (MqttSettings(telemetry_rate_hz=0.0), "mqtt.telemetry_rate_hz"),
        (MqttSettings(telemetry_rate_hz=float("nan")), "mqtt.telemetry_rate_hz"),
        (MqttSettings(base_topic="edge/#"), "mqtt.base_topic"),
        (MqttSettings(base_topic="/edge"), "mqtt.base_topic"),
        (MqttSettings(password_file="/etc/pw"), "mqtt.username"),
    ],
)
def test_a_broker_that_cannot_work_names_the_key(settings: MqttSettings, where: str) -> None:
    assert _refusal(settings).startswith(where)


def test_a_tighter_age_is_accepted() -> None:
    assert len(sensor_decoders(_rows(ROW | {"max_age_s": 150.0}), ENVELOPE.sensors)) == 1
