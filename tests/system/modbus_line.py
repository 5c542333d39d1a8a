"""An RS-485 line between the agent and pymodbus' server, that a test can cut and make noise on.

Owns: a pseudo-terminal for each end, the thread that carries bytes between them, and the server's
process. Must not: change a byte unless told to.
"""

import contextlib
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_agent.sim.mcu_terminal import Terminal

_SERVER = Path(__file__).with_name("modbus_server.py")
_STEP_S = 0.05


class ModbusLine:
    """`path` is the agent's end: a link, as udev makes one. A context manager."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "bus"
        self.asked = b""  # all that the agent has sent
        far = folder / "devices"
        self._near, self._far = Terminal(self.path), Terminal(far)
        self._lock = threading.Lock()  # around every use of a terminal but the waiting for one
        self._ended = False
        self._carrier = threading.Thread(target=self._carry, daemon=True)
        self.server = subprocess.Popen([sys.executable, str(_SERVER), str(far)])

    def __enter__(self) -> Self:
        self._carrier.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended = True
        self._carrier.join()
        self.server.kill()
        self.server.wait()
        self._near.unplug()
        self._far.unplug()

    def noise(self, data: bytes) -> None:
        """Let the agent hear this."""
        with self._lock:
            self._near.write(data)

    def freeze(self) -> None:
        """The devices hear what is asked, and answer when they are let go."""
        self.server.send_signal(signal.SIGSTOP)

    def let_go(self) -> None:
        """After `freeze`."""
        self.server.send_signal(signal.SIGCONT)

    def unplug(self) -> None:
        """The agent's adapter is pulled out."""
        with self._lock:
            self._near.unplug()

    def replug(self) -> None:
        """It is put back, as another terminal under the same name."""
        with self._lock:
            self._near.plug()

    def _carry(self) -> None:
        while not self._ended:
            with self._lock:
                ends = [n for n in (self._near.fileno(), self._far.fileno()) if n is not None]
            with contextlib.suppress(OSError):  # unplugged in this moment
                select.select(ends, (), (), _STEP_S)
            with self._lock:
                asked = self._near.read()
                self.asked += asked
                self._far.write(asked)
                self._near.write(self._far.read())
