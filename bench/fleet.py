"""Two thousand devices on one broker, and a person who watches: does it hold?

    python bench/fleet.py [--devices 2000] [--rate-hz 0.5] [--seconds 30] [--autosave 1000]
                          [--json]

The broker is Mosquitto with the limits of deploy/mosquitto, without TLS, and writes its store
after so many changes, or with `--autosave 0` once a second; the devices are stubs with the real
protocol and the real desk (bench/fleet_devices.py); the watcher is `edge-agent ctl watch --all`.
All on loopback. Owns: the stop watch and the table. It ends by itself.
"""

import argparse
import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import msgspec

from bench.facts import print_facts
from bench.mosquitto import Mosquitto
from bench.plane import cpu_s
from edge_agent.authority.body import Body
from edge_agent.authority.seal import seal
from edge_agent.authority.topics import topics_of
from edge_agent.client import BrokerOptions, FleetClient, Outcome
from edge_agent.client.connection import Connection
from edge_agent.core.clock import NS_PER_S, SystemClock

PROCESSES = 4
DEADLINE_S = 120.0
_ROOT = Path(__file__).parents[1]
_WITHOUT = ("cafile", "certfile", "keyfile", "tls_", "require_", "use_identity", "acl_file")


def shipped_limits(folder: Path, autosave: int) -> str:
    """deploy/mosquitto/mosquitto.conf without what needs certificates, written to the disk after
    `autosave` changes (the file says 1), or once a second when that is 0."""
    text = (_ROOT / "deploy" / "mosquitto" / "mosquitto.conf").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith(_WITHOUT)]
    text = "\n".join(lines).replace("listener 8883", "listener {port} 127.0.0.1")
    text = text.replace("allow_anonymous false", "allow_anonymous true")
    if autosave:
        text = text.replace("autosave_interval 1\n", f"autosave_interval {autosave}\n")
    else:
        text = text.replace("autosave_on_changes true", "autosave_on_changes false")
    return text.replace("/var/lib/mosquitto/", f"{folder}/") + "\nuser root\nlog_type none\n"


