"""Many devices in one process: the protocol and the desk are the real ones, the machine is not.

    python bench/fleet_devices.py PORT FIRST COUNT RATE_HZ SECRET_HEX SECONDS

Owns: one connection, one desk and one clock of telemetry for each. Prints a line when all of them
are there, and ends after SECONDS, or with its standard input.
"""

import heapq
import secrets
import selectors
import socket
import sys
import time
from typing import Any

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge_agent.authority.body import Status
from edge_agent.authority.desk import Desk, Office
from edge_agent.authority.documents import Telemetry
from edge_agent.authority.keyring import Key, Keyring
from edge_agent.authority.sessions import RENEW_EVERY_NS, Sessions
from edge_agent.authority.topics import ALL_STOP, topics_of
from edge_agent.core.command_ipc import Carried
from edge_agent.safety.devices.air_handler import ENVELOPE

NS_PER_S = 1_000_000_000
KEEPALIVE_S = 15
_COMMAND = {a.name: 0.0 for a in ENVELOPE.actuators}
_VALUES: dict[str, float | None] = dict.fromkeys(ENVELOPE.channel_names, 20.0)


class Device:
    """One of them."""

    def __init__(self, number: int, port: int, keyring: Keyring) -> None:
        self.id = f"dev-{number}"
        self.topics = topics_of(self.id)
        self.boot = secrets.token_hex(8)
        self.seq = 0
        now_ns = time.monotonic_ns()
        office = Office(self.id, keyring, ENVELOPE)
        self.desk = Desk(office, Sessions(self.boot, secrets.token_hex(8), now_ns))
        client = paho.Client(
            CallbackAPIVersion.VERSION2, f"ed-{self.id}", protocol=MQTTProtocolVersion.MQTTv5
        )
        gone = msgspec.msgpack.encode(Status(on=False, why="connection lost"))
        client.will_set(self.topics.status, gone, qos=1, retain=True)
        client.on_socket_open = _no_delay
        client.on_connect = self._connected
        client.on_message = self._commanded
        client.connect("127.0.0.1", port, KEEPALIVE_S)
        self.client = client
        self.there = False

    def renew(self) -> None:
        """A new session, told."""
        sessions = self.desk.sessions
        self.desk.sessions = sessions.renewed(secrets.token_hex(8), time.monotonic_ns())
        self._tell()

    def sample(self) -> None:
        """One document of telemetry."""
        self.seq += 1
        sample = Telemetry(
            boot=self.boot, run=self.boot, seq=self.seq, at=time.monotonic_ns(),
            utc_ms=time.time_ns() // 1_000_000, tick=self.seq, mode="SAFE", decides="nobody",
            driven=True, values=_VALUES, command=_COMMAND,
        )  # fmt: skip
        self.client.publish(self.topics.tele, msgspec.msgpack.encode(sample))

    def _tell(self) -> None:
        status = Status(on=True, boot=self.boot, sess=self.desk.sessions.current, agent="bench")
        packed = msgspec.msgpack.encode(status)
        self.client.publish(self.topics.status, packed, qos=1, retain=True)

    def _connected(self, client: paho.Client, *_rest: Any) -> None:
        client.subscribe([(self.topics.cmd, 1), (ALL_STOP, 1), (self.topics.desired, 1)])
        self._tell()
        self.there = True

    def _commanded(self, client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        now_ns = time.monotonic_ns()
        carried = Carried(1, message.topic, bytes(message.payload), message.retain, False, now_ns)
        answer = self.desk.receive(carried, now_ns)
        if answer.body:
            client.publish(self.topics.resp, answer.body, qos=1)


def _no_delay(_client: paho.Client, _data: object, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Timetable:
    """When each device samples and when it renews its session, spread evenly."""

    def __init__(self, devices: list[Device], every_ns: int) -> None:
        self._devices = devices
        self._periods = {"sample": every_ns, "renew": RENEW_EVERY_NS}
        start_ns, count = time.monotonic_ns(), len(devices)
        self._due = [
            (start_ns + period_ns * i // count, i, verb)
            for i in range(count)
            for verb, period_ns in self._periods.items()
        ]
        heapq.heapify(self._due)

    def run(self, now_ns: int) -> None:
        """Do what is due."""
        while self._due[0][0] <= now_ns:
            at_ns, i, verb = self._due[0]
            getattr(self._devices[i], verb)()
            heapq.heapreplace(self._due, (at_ns + self._periods[verb], i, verb))


def serve(devices: list[Device], every_ns: int, end_ns: int) -> None:
    """Until `end_ns`, or the end of standard input."""
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ, None)
    for device in devices:
        sock: Any = device.client.socket()
        selector.register(sock, selectors.EVENT_READ, device)
    table, misc_ns, announced = Timetable(devices, every_ns), 0, False
    while (now_ns := time.monotonic_ns()) < end_ns:
        for key, _events in selector.select(0.01):
            if key.data is None:
                return
            key.data.client.loop_read()
        table.run(now_ns)
        for device in (d for d in devices if d.client.want_write()):
            device.client.loop_write()
        if now_ns - misc_ns > NS_PER_S:
            misc_ns = now_ns
            for device in devices:
                device.client.loop_misc()
        if not announced and all(device.there for device in devices):
            announced = True
            print("there", flush=True)


def main() -> None:
    port, first, count = map(int, sys.argv[1:4])
    rate_hz, secret, seconds = float(sys.argv[4]), bytes.fromhex(sys.argv[5]), float(sys.argv[6])
    keyring = Keyring(1, {"bench": Key(secret, frozenset({"cmd"}), frozenset())})
    devices = [Device(first + i, port, keyring) for i in range(count)]
    end_ns = time.monotonic_ns() + round(seconds * NS_PER_S)
    serve(devices, round(NS_PER_S / rate_hz), end_ns)


if __name__ == "__main__":
    main()
