"""A site with the whole agent on it, every part a process of its own.

Owns: Mosquitto, the simulated microcontroller with its plant, `edge-agent run` with its gateway
child, and the sensors that speak MQTT, which this process plays. Must not: reach into any of
them: it sees what an operator sees (`status`, telemetry) and what the pins' log says.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType, TracebackType
from typing import Any, Self

import msgpack

from bench.mosquitto import Mosquitto
from edge_agent.core.errors import PortError
from edge_agent.core.records import TickRecord
from edge_agent.gateway.control_socket import query_status
from edge_agent.recording.reader import SegmentReader, segments
from tests.system.mqtt_peer import MqttPeer

TELEMETRY = "edge/air-handler/telemetry"
STATUS = "edge/air-handler/status"
FED: Mapping[str, str] = MappingProxyType(
    {
        "supply_temperature": "19.0",
        "mixed_temperature": "18.0",
        "outdoor_temperature": '{"air": {"celsius": 12.5}}',
        "return_temperature": "22.0",
        "supply_setpoint": "14.0",
        "fan_status": "1",
        "occupancy": "1",
    }
)
FEED_EVERY_S = 0.2
# Short, so that a test need not wait the 150 s that a real sensor may be silent.
MAX_AGE_S = 2.0
SAFE = [0, 0, 0, 0]
_ROOT = Path(__file__).parents[2]


def agent_config(port: int, link: Path) -> str:
    """A real air handler: its microcontroller at `link`, every other sensor over MQTT."""
    rows = [
        'device = "air-handler"\nmode = "real"\n[loop]\nrate_hz = 10.0\n',
        f'[serial]\nport = "{link}"\nsensors = ["fan_current", "damper_position"]\n',
        f"[mqtt]\nport = {port}\ntelemetry_rate_hz = 20.0\nkeepalive_s = 2\n",
    ]
    for channel in FED:
        unit = {"fan_status": "bool", "occupancy": "bool"}.get(channel, "degC")
        row = f'[[mqtt.sensor]]\nchannel = "{channel}"\ntopic = "ahu/{channel}"\nunit = "{unit}"\n'
        row += f"max_age_s = {MAX_AGE_S}\n"
        if channel == "outdoor_temperature":
            row += 'format = "json"\npath = "air.celsius"\n'
        rows.append(row)
    return "".join(rows)


class Site:
    """Starts nothing by itself, ends everything that it started; use as a context manager."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="site-")))
        self.link, self.pins = self.folder / "tty", self.folder / "pins.log"
        self.state, self.err = self.folder / "state", self.folder / "agent.err"
        self.broker = Mosquitto(self.folder)
        self.config = self.folder / "agent.toml"
        self.config.write_text(agent_config(self.broker.port, self.link), encoding="utf-8")
        self.fed = dict(FED)
        self._fed_at_s = 0.0
        self._peers: list[MqttPeer] = []
        self._processes: list[subprocess.Popen[str]] = []
        self.agent: subprocess.Popen[str]
        self.mcu: subprocess.Popen[str]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()
        for peer in self._peers:
            peer.close()
        self.broker.stop()
        if exc is not None and self.err.exists():
            sys.stderr.write(self.err.read_text(encoding="utf-8"))
        self._stack.close()

    def start(self, *parts: str) -> None:
        """`broker`, `mcu` and `agent`, in the order given."""
        for part in parts:
            {"broker": self._start_broker, "mcu": self._start_mcu, "agent": self.start_agent}[
                part
            ]()

    def _start_broker(self) -> None:
        self.broker.start()
        self.peer()

    def _start_mcu(self) -> None:
        command = [sys.executable, "-m", "edge_agent.sim.mcu_process", "--device", "air-handler"]
        command += ["--link", str(self.link), "--log", str(self.pins), "--control"]
        self.mcu = self._start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.until(self.link.is_symlink, "serial port is there")

    def start_agent(self, redirect: str = "2>>agent.err", *, arm: bool = True) -> None:
        """`edge-agent run` in a session of its own, as a terminal gives it."""
        agent = f"'{sys.executable}' -m edge_agent run --config agent.toml{' --arm' * arm}"
        self.agent = self._start(["sh", "-c", f"exec {agent} --state-dir state {redirect}"])

    def _start(self, command: Sequence[str], **streams: Any) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            text=True,
            start_new_session=True,
            **streams,
        )
        self._processes.append(process)
        return process

    def peer(self) -> MqttPeer:
        """A new client that sees telemetry and status; it speaks for the sensors from now on."""
        self._peers.append(MqttPeer(self.broker.port, TELEMETRY, STATUS))
        return self._peers[-1]

    def until(self, condition: Callable[[], object], what: str, within_s: float = 20.0) -> None:
        """Play the sensors until `condition` holds; fail with `what` when it does not in time."""
        deadline_s = time.monotonic() + within_s
        while not condition():
            now_s = time.monotonic()
            assert now_s < deadline_s, f"not within {within_s} s: {what}; {self._last_words()}"
            if now_s - self._fed_at_s >= FEED_EVERY_S and self._peers:
                self._fed_at_s = now_s
                for channel, payload in self.fed.items():
                    self._peers[-1].offer(f"ahu/{channel}", payload)
            time.sleep(0.01)

    def _last_words(self) -> str:
        status = self.status()
        telemetry = self.telemetry()[-1:]
        return f"status {json.dumps(status)}; telemetry {json.dumps(telemetry)}"

    def until_mode(self, mode: str, within_s: float = 20.0) -> dict[str, Any]:
        """Play the sensors until `status` shows this mode."""
        self.until(lambda: self.control().get("mode") == mode, f"mode {mode}", within_s)
        return self.status()

    def until_moving(self) -> None:
        """Wait until the pins are away from safe: there is something to bring back."""
        self.until(lambda: max(self.outputs()[-1][1]) >= 50, "an output at 5 %")

    def status(self) -> dict[str, Any]:
        """What `edge-agent status` gets; empty when nobody answers."""
        try:
            return query_status(self.state / "run" / "control.sock", 2.0)
        except PortError:
            return {}

    def control(self) -> dict[str, Any]:
        """The control process's part of it; empty before the first."""
        control: dict[str, Any] = self.status().get("control", {})
        return control

    def report(self) -> dict[str, Any]:
        """The gateway's part of it; empty before the first."""
        report: dict[str, Any] = self.status().get("gateway", {}).get("report", {})
        return report

    def telemetry(self) -> list[dict[str, Any]]:
        """Every tick that the newest client saw, in order of arrival."""
        newest = self._peers[-1:]
        return [json.loads(payload) for peer in newest for payload in peer.payloads(TELEMETRY)]

    def ticks_seen_twice(self) -> int:
        """How often any client got a tick that it had already; the others see the same ones."""
        seen = [[json.loads(p)["tick"] for p in peer.payloads(TELEMETRY)] for peer in self._peers]
        return sum(len(ticks) - len(set(ticks)) for ticks in seen)

    def recorded(self) -> list[TickRecord]:
        """Every tick that the gateway has written, whatever became of the gateway."""
        return [t for path in segments(self.state / "recordings") for t in SegmentReader(path)]

    def broker_status(self) -> dict[str, Any]:
        """The last status document that the newest client got."""
        document: dict[str, Any] = json.loads(self._peers[-1].payloads(STATUS)[-1])
        return document

    def outputs(self) -> list[tuple[int, list[int]]]:
        """(CLOCK_MONOTONIC in ns, counts) of every change of the pins so far."""
        with self.pins.open("rb") as stream:
            return [(record[0], record[1]) for record in msgpack.Unpacker(stream)]

    def tell_mcu(self, word: str) -> None:
        """`unplug`, `replug` or `reset`."""
        assert self.mcu.stdin is not None
        self.mcu.stdin.write(word + "\n")
        self.mcu.stdin.flush()

    def end_mcu(self) -> dict[str, Any]:
        """Its last word."""
        self.mcu.terminate()
        report: dict[str, Any] = json.loads(self.mcu.communicate(timeout=10)[0])
        return report

    def gateway_pid(self) -> int:
        """The child's process, by the kernel's account; 0: there is none."""
        children = Path(f"/proc/{self.agent.pid}/task/{self.agent.pid}/children")
        pids = children.read_text("ascii").split() if children.exists() else []
        assert len(pids) <= 1, "more than one child"
        return int(pids[0]) if pids else 0

    def alive(self) -> bool:
        """Whether the control process runs."""
        return self.agent.poll() is None

    def kill(self, pid: int) -> int:
        """SIGKILL; CLOCK_MONOTONIC in ns just before."""
        now_ns = time.monotonic_ns()
        os.kill(pid, signal.SIGKILL)
        return now_ns


def state_of(pid: int) -> str:
    """The kernel's letter for it (R, S, Z...); empty when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[0]