@contextmanager
def stubs(port: int, options: argparse.Namespace, secret: bytes) -> Iterator[list[int]]:
    """The devices, all of them connected; the processes' ids."""
    share = -(-options.devices // PROCESSES)
    children = []
    for first in range(0, options.devices, share):
        words = (port, first, min(share, options.devices - first), options.rate_hz, secret.hex())
        command = [sys.executable, str(_ROOT / "bench" / "fleet_devices.py"), *map(str, words)]
        children.append(
            subprocess.Popen(
                [*command, str(options.seconds + 4 * DEADLINE_S)],
                env={**os.environ, "PYTHONPATH": str(_ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    try:
        for child in children:
            if child.stdout is None or child.stdout.readline() != "there\n":
                raise SystemExit("a process of devices ended early")
        yield [child.pid for child in children]
    finally:
        for child in children:
            child.kill()
            child.communicate()


def watched(port: int, folder: Path, secret: bytes, seconds: float) -> dict[str, float]:
    """What `ctl watch --all` sees in a while, and what it costs."""
    key = folder / "bench.key.json"
    owned = {"device": "dev-0", "kid": "bench", "secret": base64.b64encode(secret).decode()}
    key.write_text(json.dumps({**owned, "port": port}))
    key.chmod(0o600)
    command = [sys.executable, "-m", "edge_agent", "ctl", "watch", "--all", "--json"]
    command += ["--key", str(key), "--for", str(seconds)]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    before_s = os.times().children_user + os.times().children_system
    found = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    used_s = os.times().children_user + os.times().children_system - before_s
    newest: dict[str, dict[str, object]] = {}
    for line in found.stdout.splitlines():
        row = json.loads(line)
        newest[row["id"]] = row
    lines = found.stdout.count("\n")
    return {
        "devices_seen": len(newest),
        "messages_per_s": round(lines / seconds),
        "samples_missed": sum(int(str(row["missed"])) for row in newest.values()),
        "watcher_cpu_percent": round(100 * used_s / seconds),
    }


def listed(port: int, devices: int) -> float:
    """Seconds until every device's status is known to somebody who has just come."""
    start_s = time.monotonic()
    with FleetClient(BrokerOptions(host="127.0.0.1", port=port)) as fleet:
        while len(fleet.devices) < devices and time.monotonic() - start_s < DEADLINE_S:
            for _change in fleet.listen(0.05):
                pass
        return round(time.monotonic() - start_s, 2) if len(fleet.devices) == devices else -1.0


def commanded(port: int, devices: int, secret: bytes) -> dict[str, float]:
    """One signed ping to every device from one connection, and all the answers."""
    options, clock = BrokerOptions(host="127.0.0.1", port=port), SystemClock()
    with FleetClient(options) as fleet:
        for _change in fleet.listen(2.0):
            pass
        statuses = {name: device.status for name, device in fleet.devices.items()}
    link = Connection(options, [("ed/v1/+/resp", 0)], clock)
    time.sleep(0.5)
    sent_ns: dict[str, int] = {}
    start_ns = time.monotonic_ns()
    for number, (name, status) in enumerate(statuses.items()):
        body = Body(id=f"p{number}", dev=name, op="ping", boot=status["boot"],
                    sess=status["sess"], ctr=time.time_ns() // 1000, ttl=10_000)  # fmt: skip
        topic = topics_of(name).cmd
        sent_ns[body.id] = time.monotonic_ns()
        link.publish(topic, seal(secret, "bench", topic, msgspec.msgpack.encode(body)))
    took_ms: dict[str, float] = {}
    end_ns = start_ns + round(DEADLINE_S * NS_PER_S)
    while len(took_ms) < devices and (heard := link.next(end_ns)) is not None:
        outcome = msgspec.msgpack.decode(heard.payload, type=Outcome)
        if outcome.st == "done":
            took_ms[outcome.id] = (heard.stamp_ns - sent_ns[outcome.id]) / 1e6
    link.close()
    values = sorted(took_ms.values()) or [0.0]
    return {
        "answered": len(took_ms),
        "all_within_s": round((time.monotonic_ns() - start_ns) / NS_PER_S, 2),
        "p50_ms": round(median(values)),
        "p99_ms": round(values[len(values) * 99 // 100]),
    }


def lost(port: int, devices: int, pids: list[int]) -> float:
    """Seconds until the end of every device is known, after all of them were killed at once."""
    with FleetClient(BrokerOptions(host="127.0.0.1", port=port)) as fleet:
        for _change in fleet.listen(2.0):
            pass
        start_s = time.monotonic()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        while time.monotonic() - start_s < DEADLINE_S:
            for _change in fleet.listen(0.05):
                pass
            gone = sum(not device.status.get("on") for device in fleet.devices.values())
            if gone == devices:
                return round(time.monotonic() - start_s, 2)
    return -1.0


def resident_mb(pid: int) -> float:
    """Memory of a process now."""
    fields = Path(f"/proc/{pid}/statm").read_text("ascii").split()
    return round(int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def measure(options: argparse.Namespace) -> dict[str, object]:
    """Everything, once."""
    secret = secrets.token_bytes(32)
    with TemporaryDirectory() as name:
        folder = Path(name)
        broker = Mosquitto(folder, shipped_limits(folder, options.autosave))
        with broker:
            return _with(broker, folder, options, secret)


def _with(
    broker: Mosquitto, folder: Path, options: argparse.Namespace, secret: bytes
) -> dict[str, object]:
    start_s = time.monotonic()
    with stubs(broker.port, options, secret) as pids:
        there_s = round(time.monotonic() - start_s, 1)
        before_s, began_s = cpu_s(broker.pid), time.monotonic()
        watching = watched(broker.port, folder, secret, options.seconds)
        used = (cpu_s(broker.pid) - before_s) / (time.monotonic() - began_s)
        return {
            "devices": options.devices,
            "all_connected_s": there_s,
            "watch": watching,
            "broker": {
                "cpu_percent": round(100 * used),
                "resident_mb": resident_mb(broker.pid),
            },
            "list_s": listed(broker.port, options.devices),
            "ping_all": commanded(broker.port, options.devices, secret),
            "all_lost_known_s": lost(broker.port, options.devices, pids),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=2000)
    parser.add_argument("--rate-hz", type=float, default=0.5)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--autosave", type=int, default=1000, metavar="CHANGES")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options)
    print_facts(found, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
