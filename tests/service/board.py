"""A board with the units on it, as its keeper sees it: systemctl, the journal, the pins' log.

Owns: the microcontroller on its pseudo-terminal, the sensors that speak MQTT, and asking systemd.
Must not: judge. Runs inside the container, as root.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack

from tests.system.mqtt_peer import MqttPeer
from tests.system.whole_agent import FED, agent_config

CONTROL, GATEWAY = "edge-agent.service", "edge-agent-gateway.service"
CONFIG = Path("/etc/edge-agent/agent.toml")
STATE = Path("/var/lib/edge-agent")
LINK = Path("/dev/edge-agent/mcu")
OUT = Path("/out")
PROGRAM = "/opt/edge-agent/bin/edge-agent"
BROKER_PORT = 1883


class FailedError(Exception):
    """A check that does not hold, in words."""


def run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if check and done.returncode:
        raise FailedError(f"{' '.join(command)}: {done.returncode} {done.stderr.strip()}")
    return done.stdout.strip()


def until(condition: Callable[[], object], what: str, within_s: float = 30.0) -> None:
    """Wait for it; FailedError with `what` when it does not come in time."""
    end_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end_s:
            raise FailedError(f"not within {within_s:g} s: {what}")
        time.sleep(0.05)


class Board:
    """The machine, from its first boot to the end of the checks."""

    link = LINK  # what the agent opens
    mcu_link = LINK  # what the simulated microcontroller is behind
    # Of the units as they ship this alone is changed: the port is a pseudo-terminal.
    more_of_control: tuple[str, ...] = ("DeviceAllow=char-pts rw",)

    def __init__(self) -> None:
        self.pins = OUT / f"pins-{os.getpid()}-{time.monotonic_ns()}.log"
        self._mcu: subprocess.Popen[str]
        self._feeding = threading.Event()
        if self.more_of_control:
            drop_in = Path(f"/etc/systemd/system/{CONTROL}.d/checks.conf")
            drop_in.parent.mkdir(exist_ok=True)
            drop_in.write_text("\n".join(["[Service]", *self.more_of_control, ""]), "utf-8")
        Path("/etc/default/edge-agent").write_text("EDGE_AGENT_RUN_OPTIONS=--arm\n", "utf-8")
        self.configure()
        run("systemctl", "daemon-reload")
        self._start_mcu()
        self.give_port()
        run("systemctl", "start", "mosquitto")
        self.peer: MqttPeer
        until(self._peer_connects, "a broker")
        threading.Thread(target=self._feed, daemon=True).start()

    def configure(self, more: str = "", instead: str | None = None) -> None:
        """The configuration of a real machine; `more` goes on top."""
        text = more + agent_config(BROKER_PORT, self.link) if instead is None else instead
        CONFIG.write_text(text, encoding="utf-8")
        CONFIG.chmod(0o640)
        shutil.chown(CONFIG, "root", "edge-agent")

    # ---- the microcontroller ----

    def _start_mcu(self) -> None:
        self.mcu_link.parent.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "edge_agent.sim.mcu_process", "--device", "air-handler"]
        command += ["--link", str(self.mcu_link), "--log", str(self.pins), "--control"]
        self._mcu = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)

    def give_port(self) -> None:
        """As udev gives a real one: to the group of serial ports."""
        until(LINK.exists, "a serial port")
        shutil.chown(LINK, "root", "dialout")
        LINK.chmod(0o660)

    def unplug(self) -> None:
        self._tell_mcu("unplug")
        until(lambda: not LINK.is_symlink(), "the port is gone")

    def replug(self) -> None:
        self._tell_mcu("replug")
        self.give_port()

    def _tell_mcu(self, word: str) -> None:
        assert self._mcu.stdin is not None
        self._mcu.stdin.write(word + "\n")
        self._mcu.stdin.flush()

    def outputs(self) -> list[tuple[int, list[int]]]:
        """(CLOCK_MONOTONIC in ns, counts) of every change of the pins so far."""
        with self.pins.open("rb") as stream:
            return [(record[0], record[1]) for record in msgpack.Unpacker(stream)]

    def is_safe(self) -> bool:
        """Whether every pin stands at its safe value."""
        outputs = self.outputs()
        return not outputs or not any(outputs[-1][1])

    def safe_after(self, since_ns: int) -> int | None:
        """How many ns after `since_ns` the pins were safe first; None: not yet."""
        if self.is_safe() and self.outputs()[-1][0] < since_ns:
            return 0
        times = [at for at, pins in self.outputs() if at >= since_ns and not any(pins)]
        return times[0] - since_ns if times else None

    # ---- the sensors ----

    def _peer_connects(self) -> bool:
        with contextlib.suppress(OSError):
            self.peer = MqttPeer(BROKER_PORT, "edge/air-handler/telemetry")
            return True
        return False

    def _feed(self) -> None:
        while True:
            for channel, payload in FED.items():
                self.peer.offer(f"ahu/{channel}", payload)
            time.sleep(0.2)

    def telemetry(self) -> dict[str, Any]:
        """The newest that anybody on the broker got."""
        payloads = self.peer.payloads("edge/air-handler/telemetry")
        return dict(json.loads(payloads[-1])) if payloads else {}

    # ---- systemd ----

    def show(self, unit: str, name: str) -> str:
        return run("systemctl", "show", unit, f"--property={name}", "--value")

    def pid(self, unit: str = CONTROL) -> int:
        return int(self.show(unit, "MainPID"))

    def kill(self, unit: str, number: signal.Signals) -> int:
        """CLOCK_MONOTONIC in ns just before."""
        now_ns = time.monotonic_ns()
        os.kill(self.pid(unit), number)
        return now_ns

    def status(self) -> dict[str, Any]:
        """What `edge-agent status` shows; empty when nobody answers."""
        text = run(PROGRAM, "status", "--json", check=False)
        return dict(json.loads(text)) if text else {}

    def control(self) -> dict[str, Any]:
        return dict(self.status().get("control") or {})

    def until_mode(self, mode: str, within_s: float = 40.0) -> None:
        until(lambda: self.control().get("mode") == mode, f"mode {mode}", within_s)

    def until_moving(self) -> None:
        """Armed, active, and the pins away from safe: there is something to bring back."""
        self.until_mode("ACTIVE")
        until(lambda: not self.is_safe(), "an output moves")

    def begin_anew(self) -> None:
        """In good order from here, with nothing counted against it."""
        run("systemctl", "stop", CONTROL, GATEWAY, check=False)
        run("systemctl", "reset-failed", check=False)
        run("systemctl", "start", CONTROL)
        self.until_moving()

    def repair(self) -> None:
        """After a check that did not hold: as if it had not been."""
        for unit in (CONTROL, GATEWAY):
            if self.pid(unit):
                self.kill(unit, signal.SIGCONT)
        run("systemctl", "start", "mosquitto", check=False)
        self.replug()
        self.configure()
        self.begin_anew()

    def journal(self, unit: str, *words: str) -> str:
        return run("journalctl", "--unit", unit, "--output=cat", "--boot", *words)
