"""Documents that the broker keeps for whoever comes: each is sent when it changes, and at every
connection, since a broker may have forgotten it.

Owns: which connection has been told what. Must not: know what a document says.
"""

from edge_agent.gateway.client import MqttLink


class Retained:
    """The present document of each topic."""

    def __init__(self) -> None:
        self._payloads: dict[str, bytes] = {}
        self._sent: dict[str, tuple[int, bytes]] = {}  # topic -> connection, payload

    def set(self, topic: str, payload: bytes) -> None:
        """What `topic` says from now on."""
        self._payloads[topic] = payload

    def service(self, link: MqttLink) -> None:
        """Send what this connection has not been told."""
        if not link.connected:
            return
        for topic, payload in self._payloads.items():
            news = link.connection, payload
            if self._sent.get(topic) == news:
                continue
            if link.publish(topic, payload, qos=1, retain=True) is not None:
                self._sent[topic] = news
