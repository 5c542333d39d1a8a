"""A pseudo-terminal that stands for a serial cable, found under a fixed path.

Owns: both descriptors of the pty and the symlink to it; plugging and unplugging. Must not:
know what the bytes mean, or block.

The slave stays open here as well: otherwise the last host that closes it would look to the
device like a broken cable, which a real serial line never shows.
"""

import os
import pty
import tty
from pathlib import Path

_READ_SIZE = 4096


class Terminal:
    """The device's end of the cable."""

    def __init__(self, link: Path) -> None:
        self.dropped_writes = 0
        self._link = link
        self._master = -1
        self._slave = -1
        self.plug()

    def fileno(self) -> int | None:
        """The device's descriptor; None while unplugged."""
        return self._master if self._master >= 0 else None

    def plug(self) -> None:
        """A new pty under the same path; harmless when already plugged."""
        if self._master >= 0:
            return
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        # Made beside and renamed, so that the path never names half a link.
        fresh = self._link.with_name(f".{self._link.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(self._slave))
        fresh.replace(self._link)

    def unplug(self) -> None:
        """Pull the cable: the path is gone and whoever had it open sees a hang-up."""
        if self._master < 0:
            return
        self._link.unlink(missing_ok=True)
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1

    def read(self) -> bytes:
        """What the host sent; b"" when there is nothing or no cable."""
        if self._master < 0:
            return b""
        try:
            return os.read(self._master, _READ_SIZE)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> None:
        """Send; what a host that does not read leaves no room for is dropped and counted."""
        if not data or self._master < 0:
            return
        try:
            written = os.write(self._master, data)
        except BlockingIOError:
            written = 0
        self.dropped_writes += written < len(data)
