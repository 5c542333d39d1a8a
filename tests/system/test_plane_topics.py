"""What a whole agent says of itself through a real broker, and what of it survives a fault."""

import os
import signal
from itertools import pairwise

import msgspec
import pytest

from edge_agent.authority.documents import Event, Meta, Reported, Telemetry
from edge_agent.authority.seal import seal
from edge_agent.authority.topics import topics_of
from edge_agent.client import DeviceClient
from tests.system.mqtt_peer import MqttPeer
from tests.system.plane_site import DEVICE, PlaneSite

pytestmark = pytest.mark.xdist_group("whole-agent")
TOPICS = topics_of(DEVICE)


def _events(peer: MqttPeer) -> list[Event]:
    """In the order in which they were first heard; a copy counts once."""
    first: dict[tuple[str, int], Event] = {}
    for payload in peer.payloads(TOPICS.evt):
        event = msgspec.msgpack.decode(payload, type=Event)
        first.setdefault((event.boot, event.seq), event)
    return list(first.values())


def _telemetry(peer: MqttPeer) -> list[Telemetry]:
    return [msgspec.msgpack.decode(p, type=Telemetry) for p in peer.payloads(TOPICS.tele)]


def test_whoever_comes_is_told_what_the_device_is(site: PlaneSite, ops: DeviceClient) -> None:
    with MqttPeer(site.broker.port, TOPICS.meta) as early:
        site.until(lambda: early.payloads(TOPICS.meta), "meta")
    with MqttPeer(site.broker.port, TOPICS.meta) as late:
        site.until(lambda: late.payloads(TOPICS.meta), "meta")
        topic, payload, retained = late.received[0]
    meta = msgspec.msgpack.decode(payload, type=Meta)
    assert (topic, retained) == (TOPICS.meta, True)
    assert meta.hashes == site.status()["control"]["hashes"]
    assert {"arm", "stop", "set-goal"} <= set(meta.ops)


def test_telemetry_comes_without_a_gap_and_says_what_the_status_says(
    site: PlaneSite, ops: DeviceClient
) -> None:
    with MqttPeer(site.broker.port, TOPICS.tele) as peer:
        site.until(lambda: len(_telemetry(peer)) >= 3, "samples")
        samples = _telemetry(peer)
    assert all(b.seq == a.seq + 1 for a, b in pairwise(samples))
    assert {s.boot for s in samples} == {ops.status["boot"]}
    assert set(samples[0].values) == set(site.status()["control"]["channels"])
    assert not any(s.hist for s in samples)


def test_what_happens_is_told_in_order_with_its_cause(site: PlaneSite, ops: DeviceClient) -> None:
    with MqttPeer(site.broker.port, TOPICS.evt) as peer:
        assert ops.command("stop").st == "done"
        refused = ops.command("arm")
        assert ops.command("reset").st == "done"
        site.until(lambda: len(_events(peer)) >= 3, "events")
        trip, refusal, safe = _events(peer)[:3]
    assert (trip.kind, trip.sev, trip.data["cause"]["rule"]) == ("trip", "alarm", "STOP_REQUESTED")
    assert trip.data["by"] == ["plane:ops:tester"]
    assert (refusal.kind, refusal.data["reason"], refusal.data["id"]) == (
        *("refused", "wrong_state"),
        refused.id,
    )
    assert (safe.data["from"], safe.data["to"]) == ("TRIPPED", "SAFE")


def test_events_of_a_time_without_gateway_and_broker_follow_in_order(
    site: PlaneSite, ops: DeviceClient
) -> None:
    with MqttPeer(site.broker.port, TOPICS.evt, name="keeper") as peer:
        ops.command("stop")
        site.until(lambda: len(_events(peer)) == 1, "the first event")
        site.broker.stop()
        os.kill(site.gateway_pid(), signal.SIGKILL)
        assert site.agent is not None
        site.agent.send_signal(signal.SIGTERM)  # and then the control process ends its run
        site.end_agent()
        site.broker.start()
        site.start_agent()
        site.until(lambda: len(_events(peer)) >= 3, "events of the new run", 30)
        first, started, trip = _events(peer)[:3]
    assert (started.kind, started.seq, trip.kind, trip.seq) == ("started", 1, "trip", 2)
    assert started.boot != first.boot
    assert site.client().command("reset").st == "done"


