"""Both processes tell a service manager: ready, alive, leaving."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest

WITHIN_S = 60.0


class Manager:
    """Stands for systemd: the datagram socket and the environment of one service."""

    def __init__(self, folder: Path) -> None:
        self.heard: list[str] = []
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(str(folder / "notify"))
        self._environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify")}
        self._environment["WATCHDOG_USEC"] = "400000"
        self._folder = folder
        self.process: subprocess.Popen[bytes]

    def start(self, verb: str, *options: str) -> None:
        command = [sys.executable, "-m", "edge_agent", verb, "--state-dir", "state", *options]
        self.process = subprocess.Popen(command, cwd=self._folder, env=self._environment)

    def until(self, condition: Callable[[str], bool]) -> str:
        """The first message from now on that fits."""
        end_s = monotonic() + WITHIN_S
        while (left_s := end_s - monotonic()) > 0:
            self._sock.settimeout(left_s)
            self.heard.append(self._sock.recv(4096).decode())
            if condition(self.heard[-1]):
                return self.heard[-1]
        raise AssertionError(f"not heard; only {self.heard}")

    def silent_for(self, seconds: float) -> bool:
        """Whether nothing came, after what had been sent before."""
        self._sock.settimeout(seconds)
        try:
            self.heard.append(self._sock.recv(4096).decode())
        except TimeoutError:
            return True
        return False

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._sock.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path)
    yield made
    made.close()


def test_the_control_process_alone_speaks_for_the_service(manager: Manager) -> None:
    manager.start("run")
    first = manager.until(lambda m: "READY=1" in m)
    assert manager.heard == [first]
    assert "STATUS=SAFE" in first
    for _ in range(8):  # its gateway child is up by then
        manager.until(lambda m: "WATCHDOG=1" in m)
    manager.process.send_signal(signal.SIGTERM)
    manager.until(lambda m: m == "STOPPING=1")
    assert manager.process.wait(WITHIN_S) == 0
    assert sum("READY=1" in m for m in manager.heard) == 1


def test_the_gateway_says_whom_it_reaches_and_when_it_leaves(manager: Manager) -> None:
    manager.start("gateway")
    first = manager.until(lambda m: "READY=1" in m)
    assert "control process absent, broker not configured" in first
    manager.until(lambda m: "WATCHDOG=1" in m)
    manager.process.send_signal(signal.SIGTERM)
    manager.until(lambda m: m == "STOPPING=1")
    assert manager.process.wait(WITHIN_S) == 0


@pytest.mark.parametrize("verb", ["run", "gateway"])
def test_a_stopped_process_gives_no_sign_of_life(manager: Manager, verb: str) -> None:
    manager.start(verb, *(["--no-gateway"] if verb == "run" else []))
    manager.until(lambda m: "READY=1" in m)
    manager.process.send_signal(signal.SIGSTOP)
    assert any(manager.silent_for(1.0) for _ in range(20))
    manager.process.send_signal(signal.SIGCONT)
    manager.until(lambda m: "WATCHDOG=1" in m)
