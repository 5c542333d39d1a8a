"""Measures the tick of the control process beside a hand-written loop: `make bench`.

    python bench/tick.py [--quick] [--json] [--model DIR] [--normal]

This process plays the microcontroller behind two pseudo-terminals: one leads to the real
`edge-agent run` with its gateway and recording, one to `bench/floor_loop.py`. It measures from
its write of a telemetry frame to its read of the matching SET, in blocks of A and B in turn,
with SCHED_FIFO for both if the system grants it. Meaning of the figures: docs/performance.md.

Owns: the arguments and the order of the run. Must not: measure or judge; see `load.py` and
`report.py`.
"""

import argparse
import gc
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import processes
from bench.device import BenchDevice
from bench.load import FREE_RUNNING, Plan, Side, run_plan, settle
from bench.processes import ROOT, Subject
from bench.report import AGENT, FLOOR, Extras, document, markdown
from edge_agent.core.errors import EdgeAgentError
from edge_agent.gateway.control_socket import query_status
from edge_agent.inference.manifest import load_manifest
from edge_agent.safety import devices

DEVICE = "air-handler"
PRIORITY = 50
FULL = Plan(15, {50: 3.0, 200: 1.0, 1000: 0.5, FREE_RUNNING: 0.4}, 5)
QUICK = Plan(5, {50: 0.8, 200: 0.3, 1000: 0.2, FREE_RUNNING: 0.2}, 2)
SMOKE = Plan(1, {50: 0.2, 200: 0.1, 1000: 0.1, FREE_RUNNING: 0.1}, 1)
_SETTLE_S = 1.0
_STATUS_WITHIN_S = 1.0


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The control process beside a hand-written loop.")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="under half a minute, rougher")
    size.add_argument("--smoke", action="store_true", help="only whether all of it works")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--normal", action="store_true", help="do not ask for SCHED_FIFO")
    parser.add_argument(
        "--model", type=Path, default=ROOT / "models" / DEVICE, help="folder with a manifest"
    )
    arguments = parser.parse_args(argv)
    plan = QUICK if arguments.quick else SMOKE if arguments.smoke else FULL
    priority = 0
    if not arguments.normal and processes.fifo_granted(PRIORITY + 10):
        priority = PRIORITY
    try:
        envelope = devices.find(DEVICE)
        folder = arguments.model.resolve()
        file = folder / load_manifest(folder, envelope).file
        found = measure(plan, Subject(envelope, folder, file, priority))
    except EdgeAgentError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(found, indent=2) if arguments.json else markdown(found))
    return 0


def measure(plan: Plan, subject: Subject) -> dict[str, Any]:
    """Starts, blocks, memory; the document of `report.py`."""
    with ExitStack() as stack:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        start_ns = _starts(plan, subject, state)
        devices_ = [
            stack.enter_context(BenchDevice(subject.envelope, in_session=i == 0)) for i in (0, 1)
        ]
        floor, _ = processes.start_floor(subject, devices_[1])
        stack.enter_context(floor)
        bare = stack.enter_context(processes.start_bare(subject))
        bare.wait_ready()
        # Last, so that its link never waits for the start of another.
        agent, _ = processes.start_agent(subject, devices_[0], state / "agent")
        stack.enter_context(agent)
        gateway = agent.child_pid()
        sides = (
            Side(AGENT, devices_[0], agent.pid, gateway),
            Side(FLOOR, devices_[1], floor.pid),
        )
        settle(sides, _SETTLE_S)
        gc.collect()
        gc.freeze()
        gc.disable()
        status: dict[str, Any] = {}
        results = run_plan(plan, sides, lambda rate: status.update(_status(state / "agent", rate)))
        gc.enable()
        pids = {AGENT: agent.pid, FLOOR: floor.pid, "bare": bare.pid}
        pids |= {"gateway": gateway} if gateway else {}
        extras = Extras(
            {name: processes.resident_kb(pid) for name, pid in pids.items()},
            start_ns,
            {name: processes.scheduler_of(pid) for name, pid in pids.items() if name != "bare"},
            status,
        )
    return document(results, extras)


def _starts(plan: Plan, subject: Subject, state: Path) -> dict[str, list[int]]:
    """Start times of the bare import, the floor loop and the agent, in turn."""
    times: dict[str, list[int]] = {"bare": [], FLOOR: [], AGENT: []}
    for number in range(plan.starts):
        with processes.start_bare(subject) as bare:
            times["bare"].append(bare.wait_ready())
        with BenchDevice(subject.envelope, in_session=False) as device:
            floor, elapsed_ns = processes.start_floor(subject, device)
            times[FLOOR].append(elapsed_ns)
            floor.end()
        with BenchDevice(subject.envelope, in_session=True) as device:
            agent, elapsed_ns = processes.start_agent(subject, device, state / f"start-{number}")
            times[AGENT].append(elapsed_ns)
            agent.end()
    return times


def _status(state: Path, rate_hz: int) -> dict[str, Any]:
    """What the agent says of itself after a rate: it must have been deciding all the time."""
    items = query_status(state / "run" / "control.sock", _STATUS_WITHIN_S)
    control, relay = items["control"], items["relay"]
    return {
        f"mode after {rate_hz or 'free running'}": control["mode"],
        "link losses": control["serial"]["sessions"] - 1,
        "ticks": control["ticks"]["ticks"],
        "records dropped": relay["sends_dropped"],
    }


if __name__ == "__main__":
    sys.exit(main())