def test_telemetry_of_an_outage_follows_and_leaves_no_gap(
    site: PlaneSite, ops: DeviceClient
) -> None:
    site.client().wait_online(20)
    with MqttPeer(site.broker.port, TOPICS.tele, name="watcher") as peer:
        site.until(lambda: len(_telemetry(peer)) >= 2, "samples")
        site.broker.stop()
        before = len(_telemetry(peer))
        kept = site.plane_report("telemetry_kept")
        site.until(lambda: site.plane_report("telemetry_kept") >= kept + 3, "kept samples")
        site.broker.start()
        site.until(lambda: site.plane_report("telemetry_late") > kept, "the kept ones", 30)
        site.until(lambda: site.plane_report("backlog_bytes") == 0, "all of them", 30)
        late_ones = site.plane_report("telemetry_late")
        site.until(lambda: sum(s.hist for s in _telemetry(peer)) >= late_ones, "heard", 30)
        samples = _telemetry(peer)
    (run,) = {s.run for s in samples}
    assert run
    assert [s.hist for s in samples[:before]] == [False] * before
    late = [s.seq for s in samples if s.hist]
    assert len(late) >= 3
    assert late == sorted(late)
    seqs = sorted(s.seq for s in samples)
    # One may have gone into the connection that died.
    assert sum(b - a - 1 for a, b in pairwise(seqs)) <= 1
    assert len(set(seqs)) == len(seqs)


def test_a_desired_state_is_followed_reported_and_outlives_all_restarts(
    site: PlaneSite,
) -> None:
    ops = site.client()
    ops.wait_online(20)

    def want(ver: int, **wanted: object) -> None:
        body = msgspec.msgpack.encode({"dev": DEVICE, "ver": ver, "set": wanted})
        sealed = seal(site.secrets["ops"], "ops", TOPICS.desired, body)
        with MqttPeer(site.broker.port) as plane:
            plane.publish(TOPICS.desired, sealed, retain=True)

    def reported() -> Reported:
        with MqttPeer(site.broker.port, TOPICS.reported) as reader:
            site.until(lambda: reader.payloads(TOPICS.reported), "a report")
            return msgspec.msgpack.decode(reader.payloads(TOPICS.reported)[-1], type=Reported)

    def in_force(ver: int) -> bool:
        now = reported()
        codes = {state.ac for state in now.keys.values()} - {None}
        return now.ver == ver and codes == {200}

    want(1, **{"goal.supply_setpoint": 16.5, "telemetry_rate_hz": 10.0, "control": "monitor"})
    site.until(lambda: in_force(1), "in force")
    with MqttPeer(site.broker.port, TOPICS.tele) as peer:
        site.until(lambda: len(_telemetry(peer)) >= 10, "more telemetry")
        sample = _telemetry(peer)[-1]
        assert (sample.values["supply_setpoint"], sample.driven) == (16.5, False)
    want(2, **{"goal.supply_setpoint": 95.0, "telemetry_rate_hz": 1.0})
    site.until(lambda: reported().refused is not None, "refused")
    refused = reported().refused
    assert refused is not None
    assert (refused.ver, refused.keys["goal.supply_setpoint"].ac) == (2, 400)
    site.end_agent(signal.SIGKILL)
    site.broker.stop()
    (site.folder / "mosquitto.db").unlink()  # the broker has forgotten all of it
    site.broker.start()
    site.start_agent()
    site.until(lambda: in_force(1), "in force after the restart", 30)
    assert not site.status()["control"]["enforced"]
    want(3)
    site.until(lambda: reported().ver == 3, "the empty one")
    site.until(lambda: site.status()["control"]["enforced"], "it drives again")


def test_events_of_a_run_survive_the_death_of_its_gateway(site: PlaneSite) -> None:
    ops = site.client()
    ops.wait_online(20)
    with MqttPeer(site.broker.port, TOPICS.evt, name="archive") as peer:
        for _ in range(3):
            assert ops.command("stop").st == "done"
            os.kill(site.gateway_pid(), signal.SIGKILL)
            ops.wait_online(20)
            site.until(lambda: ops.command("reset").st == "done", "reset", 30)
        site.until(lambda: _modes(peer).count(("trip", "TRIPPED")) == 3, "every trip")
        site.until(lambda: _modes(peer).count(("mode", "SAFE")) == 3, "every reset")
        events = _events(peer)
    assert all(b.seq == a.seq + 1 for a, b in pairwise(events))


def _modes(peer: MqttPeer) -> list[tuple[str, str]]:
    return [(event.kind, event.data.get("to", "")) for event in _events(peer)]
