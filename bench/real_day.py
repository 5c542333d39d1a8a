"""One recorded day through the whole system, as separate processes, and what it decided.

    python bench/real_day.py LOG MAP --speed 480 [--json] [--max-age-rows 8]

A real Mosquitto, the gateway, the control process and the simulated microcontroller behind a
pseudo-terminal run in real time while `edge-agent feed` plays the day at `--speed`. Then every
row is accounted for, every recorded command is checked against the hard-coded limits, and our
valves and damper are set beside what the real controller commanded in the same minute. The
comparison is open loop: the recorded temperatures answer the real controller, not ours.
"""

import argparse
import contextlib
import csv
import json
import lzma
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.core.records import Mode, Quality, Rule, TickRecord
from edge_agent.recording.reader import read_ticks
from edge_agent.safety.devices import find
from edge_agent.sim.summary import violations

ENVELOPE = find("air-handler")
SENSORS = (
    ("supply_temperature", "degF"),
    ("mixed_temperature", "degF"),
    ("outdoor_temperature", "degF"),
    ("return_temperature", "degF"),
    ("supply_setpoint", "degF"),
    ("fan_status", "bool"),
    ("occupancy", "bool"),
)
# Our actuator -> the real controller's column (0 to 1) in both logs.
REAL_COLUMNS = {
    "outdoor_damper": "AHU: Outdoor Air Damper Control Signal",
    "cooling_valve": "AHU: Cooling Coil Valve Control Signal",
    "heating_valve": "AHU: Heating Coil Valve Control Signal",
    "supply_fan": "AHU: Supply Air Fan Speed Control Signal",
}
ROW_S = 60.0


@dataclass(frozen=True, slots=True)
class Day:
    """What to play, and how."""

    log: Path
    mapping: Path
    speed: float
    max_age_rows: float


def play(day: Day, folder: Path) -> dict[str, Any]:
    """Run everything under `folder`; returns the account of the day."""
    port = free_port()
    config = write_config(day, folder, port)
    with contextlib.ExitStack() as stack:
        broker = folder / "mosquitto.conf"
        broker.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"
        )
        stack.enter_context(process(["mosquitto", "-c", str(broker)]))
        link = folder / "mcu"
        mcu = stack.enter_context(
            process(
                [sys.executable, "-m", "edge_agent.sim.mcu_process", "--device", "air-handler"]
                + ["--link", str(link)]
            )
        )
        agent = ["run", "--arm", "--config", str(config), "--state-dir", str(folder / "state")]
        control = stack.enter_context(process([sys.executable, "-m", "edge_agent", *agent]))
        wait_until_ready(folder / "state")
        feed = [sys.executable, "-m", "edge_agent", "feed", str(day.log), "--map", str(day.mapping)]
        feed += ["--broker", f"127.0.0.1:{port}", "--speed", str(day.speed)]
        fed = subprocess.run(feed, check=True, capture_output=True, text=True)
        status = ask_status(folder / "state")
        control.send_signal(signal.SIGTERM)
        exit_code = control.wait(60)
        mcu.send_signal(signal.SIGTERM)
        board = json.loads(mcu.communicate(timeout=10)[0])
    ticks = list(read_ticks(folder / "state" / "recordings"))
    return {
        "feed": json.loads(fed.stdout),
        "exit_code": exit_code,
        "board": board,
        "status": status,
        **account(ticks),
        "comparison": compare(day, ticks),
    }


def account(ticks: Sequence[TickRecord]) -> dict[str, Any]:
    """What the recording says happened."""
    readings: Counter[str] = Counter()
    for tick in ticks:
        for r in tick.readings:
            name = ENVELOPE.channel_names[r.channel]
            readings[f"{name} {Quality(r.quality).name}"] += 1
    stale: Counter[str] = Counter()
    for tick in ticks:
        for name, quality in zip(ENVELOPE.channel_names, tick.snapshot.qualities, strict=True):
            if quality != Quality.GOOD:
                stale[f"{name} {Quality(quality).name}"] += 1
    reasons = Counter(Rule(r.rule).name for t in ticks for r in t.verdict.reasons)
    return {
        "ticks": len(ticks),
        "readings": dict(readings),
        "ticks_not_good": dict(stale),
        "modes": dict(Counter(Mode(t.mode).name for t in ticks)),
        "reasons": dict(reasons),
        "outside_envelope": violations(ENVELOPE, ticks),
    }


