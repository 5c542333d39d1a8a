"""A keyring signed by its root, at a whole agent: replaced, rolled back, silent about secrets."""

import base64
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edge_agent.authority import ed25519
from edge_agent.authority.keyring import KeyringDocument, KeyRow, Role, sign_document
from edge_agent.authority.seal import seal
from tests.system.mqtt_peer import MqttPeer
from tests.system.plane_site import DEVICE, PlaneSite

pytestmark = pytest.mark.xdist_group("whole-agent")
ROOT = b"r" * 32


class RootedSite(PlaneSite):
    """`ops` has an Ed25519 key, `halt` an HMAC one; the root has signed both."""

    def __init__(self) -> None:
        super().__init__()
        self.algorithms["ops"] = "ed25519"
        public = base64.b64encode(ed25519.public_of(ROOT)).decode()
        text = self.config.read_text(encoding="utf-8")
        self.config.write_text(f'{text}root_key = "{public}"\n', encoding="utf-8")
        self.sign(3, "ops", "halt")

    def sign(self, version: int, *kids: str, seed: bytes = ROOT) -> None:
        """The whole file in one step, as an administrator's tool writes it."""
        roles: dict[str, tuple[Role, ...]] = {"ops": ("cmd",), "halt": ("stop",)}
        rows = []
        for kid in kids:
            secret = self.secrets[kid]
            if self.algorithms.get(kid) == "ed25519":
                half = base64.b64encode(ed25519.public_of(secret)).decode()
                rows.append(KeyRow(kid=kid, public=half, roles=roles[kid]))
            else:
                half = base64.b64encode(secret).decode()
                rows.append(KeyRow(kid=kid, secret=half, roles=roles[kid]))
        document = KeyringDocument(ver=version, device=DEVICE, keys=tuple(rows))
        fresh = self.keyring.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(sign_document(document, seed)))
        fresh.chmod(0o600)
        fresh.replace(self.keyring)

    def in_force(self, version: int) -> None:
        self.until(lambda: self.authority().get("keyring.version") == version, f"version {version}")


@pytest.fixture
def site() -> Iterator[RootedSite]:
    with RootedSite() as site:
        site.start()
        yield site


def test_a_keyring_is_replaced_without_a_restart_and_never_by_an_older_or_a_forged_one(
    site: RootedSite,
) -> None:
    ops = site.client()
    ops.wait_online(20)
    assert ops.command("arm", within_s=20).st == "done"
    held = ops.send("manual", {"channel": "supply_fan", "value": 40.0, "lease_s": 60})
    site.until(lambda: "a person holds" in str(site.status()), "it is held")
    site.sign(4, "halt")
    site.in_force(4)
    assert ops.wait(held, 20).st == "cancelled"  # a key that is withdrawn lets go
    ops.publish(msgspec.msgpack.encode(ops.compose("disarm")))
    site.until(lambda: site.authority().get("dropped.unknown_key") == 1, "it is unknown")
    assert site.client("halt").command("stop").st == "done"  # and the others work
    site.sign(3, "ops", "halt")
    site.until(lambda: site.authority().get("keyring.refused") == 1, "the old one is refused")
    site.sign(9, "ops", "halt", seed=b"m" * 32)
    site.until(lambda: site.authority().get("keyring.refused") == 2, "the forged one is refused")
    assert "not signed by the root key" in str(site.authority()["keyring.problem"])
    site.in_force(4)
    site.sign(5, "ops", "halt")
    site.in_force(5)
    assert ops.command("reset").st == "done"
    said = site.err.read_text(encoding="utf-8")
    assert "keyring version 4 is in force" in said
    assert "is version 3, and version 4 was seen" in said


def test_an_older_keyring_is_refused_after_a_restart_too(site: RootedSite) -> None:
    site.client().wait_online(20)
    site.end_agent(signal.SIGKILL)
    site.sign(2, "ops", "halt")
    run = site.refused()
    assert run.returncode == 78
    assert "is version 2, and version 3 was seen" in run.stderr


def test_no_secret_is_logged_recorded_or_published(site: RootedSite) -> None:
    with MqttPeer(site.broker.port, "#") as peer:
        ops, halt = site.client(), site.client("halt")
        ops.wait_online(20)
        assert ops.command("arm", within_s=20).st == "done"
        assert halt.command("stop").st == "done"
        cmd = f"ed/v1/{DEVICE}/cmd"
        peer.publish(cmd, seal(site.secrets["halt"], "mallory", cmd, b"\x80"))
        peer.publish(cmd, seal(site.secrets["halt"], "ops", cmd, b"\x80"))
        peer.publish(cmd, seal(site.secrets["halt"], "halt", cmd, b"\x80"))
        site.until(lambda: site.authority().get("dropped.bad_body") == 1, "all are judged")
        site.keyring.write_bytes(site.keyring.read_bytes()[:-9])  # a refusal could quote it
        site.until(lambda: site.authority().get("keyring.refused"), "a damaged one is refused")
        status = str(site.status()).encode()
        published = b"".join(payload for _topic, payload, _retained in peer.received)
    told = {"status": status, "published": published}
    for pid in (site.agent.pid if site.agent else 0, site.gateway_pid()):
        for name in ("cmdline", "environ"):
            told[f"{pid}/{name}"] = Path(f"/proc/{pid}/{name}").read_bytes()
    site.end_agent()
    kept = [p for p in site.folder.rglob("*") if p.is_file() and p != site.keyring]
    assert {p.suffix for p in kept} >= {".rec", ".err", ".toml"}
    told |= {str(path): path.read_bytes() for path in kept}
    assert any(b"plane:ops:tester" in data for data in told.values())  # it looks where things are
    for secret in (*site.secrets.values(), ROOT):
        for form in (secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"=")):
            assert [name for name, data in told.items() if form in data] == []
