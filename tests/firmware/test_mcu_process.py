"""The simulated microcontroller as a process: real time, real pty, real kills."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest

from edge_agent.core.records import Command
from edge_agent.ports.serial_bridge import SerialBridgePort
from edge_agent.safety.devices.air_handler import ENVELOPE
from firmware_bridge.serial_port import SerialPort

MS = 1_000_000
FEEDBACK = ("fan_current", "damper_position")
HOST = """
import os, sys, time
from edge_agent.core.records import Command
from edge_agent.ports.serial_bridge import SerialBridgePort
from edge_agent.safety.devices.air_handler import ENVELOPE
from firmware_bridge.serial_port import SerialPort
port = SerialBridgePort(
    "mcu",
    lambda: SerialPort(sys.argv[1], 115200),
    ENVELOPE,
    ("fan_current", "damper_position"),
    lambda: int.from_bytes(os.urandom(4), "little"),
)
while True:
    port.poll(time.monotonic_ns())
    port.apply(time.monotonic_ns(), Command((1, 0, 0, 1), True))
    if port.status()["state"] == "armed":
        print("armed", flush=True)
    time.sleep(0.01)
"""


class Mcu:
    """The process and its files."""

    def __init__(self, folder: Path) -> None:
        self.link, self.log = folder / "tty", folder / "pins.log"
        command = [sys.executable, "-m", "edge_agent.sim.mcu_process", "--device", "air-handler"]
        command += ["--link", str(self.link), "--log", str(self.log), "--control"]
        command += ["--deadman-ms", "100"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.wait_for_link(present=True)

    def wait_for_link(self, *, present: bool) -> None:
        deadline = time.monotonic() + 10
        while self.link.is_symlink() != present:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def end(self) -> dict[str, object]:
        """SIGTERM; the process's last word."""
        self.process.terminate()
        out, _ = self.process.communicate(timeout=10)
        report: dict[str, object] = json.loads(out)
        return report

    def changes(self) -> list[tuple[int, list[int]]]:
        with self.log.open("rb") as stream:
            return [(record[0], record[1]) for record in msgpack.Unpacker(stream)]


@pytest.fixture
def mcu(tmp_path: Path) -> Iterator[Mcu]:
    made = Mcu(tmp_path)
    yield made
    made.process.kill()
    made.process.wait()
    for stream in (made.process.stdin, made.process.stdout):
        if stream is not None:
            stream.close()


def drive(port: SerialBridgePort, command: Command, state: str, limit_s: float = 10) -> None:
    deadline = time.monotonic() + limit_s
    while port.status()["state"] != state:
        assert time.monotonic() < deadline, port.status()
        port.poll(time.monotonic_ns())
        port.apply(time.monotonic_ns(), command)
        time.sleep(0.005)


def new_port(mcu: Mcu) -> SerialBridgePort:
    nonces = iter(range(1, 1000))
    path = str(mcu.link)
    return SerialBridgePort(
        path, lambda: SerialPort(path, 115_200), ENVELOPE, FEEDBACK, lambda: next(nonces)
    )


def test_a_killed_host_leaves_the_outputs_safe_within_the_dead_man(mcu: Mcu) -> None:
    host = subprocess.Popen(
        [sys.executable, "-c", HOST, str(mcu.link)], stdout=subprocess.PIPE, text=True
    )
    assert host.stdout is not None
    assert host.stdout.readline() == "armed\n"
    time.sleep(0.1)
    killed_ns = time.monotonic_ns()
    os.kill(host.pid, signal.SIGKILL)
    host.communicate()
    time.sleep(0.3)
    report = mcu.end()
    at_ns, outputs = mcu.changes()[-1]
    assert outputs == [0, 0, 0, 0]
    assert 0 < at_ns - killed_ns <= (100 + 50) * MS
    assert report["safe_reason"] == "DEAD_MAN"
    assert not mcu.link.is_symlink()


def test_unplug_replug_and_reset_are_recovered_by_the_same_host(mcu: Mcu) -> None:
    port = new_port(mcu)
    command = Command((1, 0, 0, 1), armed=True)
    drive(port, command, "armed")
    mcu.tell("unplug")
    drive(port, command, "closed")
    mcu.wait_for_link(present=False)
    mcu.tell("replug")
    drive(port, command, "armed")
    mcu.tell("reset")
    drive(port, command, "ident")
    drive(port, command, "armed")
    status = port.status()
    assert (status["unplugged"], status["reconnects"], status["lost_reset"]) == (1, 1, 1)
    port.close()


def test_every_change_of_the_pins_is_logged_and_inside_the_device_limits(mcu: Mcu) -> None:
    port = new_port(mcu)
    drive(port, Command((0, 0, 0, 0), armed=True), "armed")
    for tick in range(40):  # far too fast: the device's own rate holds
        port.poll(time.monotonic_ns())
        port.apply(time.monotonic_ns(), Command((1000, 0, 0, tick % 2 * 1000), armed=True))
        time.sleep(0.01)
    port.apply(time.monotonic_ns(), Command((0, 0, 0, 0), armed=False))
    time.sleep(0.05)
    report = mcu.end()
    changes = mcu.changes()
    first_ns, before = changes[0][0], changes[0][1][0]
    assert len(changes) > 5
    assert before <= 31
    for at_ns, outputs in changes[:-1]:
        assert all(-1 <= counts <= 1001 for counts in outputs)
        assert outputs[0] - before <= 60 * (at_ns - first_ns) / 1e9 + 2
    assert changes[-1][1] == report["outputs"] == [0, 0, 0, 0]
    assert report["safe_reason"] == "REQUESTED"


def test_it_ends_with_the_parent_that_holds_its_input(mcu: Mcu) -> None:
    assert mcu.process.stdin is not None
    mcu.process.stdin.close()
    assert mcu.process.wait(timeout=10) == 0


def test_quit_ends_it_and_unknown_words_do_not(mcu: Mcu) -> None:
    mcu.tell("dance")
    time.sleep(0.05)
    assert mcu.process.poll() is None
    mcu.tell("quit")
    assert mcu.process.wait(timeout=10) == 0
