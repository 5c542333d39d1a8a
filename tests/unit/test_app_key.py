"""The line's key: where it is looked for, who else may not read it, and what is none."""

from pathlib import Path

import pytest

from edge_agent.app_check import check
from edge_agent.app_hardware import hardware_of
from edge_agent.app_key import read_key, serial_key
from edge_agent.config import Config, SerialConfig, settings_of
from edge_agent.core.errors import ConfigError
from edge_agent.safety.devices.air_handler import ENVELOPE

SENSORS = tuple(sensor.name for sensor in ENVELOPE.sensors)
DIGITS = "00112233445566778899AABBCCDDEEff" * 2


def _key(path: Path, text: str = DIGITS + "\n", mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_configured_file_is_read(tmp_path: Path) -> None:
    serial = SerialConfig(port="p", key_file=str(_key(tmp_path / "k")))
    assert serial_key(serial, {}) == bytes.fromhex(DIGITS)


def test_or_the_credential_of_the_service(tmp_path: Path) -> None:
    _key(tmp_path / "bridge", mode=0o400)
    serial = SerialConfig(port="p", key_credential="bridge")
    assert serial_key(serial, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == bytes.fromhex(DIGITS)
    with pytest.raises(ConfigError, match="LoadCredential=bridge:") as caught:
        serial_key(serial, {})
    assert caught.value.exit_code == 78


def test_without_either_the_line_has_no_key() -> None:
    assert serial_key(SerialConfig(port="p"), {"CREDENTIALS_DIRECTORY": "/nowhere"}) is None


def test_both_are_refused() -> None:
    serial = SerialConfig(port="p", sensors=SENSORS, key_file="k", key_credential="c")
    with pytest.raises(ConfigError, match="two keys"):
        settings_of(Config(mode="real", serial=serial), "test")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError, match="others can") as caught:
        read_key(_key(tmp_path / "k", mode=mode))
    assert caught.value.exit_code == 78


@pytest.mark.parametrize(
    "text", ["", DIGITS[:-2], DIGITS + "00", DIGITS[:-1] + "g", " ".join(DIGITS), "\u00e9" * 64]
)
def test_what_is_no_key_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="64 hexadecimal digits") as caught:
        read_key(_key(tmp_path / "k", text))
    assert text[:20] not in str(caught.value) or not text


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_key(tmp_path / "absent")


def test_the_agent_does_not_start_and_its_check_fails_without_the_key(tmp_path: Path) -> None:
    serial = SerialConfig(port="p", sensors=SENSORS, key_file=str(tmp_path / "absent"))
    settings = settings_of(Config(mode="real", serial=serial), "test")
    for use in (hardware_of, check):
        with pytest.raises(ConfigError, match="cannot be read"):
            use(settings)
    _key(tmp_path / "absent")
    assert hardware_of(settings).ports["serial"].fileno() is None
