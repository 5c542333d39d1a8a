"""What a command costs: from sending to the first and last answer, and what a flood does to a tick.

    python bench/plane.py [--commands N] [--flood-s S] [--ed25519] [--json]

Mosquitto, `edge-agent run` and its gateway are processes of their own on loopback; the journal is
on the disk that `--folder` is on, with its fsync. Owns: the stop watch and the table.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import msgspec

from bench.facts import print_facts
from bench.keyring import KID, write_keyring
from bench.mosquitto import Mosquitto
from bench.processes import resident_kb
from edge_agent.authority.seal import Algorithm
from edge_agent.client import ClientOptions, DeviceClient
from edge_agent.gateway.control_socket import query_status

DEVICE = "bench"
PAUSE_S = 0.03  # below the gateway's rate of 50 a second
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Rig:
    """One device, commanded."""

    client: DeviceClient
    agent: subprocess.Popen[bytes]
    port: int
    socket_path: Path


@contextmanager
def rig(folder: Path, algorithm: Algorithm) -> Iterator[Rig]:
    """Start everything; end everything."""
    config = folder / "agent.toml"
    keyring, secret = write_keyring(folder, DEVICE, algorithm)
    with Mosquitto(folder) as broker:
        config.write_text(
            f'[loop]\nrate_hz = 50.0\n[plane]\nid = "{DEVICE}"\nport = {broker.port}\n'
            f'keyring_file = "{keyring}"\n'
        )
        command = [sys.executable, "-m", "edge_agent", "run", "--config", str(config)]
        command += ["--state-dir", str(folder / "state")]
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        agent = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        options = ClientOptions(
            host=broker.host,
            port=broker.port,
            device=DEVICE,
            kid=KID,
            secret=secret,
            algorithm=algorithm,
        )
        try:
            with DeviceClient(options) as client:
                client.wait_online(30)
                yield Rig(client, agent, broker.port, folder / "state" / "run" / "control.sock")
        finally:
            agent.send_signal(signal.SIGTERM)
            agent.wait(60)


def latency(client: DeviceClient, op: str, commands: int) -> dict[str, float]:
    """Milliseconds from sending to the first and to the last answer."""
    first_ms, last_ms = [], []
    for _ in range(commands):
        body = client.compose(op)
        packed = msgspec.msgpack.encode(body)
        start_ns = time.perf_counter_ns()
        client.publish(packed)
        while not client.answers(body["id"]):
            next(client.listen(5.0), None)
        first_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
        client.wait(body["id"], 30)
        last_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
        time.sleep(PAUSE_S)
    row: dict[str, float] = {}
    for name, values in (("first", sorted(first_ms)), ("last", sorted(last_ms))):
        row[f"{name}_p50_ms"] = round(median(values), 2)
        row[f"{name}_p99_ms"] = round(values[len(values) * 99 // 100], 2)
    return row


def fsync_ms(folder: Path, writes: int = 100) -> float:
    """The median of a small write and fsync on the same disk: what no journal can be under."""
    took_ms = []
    with (folder / "fsync").open("wb") as file:
        for _ in range(writes):
            start_ns = time.perf_counter_ns()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            took_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
    return round(median(took_ms), 2)


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, of the threads that it has now."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(path.read_text("ascii").split()[0]) for path in threads) / 1e9


def children(pid: int) -> list[int]:
    """Processes started by `pid`."""
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


def cpu_of_both(agent: subprocess.Popen[bytes]) -> float:
    """Of the control process and its gateway."""
    return sum(cpu_s(pid) for pid in (agent.pid, *children(agent.pid)))


def cpu_per_command_ms(rig_: Rig, op: str, commands: int) -> float:
    """Processor time of both processes for each command, above what they use without."""
    start_s, before_s = time.monotonic(), cpu_of_both(rig_.agent)
    for _ in range(commands):
        rig_.client.command(op)
        time.sleep(PAUSE_S)
    took_s, used_s = time.monotonic() - start_s, cpu_of_both(rig_.agent) - before_s
    before_s = cpu_of_both(rig_.agent)
    time.sleep(took_s)
    return round((used_s - (cpu_of_both(rig_.agent) - before_s)) / commands * 1e3, 2)


def ticks(rig_: Rig, seconds: float) -> dict[str, int]:
    """How late the last 512 ticks began, and how long they took."""
    time.sleep(seconds)
    found: dict[str, int] = query_status(rig_.socket_path, 5.0)["control"]["ticks"]
    return {name: found[name] for name in ("lateness_p99_us", "duration_p99_us")}


def flooded(rig_: Rig, seconds: float) -> dict[str, int]:
    """The same while another process publishes 10,000 pieces of rubbish in a second, or as many as
    it can, and how much memory that costs both processes."""
    code = (
        "import sys, time, paho.mqtt.client as m\n"
        "c = m.Client(m.CallbackAPIVersion.VERSION2)\n"
        "c.connect('127.0.0.1', int(sys.argv[1])); c.loop_start()\n"
        "due = time.monotonic(); end, n = due + float(sys.argv[3]), 0\n"
        "while time.monotonic() < end:\n"
        "    for _ in range(100): c.publish(sys.argv[2], b'x' * 200, qos=0)\n"
        "    n += 100; due += 0.01; time.sleep(max(0, due - time.monotonic()))\n"
        "print(n); c.disconnect()\n"
    )
    topic = f"ed/v1/{DEVICE}/cmd"
    command = [sys.executable, "-c", code, str(rig_.port), topic, str(seconds)]
    pids = (rig_.agent.pid, *children(rig_.agent.pid))
    before_kb = sum(map(resident_kb, pids))
    flood = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    found = ticks(rig_, seconds - 1.0)
    sent = int(flood.communicate(timeout=60)[0])
    grown_kb = sum(map(resident_kb, pids)) - before_kb
    return {**found, "messages_per_s": round(sent / seconds), "resident_grown_kb": grown_kb}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=200)
    parser.add_argument("--flood-s", type=float, default=12.0)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--ed25519", action="store_true", help="such a key instead of HMAC")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    algorithm: Algorithm = "ed25519" if arguments.ed25519 else "hmac"
    with TemporaryDirectory(dir=arguments.folder) as name, rig(Path(name), algorithm) as one:
        found: dict[str, object] = {
            "fsync_ms": fsync_ms(Path(name)),
            "disarm": latency(one.client, "disarm", arguments.commands),
            "ping": latency(one.client, "ping", arguments.commands),
            "cpu_per_command_ms": cpu_per_command_ms(one, "ping", arguments.commands),
            "quiet": ticks(one, arguments.flood_s - 1.0),
            "flooded": flooded(one, arguments.flood_s),
            "quiet_again": ticks(one, arguments.flood_s - 1.0),
        }
    print_facts(found, as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
