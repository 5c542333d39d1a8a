"""What a client may say of the age of a session: only what it has heard begin."""

import msgspec
import pytest

from edge_agent.client import ClientOptions, DeviceClient
from edge_agent.client.connection import Heard
from edge_agent.core.clock import NS_PER_S
from tests.unit.client.played_connection import PlayedConnection

STATUS, RESP = "ed/v1/ahu-7/status", "ed/v1/ahu-7/resp"


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> DeviceClient:
    monkeypatch.setattr("edge_agent.client.device.Connection", PlayedConnection)
    return DeviceClient(
        ClientOptions(host="h", port=1, device="ahu-7", kid="ops", secret=b"s" * 32)
    )


def _tell(
    device: DeviceClient, session: str, *, retained: bool = False, connection: int = 1
) -> bool:
    """Whether a command for the device then says how old its session is."""
    status = msgspec.msgpack.encode({"on": True, "boot": "b", "sess": session})
    played = device._connection
    assert isinstance(played, PlayedConnection)
    stamp_ns = device._clock.now_ns() - NS_PER_S
    played.coming.append(Heard(STATUS, status, retained, stamp_ns, connection))
    body = device.compose("ping")
    return body["sess"] == session and body.get("age", 0) >= 1000


def test_a_session_that_begins_while_it_listens_has_an_age(device: DeviceClient) -> None:
    assert not _tell(device, "s1", retained=True)
    assert _tell(device, "s2")
    assert _tell(device, "s2"), "a repetition does not make it younger, or older"
    assert _tell(device, "s3")


def test_the_first_status_of_a_connection_may_be_a_repetition(device: DeviceClient) -> None:
    assert not _tell(device, "s1")
    assert _tell(device, "s2")
    assert not _tell(device, "s3", connection=2)
    assert _tell(device, "s4", connection=2)


def test_a_command_for_an_ended_session_is_sent_again_while_there_is_another(
    device: DeviceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = device._connection
    assert isinstance(played, PlayedConnection)
    sessions = iter(("s2", "s3"))

    def publish(_topic: str, _payload: bytes, **_: object) -> None:
        """The device refuses each, and says its next session as long as there is one."""
        played.sent.append(b"")
        (body,) = (b for b in composed if b["id"] not in answered)
        answered.add(body["id"])
        answer = {"id": body["id"], "st": "rejected", "boot": "b", "seq": len(answered), "at": 1}
        answer["why"] = {"reason": "stale_session"}
        played.coming.append(Heard(RESP, msgspec.msgpack.encode(answer), False, 1))
        status = {"on": True, "boot": "b", "sess": next(sessions, body["sess"])}
        played.coming.append(Heard(STATUS, msgspec.msgpack.encode(status), False, 1))

    composed: list[dict[str, object]] = []
    answered: set[object] = set()
    compose = device.compose
    monkeypatch.setattr(played, "publish", publish)
    monkeypatch.setattr(
        device, "compose", lambda *a, **k: composed.append(compose(*a, **k)) or composed[-1]
    )
    device.status = {"on": True, "boot": "b", "sess": "s1"}
    assert device.command("ping", within_s=5.0).reason == "stale_session"
    assert [body["sess"] for body in composed] == ["s1", "s2", "s3"]


def test_what_was_kept_while_it_was_away_looks_young_until_the_retained_status_comes(
    device: DeviceClient,
) -> None:
    """Too small an age makes a command look late, so it errs on the safe side."""
    assert not _tell(device, "s1", retained=True)
    assert not _tell(device, "s2", connection=2)
    assert _tell(device, "s3", connection=2)  # kept by the broker, as the one before
    assert not _tell(device, "s3", connection=2, retained=True)
