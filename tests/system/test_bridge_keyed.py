"""`edge-agent bridge` and a simulated microcontroller that was built with a key."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.app_hardware import hardware_of
from edge_agent.cli import main
from edge_agent.config import Config, SerialConfig, settings_of
from edge_agent.core.errors import EXIT_CONFIG, EXIT_OK, EXIT_TRANSIENT
from edge_agent.core.records import Command
from edge_agent.gateway.settings import MqttSensor, MqttSettings
from edge_agent.ports.serial_bridge import SerialBridgePort
from edge_agent.safety.devices.air_handler import ENVELOPE
from tests.system.test_bridge import FEEDBACK, Device, run

KEY = "0123456789abcdef" * 4


def key_file(path: Path, digits: str = KEY, mode: int = 0o600) -> Path:
    path.write_text(digits + "\n")
    path.chmod(mode)
    return path


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    made = Device(tmp_path, "--key-file", str(key_file(tmp_path / "bridge.key")))
    yield made
    made.process.kill()
    made.process.communicate()


def test_info_and_monitor_understand_a_device_with_their_key(
    device: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "bridge.key"
    code, out, _ = run(capsys, "info", device.port, "--key-file", key, "--json")
    assert (code, json.loads(out)["devices"][0]["envelope_matches"]) == (EXIT_OK, True)
    words = ("--duration", 1, "--every", 1, "--json")
    code, out, _ = run(capsys, "monitor", device.port, "--key-file", key, *words)
    document = json.loads(out.splitlines()[-1])
    assert (code, document["state"], document["device_state"]) == (EXIT_OK, "ready", "SAFE")
    assert document["frames_per_s"] > 10
    assert document["device_bad_frames"] == 0


def test_the_ports_of_a_configured_agent_arm_and_drive_it(device: Device, tmp_path: Path) -> None:
    rows = tuple(
        MqttSensor(topic=sensor.name, channel=sensor.name, unit=sensor.unit)
        for sensor in ENVELOPE.sensors
        if sensor.name not in FEEDBACK
    )
    serial = SerialConfig(
        port=str(device.port), sensors=tuple(FEEDBACK), key_file=str(tmp_path / "bridge.key")
    )
    config = Config(mode="real", serial=serial, mqtt=MqttSettings(sensor=rows))
    port = hardware_of(settings_of(config, "test")).ports["serial"]
    assert isinstance(port, SerialBridgePort)
    deadline = time.monotonic() + 20
    while port.status()["device_state"] != "ARMED":
        assert time.monotonic() < deadline, port.status()
        port.poll(time.monotonic_ns())
        port.apply(time.monotonic_ns(), Command((5, 0, 0, 3), armed=True))
        time.sleep(0.01)
    port.close()


def _write_config(folder: Path, device: Device, key_file_row: str) -> Path:
    """A real air handler behind this device, with a key or without."""
    rows = [
        f'[[mqtt.sensor]]\nchannel = "{sensor.name}"\ntopic = "t"\nunit = "{sensor.unit}"\n'
        for sensor in ENVELOPE.sensors
        if sensor.name not in FEEDBACK
    ]
    head = f'mode = "real"\nstate_dir = "{folder}/state"\nruntime_dir = "{folder}/run"\n'
    serial = f'[serial]\nport = "{device.port}"\nsensors = {json.dumps(FEEDBACK)}\n'
    config = folder / "agent.toml"
    config.write_text(head + serial + key_file_row + "[mqtt]\n" + "".join(rows))
    return config


def test_edge_agent_safe_asks_with_the_key(
    device: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = f'key_file = "{tmp_path}/bridge.key"\n'
    for row, wanted in ((key, EXIT_OK), ("", EXIT_TRANSIENT)):
        assert main(["safe", "--config", str(_write_config(tmp_path, device, row))]) == wanted
    assert "uses a key" in capsys.readouterr().err


def test_without_a_key_or_with_another_it_says_so(
    device: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "info", device.port, "--wait", 1)
    assert code == EXIT_TRANSIENT
    assert "the device uses a key, this host none" in err
    assert "--key-file" in err
    other = key_file(tmp_path / "other.key", "ff" * 32)
    code, _, err = run(capsys, "monitor", device.port, "--key-file", other, "--wait", 1)
    assert code == EXIT_TRANSIENT
    assert "another key" in err


def test_a_key_for_a_device_without_one_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = Device(tmp_path)
    try:
        words = ("--key-file", key_file(tmp_path / "k"), "--wait", 1)
        code, _, err = run(capsys, "info", plain.port, *words)
        assert code == EXIT_TRANSIENT
        assert "this host uses a key, the device none" in err
    finally:
        plain.process.kill()
        plain.process.communicate()


def test_a_key_file_that_others_can_read_is_refused(
    device: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loose = key_file(tmp_path / "loose.key", mode=0o644)
    code, _, err = run(capsys, "info", device.port, "--key-file", loose)
    assert code == EXIT_CONFIG
    assert "others can read" in err


def test_the_doctor_asks_with_the_key_and_looks_at_its_file(
    tmp_path: Path, device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    for row in (f'key_file = "{tmp_path}/bridge.key"\n', ""):
        main(["doctor", "--json", "--config", str(_write_config(tmp_path, device, row))])
        findings = json.loads(capsys.readouterr().out)["findings"]
        told.append({f["check"]: f for f in findings})
    (keyed, without) = told
    assert keyed["serial"]["verdict"] == "ok"
    assert "1 with a secret" in keyed["rights"]["words"]
    assert without["serial"]["verdict"] == "fail"
    assert "uses a key" in without["serial"]["words"]
