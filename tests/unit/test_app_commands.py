"""The keyring's file: where it is looked for, and who else may not read it."""

import json
from pathlib import Path

import msgspec
import pytest

from edge_agent.app_commands import keyring_source, read_desired
from edge_agent.core.errors import ConfigError
from edge_agent.gateway.plane_settings import PlaneSettings

STATE = Path("/nowhere")  # an unsigned keyring leaves no note
DOCUMENT = json.dumps({"ver": 4, "device": "ahu-7", "keys": []})


def _write(path: Path, mode: int = 0o600) -> Path:
    path.write_text(DOCUMENT)
    path.chmod(mode)
    return path


def test_the_configured_file_is_read(tmp_path: Path) -> None:
    path = _write(tmp_path / "k.json")
    plane = PlaneSettings(id="ahu-7", keyring_file=str(path))
    assert keyring_source(plane, {}, STATE).read().version == 4


def test_else_the_credential_of_the_service(tmp_path: Path) -> None:
    _write(tmp_path / "keyring", 0o400)
    folder = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert keyring_source(PlaneSettings(id="ahu-7"), folder, STATE).read().version == 4


def test_without_either_it_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="LoadCredential") as caught:
        keyring_source(PlaneSettings(id="ahu-7"), {}, STATE).read()
    assert caught.value.exit_code == 78


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610])
def test_a_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = _write(tmp_path / "k.json", mode)
    with pytest.raises(ConfigError, match="others can read or write it"):
        keyring_source(PlaneSettings(id="ahu-7", keyring_file=str(path)), {}, STATE).read()


def test_a_folder_or_nothing_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(ConfigError, match="cannot be read"):
            keyring_source(PlaneSettings(id="ahu-7", keyring_file=str(path)), {}, STATE).read()


def test_another_devices_keyring_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "k.json")
    with pytest.raises(ConfigError, match="not of 'ahu-8'"):
        keyring_source(PlaneSettings(id="ahu-8", keyring_file=str(path)), {}, STATE).read()


def test_a_desired_state_of_a_newer_version_is_a_longer_list(tmp_path: Path) -> None:
    path = tmp_path / "desired.bin"
    for row in ([3, b"sealed"], [3, b"sealed", {"new": 1}]):
        path.write_bytes(msgspec.msgpack.encode(row))
        kept = read_desired(path)
        assert kept is not None
        assert (kept.ver, kept.sealed) == (3, b"sealed")
