"""The other side of the broker in tests: publishes like a sensor, watches like an operator."""

import ssl
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion


class MqttPeer:
    """A plain client; everything that arrived is in `received`, in order.

    `name`: a broker that keeps sessions keeps this one's, also over its own end.
    """

    def __init__(
        self, port: int, *topics: str, tls: ssl.SSLContext | None = None, name: str = ""
    ) -> None:
        self.received: list[tuple[str, bytes, bool]] = []
        self._ready = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=name, clean_session=not name
        )
        self._client.on_connect = lambda client, *_: (
            client.subscribe([(topic, 1) for topic in topics]) if topics else self._ready.set()
        )
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _c, _u, m: self.received.append(
            (m.topic, bytes(m.payload), m.retain)
        )
        if tls is not None:
            self._client.tls_set_context(tls)
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(10), "the test's own client did not connect"

    def publish(
        self, topic: str, payload: bytes | str, *, qos: int = 1, retain: bool = False
    ) -> None:
        """Return when the broker has it."""
        self._client.publish(topic, payload, qos=qos, retain=retain).wait_for_publish(10)

    def offer(self, topic: str, payload: bytes | str) -> None:
        """Publish at QoS 0 if the broker is there; never waits, keeps nothing for later."""
        self._client.publish(topic, payload, qos=0)

    def payloads(self, topic: str) -> list[bytes]:
        return [payload for where, payload, _retained in self.received if where == topic]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = 10.0) -> None:
    """Return as soon as `condition` holds; fail with `what` when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError(f"not within {timeout_s} s: {what}")
