"""Secrets that others could read are refused, and a credential of systemd is not such a one."""

from pathlib import Path

import pytest

from edge_agent.core.errors import ConfigError
from edge_agent.service.private_file import read_credential, read_private


def secret(folder: Path, mode: int) -> Path:
    path = folder / "secret"
    path.write_bytes(b"s")
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_its_owner_alone_is_read(tmp_path: Path, mode: int) -> None:
    assert read_private(secret(tmp_path, mode)) == b"s"
    assert read_credential(secret(tmp_path, mode)) == b"s"


def test_a_credential_may_show_the_mask_of_its_access_list(tmp_path: Path) -> None:
    assert read_credential(secret(tmp_path, 0o440)) == b"s"


@pytest.mark.parametrize("mode", [0o440, 0o640, 0o604, 0o620, 0o602, 0o610, 0o601])
def test_a_file_that_others_can_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError, match="others can read or write it"):
        read_private(secret(tmp_path, mode))


@pytest.mark.parametrize("mode", [0o444, 0o404, 0o460, 0o402, 0o450])
def test_a_credential_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError, match="others can read or write it"):
        read_credential(secret(tmp_path, mode))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        read_private(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_credential(tmp_path / "absent")
