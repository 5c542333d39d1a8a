"""The real host code against an emulated board: SerialBridgePort on SerialPort on the cable.

Owns: the pace of the loop and waiting for a state, with a limit. Must not: know the emulator.

As a program it is a host that can be stopped and killed:
    python -m tests.firmware.emulated.host PORT
drives the damper up and prints "armed" once. After SIGUSR1 it stops itself (SIGSTOP) between
deciding one more command and sending it. That command alone asks the fan for HELD_FAN.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Final, Protocol

from edge_agent.core.records import Command
from edge_agent.ports.serial_bridge import Line, SerialBridgePort
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.safety.limits import Envelope
from firmware_bridge.link import LinkSettings
from firmware_bridge.messages import Hello
from firmware_bridge.serial_port import SerialPort

BAUD: Final = 115_200
FEEDBACK: Final = ("fan_current", "damper_position")
SAFE: Final = (0, 0, 0, 0)
PERIOD_S: Final = 0.005
HELD_FAN: Final = 1
_DAMPER: Final = 20


class Pace(Protocol):
    """How a host's time goes on."""

    def now_ns(self) -> int: ...

    def wait(self) -> None:
        """Until the next round."""

    def open_line(self, path: str) -> Line:
        """The line to the board."""


class RealTime:
    """By this machine's clock, on a tty."""

    def open_line(self, path: str) -> Line:
        return SerialPort(path, BAUD)

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def wait(self) -> None:
        time.sleep(PERIOD_S)


class Host:
    """One host on one port."""

    def __init__(
        self,
        path: str,
        envelope: Envelope = ENVELOPE,
        key: bytes | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._pace = used = pace or RealTime()
        self.port = SerialBridgePort(
            path,
            lambda: used.open_line(path),
            envelope,
            FEEDBACK,
            lambda: int.from_bytes(os.urandom(4), "little"),
        )
        if key is not None:
            self.port.use_link(LinkSettings(), key)

    def status(self, key: str) -> int | str:
        return self.port.status()[key]

    def hello(self) -> Hello:
        """What the board of the present session says of itself."""
        device = self.port._link.device
        assert device is not None
        return device

    def round(self, counts: tuple[int, ...] = SAFE, *, armed: bool = True) -> None:
        """One round of a control loop."""
        self.port.poll(self._pace.now_ns())
        self.port.apply(self._pace.now_ns(), Command(counts, armed))

    def run(
        self,
        until: Callable[[], bool],
        counts: tuple[int, ...] = SAFE,
        *,
        armed: bool = True,
        limit_s: float = 10.0,
    ) -> None:
        """Rounds until `until()`; a failure shows the port's status."""
        end_ns = self._pace.now_ns() + limit_s * 1e9
        while not until():
            assert self._pace.now_ns() < end_ns, self.port.status()
            self.round(counts, armed=armed)
            self._pace.wait()

    def reach(self, state: str, counts: tuple[int, ...] = SAFE, *, armed: bool = True) -> None:
        """Rounds until the link is in `state`."""
        self.run(lambda: self.status("state") == state, counts, armed=armed)

    def drive(self, counts: tuple[int, ...], for_s: float, *, armed: bool = True) -> None:
        """Rounds for so long."""
        end_ns = self._pace.now_ns() + for_s * 1e9
        self.run(lambda: self._pace.now_ns() >= end_ns, counts, armed=armed)

    def close(self) -> None:
        self.port.close()


def _main(path: str) -> None:
    host = Host(path)
    held: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, frame: held.append(number))
    host.reach("armed")
    print("armed", flush=True)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        host.port.poll(time.monotonic_ns())
        command = Command((_DAMPER, 0, 0, HELD_FAN if held else 0), armed=True)
        if held:
            held.clear()
            os.kill(os.getpid(), signal.SIGSTOP)
        host.port.apply(time.monotonic_ns(), command)
        time.sleep(PERIOD_S)


if __name__ == "__main__":
    _main(sys.argv[1])
