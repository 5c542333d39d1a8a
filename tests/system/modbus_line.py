"""An RS-485 line between the agent and pymodbus' server, that a test can cut and make noise on.

Owns: a pseudo-terminal for each end, the thread that carries bytes between them, and the server's
process. Must not: change a byte unless told to.
"""

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import tty
from pathlib import Path
from types import TracebackType
from typing import Self

_SERVER = Path(__file__).with_name("modbus_server.py")
_STEP_S = 0.05


class ModbusLine:
    """`path` is the agent's end: a link, as udev makes one. A context manager."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "bus"
        self.asked = b""  # all that the agent has sent
        self._near = self._far = (-1, -1)  # master, slave
        self._plug()
        self._far = _terminal()
        self._ended = False
        self._carrier = threading.Thread(target=self._carry, daemon=True)
        self.server = subprocess.Popen([sys.executable, str(_SERVER), os.ttyname(self._far[1])])

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
        self.unplug()
        for descriptor in self._far:
            os.close(descriptor)

    def noise(self, data: bytes) -> None:
        """Let the agent hear this."""
        os.write(self._near[0], data)

    def freeze(self) -> None:
        """The devices hear what is asked, and answer when they are let go."""
        self.server.send_signal(signal.SIGSTOP)

    def let_go(self) -> None:
        """After `freeze`."""
        self.server.send_signal(signal.SIGCONT)

    def unplug(self) -> None:
        """The agent's adapter is pulled out."""
        self.path.unlink(missing_ok=True)
        near, self._near = self._near, (-1, -1)
        for descriptor in near:
            if descriptor >= 0:
                os.close(descriptor)

    def replug(self) -> None:
        """It is put back, as another terminal under the same name."""
        self._plug()

    def _plug(self) -> None:
        self._near = _terminal()
        self.path.symlink_to(os.ttyname(self._near[1]))

    def _carry(self) -> None:
        while not self._ended:
            near, far = self._near[0], self._far[0]
            ends = [end for end in (near, far) if end >= 0]
            with contextlib.suppress(OSError):  # unplugged in this moment
                for end in select.select(ends, (), (), _STEP_S)[0]:
                    data = os.read(end, 4096)
                    if end == near:
                        self.asked += data
                    os.write(far if end == near else near, data)


def _terminal() -> tuple[int, int]:
    """A raw pseudo-terminal: (master, slave)."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    return master, slave
