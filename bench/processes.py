"""The processes that are measured: how they start, what they cost, how they end.

Owns: starting the agent (`edge-agent run`, unmodified, with a configuration of its own), the
floor loop and the bare import, and reading their CPU time and memory from the kernel. Must
not: reach into any of them.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.device import BenchDevice
from edge_agent.core.errors import TransientError
from edge_agent.safety.limits import Envelope

ROOT = Path(__file__).resolve().parent.parent
START_WITHIN_S = 20.0
# Slow enough never to tick by itself while telemetry flows, at the bench's slowest rate.
_FALLBACK_RATE_HZ = 10
_SILENCE_MS = 300  # three periods of the slowest load
_BARE = """
import os, sys
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
import onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
print("ready", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Subject:
    """What is measured: the model's folder and file, the device's limits, the priority."""

    envelope: Envelope
    model_dir: Path
    model_file: Path
    priority: int  # SCHED_FIFO of agent and floor alike; 0 is the normal scheduler


class Process:
    """A child with its costs; ended by leaving the `with` block."""

    def __init__(self, arguments: list[str]) -> None:
        self.started_ns = time.monotonic_ns()
        self._child = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.pid = self._child.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.end()

    def end(self) -> None:
        # Killed, since a stop in good order waits for a ramp of many seconds; the gateway ends
        # by itself when its parent is gone.
        self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                stream.close()

    def wait_ready(self) -> int:
        """Wait for the word on standard output; ns since the start."""
        if self._child.stdout is None or not self._child.stdout.readline():
            raise TransientError("ended before it was ready", where=f"process {self.pid}")
        return time.monotonic_ns() - self.started_ns

    def alive(self) -> bool:
        return self._child.poll() is None

    def signal(self, number: int) -> None:
        self._child.send_signal(number)

    def tell(self, line: str) -> None:
        """A line on its standard input."""
        if self._child.stdin is not None:
            self._child.stdin.write(f"{line}\n".encode())
            self._child.stdin.flush()

    def finish(self, within_s: float) -> tuple[int, str]:
        """Wait for its own end: exit code, and what it printed; TimeoutExpired if it goes on."""
        printed, _ = self._child.communicate(timeout=within_s)
        return self._child.returncode, printed.decode()

    def child_pid(self) -> int | None:
        """The first child, which of the agent is the gateway."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text("ascii").split()
        return int(children[0]) if children else None


def cpu_ns(pid: int) -> int:
    """CPU time of a whole process; the clock's number is Linux's for a foreign process."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def memory_kb(pid: int) -> dict[str, int]:
    """Every line in kB of what the kernel says of a process; TransientError when it has ended."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    words = [line.split() for line in lines if line.endswith(" kB")]
    if not words:
        raise TransientError("no memory figure", where=f"process {pid}")
    return {name.rstrip(":"): int(value) for name, value, _kb in words}


def resident_kb(pid: int) -> int:
    """VmRSS."""
    return memory_kb(pid)["VmRSS"]


def scheduler_of(pid: int) -> str:
    """What the kernel really schedules it by."""
    if os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO:
        return f"SCHED_FIFO {os.sched_getparam(pid).sched_priority}"
    return "normal"


def fifo_granted(priority: int) -> bool:
    """Take SCHED_FIFO for this process, the load generator, if it may."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except PermissionError:
        return False
    return True


def start_bare(subject: Subject) -> Process:
    """Import onnxruntime and open the session: what nobody can do without."""
    return Process(["-c", _BARE, str(subject.model_file)])


def start_floor(subject: Subject, device: BenchDevice) -> tuple[Process, int]:
    """The hand-written loop on `device`; the process, and ns until it can answer."""
    sizes = [str(len(subject.envelope.sensors)), str(len(subject.envelope.actuators))]
    script = str(Path(__file__).with_name("floor_loop.py"))
    words = [script, device.path, str(subject.model_file), str(subject.priority), *sizes]
    process = Process(words)
    if not device.serve(START_WITHIN_S) or not process.alive():
        process.end()
        raise TransientError("the floor loop did not start", where=script)
    return process, time.monotonic_ns() - process.started_ns


def start_agent(
    subject: Subject,
    device: BenchDevice,
    state: Path,
    program: Sequence[str] = ("-m", "edge_agent"),
) -> tuple[Process, int]:
    """`edge-agent run --arm` on `device`; the process, and ns to its first command."""
    state.mkdir(parents=True)
    config = state / "agent.toml"
    config.write_text(_agent_toml(subject, device.path), encoding="utf-8")
    process = Process(
        [*program, "run", "--arm", "--config", str(config), "--state-dir", str(state)]
    )
    give_up_ns = process.started_ns + int(START_WITHIN_S * 1e9)
    while not device.commands and process.alive() and time.monotonic_ns() < give_up_ns:
        if not device.serve(0.005) and device.has_session:
            device.exchange(0)
    if not device.commands:
        process.end()
        raise TransientError("the agent sent no command", where=str(config))
    return process, time.monotonic_ns() - process.started_ns


def _agent_toml(subject: Subject, tty: str) -> str:
    sensors = ", ".join(f'"{s.name}"' for s in subject.envelope.sensors)
    return f"""\
device = "{subject.envelope.device}"
mode = "real"

[loop]
rate_hz = {_FALLBACK_RATE_HZ}
trigger = "telemetry"
realtime_priority = {subject.priority}

[model]
path = "{subject.model_dir}"

[serial]
port = "{tty}"
silence_ms = {_SILENCE_MS}
sensors = [{sensors}]
"""
