"""Keyrings with a root: made, signed, enrolled and withdrawn as a person types it."""

import json
import re
import stat
import sys
from pathlib import Path

import msgspec
import pytest

from edge_agent.authority.keyring import Keyring, key_bytes, parse_keyring
from edge_agent.cli import main
from edge_agent.client.key_file import read_key
from edge_agent.client.keyring_edit import RootFile
from edge_agent.core.errors import ConfigError


class Desk:
    """A folder, and whoever sits there."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.root = folder / "root.key.json"
        self._capsys = capsys

    def keys(self, *words: str) -> str:
        """`ctl keys` that goes well; what it printed."""
        assert main(["ctl", "keys", *words]) == 0
        return self._capsys.readouterr().out

    def refused(self, *words: str, code: int = 78) -> str:
        assert main(["ctl", "keys", *words]) == code
        return self._capsys.readouterr().err

    def row(self, device: str, kid: str) -> tuple[str, ...]:
        return ("--device", device, "--kid", kid, "--folder", str(self.folder))

    def keyring(self, device: str, *, signed: bool = True) -> Keyring:
        public = key_bytes(json.loads(self.root.read_text())["root_key"]) if signed else b""
        data = (self.folder / f"{device}.keyring.json").read_bytes()
        return parse_keyring(data, device, "k", public or b"")


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    desk = Desk(tmp_path, capsys)
    printed = desk.keys("root", str(desk.root))
    document = json.loads(desk.root.read_text())
    assert f'root_key = "{document["root_key"]}"' in printed
    assert document["root_secret"] not in printed
    return desk


def test_a_root_is_its_owners_only_and_not_made_twice(desk: Desk) -> None:
    assert stat.S_IMODE(desk.root.stat().st_mode) == 0o600
    before = desk.root.read_bytes()
    assert "is there already" in desk.refused("root", str(desk.root))
    assert desk.root.read_bytes() == before
    secret = json.loads(before)["root_secret"]
    assert secret not in repr(msgspec.json.decode(before, type=RootFile))


def test_a_key_is_made_signed_and_enrolled_at_another_device(desk: Desk) -> None:
    root = ("--root", str(desk.root))
    printed = desk.keys("new", *desk.row("ahu-7", "alice"), "--ed25519", *root)
    (public,) = re.findall(r"^(\S{44})  public half", printed, re.MULTILINE)
    row = ("--role", "stop", "--op", "stop", "--public", public)
    desk.keys("enrol", *desk.row("ahu-8", "alice"), *row, *root)
    first, second = desk.keyring("ahu-7").keys["alice"], desk.keyring("ahu-8").keys["alice"]
    assert (first.algorithm, second.algorithm) == ("ed25519", "ed25519")
    assert first.material == second.material == key_bytes(public)
    assert second.roles == second.ops == {"stop"}
    key = desk.folder / "ahu-7.alice.key.json"
    options = read_key(key, "alice", "ahu-8")
    assert (options.device, options.algorithm) == ("ahu-8", "ed25519")
    secret = json.loads(key.read_text())["secret"]
    assert secret not in printed
    assert secret not in (desk.folder / "ahu-7.keyring.json").read_text()


def test_a_signed_keyring_does_not_lose_its_signature_by_accident(desk: Desk) -> None:
    desk.keys("new", *desk.row("ahu-7", "alice"), "--root", str(desk.root))
    before = (desk.folder / "ahu-7.keyring.json").read_bytes()
    assert "add --root" in desk.refused("new", *desk.row("ahu-7", "bob"))
    assert (desk.folder / "ahu-7.keyring.json").read_bytes() == before
    desk.keys("new", *desk.row("ahu-7", "carol"), "--root", str(desk.root))
    assert (desk.keyring("ahu-7").version, len(desk.keyring("ahu-7").keys)) == (2, 2)


def test_a_keyring_that_was_edited_is_signed_as_its_next_version(desk: Desk) -> None:
    for kid in ("alice", "bob"):
        desk.keys("new", *desk.row("ahu-7", kid))
    path = desk.folder / "ahu-7.keyring.json"
    document = json.loads(path.read_text())
    document["keys"] = [row for row in document["keys"] if row["kid"] != "bob"]
    path.write_text(json.dumps(document))
    assert "(version 3)" in desk.keys("sign", str(path), "--root", str(desk.root))
    assert (desk.keyring("ahu-7").version, list(desk.keyring("ahu-7").keys)) == (3, ["alice"])
    assert "(version 4)" in desk.keys("sign", str(path), "--root", str(desk.root))


def test_the_wrong_file_is_no_root(desk: Desk) -> None:
    desk.keys("new", *desk.row("ahu-7", "alice"))
    key, keyring = (desk.folder / f"ahu-7.{name}.json" for name in ("alice.key", "keyring"))
    assert "is not a root's key file" in desk.refused("sign", str(keyring), "--root", str(key))
    desk.root.chmod(0o640)
    assert "others can read" in desk.refused("sign", str(keyring), "--root", str(desk.root))


def test_what_is_no_keyring_is_not_signed(desk: Desk) -> None:
    root = ("--root", str(desk.root))
    assert "is not there" in desk.refused("sign", str(desk.folder / "none"), *root)
    assert "is not a keyring" in desk.refused("sign", str(desk.root), *root)


@pytest.mark.parametrize("public", ["", "c2hvcnQ=", "?" * 44])
def test_what_is_no_public_half_is_not_enrolled(desk: Desk, public: str) -> None:
    text = desk.refused("enrol", *desk.row("ahu-8", "alice"), "--public", public, code=2)
    assert "is not the public half" in text
    assert not (desk.folder / "ahu-8.keyring.json").exists()


def test_the_keyring_of_another_device_is_not_edited(desk: Desk) -> None:
    desk.keys("new", *desk.row("ahu-7", "alice"))
    (desk.folder / "ahu-7.keyring.json").rename(desk.folder / "ahu-8.keyring.json")
    assert "is the keyring of 'ahu-7'" in desk.refused("new", *desk.row("ahu-8", "bob"))


def test_an_ed25519_key_file_says_what_it_needs(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.keys("new", *desk.row("ahu-7", "alice"), "--ed25519")
    monkeypatch.setitem(sys.modules, "nacl", None)
    with pytest.raises(ConfigError, match="pynacl"):
        read_key(desk.folder / "ahu-7.alice.key.json", "")


def test_the_terminal_teaches_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["ctl", "keys", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for words in ("make a `root` key once", "new --ed25519 --root FILE", "`enrol`", "`sign`"):
        assert words in text
