"""Where the time of one tick goes: `python bench/stages.py [--rate HZ] [--ticks N]`.

The real agent with a stop watch around each stage, fed over a pseudo-terminal like in
`tick.py`. Prints the median microseconds of each stage. The watch itself costs some 0.3 us a
stage; the figures are for finding what to improve, those of `tick.py` are the measurement.

Owns: the stop watch and its table. Must not: be part of any other figure.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any

from bench import processes
from bench.device import NS_PER_S, BenchDevice
from bench.processes import ROOT, Subject
from edge_agent import loop
from edge_agent.cli import main as edge_agent
from edge_agent.decision.agent import Agent
from edge_agent.decision.features import Features
from edge_agent.decision.snapshot import SnapshotBuilder
from edge_agent.inference.manifest import load_manifest
from edge_agent.inference.session import OnnxPolicy
from edge_agent.ports.gateway_relay import GatewayRelay
from edge_agent.ports.serial_bridge import SerialBridgePort
from edge_agent.safety import devices, envelope, gate
from edge_agent.service.status import TickStats
from firmware_bridge.link import Link
from firmware_bridge.serial_port import SerialPort

DEVICE = "air-handler"
# (owner, name of the function, stage); an indented stage is part of the next one not indented.
STAGES: tuple[tuple[Any, str, str], ...] = (
    (loop, "_wait", "wait"),
    (GatewayRelay, "poll", "relay poll"),
    (SerialPort, "read", "  serial read"),
    (Link, "receive", "  link receive"),
    (SerialBridgePort, "poll", "serial poll"),
    (SnapshotBuilder, "add", "  snapshot add"),
    (SnapshotBuilder, "at", "  snapshot at"),
    (Features, "compute", "  features"),
    (OnnxPolicy, "propose", "  policy"),
    (gate, "admit", "  gate"),
    (Agent, "_supervise", "  effects and supervisor"),
    (envelope, "step", "  envelope"),
    (Agent, "step", "agent step"),
    (Link, "set_outputs", "  link set"),
    (SerialPort, "write", "  serial write"),
    (SerialBridgePort, "apply", "serial apply"),
    (TickStats, "add", "statistics"),
    (GatewayRelay, "publish", "record to the gateway"),
    (loop.Operator, "finished", "operator"),
)


def child(words: list[str], out: Path) -> int:
    """`edge-agent` with watches; SIGUSR1 writes the medians so far and starts anew."""
    times: dict[str, list[int]] = {stage: [] for _, _, stage in STAGES}
    for owner, name, stage in STAGES:
        setattr(owner, name, _watched(getattr(owner, name), times[stage].append))

    def dump(_number: int, _frame: FrameType | None) -> None:
        found = {k: median(v) / 1000 for k, v in times.items() if v}
        out.write_text(json.dumps(found), encoding="utf-8")
        for values in times.values():
            values.clear()

    signal.signal(signal.SIGUSR1, dump)
    return edge_agent(words)


def _watched(function: Callable[..., Any], book: Callable[[int], None]) -> Callable[..., Any]:
    now_ns = time.perf_counter_ns

    def timed(*arguments: Any, **named: Any) -> Any:
        start_ns = now_ns()
        result = function(*arguments, **named)
        book(now_ns() - start_ns)
        return result

    return timed


def measure(rate_hz: int, ticks: int, priority: int) -> dict[str, float]:
    """Median microseconds per stage, from `ticks` ticks at `rate_hz` (0: free running)."""
    folder = ROOT / "models" / DEVICE
    limits = devices.find(DEVICE)
    file = folder / load_manifest(folder, limits).file
    subject = Subject(limits, folder, file, priority)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as state,
        BenchDevice(limits, in_session=True) as device,
    ):
        out = Path(state) / "stages.json"
        program = [str(Path(__file__).resolve()), "--child", str(out)]
        agent, _ = processes.start_agent(subject, device, Path(state) / "agent", program)
        with agent:
            next_ns = time.monotonic_ns()
            for number in range(ticks + 100):
                if number == 100:
                    agent.signal(signal.SIGUSR1)  # the first hundred warm up
                next_ns = max(next_ns + NS_PER_S // rate_hz, time.monotonic_ns()) if rate_hz else 0
                device.exchange(next_ns)
            out.unlink()
            agent.signal(signal.SIGUSR1)
            while not out.exists() or not out.read_text("utf-8"):
                device.exchange(0)
            found: dict[str, float] = json.loads(out.read_text("utf-8"))
            return found


def main(argv: list[str]) -> int:
    if argv[:1] == ["--child"]:
        return child(argv[2:], Path(argv[1]))
    parser = argparse.ArgumentParser(description="Microseconds per stage of the agent's tick.")
    parser.add_argument("--rate", type=int, default=50, metavar="HZ", help="0: free running")
    parser.add_argument("--ticks", type=int, default=500, metavar="N")
    arguments = parser.parse_args(argv)
    priority = 50 if processes.fifo_granted(60) else 0
    found = measure(arguments.rate, arguments.ticks, priority)
    print(f"| stage, {arguments.rate or 'free running'} Hz | us |\n|---|---|")
    for _, _, stage in STAGES:
        if stage != "wait" and stage in found:
            name = stage.replace("  ", "&nbsp;&nbsp;")
            print(f"| {name} | {found[stage]:.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
