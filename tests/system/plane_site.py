"""A simulated device commanded from afar: Mosquitto and `edge-agent run`, each a process.

Owns: the processes, the keys, and a client per key. Must not: reach into any of them.
"""

import base64
import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from bench.mosquitto import Mosquitto
from edge_agent.authority.seal import Algorithm
from edge_agent.client import ClientOptions, DeviceClient
from edge_agent.core.errors import PortError
from edge_agent.gateway.control_socket import query_status

DEVICE = "ahu-7"
_ROOT = Path(__file__).parents[2]
# `user root`: started by root it would become another user, who may not write in FOLDER, and
# what it should keep would be gone with it. It means nothing to a broker that root did not start.
_BROKER = """\
listener {port} HOST
allow_anonymous true
set_tcp_nodelay true
persistence true
persistence_location FOLDER/
autosave_interval 1
autosave_on_changes true
user root
log_type none
"""


class Broker(Protocol):
    """What a site needs of the broker that it starts."""

    host: str
    port: int

    def start(self) -> None: ...
    def stop(self, with_signal: signal.Signals = signal.SIGKILL) -> None: ...


class PlaneSite:
    """Starts broker and agent; ends everything that it started. Use as a context manager.

    `broker` None: Mosquitto, at `host`.
    """

    def __init__(
        self,
        protocol: Literal["5", "3.1.1"] = "5",
        broker: Broker | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="plane-")))
        self.secrets = {kid: secrets.token_bytes(32) for kid in ("ops", "halt")}
        self.keyring = self.folder / "keyring.json"
        self.algorithms: dict[str, Algorithm] = {}
        self.write_keyring(0o600)
        self.protocol = protocol
        if broker is None:
            broker = Mosquitto(self.folder, self.broker_config(host), host)
        self.broker = broker
        self.tls: ssl.SSLContext | None = None  # of the clients
        self.config = self.folder / "agent.toml"
        self.write_config()
        self.state = self.folder / "state"
        self.err = self.folder / "agent.err"
        self._clients: list[DeviceClient] = []
        self.agent: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end_agent(signal.SIGKILL)
        for client in self._clients:
            client.close()
        self.broker.stop()
        if error is not None and self.err.exists():
            sys.stderr.write(self.err.read_text(encoding="utf-8"))
        self._stack.close()

    def write_keyring(self, mode: int) -> None:
        """`ops` may do everything, `halt` may only stop."""
        roles = {"ops": ["cmd"], "halt": ["stop"]}
        rows = [
            {"kid": kid, "secret": base64.b64encode(secret).decode(), "roles": roles[kid]}
            for kid, secret in self.secrets.items()
        ]
        self.keyring.write_text(json.dumps({"ver": 1, "device": DEVICE, "keys": rows}))
        self.keyring.chmod(mode)

    def broker_config(self, host: str) -> str:
        """Mosquitto's, when it is one; `{port}` is left to whoever starts it."""
        return _BROKER.replace("FOLDER", str(self.folder)).replace("HOST", host)

    def write_config(self, more: str = "", keepalive_s: int = 2) -> None:
        """The agent's; `more` goes to its plane section."""
        self.config.write_text(
            f'[plane]\nid = "{DEVICE}"\nhost = "{self.broker.host}"\n'
            f"port = {self.broker.port}\nkeepalive_s = {keepalive_s}\n"
            f'keyring_file = "{self.keyring}"\nprotocol = "{self.protocol}"\n{more}',
            encoding="utf-8",
        )

    def start(self) -> Self:
        self.broker.start()
        self.start_agent()
        return self

    def start_agent(self) -> None:
        with self.err.open("a", encoding="utf-8") as err:
            self.agent = subprocess.Popen(
                self.command_line(),
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(_ROOT)},
                text=True,
                stderr=err,
            )

    def command_line(self) -> list[str]:
        agent = [sys.executable, "-m", "edge_agent", "run", "--config", str(self.config)]
        return [*agent, "--state-dir", str(self.state)]

    def refused(self) -> subprocess.CompletedProcess[str]:
        """The agent's run that ends by itself; what it says is the test's."""
        return subprocess.run(
            self.command_line(),
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
        )

    def end_agent(self, number: signal.Signals = signal.SIGTERM) -> None:
        """The control process; its gateway follows when it notices."""
        if self.agent is not None:
            gateway = self.gateway_pid()
            self.agent.send_signal(number)
            self.agent.wait(40)
            self.agent = None
            self.until(lambda: not Path(f"/proc/{gateway}").exists() or not gateway, "gateway ends")

    def gateway_pid(self) -> int:
        """The child's process; 0: there is none."""
        if self.agent is None:
            return 0
        children = Path(f"/proc/{self.agent.pid}/task/{self.agent.pid}/children")
        pids = children.read_text("ascii").split() if children.exists() else []
        return int(pids[0]) if pids else 0

    def client(self, kid: str = "ops", tls: ssl.SSLContext | None = None) -> DeviceClient:
        """Closed with the site. `tls` None: the site's own."""
        options = ClientOptions(
            host=self.broker.host,
            port=self.broker.port,
            device=DEVICE,
            kid=kid,
            secret=self.secrets[kid],
            by="tester",
            algorithm=self.algorithms.get(kid, "hmac"),
            protocol=self.protocol,
            tls=tls or self.tls,
        )
        self._clients.append(DeviceClient(options))
        return self._clients[-1]

    def status(self) -> dict[str, Any]:
        """What `edge-agent status` gets; empty when nobody answers."""
        try:
            return query_status(self.state / "run" / "control.sock", 2.0)
        except PortError:
            return {}

    def authority(self) -> dict[str, int]:
        """Outcomes as the control process counts them."""
        counts: dict[str, int] = self.status().get("control", {}).get("authority", {})
        return counts

    def plane_report(self, name: str) -> int:
        """What the gateway counts of the plane."""
        report = self.status().get("gateway", {}).get("report", {})
        return int(report.get(f"plane.{name}", 0))

    def until(self, condition: Callable[[], object], what: str, within_s: float = 20.0) -> None:
        deadline_s = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline_s, f"not within {within_s} s: {what}"
            time.sleep(0.02)
