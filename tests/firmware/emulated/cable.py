"""The cable between a host and an emulated board: two raw ptys and the driver queue between them.

Owns: moving bytes as a serial driver does. What the host writes waits here until the board takes
it, four bytes at a time so that hardly any are beyond recall, and is discarded when the host
flushes its output (TCOFLUSH), which a bare pty does not do for bytes that its peer has not read.
Must not: know a frame.
"""

import array
import fcntl
import os
import pty
import select
import termios
import threading
import tty
from typing import Final

_CHUNK: Final = 4
_IDLE_S: Final = 1.0
_STALLED_S: Final = 0.0002
_READ_SIZE: Final = 4096


class Pty:
    """Both ends of one pty, raw; ours does not block."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        for descriptor in (self.ours, self.theirs):
            tty.setraw(descriptor)
        os.set_blocking(self.ours, False)
        self.path = os.ttyname(self.theirs)

    def unread(self) -> int:
        """Bytes that we wrote and the program at the other end has not read."""
        count = array.array("i", [0])
        fcntl.ioctl(self.theirs, termios.FIONREAD, count)
        return count[0]

    def close(self) -> None:
        os.close(self.ours)
        os.close(self.theirs)


class Cable:
    """`host_path` is for the host's SerialPort, `device_path` for the emulator."""

    def __init__(self) -> None:
        self._host = Pty()
        self._device = Pty()
        self.host_path, self.device_path = self._host.path, self._device.path
        # Packet mode: a read says in its first byte that the other end flushed.
        fcntl.ioctl(self._host.ours, termios.TIOCPKT, array.array("i", [1]))
        self.flushed = 0  # bytes that a flush of the host discarded
        self.lost = 0  # bytes from the device that no host read
        self._queue = bytearray()
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="cable")
        self._thread.start()

    @property
    def queued(self) -> int:
        """Bytes on their way to the device."""
        return len(self._queue) + self._device.unread()

    def inject(self, data: bytes) -> None:
        """Bytes for the device that no host of ours sends now."""
        os.write(self._device.ours, data)

    def close(self) -> None:
        os.write(self._wake_write, b"!")
        self._thread.join()
        self._host.close()
        self._device.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _run(self) -> None:
        watched = (self._host.ours, self._device.ours, self._wake_read)
        ready: list[int] = []
        while self._wake_read not in ready:
            timeout_s = _STALLED_S if self._queue else _IDLE_S
            ready, _, _ = select.select(watched, (), (), timeout_s)
            if self._host.ours in ready:
                self._take_from_host()
            if self._device.ours in ready:
                self._pass_to_host()
            self._pass_to_device()

    def _take_from_host(self) -> None:
        data = os.read(self._host.ours, _READ_SIZE)
        if data[0] & termios.TIOCPKT_FLUSHWRITE:
            self.flushed += len(self._queue)
            self._queue.clear()
        if data[0] == termios.TIOCPKT_DATA:
            self._queue += data[1:]

    def _pass_to_host(self) -> None:
        data = os.read(self._device.ours, _READ_SIZE)
        try:
            written = os.write(self._host.ours, data)
        except BlockingIOError:
            written = 0
        self.lost += len(data) - written

    def _pass_to_device(self) -> None:
        """One piece; the next in another round, because the kernel counts it a little later."""
        if self._queue and self._device.unread() == 0:
            written = os.write(self._device.ours, self._queue[:_CHUNK])
            del self._queue[:written]
