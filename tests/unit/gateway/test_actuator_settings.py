"""The `[[mqtt.actuator]]` rows: what is refused, and that the message names the key and the fix."""

import dataclasses
from typing import Any

import pytest

from edge_agent.core.clock import NS_PER_S
from edge_agent.core.errors import ConfigError
from edge_agent.gateway.actuator_settings import MqttActuator, driven
from edge_agent.gateway.decode import Cause
from tests.unit.safety.lab import envelope

LAB = envelope()
PUMP, VALVE = LAB.actuators
LEASE_S = PUMP.lease_ns / NS_PER_S


def _row(name: str, **change: Any) -> MqttActuator:
    row = {
        "channel": name,
        "unit": next(a.unit for a in LAB.actuators if a.name == name),
        "command_topic": f"{name}/set",
        "state_topic": f"{name}/state",
        "timeout_s": LEASE_S / 2,
    }
    return MqttActuator(**{**row, **change})


def _refusal(*rows: MqttActuator) -> str:
    with pytest.raises(ConfigError) as caught:
        driven(rows, LAB)
    return str(caught.value)


def test_no_rows_drive_nothing() -> None:
    assert driven((), LAB) == ((), ())


def test_rows_in_any_order_follow_the_device() -> None:
    drives, feedback = driven((_row("valve"), _row("pump", rate_per_s_max=2.0)), LAB)
    assert [drive.name for drive in drives] == ["pump", "valve"]
    assert [d.channel for d in feedback] == [len(LAB.sensors), len(LAB.sensors) + 1]
    pump = drives[0]
    assert pump.refresh_ns == PUMP.lease_ns // 2 // 3
    assert pump.fresh_ns == PUMP.lease_ns - PUMP.lease_ns // 2
    assert pump.every_ns == NS_PER_S // 2
    assert feedback[0].decode(b"1") == PUMP.counts_per_unit


@pytest.mark.parametrize(
    ("change", "where", "fix"),
    [
        ({"channel": "pmup"}, "mqtt.actuator[0].channel", "did you mean 'pump'"),
        ({"channel": "level"}, "mqtt.actuator[0].channel", "known:"),  # a sensor
        ({"channel": "valve"}, "mqtt.actuator", "no row for pump"),
        ({"unit": "furlong"}, "mqtt.actuator[0].unit", "known:"),
        ({"unit": "degC"}, "mqtt.actuator[0].unit", "use one of"),
        ({"timeout_s": 0.0}, "mqtt.actuator[0].timeout_s", "may not be driven"),
        ({"timeout_s": -1.0}, "mqtt.actuator[0].timeout_s", "may not be driven"),
        ({"timeout_s": float("nan")}, "mqtt.actuator[0].timeout_s", "may not be driven"),
        ({"timeout_s": LEASE_S * 0.76}, "mqtt.actuator[0].timeout_s", "three quarters"),
        ({"payload": "go"}, "mqtt.actuator[0].payload", "once"),
        ({"payload": "{value}{value}"}, "mqtt.actuator[0].payload", "once"),
        ({"on": "ON", "off": "OFF"}, "mqtt.actuator[0].on", "remove on and off"),
        ({"state_path": "a.b"}, "mqtt.actuator[0].state_path", "remove state_path"),
        ({"scale": 0.0}, "mqtt.actuator[0].scale", "such as"),
        ({"offset": float("inf")}, "mqtt.actuator[0].offset", "such as"),
        ({"rate_per_s_max": 0.0}, "mqtt.actuator[0].rate_per_s_max", "choose 0.1 to 50"),
        ({"rate_per_s_max": float("nan")}, "mqtt.actuator[0].rate_per_s_max", "choose 0.1 to 50"),
        ({"command_topic": "a/+"}, "mqtt.actuator[0].command_topic", "full topic"),
        ({"state_topic": ""}, "mqtt.actuator[0].state_topic", "such as"),
        ({"state_topic": "pump/set"}, "mqtt.actuator[0].state_topic", "used twice"),
        ({"state_topic": "valve/set"}, "mqtt.actuator[1].command_topic", "used twice"),
        ({"command_topic": "valve/set"}, "mqtt.actuator[1].command_topic", "used twice"),
    ],
)
def test_a_row_that_cannot_work_is_refused(change: dict[str, Any], where: str, fix: str) -> None:
    message = _refusal(_row("pump", **change), _row("valve"))
    assert where in message
    assert fix in message


def test_every_actuator_has_one_row_or_none_has() -> None:
    assert "no row for valve" in _refusal(_row("pump"))
    twice = (_row("pump"), _row("valve"), _row("pump", command_topic="c", state_topic="s"))
    assert "more than one row" in _refusal(*twice)


def test_one_document_may_report_two_actuators() -> None:
    rows = [_row(n, state_topic="s", state_format="json", state_path=n) for n in ("pump", "valve")]
    _, feedback = driven(rows, LAB)
    assert [d.decode(b'{"pump": 1, "valve": 2}') for d in feedback] == [
        PUMP.counts_per_unit,
        2 * VALVE.counts_per_unit,
    ]


@pytest.mark.parametrize(
    ("change", "fix"),
    [({"on": "ON"}, "both"), ({"off": "OFF"}, "both"), ({"on": "X", "off": "X"}, "differ")],
)
def test_words_are_two_and_differ(change: dict[str, Any], fix: str) -> None:
    switch = dataclasses.replace(PUMP, unit="bool", counts_per_unit=1, min_counts=0, max_counts=1)
    device = dataclasses.replace(LAB, actuators=(switch,))
    with pytest.raises(ConfigError) as caught:
        driven((_row("pump", unit="bool", **change),), device)
    assert fix in str(caught.value)


def test_a_state_in_words_is_read_and_other_words_are_not_guessed_at() -> None:
    switch = dataclasses.replace(PUMP, unit="bool", counts_per_unit=1, min_counts=0, max_counts=1)
    device = dataclasses.replace(LAB, actuators=(switch,))
    words = {"unit": "bool", "on": "ON", "off": "OFF"}
    _, (plain,) = driven((_row("pump", **words),), device)
    assert [plain.decode(text) for text in (b"ON", b"OFF")] == [1, 0]
    for text in (b"on", b"1", b"ONE", b"O"):
        assert plain.decode(text) is Cause.NOT_A_NUMBER
    assert plain.decode(b"\xff") is Cause.NOT_TEXT
    assert plain.decode(b"") is Cause.EMPTY
    row = _row("pump", **words, state_format="json", state_path="POWER")
    _, (inside,) = driven((row,), device)
    assert [inside.decode(b'{"POWER": "ON"}'), inside.decode(b'{"POWER": "TOGGLE"}')] == [
        1,
        Cause.NOT_A_NUMBER,
    ]
    assert inside.decode(b"{}") is Cause.PATH_MISSING
