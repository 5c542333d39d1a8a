"""A real Mosquitto on a free loopback port, for as long as a run needs it.

Owns: finding the program, its configuration, start, stop and restart on the same port. Must
not: speak MQTT. Used by the system tests and by `bench/real_day.py`.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_agent.core.errors import TransientError

DEFAULT_CONFIG = """\
listener {port} 127.0.0.1
allow_anonymous true
set_tcp_nodelay true
persistence false
log_type none
"""


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def find_mosquitto() -> str:
    """The broker's program; on Debian it is in /usr/sbin, which is not on a user's PATH."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    found = shutil.which("mosquitto", path=path)
    if found is None:
        raise TransientError("Mosquitto is needed", where=path, fix="apt install mosquitto")
    return found


class Mosquitto:
    """Start, kill and restart on the same port; use as a context manager.

    `config` is a Mosquitto configuration in which `{port}` stands for the port. `host` is where it
    is to be found; that it listens there is the configuration's.
    """

    def __init__(self, folder: Path, config: str = DEFAULT_CONFIG, host: str = "127.0.0.1") -> None:
        self.port = free_port()
        self.host = host
        self._config = folder / f"mosquitto-{self.port}.conf"
        self._config.write_text(config.replace("{port}", str(self.port)))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when the broker accepts connections."""
        where = f"Mosquitto at {self.host}:{self.port}"
        if self._process is not None:
            raise TransientError("already running", where=where)
        self._process = subprocess.Popen(
            [find_mosquitto(), "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise TransientError(f"exited {self._process.returncode}", where=where)
            try:
                socket.create_connection((self.host, self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        self.stop()
        raise TransientError("did not listen within 10 s", where=where)

    @property
    def pid(self) -> int:
        """Of its process; 0: it does not run."""
        return 0 if self._process is None else self._process.pid

    def freeze(self) -> None:
        """Connected, and silent, until `stop` with SIGKILL."""
        if self._process is None:
            raise TransientError("not running", where=f"Mosquitto at {self.host}:{self.port}")
        self._process.send_signal(signal.SIGSTOP)

    def stop(self, with_signal: signal.Signals = signal.SIGKILL) -> None:
        """End it; SIGKILL is what a power cut looks like to the clients."""
        if self._process is not None:
            self._process.send_signal(with_signal)
            self._process.wait(10)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
