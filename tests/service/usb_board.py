"""A board whose microcontroller hangs on USB: the kernel's own gadget, at a port that udev names.

Owns: that cable, from the gadget to the host, and carrying bytes between gadget and simulated
microcontroller. Must not: change one of them.
"""

import contextlib
import os
import select
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

from tests.service.board import Board, run, until

_GADGET = Path("/dev/ttyGS0")
# What an Arduino Mega says of itself, for the udev rules.
_IDENTITY = ("idVendor=0x2341", "idProduct=0x0042", "iSerialNumber=checks")


class UsbBoard(Board):
    """The units are as they ship: nothing is added for this port."""

    link = Path("/dev/edge-agent/checks")
    mcu_link = Path("/run/mcu")
    more_of_control = ()

    def give_port(self) -> None:
        """Nothing is plugged in yet."""
        run("modprobe", "dummy_hcd")
        threading.Thread(target=carry, args=(_GADGET, self.mcu_link), daemon=True).start()

    def unplug(self) -> None:
        run("modprobe", "--remove", "g_serial")
        until(lambda: not self.link.exists(), "the port is gone")

    def replug(self) -> None:
        run("modprobe", "g_serial", *_IDENTITY)
        until(self.link.exists, "a name by udev")


def carry(one: Path, other: Path) -> None:
    """Bytes from each to the other, for ever; what there is no room for is lost, as on a wire."""
    while True:
        with contextlib.suppress(OSError), _opened(one) as first, _opened(other) as second:
            while True:
                readable, _, _ = select.select((first, second), (), ())
                for source in readable:
                    data = os.read(source, 4096)
                    with contextlib.suppress(BlockingIOError):
                        os.write(second if source == first else first, data)
        time.sleep(0.1)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        tty.setraw(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)
