"""What a killed broker has lost of what it had acknowledged, by how often it writes its store.

    PYTHONPATH=. python bench/fleet_loss.py [--runs 3] [--json]

The broker is Mosquitto with the limits of deploy/mosquitto, without TLS. A device sends events,
each when the one before is acknowledged, for a plane that has a session and is away; then `kill -9`
at once, a start on the same store, and the plane comes back. Owns: the count. Must not: say what
the loss of power takes besides, which a kill does not show.
"""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.facts import print_facts
from bench.fleet import shipped_limits
from bench.mosquitto import Mosquitto
from edge_agent.client import BrokerOptions
from edge_agent.client.connection import Connection
from edge_agent.core.clock import NS_PER_S, SystemClock

RATE_HZ: Final = 100
SECONDS: Final = 5
QUIET_NS: Final = 3 * NS_PER_S  # nothing more comes
WAYS: Final = {
    "as shipped": 1,
    "once a second": 0,
    "after 1,000 changes": 1000,
}


def lost(autosave: int) -> int:
    """Events that were acknowledged and never came."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        with Mosquitto(folder, shipped_limits(folder, autosave)) as broker:
            _plane(broker)
            sent = _acknowledged(broker.port)
            broker.stop()
            broker.start()
            return len(sent - _plane(broker))


def _plane(broker: Mosquitto) -> set[bytes]:
    """Comes, takes what there is, and goes; the broker keeps its session."""
    clock = SystemClock()
    options = BrokerOptions(host=broker.host, port=broker.port, name="plane")
    link = Connection(options, [("ed/v1/+/evt", 1)], clock)
    heard = set()
    while (message := link.next(clock.now_ns() + QUIET_NS)) is not None:
        heard.add(message.payload)
    link.close()
    return heard


def _acknowledged(port: int) -> set[bytes]:
    """Sends at the rate; what the broker has said that it has."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    sent = set()
    start_s = time.monotonic()
    for number in range(RATE_HZ * SECONDS):
        time.sleep(max(0.0, start_s + number / RATE_HZ - time.monotonic()))
        payload = str(number).encode()
        told = client.publish("ed/v1/dev-0/evt", payload, qos=1)
        told.wait_for_publish(10)
        if told.is_published():
            sent.add(payload)
    client.disconnect()
    client.loop_stop()
    return sent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, object] = {"sent": RATE_HZ * SECONDS}
    for name, autosave in WAYS.items():
        found[name] = {f"run {run + 1} lost": lost(autosave) for run in range(options.runs)}
    print_facts(found, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
