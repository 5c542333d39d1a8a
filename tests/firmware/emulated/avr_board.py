"""An emulated Arduino Mega: firmware under simavr, its line at true 115200-baud timing.

Owns: the process and what its log of the first actuator's PWM register means. Must not: speak
the protocol.
"""

import struct
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from tests.firmware.emulated.cable import Cable

_ROW: Final = struct.Struct("<qq")


class PinWrite(NamedTuple):
    """The first actuator's register was written: this machine's monotonic time, and 0 to 1023."""

    at_ns: int
    duty: int


class AvrBoard:
    """One running emulator. Ends with `close`, or with this process."""

    def __init__(self, emulator: Path, firmware: Path, folder: Path) -> None:
        self.cable = Cable()
        self._log = folder / "pins"
        self._process = subprocess.Popen(
            [emulator, firmware, self.cable.device_path, self._log], stdin=subprocess.PIPE
        )

    def writes(self) -> list[PinWrite]:
        """Every write since boot."""
        data = self._log.read_bytes()
        return [PinWrite(*row) for row in _ROW.iter_unpack(data[: len(data) // 16 * 16])]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self.cable.close()
