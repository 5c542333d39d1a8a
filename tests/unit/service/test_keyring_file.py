"""The keyring's file: taken while it runs, never an older one, and the last good one kept."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from edge_agent.authority import ed25519
from edge_agent.authority.keyring import Keyring, KeyringDocument, KeyRow, sign_document
from edge_agent.core.errors import ConfigError
from edge_agent.service import keyring_file
from edge_agent.service.keyring_file import KeyringSource, KeyringWatch
from tests.system.mqtt_peer import wait_until

ROOT = b"r" * 32
PUBLIC = ed25519.public_of(ROOT)


class Site:
    """A device's keyring file and state folder."""

    def __init__(self, folder: Path, root: bytes = PUBLIC) -> None:
        self.path = folder / "keyring.json"
        self.state = folder / "state"
        self.root = root

    def source(self) -> KeyringSource:
        return KeyringSource(self.path, "ahu-7", self.root, self.state)

    def write(self, version: int, *kids: str, seed: bytes = ROOT) -> None:
        row = {kid: KeyRow(kid=kid, secret="c" * 43 + "=", roles=("cmd",)) for kid in kids}
        document = KeyringDocument(ver=version, device="ahu-7", keys=tuple(row.values()))
        signed = sign_document(document, seed) if self.root else document
        self.put(msgspec.json.encode(signed))

    def put(self, content: bytes, mode: int = 0o600) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.write_bytes(content)
        fresh.chmod(mode)
        fresh.replace(self.path)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.write(5, "alice")
    return site


def test_an_older_keyring_is_refused_also_after_a_restart(site: Site) -> None:
    assert site.source().read().version == 5
    site.write(4, "alice", "mallory")
    with pytest.raises(ConfigError, match="is version 4, and version 5 was seen"):
        site.source().read()
    site.write(6, "alice")
    assert site.source().read().version == 6
    site.write(5, "alice")
    with pytest.raises(ConfigError, match="is version 5, and version 6 was seen"):
        site.source().read()


def test_another_keyring_of_the_same_version_is_refused(site: Site) -> None:
    site.source().read()
    assert site.source().read().version == 5
    site.write(5, "alice", "mallory")
    with pytest.raises(ConfigError, match="is another version 5"):
        site.source().read()


def test_a_keyring_that_is_not_the_roots_leaves_no_note(site: Site) -> None:
    site.write(9, "mallory", seed=b"m" * 32)
    with pytest.raises(ConfigError, match="not signed by the root"):
        site.source().read()
    site.write(5, "alice")
    assert site.source().read().version == 5


def test_a_look_at_it_leaves_no_note(site: Site) -> None:
    assert site.source().check().version == 5
    assert not site.state.exists()


@pytest.mark.parametrize("note", [b"", b"{}", b'{"ver": "5", "sha256": ""}', b"\xff"])
def test_a_note_that_says_nothing_is_not_taken_for_none(site: Site, note: bytes) -> None:
    site.source().read()
    (path,) = site.state.iterdir()
    path.write_bytes(note)
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        site.source().read()
    assert str(path) in str(caught.value)


def test_a_version_that_cannot_be_kept_is_not_used(site: Site) -> None:
    site.state.write_text("a file where the folder should be")
    with pytest.raises(ConfigError, match=r"cannot be (kept|read)"):
        site.source().read()


def test_the_note_holds_no_secret(site: Site) -> None:
    site.source().read()
    (path,) = site.state.iterdir()
    assert set(json.loads(path.read_text())) == {"ver", "sha256", "schema"}
    assert b"ccc" not in path.read_bytes()


@pytest.mark.parametrize("newer", [{}, {"schema": 7, "roots": ["a"]}])
def test_the_note_of_another_version_still_refuses_an_older_keyring(
    site: Site, newer: dict[str, object]
) -> None:
    """One from before there was a schema, and one of a program to come."""
    site.source().read()
    (path,) = site.state.iterdir()
    kept = json.loads(path.read_text())
    note = {"ver": kept["ver"], "sha256": kept["sha256"], **newer}
    path.write_text(json.dumps(note))
    assert site.source().read().version == 5
    assert json.loads(path.read_text()) == note  # nothing of it is lost
    site.write(4, "alice")
    with pytest.raises(ConfigError, match="is version 4, and version 5 was seen"):
        site.source().read()


def test_an_unsigned_keyring_may_be_any_version_and_leaves_no_note(tmp_path: Path) -> None:
    site = Site(tmp_path, b"")
    for version in (5, 4):
        site.write(version, "alice")
        assert site.source().read().version == version
    assert not site.state.exists()


class Watched:
    """A watch that looks a hundred times as often, and what it said."""

    def __init__(self, site: Site) -> None:
        self.said: list[str] = []
        self.watch = KeyringWatch(site.source(), self.said.append)

    def taken(self) -> list[str]:
        """The keys of the next keyring."""
        found = []

        def there() -> bool:
            keyring = self.watch.take()
            if isinstance(keyring, Keyring):
                found.append(sorted(keyring.keys))
            return bool(found)

        wait_until(there, "a keyring")
        return found[0]


@pytest.fixture
def watched(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setattr(keyring_file, "LOOK_EVERY_S", 0.01)
    watched = Watched(site)
    yield watched
    watched.watch.close()
    assert "keyring" not in {thread.name for thread in threading.enumerate()}


def test_a_newer_keyring_is_taken_while_it_runs(site: Site, watched: Watched) -> None:
    assert (watched.watch.first.version, watched.watch.take()) == (5, None)
    site.write(6, "alice", "bob")
    assert watched.taken() == ["alice", "bob"]
    assert watched.watch.status() == {
        "keyring.version": 6,
        "keyring.refused": 0,
        "keyring.problem": "",
    }
    assert watched.said == ["edge-agent: keyring version 6 is in force\n"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda site: site.write(4, "mallory"),
        lambda site: site.write(7, "mallory", seed=b"m" * 32),
        lambda site: site.put(b'{"document": "'),
        lambda site: site.put(b""),
        lambda site: site.put(site.path.read_bytes(), 0o644),
        lambda site: site.path.unlink(),
    ],
    ids=["older", "forged", "half", "empty", "open to others", "gone"],
)
def test_what_cannot_be_taken_leaves_the_last_good_one_and_is_told(
    site: Site, watched: Watched, spoil: Callable[[Site], None]
) -> None:
    spoil(site)
    wait_until(lambda: watched.watch.status()["keyring.refused"] == 1, "it is refused")
    status = watched.watch.status()
    assert (status["keyring.version"], bool(status["keyring.problem"])) == (5, True)
    assert watched.watch.take() == status["keyring.problem"]
    assert watched.said[0].startswith("edge-agent: keyring not taken, the last good one stays: ")
    site.write(8, "carol")
    assert watched.taken() == ["carol"]
    assert watched.watch.status()["keyring.problem"] == ""