def compare(day: Day, ticks: Sequence[TickRecord]) -> dict[str, dict[str, float]]:
    """Per actuator over the day's minutes, in percent: means, and mean |ours - theirs|."""
    theirs = real_commands(day.log)
    ours = commands_by_row(ticks, len(theirs["outdoor_damper"]))
    table = {}
    for name, real in theirs.items():
        pairs = [(o, r) for o, r in zip(ours[name], real, strict=True) if o is not None]
        n = len(pairs) or 1
        table[name] = {
            "rows": len(pairs),
            "mean_ours": round(sum(o for o, _ in pairs) / n, 1),
            "mean_theirs": round(sum(r for _, r in pairs) / n, 1),
            "mean_abs_difference": round(sum(abs(o - r) for o, r in pairs) / n, 1),
            "same_side": round(sum((o > 5) == (r > 5) for o, r in pairs) / n * 100, 1),
        }
    return table


def real_commands(log: Path) -> dict[str, list[float]]:
    """The real controller's commands of every row, in percent."""
    opener = lzma.open if log.suffix == ".xz" else open
    with opener(log, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    header = [name.strip() for name in rows[0]]
    columns = {ours: header.index(theirs) for ours, theirs in REAL_COLUMNS.items()}
    return {ours: [100 * float(row[c]) for row in rows[1:]] for ours, c in columns.items()}


def commands_by_row(ticks: Sequence[TickRecord], rows: int) -> dict[str, list[float | None]]:
    """Our command when the next row came in, row by row, in percent; None if no tick fell there.

    A new row is a tick that carries a reading of the outdoor temperature.
    """
    first = ENVELOPE.sensor_index["outdoor_temperature"]
    names = [a.name for a in ENVELOPE.actuators]
    out: dict[str, list[float | None]] = {name: [None] * rows for name in names}
    row = -1
    for tick in ticks:
        row += sum(r.channel == first for r in tick.readings)
        if 0 <= row < rows:
            for name, counts in zip(names, tick.verdict.command, strict=True):
                out[name][row] = counts / 10
    return out


def write_config(day: Day, folder: Path, port: int) -> Path:
    """A real-mode configuration whose ages suit the speed."""
    max_age_s = day.max_age_rows * ROW_S / day.speed
    lines = [
        'device = "air-handler"',
        'mode = "real"',
        "[serial]",
        f'port = "{folder / "mcu"}"',
        'sensors = ["fan_current", "damper_position"]',
        "[mqtt]",
        'host = "127.0.0.1"',
        f"port = {port}",
    ]
    topics = {c["topic"] for c in tomllib.loads(day.mapping.read_text("utf-8"))["column"]}
    for channel, unit in SENSORS:
        if f"ahu/{channel}" not in topics:
            raise SystemExit(f"{day.mapping}: no column for ahu/{channel}")
        lines += ["[[mqtt.sensor]]", f'channel = "{channel}"', f'topic = "ahu/{channel}"']
        lines += [f'unit = "{unit}"', f"max_age_s = {max_age_s:.3f}"]
    path = folder / "agent.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@contextlib.contextmanager
def process(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Start a process; end it, and only it, at the end."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
        if child.stdout is not None:
            child.stdout.close()


def wait_until_ready(state: Path, within_s: float = 30.0) -> None:
    """Return when the broker, the gateway, control and the microcontroller know each other."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        with contextlib.suppress(subprocess.CalledProcessError):
            status = ask_status(state)
            gateway = status.get("gateway_report", {})
            if gateway.get("mqtt") == "connected" and status["serial"]["device_state"]:
                return
        time.sleep(0.2)
    raise SystemExit("the system did not become ready")


def ask_status(state: Path) -> dict[str, Any]:
    """`edge-agent status --json` of the agent under `state`."""
    command = [sys.executable, "-m", "edge_agent", "status", "--json", "--state-dir", str(state)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def table(result: dict[str, Any]) -> str:
    """The account and the comparison as Markdown."""
    lines = [
        "| actuator | rows | mean ours % | mean theirs % | mean abs. difference % | same side % |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in result["comparison"].items():
        lines.append(f"| {name} | " + " | ".join(str(v) for v in row.values()) + " |")
    for name in ("ticks", "readings", "ticks_not_good", "modes", "reasons", "outside_envelope"):
        lines.append(f"\n{name}: {json.dumps(result[name], sort_keys=True)}")
    return "\n".join(lines)


def main() -> int:
    """Play one day and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("log", type=Path)
    parser.add_argument("map", type=Path)
    parser.add_argument("--speed", type=float, default=480.0)
    parser.add_argument("--max-age-rows", type=float, default=8.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        day = Day(options.log, options.map, options.speed, options.max_age_rows)
        result = play(day, Path(folder))
    print(json.dumps(result) if options.json else table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
