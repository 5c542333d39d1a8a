"""The port to devices that speak Modbus RTU: they are asked in turn; sensors only.

Owns: one serial port and its reopening. Must not: block, raise for a fault of a device, or
send anything but the requests of its master, which only reads.

A Reading is stamped when its answer had arrived.
"""

from collections.abc import Callable

from edge_agent.core.records import Command, Reading
from edge_agent.ports.modbus_master import ModbusMaster
from edge_agent.ports.reopening import ReopeningLine
from edge_agent.ports.serial_bridge import Line
from firmware_bridge.errors import SerialFaultError


class ModbusPort:
    """The channels that the devices of one line report."""

    def __init__(self, name: str, open_line: Callable[[], Line], master: ModbusMaster) -> None:
        """`open_line` is called by `poll` until it succeeds; it raises SerialFaultError."""
        self._line = ReopeningLine(name, open_line)
        self._master = master
        self._unsent = 0

    def poll(self, now_ns: int) -> list[Reading]:
        """What was answered since the last call; sends the next request when its time is there."""
        try:
            line = self._line.at(now_ns)
            return [] if line is None else self._exchange(now_ns, line)
        except SerialFaultError as fault:
            self._line.lose(now_ns, fault)
            self._master.reset()
            return []

    def apply(self, now_ns: int, command: Command) -> None:
        """Sensors only: no command is ever sent."""

    def fileno(self) -> int | None:
        """The open descriptor, or None while the port is away."""
        return self._line.fileno()

    def status(self) -> dict[str, int | str]:
        """Requests and answers, faults by device, values by outcome, and the port's history."""
        return {**self._line.status(), "unsent": self._unsent, **self._master.counts}

    def close(self) -> None:
        """Release the port."""
        self._line.close()

    def _exchange(self, now_ns: int, line: Line) -> list[Reading]:
        readings = self._master.receive(now_ns, line.read())
        if readings:
            self._line.reset_pause()
        request = self._master.due(now_ns)
        if request and not line.write(request):
            self._unsent += 1  # the driver took nothing; the master will find the device silent
        return readings
