"""Keys as files: two halves that fit, for their owners only, and in no text."""

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from edge_agent.authority.keyring import parse_keyring
from edge_agent.client.key_file import KeyFile, NewKey, make_key, read_key
from edge_agent.core.errors import ConfigError

NEW = NewKey(device="ahu-7", kid="alice", role="cmd", host="broker", port=1884)


def test_both_halves_hold_the_same_secret(tmp_path: Path) -> None:
    made = make_key(NEW, tmp_path)
    keyring = parse_keyring(made.keyring.read_bytes(), "ahu-7", "k")
    options = read_key(made.key, "alice")
    assert keyring.keys["alice"].material == options.secret
    assert (options.host, options.port, options.device) == ("broker", 1884, "ahu-7")


def test_each_key_is_a_row_and_a_version_more(tmp_path: Path) -> None:
    make_key(NEW, tmp_path)
    made = make_key(NewKey(device="ahu-7", kid="gate", role="stop", ops=("stop",)), tmp_path)
    keyring = parse_keyring(made.keyring.read_bytes(), "ahu-7", "k")
    assert (keyring.version, sorted(keyring.keys)) == (2, ["alice", "gate"])
    assert keyring.keys["gate"].ops == {"stop"}


def test_both_are_the_owners_only(tmp_path: Path) -> None:
    made = make_key(NEW, tmp_path)
    assert {stat.S_IMODE(p.stat().st_mode) for p in (made.key, made.keyring)} == {0o600}
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "ahu-7.alice.key.json",
        "ahu-7.keyring.json",
    ]


def test_a_key_is_not_made_twice(tmp_path: Path) -> None:
    made = make_key(NEW, tmp_path)
    before = made.keyring.read_bytes()
    made.key.unlink()
    with pytest.raises(ConfigError, match="there is a key 'alice' already"):
        make_key(NEW, tmp_path)
    assert made.keyring.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    made = make_key(NEW, tmp_path)
    made.key.chmod(mode)
    made.keyring.chmod(mode)
    with pytest.raises(ConfigError, match="others can read"):
        read_key(made.key, "")
    with pytest.raises(ConfigError, match="others can read"):
        make_key(NewKey(device="ahu-7", kid="bob", role="cmd"), tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"device": "a", "kid": "b", "secret": "?"}'])
def test_what_is_no_key_file_is_refused_without_telling_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "k.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="is not a key file"):
        read_key(path, "")


def test_an_absent_key_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_key(tmp_path / "none", "")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        make_key(NEW, tmp_path / "none")


@pytest.mark.parametrize("change", [{"device": "A B"}, {"kid": "a/b"}])
def test_what_cannot_be_an_id_is_refused(tmp_path: Path, change: dict[str, str]) -> None:
    values: dict[str, Any] = {"device": "ahu-7", "kid": "alice", **change}
    with pytest.raises(ConfigError, match="cannot be an id"):
        make_key(NewKey(role="cmd", **values), tmp_path)


def test_a_secret_is_in_no_representation(tmp_path: Path) -> None:
    made = make_key(NEW, tmp_path)
    document = json.loads(made.key.read_text())
    secret = document["secret"]
    options = read_key(made.key, "")
    assert secret not in repr(KeyFile(**document))
    assert secret not in repr(options)
    assert repr(base64.b64decode(secret)) not in repr(options)
