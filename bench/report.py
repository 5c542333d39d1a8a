"""From blocks to figures: ratios with their spread, and one Markdown table.

Owns: the statistics and the wording. Must not: measure. A ratio is the median over pairs of
neighbouring blocks, because absolute times drift with the machine and the pairs do not; the
spread beside it is the 10th to 90th percentile of the pairs.
"""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from bench.load import FREE_RUNNING, Block

Results = dict[tuple[str, int], list[Block]]
AGENT, FLOOR = "agent", "floor"
_PERCENTILES = (50.0, 99.0, 99.9, 100.0)
# First targets, then final ones.
TARGETS = {
    "R1": "1.5, then 1.20",
    "R2": "1.30",
    "R3": "2.0, then 1.30",
    "R11": "1.5",
    "R12": "1.15",
}


@dataclass(frozen=True)
class Extras:
    """What is not in the blocks: memory (kB) and start times (ns) by process, set-up facts."""

    memory_kb: dict[str, int]
    start_ns: dict[str, list[int]]
    scheduler: dict[str, str]
    status: dict[str, Any]


def document(results: Results, extras: Extras) -> dict[str, Any]:
    """Everything measured, in plain values (microseconds, megabytes)."""
    rates = sorted({rate for _, rate in results if rate != FREE_RUNNING})
    return {
        "machine": machine(),
        "scheduler": extras.scheduler,
        "ratios": _ratios(results, rates, extras),
        "latency_us": {
            f"{name} {rate or 'free'}": _latency(blocks) for (name, rate), blocks in results.items()
        },
        "max_rate_hz": {
            name: round(median(b.ticks / b.elapsed_ns * 1e9 for b in blocks))
            for (name, rate), blocks in results.items()
            if rate == FREE_RUNNING
        },
        "memory_mb": {name: round(kb / 1024, 1) for name, kb in extras.memory_kb.items()},
        "start_ms": {n: round(median(v) / 1e6) for n, v in extras.start_ns.items()},
        "agent_after": extras.status,
    }


def machine() -> dict[str, str]:
    """Which kind of machine the figures are from."""
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith(("model name", "Model")):
            cpu = line.partition(":")[2].strip()
            break
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": f"{cpu}, {os.cpu_count()} cores, {platform.machine()}",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
        "load": " ".join(f"{x:.2f}" for x in os.getloadavg()),
    }


def markdown(found: dict[str, Any]) -> str:
    """The table that `make bench` prints."""
    facts = found["machine"]
    lines = [
        (
            f"Measured {facts['date']}: {facts['cpu']}; Linux {facts['kernel']}, Python"
            f" {facts['python']}, onnxruntime {facts['onnxruntime']}, load {facts['load']};"
            f" {', '.join(f'{k}: {v}' for k, v in found['scheduler'].items())}."
        ),
        "",
        "| | ratio, agent / floor | median of block pairs | 10 to 90 % | target at most |",
        "|---|---|---|---|---|",
    ]
    for row in found["ratios"]:
        spread = f"{row['low']:.2f} to {row['high']:.2f}"
        target = TARGETS[row["id"]]
        lines.append(f"| {row['id']} | {row['what']} | {row['ratio']:.2f} | {spread} | {target} |")
    lines += [
        "",
        (
            "| telemetry written to SET read, us | p50 | p99 | p99.9 | max | ticks | lost"
            " | CPU a tick | gateway's |"
        ),
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in found["latency_us"].items():
        times = " | ".join(f"{row[key]:.0f}" for key in ("p50", "p99", "p99.9", "max"))
        helper = f"{row['gateway_cpu']:.0f}" if row["gateway_cpu"] else ""
        lines.append(
            f"| {name}{' running' if name.endswith('free') else ' Hz'} | {times} | {row['ticks']}"
            f" | {row['lost']} | {row['cpu']:.0f} | {helper} |"
        )
    for title, key, unit in (
        ("maximum rate, one tick after the other", "max_rate_hz", "Hz"),
        ("resident memory", "memory_mb", "MB"),
        ("start to ready (agent: first command on the wire)", "start_ms", "ms"),
    ):
        values = ", ".join(f"{name} {value} {unit}" for name, value in found[key].items())
        lines += ["", f"{title}: {values}"]
    status = ", ".join(f"{key} {value}" for key, value in found["agent_after"].items())
    return "\n".join([*lines, "", f"the agent when it was over: {status}"])


def _ratios(results: Results, rates: Sequence[int], extras: Extras) -> list[dict[str, Any]]:
    rows = []
    for name, what, percent in (("R1", "tick p50", 50.0), ("R2", "tick p99", 99.0)):
        for rate in rates:
            pairs = _pairs(results, rate, lambda b, p=percent: b.percentile_ns(p))
            rows.append(_row(name, f"{what}, {rate} Hz", pairs))
    for rate in rates:
        pairs = _pairs(results, rate, lambda b: b.cpu_ns / b.ticks)
        rows.append(_row("R3", f"CPU per tick, {rate} Hz", pairs))
    starts = extras.start_ns
    pairs = [a / b for a, b in zip(starts[AGENT], starts["bare"], strict=True)]
    rows.append(_row("R11", "start to first command / onnxruntime and session alone", pairs))
    memory = extras.memory_kb[AGENT] / extras.memory_kb["bare"]
    rows.append(_row("R12", "resident memory / onnxruntime and session alone", [memory]))
    return rows


def _pairs(results: Results, rate: int, figure: Any) -> list[float]:
    pairs = zip(results[AGENT, rate], results[FLOOR, rate], strict=True)
    return [figure(a) / figure(b) for a, b in pairs if figure(b)]


def _row(name: str, what: str, pairs: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(pairs)
    last = len(ordered) - 1
    return {
        "id": name,
        "what": what,
        "ratio": median(ordered),
        "low": ordered[round(last * 0.1)],
        "high": ordered[round(last * 0.9)],
        "pairs": len(ordered),
    }


def _latency(blocks: Sequence[Block]) -> dict[str, float]:
    """All blocks of one side and rate as one."""
    whole = Block([ns for b in blocks for ns in b.latencies_ns], sum(b.lost for b in blocks))
    out = {f"p{p:g}": whole.percentile_ns(p) / 1000 for p in _PERCENTILES}
    out["max"] = out.pop("p100")
    return out | {
        "ticks": whole.ticks,
        "lost": whole.lost,
        "cpu": sum(b.cpu_ns for b in blocks) / whole.ticks / 1000,
        "gateway_cpu": sum(b.helper_cpu_ns for b in blocks) / whole.ticks / 1000,
    }
