"""MQTT 5 through a real broker: the answer on the topic and with the mark that the sender gave."""

import threading
from contextlib import closing

import msgspec
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.authority.seal import seal
from edge_agent.authority.topics import topics_of
from edge_agent.client import DeviceClient, Outcome
from tests.system.plane_site import DEVICE, PlaneSite

pytestmark = pytest.mark.xdist_group("whole-agent")
TOPICS = topics_of(DEVICE)
MARK = b"\x00\xff mark"


class Requester:
    """A plane of MQTT 5 that hears `topics`; what came is topic, payload, correlation data."""

    def __init__(self, site: PlaneSite, *topics: str) -> None:
        self.heard: list[tuple[str, bytes, bytes]] = []
        self._secret = site.secrets["ops"]
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect = lambda c, *_: c.subscribe([(topic, 1) for topic in topics])
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._take
        self._client.connect(site.broker.host, site.broker.port)
        self._client.loop_start()
        assert self._ready.wait(10)

    def _take(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        mark = getattr(message.properties, "CorrelationData", b"")
        self.heard.append((message.topic, bytes(message.payload), mark))

    def ask(self, body: dict[str, object], reply_topic: str) -> None:
        """Send a command that names where to answer."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's own
        properties.ResponseTopic = reply_topic
        properties.CorrelationData = MARK
        sealed = seal(self._secret, "ops", TOPICS.cmd, msgspec.msgpack.encode(body))
        self._client.publish(TOPICS.cmd, sealed, qos=1, properties=properties)

    def said(self, topic: str) -> list[tuple[str, bytes]]:
        """State and mark of each answer on `topic`."""
        return [
            (msgspec.msgpack.decode(payload, type=Outcome).st, mark)
            for where, payload, mark in self.heard
            if where == topic
        ]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_the_answer_comes_where_it_was_asked_for_and_on_resp_as_ever(
    site: PlaneSite, ops: DeviceClient
) -> None:
    desk = f"{TOPICS.resp}/desk-1"
    with closing(Requester(site, desk, TOPICS.resp)) as plane:
        plane.ask(ops.compose("disarm"), desk)
        site.until(lambda: len(plane.said(desk)) + len(plane.said(TOPICS.resp)) >= 4, "answers")
        assert plane.said(desk) == [("accepted", MARK), ("done", MARK)]
        assert plane.said(TOPICS.resp) == [("accepted", b""), ("done", b"")]
        on_desk, on_resp = (
            [payload for topic, payload, _ in plane.heard if topic == where]
            for where in (desk, TOPICS.resp)
        )
        assert on_desk == on_resp


@pytest.mark.parametrize("elsewhere", ["ed/v1/ahu-8/cmd", "ed/v1/ahu-8/resp/desk-1", "cmnd/plug"])
def test_nobody_makes_the_device_speak_elsewhere(
    site: PlaneSite, ops: DeviceClient, elsewhere: str
) -> None:
    refused = site.plane_report("reply_topics_refused")
    with closing(Requester(site, elsewhere, TOPICS.resp)) as plane:
        plane.ask(ops.compose("ping"), elsewhere)
        site.until(lambda: plane.said(TOPICS.resp), "the answer")
        assert ops.command("ping").st == "done"  # what came before would be here by now
        assert [topic for topic, _, _ in plane.heard if topic == elsewhere] == []
    site.until(lambda: site.plane_report("reply_topics_refused") == refused + 1, "it is counted")


def test_by_mqtt_3_1_1_the_answer_is_on_resp_alone() -> None:
    with PlaneSite("3.1.1") as site:
        site.start()
        ops = site.client()
        ops.wait_online(20)
        with closing(Requester(site, f"{TOPICS.resp}/desk-1", TOPICS.resp)) as plane:
            plane.ask(ops.compose("ping"), f"{TOPICS.resp}/desk-1")
            site.until(lambda: plane.said(TOPICS.resp), "the answer")
            assert ops.command("ping").st == "done"
            assert plane.said(f"{TOPICS.resp}/desk-1") == []
