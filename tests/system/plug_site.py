"""A heater behind a plug that speaks MQTT, and the whole agent that drives it.

Owns: Mosquitto and `edge-agent run`, each a process; in this one the thermometer, and the plug
with the timer that makes it safe. The device is the example of `deploy/examples/plug_heater`,
with a shorter lease.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from bench.mosquitto import Mosquitto
from edge_agent.core.errors import PortError
from edge_agent.gateway.control_socket import query_status
from tests.system.mqtt_peer import MqttPeer

EXAMPLE = Path(__file__).parents[2] / "deploy" / "examples" / "plug_heater"
COMMAND, STATE, ROOM = "cmnd/plug/POWER", "stat/plug/POWER", "home/room/temperature"
TIMEOUT_S, LEASE_S, FEEDBACK_S = 1.2, 2.0, 1.5
WARM_BELOW = 19.0  # degC: the model heats below it
_SAYS_EVERY_S = 0.3
_MANIFEST = """\
schema = 1
device = "plug-heater"
envelope_version = 1
name = "heater"
version = "1"
file = "heater.onnx"
sha256 = "{sha256}"
float_file = "heater.onnx"
float_sha256 = "{sha256}"
input = "observation"
output = "action"
outputs = ["heater"]
quantization = {{ method = "none", per_channel = false, calibration_samples = 0 }}
golden = {{ file = "golden.json", tolerance = 1e-6 }}

[[feature]]
kind = "value"
channel = "room_temperature"
minimum = -20.0
maximum = 60.0
"""


def _write_model(folder: Path) -> None:
    """On below `WARM_BELOW`, off above."""
    folder.mkdir()
    graph = helper.make_graph(
        [
            helper.make_node("Less", ["observation", "warm"], ["cold"]),
            helper.make_node("Cast", ["cold"], ["action"], to=TensorProto.FLOAT),
        ],
        "heater",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["batch", 1])],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(np.array([WARM_BELOW], np.float32), "warm")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    data = model.SerializeToString()
    (folder / "heater.onnx").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    (folder / "manifest.toml").write_text(_MANIFEST.format(sha256=digest), encoding="utf-8")
    answers = {15.0: [1.0], 25.0: [0.0]}
    vectors = [{"observation": [t], "int8": a, "float32": a} for t, a in answers.items()]
    (folder / "golden.json").write_text(json.dumps(vectors), encoding="utf-8")


def _install(folder: Path) -> None:
    """What `pip install deploy/examples/plug_heater` leaves of the package."""
    folder.mkdir()
    (folder / "plug_heater").symlink_to(EXAMPLE / "plug_heater")
    facts = folder / "plug_heater-1.0.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: plug-heater\nVersion: 1.0.0\n")
    points = "[edge_agent.devices]\nplug-heater = plug_heater:ENVELOPE\n"
    (facts / "entry_points.txt").write_text(points)


class PlugSite:
    """Starts broker and agent; ends everything that it started. Use as a context manager."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="plug-")))
        _write_model(self.folder / "heater_model")
        _install(self.folder / "site")
        self.broker = Mosquitto(self.folder)
        text = (EXAMPLE / "agent.toml").read_text(encoding="utf-8")
        text = text.replace('"broker.local"', f'"127.0.0.1"\nport = {self.broker.port}')
        text = text.replace("timeout_s = 20.0", f"timeout_s = {TIMEOUT_S}")
        text += f"[limits.heater]\nlease_s = {LEASE_S}\nfeedback_max_age_s = {FEEDBACK_S}\n"
        (self.folder / "agent.toml").write_text(text, encoding="utf-8")
        self.state, self.err = self.folder / "state", self.folder / "agent.err"
        self.room = 15.0  # degC
        self.plug = "OFF"
        self.speaks = True  # whether the plug says its state
        self.changes: list[tuple[float, str]] = []  # s, state
        self._commanded_s = self._said_s = 0.0
        self._heard = 0
        self.agent: subprocess.Popen[str]
        self.peer: MqttPeer

    def __enter__(self) -> Self:
        self.broker.start()
        self.peer = MqttPeer(self.broker.port, COMMAND)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(self.folder / "site"), str(EXAMPLE.parents[2]))),
        }
        words = ["run", "--arm", "--config", "agent.toml", "--state-dir", "state"]
        with self.err.open("w", encoding="utf-8") as err:
            self.agent = subprocess.Popen(
                [sys.executable, "-m", "edge_agent", *words],
                cwd=self.folder,
                env=environment,
                text=True,
                stderr=err,
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(ProcessLookupError):  # all of it has ended by itself
            os.killpg(self.agent.pid, signal.SIGKILL)
        self.agent.wait()
        self.peer.close()
        self.broker.stop()
        if error is not None:
            sys.stderr.write(self.err.read_text(encoding="utf-8"))
        self._stack.close()

    def until(self, condition: Callable[[], object], what: str, within_s: float = 30.0) -> float:
        """Play thermometer and plug until `condition` holds; the time then, s."""
        deadline_s = time.monotonic() + within_s
        while not condition():
            now_s = time.monotonic()
            assert now_s < deadline_s, f"not within {within_s} s: {what}; {self.control()}"
            self._play(now_s)
            time.sleep(0.005)
        return time.monotonic()

    def until_plug(self, state: str) -> float:
        """Play until the plug is `state`; when it became so, s."""
        self.until(lambda: self.plug == state, f"plug {state}")
        return self.changes[-1][0]

    def control(self) -> dict[str, Any]:
        """What `edge-agent status` shows of the control process; empty when nobody answers."""
        try:
            document = query_status(self.state / "run" / "control.sock", 2.0)
        except PortError:
            return {}
        control: dict[str, Any] = document.get("control", {})
        return control

    def gateway_pid(self) -> int:
        children = Path(f"/proc/{self.agent.pid}/task/{self.agent.pid}/children")
        return int(children.read_text("ascii").split()[0])

    def _play(self, now_s: float) -> None:
        words = [payload.decode() for payload in self.peer.payloads(COMMAND)]
        for word in words[self._heard :]:
            self._commanded_s = now_s
            self._switch(word, now_s)
        spoke = len(words) > self._heard
        self._heard = len(words)
        if now_s - self._commanded_s > TIMEOUT_S:  # its own timer
            self._switch("OFF", now_s)
        if spoke or now_s - self._said_s > _SAYS_EVERY_S:
            self._said_s = now_s
            self.peer.offer(ROOM, str(self.room))
            if self.speaks:
                self.peer.offer(STATE, self.plug)

    def _switch(self, word: str, now_s: float) -> None:
        if word != self.plug:
            self.plug = word
            self.changes.append((now_s, word))
