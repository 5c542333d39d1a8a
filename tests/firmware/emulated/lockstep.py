"""A board whose clock goes on only when the test says so: one millisecond of its own at a time.

Owns: the board's stops at each timer interrupt, a line without a kernel's delays, and a host
whose time is the board's. However busy this machine is, no millisecond passes between the two
that the test did not let pass: what is counted here is the firmware's and the host's own.
"""

import contextlib
import fcntl
import socket
import struct
import termios
import time
from pathlib import Path
from typing import Final

from tests.firmware.emulated.board import Board
from tests.firmware.emulated.images import Image

MS: Final = 1_000_000
ROUND_MS: Final = 5
_TIMER: Final = "board_systick_interrupt"
_STALLED_S: Final = 0.002


class SocketLine:
    """Both directions of a line. What one end wrote the other can read at once; a pty's bytes
    may wait for a worker of the kernel."""

    low_latency = "on"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.chardev = f"socket,path={folder}/line,server=off"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{folder}/line")
        self._listener.listen(1)

    def connect(self) -> None:
        """Once the emulator was started."""
        self._socket, _ = self._listener.accept()
        self._socket.setblocking(False)

    def unread(self) -> bool:
        """Whether the board has yet to take something that was written."""
        left = fcntl.ioctl(self._socket, termios.TIOCOUTQ, struct.pack("i", 0))
        return struct.unpack("i", left) != (0,)

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> bytes:
        with contextlib.suppress(BlockingIOError):
            return self._socket.recv(65_536)
        return b""

    def write(self, data: bytes) -> bool:
        return self._socket.send(data) == len(data)

    def flush_output(self) -> None:
        """The board takes everything before its clock goes on: nothing waits here."""

    def close(self) -> None:
        """The host has done with it; the board keeps its end until it ends itself."""

    def shut(self) -> None:
        self._socket.close()
        self._listener.close()


class Lockstep:
    """A board that stands, and its clock."""

    def __init__(self, image: Image, folder: Path, seed: int = 1) -> None:
        self.line = SocketLine(folder)
        self.board = Board(image, folder, seed, halted_on=self.line.chardev)
        self.line.connect()
        self.ticks = 0
        self._debugger = self.board.debugger()
        self._debugger.__enter__()
        self._debugger.stop_at(image.symbols[_TIMER].address & ~1)

    def now_ns(self) -> int:
        """The board's time since its start."""
        return self.ticks * MS

    def open_line(self, _: str) -> SocketLine:
        """There is only one."""
        return self.line

    def wait(self) -> None:
        """One round of a host: the board takes what was written, and lives for ROUND_MS."""
        while self.line.unread():
            time.sleep(_STALLED_S)
            if self.line.unread():
                self._tick()  # its FIFO holds 16 bytes: it must run for more
        for _ in range(ROUND_MS):
            self._tick()

    def close(self) -> None:
        self._debugger.close()
        self.board.close()
        self.line.shut()

    def _tick(self) -> None:
        self._debugger.run()
        self.ticks += 1
