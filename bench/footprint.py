"""What the agent costs a board: memory, CPU at three rates, time to the first decision, disk.

    python bench/footprint.py [--seconds 10] [--json]

The real `edge-agent run` with its gateway, recording to disk, on a pseudo-terminal behind which
this process plays the microcontroller and paces its telemetry. Normal scheduler, no broker.

Owns: the measurement and its table. Must not: compare with anything; that is `bench/tick.py`.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from bench.device import BenchDevice
from bench.processes import ROOT, Subject, cpu_ns, resident_kb, start_agent
from edge_agent.core.clock import NS_PER_S
from edge_agent.core.errors import EdgeAgentError, TransientError
from edge_agent.inference.manifest import load_manifest
from edge_agent.safety import devices

DEVICE = "air-handler"
RATES_HZ = (10, 100, 200)
STARTS = 5
_SETTLE_S = 1.0
_PACKAGE = "edge-autonomy"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="What the agent costs a board.")
    parser.add_argument("--seconds", type=float, default=10.0, help="at each rate")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    envelope = devices.find(DEVICE)
    folder = ROOT / "models" / DEVICE
    file = folder / load_manifest(folder, envelope).file
    try:
        found = measure(Subject(envelope, folder, file, 0), arguments.seconds)
    except EdgeAgentError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(found, indent=2) if arguments.json else table(found))
    return 0


def measure(subject: Subject, seconds: float) -> dict[str, Any]:
    """Everything, one agent after the other."""
    starts_ms = []
    with tempfile.TemporaryDirectory(prefix="footprint-") as text:
        for number in range(STARTS):
            with BenchDevice(subject.envelope, in_session=True) as device:
                agent, elapsed_ns = start_agent(subject, device, Path(text) / str(number))
                starts_ms.append(elapsed_ns / 1e6)
                agent.end()
        rates = [_at(subject, Path(text), rate_hz, seconds) for rate_hz in RATES_HZ]
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, Linux {platform.release()},"
        f" Python {platform.python_version()}",
        "utc": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "load": list(os.getloadavg()),
        "start_to_first_decision_ms": sorted(starts_ms)[STARTS // 2],
        "rates": rates,
        "disk_mb": {name: round(size / 1e6, 1) for name, size in disk().items()},
    }


def _at(subject: Subject, folder: Path, rate_hz: int, seconds: float) -> dict[str, Any]:
    """CPU and memory of both processes after `seconds` of telemetry at `rate_hz`."""
    with BenchDevice(subject.envelope, in_session=True) as device:
        agent, _ = start_agent(subject, device, folder / f"at-{rate_hz}")
        with agent:
            gateway = agent.child_pid()
            if gateway is None:
                raise TransientError("there is no gateway", where=f"{rate_hz} Hz")
            _pace(device, rate_hz, _SETTLE_S)
            before = (cpu_ns(agent.pid), cpu_ns(gateway))
            began_ns = time.monotonic_ns()
            ticks = _pace(device, rate_hz, seconds)
            elapsed_ns = time.monotonic_ns() - began_ns
            used = (cpu_ns(agent.pid) - before[0], cpu_ns(gateway) - before[1])
            return {
                "rate_hz": rate_hz,
                "ticks": ticks,
                "control_cpu_percent": round(100 * used[0] / elapsed_ns, 2),
                "gateway_cpu_percent": round(100 * used[1] / elapsed_ns, 2),
                "control_rss_mb": round(resident_kb(agent.pid) / 1000, 1),
                "gateway_rss_mb": round(resident_kb(gateway) / 1000, 1),
                "both_pss_mb": round((_pss_kb(agent.pid) + _pss_kb(gateway)) / 1000, 1),
            }


def _pace(device: BenchDevice, rate_hz: int, seconds: float) -> int:
    """Telemetry on absolute deadlines for `seconds`; how many were answered."""
    period_ns = NS_PER_S // rate_hz
    next_ns = time.monotonic_ns() + period_ns
    end_ns = next_ns + int(seconds * NS_PER_S)
    answered = 0
    while next_ns < end_ns:
        answered += device.exchange(next_ns) is not None
        next_ns += period_ns
    return answered


def _pss_kb(pid: int) -> int:
    """Memory with each shared page divided among those who share it."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise TransientError("no memory figure", where=f"process {pid}")


def disk() -> dict[str, int]:
    """Bytes installed of each package that the agent needs at run time, and of all."""
    sizes: dict[str, int] = {}
    wanted = [_PACKAGE]
    while wanted:
        name = wanted.pop()
        if name in sizes:
            continue
        distribution = metadata.distribution(name)
        files = [Path(str(distribution.locate_file(f))) for f in distribution.files or ()]
        sizes[name] = sum(f.stat().st_size for f in files if f.is_file())
        wanted += [
            requirement.name
            for requirement in map(Requirement, distribution.requires or ())
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        ]
    if sizes[_PACKAGE] < 100_000:  # installed in place: the sources are the package
        parts = (ROOT / "edge_agent", ROOT / "firmware_bridge", ROOT / "models")
        own = [f for part in parts for f in part.rglob("*") if f.is_file()]
        sizes[_PACKAGE] = sum(f.stat().st_size for f in own if f.suffix in _SHIPPED)
    return {**dict(sorted(sizes.items())), "all": sum(sizes.values())}


_SHIPPED = frozenset({".py", ".pyi", ".onnx", ".toml", ".json", ".so", ".c", ".h", ".typed"})


def table(found: dict[str, Any]) -> str:
    """For docs/performance.md."""
    load = " ".join(f"{value:.2f}" for value in found["load"])
    lines = [f"Measured {found['utc']} UTC: {found['machine']}, load {load}.", ""]
    lines += ["| | 10 Hz | 100 Hz | 200 Hz |", "|---|---|---|---|"]
    for key, words in (
        ("ticks", "ticks answered while it was measured"),
        ("control_cpu_percent", "CPU of the control process, % of one core"),
        ("gateway_cpu_percent", "CPU of the gateway, % of one core"),
        ("control_rss_mb", "resident memory of the control process, MB"),
        ("gateway_rss_mb", "resident memory of the gateway, MB"),
        ("both_pss_mb", "both, shared pages counted once, MB"),
    ):
        lines.append(f"| {words} | " + " | ".join(f"{r[key]:g}" for r in found["rates"]) + " |")
    start_ms = found["start_to_first_decision_ms"]
    sizes = ", ".join(f"{name} {mb:g}" for name, mb in found["disk_mb"].items())
    lines += ["", f"start to first command on the wire: {start_ms:.0f} ms, median of {STARTS}"]
    lines += ["", f"on disk, MB: {sizes}"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
