"""The shipped broker configuration: mutual TLS, and everybody on their own topics."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edge_agent.authority.topics import ALL_STOP, topics_of
from edge_agent.core.errors import ConfigError, TransientError
from edge_agent.service.tls import tls_context
from tests.system.certificates import Authority
from tests.system.plane_site import DEVICE
from tests.system.tls_site import TlsSite

pytestmark = pytest.mark.xdist_group("whole-agent")
FOR_DEVICES = ("cmd", "desired")  # what a plane writes and a device reads


@pytest.fixture(scope="module")
def site() -> Iterator[TlsSite]:
    with TlsSite() as site:
        site.start()
        yield site


def test_a_plane_commands_a_device_over_mutual_tls(site: TlsSite) -> None:
    plane = site.client_named("plane")
    plane.wait_online(20)
    assert plane.command("ping").st == "done"
    assert plane.command("stop").data["mode"] == "TRIPPED"
    assert plane.stop_all().st == "done"


def test_another_device_hears_and_says_nothing_of_this_one(site: TlsSite) -> None:
    plane = site.client_named("plane")
    plane.wait_online(20)
    other = site.client_named("ahu-8")
    body = plane.compose("stop")
    other.publish(msgspec.msgpack.encode(body))
    assert not list(other.listen(1.0))
    assert plane.command("query", {"id": body["id"]}).data["st"] == "unknown"


def test_the_access_list_lets_a_device_say_everything_and_nobody_else_in_its_name(
    site: TlsSite,
) -> None:
    topics = topics_of(DEVICE)
    said = [t for leaf, t in topics._asdict().items() if leaf not in FOR_DEVICES]
    said.append(f"{topics.resp}/desk-1")
    with site.peer_named("plane", "ed/v1/#") as plane:
        site.until(lambda: {m[0] for m in plane.received} >= {topics.status, topics.meta}, "known")
        with site.peer_named(DEVICE) as device, site.peer_named("ahu-8") as other:
            for topic in said:
                other.publish(topic, b"forged")
                device.publish(topic, b"true")
        for topic in said:
            site.until(lambda t=topic: b"true" in plane.payloads(t), f"heard on {topic}")  # type: ignore[misc]
        assert not [m for m in plane.received if m[1] == b"forged"]


def test_a_device_reads_what_is_for_it_and_a_plane_writes_it(site: TlsSite) -> None:
    for_all = {ALL_STOP} | {f"ed/v1/ahu-9/{leaf}" for leaf in FOR_DEVICES}
    with site.peer_named("ahu-9", "ed/v1/#") as device, site.peer_named("ahu-8", "ed/v1/#") as spy:
        with site.peer_named("plane") as plane:
            for topic in for_all:
                plane.publish(topic, b"for ahu-9")
        site.until(lambda: {m[0] for m in device.received} >= for_all, "heard")
        site.until(lambda: spy.received, "heard by the other")
        assert {m[0] for m in device.received if m[1] == b"for ahu-9"} == for_all
        assert {m[0] for m in spy.received if m[1] == b"for ahu-9"} == {ALL_STOP}


def test_a_client_without_a_certificate_gets_nowhere(site: TlsSite) -> None:
    try:
        client = site.client(tls=tls_context(str(site.folder / "ca.crt")))
        with pytest.raises(TransientError):
            client.wait_online(2)
    except TransientError:
        return  # refused in the handshake: as good


# Paho forgets the socket of a handshake that failed; the interpreter closes it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_broker_that_is_signed_by_somebody_else_is_not_believed(
    site: TlsSite, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path)
    with pytest.raises(TransientError, match="no broker"):
        site.client(tls=tls_context(str(stranger.ca)))


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    crt, key = authority.issue("a")
    with pytest.raises(ConfigError, match=r"none\.crt"):
        tls_context(str(tmp_path / "none.crt"))
    with pytest.raises(ConfigError, match=r"none\.key"):
        tls_context(str(authority.ca), str(crt), str(tmp_path / "none.key"))
    key.chmod(0o640)
    with pytest.raises(ConfigError, match="others can read"):
        tls_context(str(authority.ca), str(crt), str(key))
    assert tls_context("") is None
