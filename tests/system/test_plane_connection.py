"""What the client asks of a broker, read from the wire."""

import pytest

from edge_agent.client import BrokerOptions, FleetClient
from tests.system.hostile_broker import CONNACK_5, CONNACK_311, HostileBroker
from tests.system.mqtt_peer import wait_until

FILTER = b"ed/v1/+/evt"


@pytest.mark.parametrize(
    ("protocol", "name", "qos"), [("3.1.1", "", 0), ("3.1.1", "log", 1), ("5", "", 1)]
)
def test_qos_1_is_asked_for_where_a_session_is_kept(protocol: str, name: str, qos: int) -> None:
    asked: list[bytes] = []

    def answer(heard: bytes) -> bytes:
        _, found, after = heard.partition(FILTER)
        asked.extend([after[:1]] if found else [])
        return b""

    broker = HostileBroker(CONNACK_5 if protocol == "5" else CONNACK_311, answer)
    options = BrokerOptions(host="127.0.0.1", port=broker.port, protocol=protocol, name=name)  # type: ignore[arg-type]
    try:
        with FleetClient(options, ("evt",)):
            wait_until(lambda: asked, "the subscription")
    finally:
        broker.close()
    assert asked == [bytes([qos])]
