"""The serial ports of this machine, by name. Opens none of them.

Owns: the only use of pyserial. Must not: open a port, which resets many boards.
"""

from pathlib import Path

import msgspec
from serial.tools import list_ports

_BY_ID = Path("/dev/serial/by-id")


class PortEntry(msgspec.Struct, frozen=True):
    """One port. `stable_path` names the same adapter wherever it is plugged in, if there is one."""

    path: str
    stable_path: str
    description: str


def list_entries(by_id: Path = _BY_ID) -> list[PortEntry]:
    """Every serial port that the system knows, in order of path."""
    links = sorted(by_id.iterdir()) if by_id.is_dir() else []
    stable = {str(link.resolve()): str(link) for link in links}
    ports = sorted(list_ports.comports(), key=lambda port: str(port.device))
    return [PortEntry(port.device, stable.get(port.device, ""), port.description) for port in ports]
