"""Commands through a real broker to a whole agent, good ones and bad ones."""

import base64
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from edge_agent.authority.seal import seal
from edge_agent.client import DeviceClient, Outcome
from tests.system.mqtt_peer import MqttPeer
from tests.system.plane_site import DEVICE, PlaneSite

pytestmark = pytest.mark.xdist_group("whole-agent")
CMD = f"ed/v1/{DEVICE}/cmd"


def test_a_device_is_armed_disarmed_stopped_and_reset_from_afar(
    site: PlaneSite, ops: DeviceClient
) -> None:
    armed = ops.command("arm", within_s=20)
    assert (armed.st, armed.data["mode"]) == ("done", "ACTIVE")
    assert [a.st for a in ops.answers(armed.id)][::2] == ["accepted", "done"]
    disarmed = ops.command("disarm", within_s=30)
    assert (disarmed.st, disarmed.data["mode"]) == ("done", "SAFE")
    stopped = site.client("halt").command("stop")
    assert (stopped.st, stopped.data["mode"]) == ("done", "TRIPPED")
    assert ops.command("arm").reason == "wrong_state"
    assert site.client("halt").command("reset").reason == "not_authorized"
    reset = ops.command("reset")
    assert (reset.st, reset.data["mode"]) == ("done", "SAFE")


def test_the_recording_names_who_asked(site: PlaneSite, ops: DeviceClient) -> None:
    ops.command("disarm", within_s=20)
    text = b"".join(p.read_bytes() for p in (site.state / "recordings").iterdir())
    assert b"plane:ops:tester" in text


def test_bytes_that_are_sent_again_are_answered_again_and_not_followed_again(
    site: PlaneSite, ops: DeviceClient
) -> None:
    resp = f"ed/v1/{DEVICE}/resp"
    with MqttPeer(site.broker.port, resp, CMD) as peer:
        sealed = ops.publish(msgspec.msgpack.encode(ops.compose("ping")))
        site.until(lambda: len(peer.payloads(resp)) == 1, "an answer")
        for _ in range(5):
            peer.publish(CMD, sealed)
        site.until(lambda: len(peer.payloads(resp)) == 6, "the answer again")
        (answer,) = {msgspec.msgpack.decode(p, type=Outcome).seq for p in peer.payloads(resp)}
    assert ops.command("ping").seq == answer + 1  # nothing was answered anew in between


def test_what_is_not_genuine_is_counted_and_never_answered(
    site: PlaneSite, ops: DeviceClient
) -> None:
    secret = site.secrets["ops"]
    body = msgspec.msgpack.encode(ops.compose("stop"))
    good = msgspec.msgpack.decode(seal(secret, "ops", CMD, body))
    bad = {
        "dropped.bad_signature": [
            msgspec.msgpack.encode([body.replace(b"stop", b"stoq"), good[1], good[2]]),
            seal(secret, "ops", "ed/v1/ahu-8/cmd", body),
        ],
        "dropped.unknown_key": [seal(secret, "mallory", CMD, body)],
        "dropped.malformed": [b"\x93" * 4000, b"hello"],
        "dropped.bad_body": [seal(secret, "ops", CMD, b"\x91" * 4000)],
    }
    before = site.authority()
    resp = f"ed/v1/{DEVICE}/resp"
    with MqttPeer(site.broker.port, resp) as peer:
        for payload in (p for payloads in bad.values() for p in payloads):
            peer.publish(CMD, payload)
        for name, payloads in bad.items():
            wanted = before.get(name, 0) + len(payloads)
            site.until(lambda n=name, w=wanted: site.authority().get(n) == w, name)  # type: ignore[misc]
        assert ops.command("ping").data["mode"] == "SAFE"  # and nothing was stopped
        site.until(lambda: peer.payloads(resp), "the only answer")
        assert len(peer.payloads(resp)) == 1


def test_commands_to_a_dead_device_are_refused_when_it_is_back(
    site: PlaneSite, ops: DeviceClient
) -> None:
    ops.wait_online(20)
    bodies = [ops.compose("stop") for _ in range(100)]
    site.end_agent(signal.SIGKILL)
    for body in bodies:
        ops.publish(msgspec.msgpack.encode(body))
    site.start_agent()
    outcomes = [ops.wait(body["id"], 20) for body in bodies]
    assert {(o.st, o.reason) for o in outcomes} == {("rejected", "stale_session")}
    assert ops.command("ping").data["mode"] == "SAFE"


