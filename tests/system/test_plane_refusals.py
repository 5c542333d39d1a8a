"""Every way in which a command can be wrong, through a real broker: each has its own reason."""

from typing import Any

import msgspec
import pytest

from edge_agent.authority.seal import seal
from edge_agent.client import DeviceClient, Outcome
from tests.system.mqtt_peer import MqttPeer
from tests.system.plane_site import DEVICE, PlaneSite

pytestmark = pytest.mark.xdist_group("whole-agent")
CMD = f"ed/v1/{DEVICE}/cmd"


def _answer(client: DeviceClient, op: str = "stop", /, **changes: Any) -> Outcome:
    """A good command but for the changes; its last answer. None removes a key."""
    body = {k: v for k, v in {**client.compose(op), **changes}.items() if v is not None}
    client.publish(msgspec.msgpack.encode(body))
    return client.wait(body["id"], 20)


def _is_safe(ops: DeviceClient) -> bool:
    return bool(ops.command("ping").data["mode"] == "SAFE")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dev": "ahu-8"}, "wrong_device"),
        ({"dev": "_all"}, "wrong_device"),
        ({"boot": "0" * 16}, "stale_session"),
        ({"boot": None}, "stale_session"),
        ({"sess": "0" * 16}, "stale_session"),
        ({"sess": None}, "stale_session"),
        ({"age": 0, "ttl": 1}, "expired"),  # the session itself has come a longer way
        ({"ctr": 1}, "replayed"),
        ({"op": "self-destruct"}, "unknown_op"),
        ({"args": {"now": True}}, "bad_args"),
        ({"args": [1]}, "bad_args"),
        ({"must": ["quorum"]}, "bad_args"),
        ({"op": "reset"}, "wrong_state"),
    ],
    ids=str,
)
def test_what_is_wrong_is_refused_with_its_reason_and_not_followed(
    ops: DeviceClient, changes: dict[str, Any], reason: str
) -> None:
    refused = _answer(ops, **changes)
    assert (refused.st, refused.reason) == ("rejected", reason)
    assert _is_safe(ops)


def test_commands_that_overtake_each_other_are_followed_in_the_order_of_their_counters(
    ops: DeviceClient,
) -> None:
    first, second = ops.compose("ping"), ops.compose("ping")
    for body in (second, first):
        ops.publish(msgspec.msgpack.encode(body))
    assert ops.wait(second["id"], 20).st == "done"
    late = ops.wait(first["id"], 20)
    assert (late.reason, late.why["last"]) == ("replayed", second["ctr"])


def test_an_id_that_another_command_had_is_refused(ops: DeviceClient) -> None:
    done = ops.command("ping")
    ops.publish(msgspec.msgpack.encode({**ops.compose("stop"), "id": done.id}))
    list(ops.listen(1.0))
    assert ops.answers(done.id)[-1].why == {"reason": "replayed", "of": "done"}
    assert _is_safe(ops)


def test_a_key_without_the_role_is_refused(site: PlaneSite, ops: DeviceClient) -> None:
    halt = site.client("halt")
    for op in ("arm", "reset", "cancel", "set-goal", "manual", "mode"):
        assert halt.command(op).reason == "not_authorized"
    assert _is_safe(ops)


def _counted(site: PlaneSite, ops: DeviceClient, name: str, *payloads: bytes) -> None:
    """These are dropped for this cause, and never answered."""
    before = site.authority().get(name, 0)
    resp = f"ed/v1/{DEVICE}/resp"
    with MqttPeer(site.broker.port, resp) as peer:
        for payload in payloads:
            peer.publish(CMD, payload)
        wanted = before + len(payloads)
        site.until(lambda: site.authority().get(name, 0) == wanted, name)
        assert _is_safe(ops)
        site.until(lambda: peer.payloads(resp), "the answer to the ping")
        assert len(peer.payloads(resp)) == 1


def test_what_nobody_known_has_signed_is_dropped_and_counted(
    site: PlaneSite, ops: DeviceClient
) -> None:
    body = msgspec.msgpack.encode(ops.compose("stop"))
    secret = site.secrets["ops"]
    good = msgspec.msgpack.decode(seal(secret, "ops", CMD, body))
    tampered = msgspec.msgpack.encode([body[:-1] + b"\xc3", good[1], good[2]])
    cut = msgspec.msgpack.encode([body, good[1][:-1], good[2]])
    elsewhere = seal(secret, "ops", "ed/v1/ahu-8/cmd", body)
    another = seal(site.secrets["halt"], "ops", CMD, body)
    _counted(site, ops, "dropped.bad_signature", tampered, cut, elsewhere, another)
    _counted(site, ops, "dropped.unknown_key", seal(secret, "mallory", CMD, body))


def test_what_is_nested_too_deeply_is_dropped_before_and_behind_the_signature(
    site: PlaneSite, ops: DeviceClient
) -> None:
    secret = site.secrets["ops"]
    _counted(site, ops, "dropped.malformed", b"\x91" * 8000, b"\x81\xa0" * 4000)
    deep = [b"\x91" * 8000, b"\x81\xa0" * 3000]
    _counted(site, ops, "dropped.bad_body", *(seal(secret, "ops", CMD, body) for body in deep))


def test_what_is_too_large_is_dropped_by_the_gateway(site: PlaneSite, ops: DeviceClient) -> None:
    body = {**ops.compose("stop"), "by": "x" * 9000}
    ops.publish(msgspec.msgpack.encode(body))
    with MqttPeer(site.broker.port) as peer:
        peer.publish(CMD, b"x" * 300_000)
    site.until(lambda: _oversized(site) == 2, "both are counted")
    assert _is_safe(ops)


def _oversized(site: PlaneSite) -> int:
    report = site.status().get("gateway", {}).get("report", {})
    return int(report.get("plane.oversized", 0))
