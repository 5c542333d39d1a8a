"""The contract of a port, as the loop sees it.

A port owns one device or socket. It never blocks the tick and never raises for a fault of the
device: a fault is silence, or a Reading of quality INVALID. Opening is the constructor's work
and may raise `PortError`; a device that goes away later is reopened inside `poll`.
"""

from typing import Protocol

from edge_agent.core.records import Command, Reading


class Port(Protocol):
    """Sensors to read, actuators to drive, or both."""

    def poll(self, now_ns: int) -> list[Reading]:
        """Everything that arrived since the last call; for an actuator channel, the value
        that the hardware reports as applied."""

    def apply(self, now_ns: int, command: Command) -> None:
        """Pass the whole command on; a port without actuators ignores it."""

    def fileno(self) -> int | None:
        """A descriptor that becomes readable when `poll` has something new, if there is one."""

    def status(self) -> dict[str, int | str]:
        """Counters and state for `edge-agent status`, by name."""

    def close(self) -> None:
        """Release the device; outputs are already safe."""