def test_a_command_under_way_when_all_is_killed_is_reported_and_not_run_again(
    site: PlaneSite, ops: DeviceClient
) -> None:
    ops.command("arm", within_s=20)
    command_id = ops.send("disarm")
    site.until(lambda: site.status().get("control", {}).get("mode") == "RAMPING", "ramping")
    gateway = site.gateway_pid()
    os.kill(gateway, signal.SIGKILL)
    site.end_agent(signal.SIGKILL)
    site.start_agent()
    outcome = ops.wait(command_id, 20)
    assert (outcome.st, outcome.reason) == ("failed", "interrupted")
    assert ops.command("ping").data["mode"] == "SAFE"


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_retained_command_that_waits_for_a_device_is_refused(
    protocol: Literal["5", "3.1.1"],
) -> None:
    with PlaneSite(protocol) as site:
        site.broker.start()
        ops = site.client()
        body = {"id": "r", "dev": DEVICE, "op": "stop", "ctr": 1, "ttl": 9000}
        ops.publish(msgspec.msgpack.encode(body), retain=True)
        site.start_agent()
        refused = ops.wait("r", 20)
        assert (refused.st, refused.reason) == ("rejected", "retained")
        assert ops.command("ping").data["mode"] == "SAFE"
        late = ops.compose("stop")
        os.kill(site.gateway_pid(), signal.SIGKILL)  # the broker keeps its session
        ops.publish(msgspec.msgpack.encode(late))
        assert ops.wait(late["id"], 20).reason == "stale_session"


def test_a_keyring_that_others_can_read_is_refused() -> None:
    with PlaneSite() as site:
        site.write_keyring(0o640)
        run = site.refused()
    assert run.returncode == 78
    assert "others can read or write it" in run.stderr
    assert "chmod 600" in run.stderr


def test_a_goal_is_followed_and_one_outside_the_envelope_is_refused(
    site: PlaneSite, ops: DeviceClient
) -> None:
    ops.wait_online(20)
    assert ops.command("set-goal", {"channel": "supply_setpoint", "value": 16.5}).st == "done"
    site.until(lambda: _setpoint(site) == 16.5, "the goal in the status")
    refused = ops.command("set-goal", {"channel": "supply_setpoint", "value": 95})
    assert (refused.reason, refused.why["limit"], refused.why["value"]) == ("envelope", 40.0, 95.0)
    assert _setpoint(site) == 16.5
    assert ops.command("set-goal", {"channel": "supply_setpoint", "value": None}).st == "done"
    site.until(lambda: _setpoint(site) != 16.5, "the measured setpoint again")


def test_an_actuator_is_held_by_hand_for_its_lease_and_let_go_by_a_cancel(
    site: PlaneSite, ops: DeviceClient
) -> None:
    assert ops.command("arm", within_s=20).st == "done"
    args = {"channel": "outdoor_damper", "value": 60.0}
    first = ops.send("manual", {**args, "lease_s": 1.0})
    held = "a person holds outdoor_damper for another"
    site.until(lambda: any(held in reason for reason in _reasons(site)), "it is held")
    assert ops.wait(first, 20).st == "done"
    second = ops.send("manual", {**args, "lease_s": 60})
    site.until(lambda: any(held in reason for reason in _reasons(site)), "it is held again")
    refused = ops.command("manual", {**args, "value": 100.5, "lease_s": 1.0})
    assert (refused.reason, refused.why["limit"]) == ("envelope", 100.0)
    assert ops.command("cancel", {"id": second}).data["cancelled"]
    assert ops.wait(second, 20).st == "cancelled"
    third = ops.send("manual", {**args, "lease_s": 60})
    site.until(lambda: any(a.st == "running" for a in _heard(ops, third)), "it is held")
    assert site.client("halt").command("stop").st == "done"
    ended = ops.wait(third, 20)
    assert (ended.st, ended.reason) == ("failed", "ended")
    assert ops.command("reset").st == "done"
    text = b"".join(p.read_bytes() for p in (site.state / "recordings").iterdir())
    assert third.encode() in text


def _heard(client: DeviceClient, command_id: str) -> list[Outcome]:
    list(client.listen(0.05))
    return client.answers(command_id)


def _reasons(site: PlaneSite) -> list[str]:
    reasons: list[str] = site.status().get("control", {}).get("reasons", [])
    return reasons


def _setpoint(site: PlaneSite) -> float:
    channels = site.status().get("control", {}).get("channels", {})
    return float(channels.get("supply_setpoint", {}).get("value", 0.0))


def test_a_plane_written_from_the_documentation_alone_works(site: PlaneSite) -> None:
    node = shutil.which("node")
    assert node is not None, "apt install nodejs"
    script = Path(__file__).with_name("plane_client.mjs")
    secret = base64.b64encode(site.secrets["ops"]).decode()
    run = subprocess.run(
        [node, str(script), str(site.broker.port), DEVICE, "ops", secret],
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert run.returncode == 0, run.stderr
    armed, followed, refused, stopped = map(json.loads, run.stdout.splitlines())
    assert (armed["st"], armed.get("data", {}).get("mode")) == ("done", "ACTIVE"), armed
    assert followed["st"] == "done"
    assert (refused["st"], refused["why"]["reason"]) == ("rejected", "envelope")
    assert (refused["why"]["limit"], refused["why"]["value"]) == (40.0, 95)
    assert (stopped["st"], stopped["data"]["mode"]) == ("done", "TRIPPED")


def test_an_all_stop_reaches_the_device(site: PlaneSite, ops: DeviceClient) -> None:
    stopped = site.client("halt").stop_all()
    assert (stopped.st, stopped.data["mode"]) == ("done", "TRIPPED")
    assert ops.command("reset").st == "done"
