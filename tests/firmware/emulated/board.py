"""An emulated Cortex-M3 board: the process, its cable, its memory, and the faults it can have.

Owns: QEMU's command line and what the addresses of the firmware mean. Must not: speak the
protocol; that is the host's business, at the other end of the cable.
"""

import ctypes
import struct
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from firmware_bridge.device.tables import Counters
from tests.firmware.emulated.cable import Cable
from tests.firmware.emulated.images import Image, program
from tests.firmware.emulated.qmp import Debugger, Qmp

ACTUATORS: Final = 4
_TRACE: Final = struct.Struct(f"<I{ACTUATORS}h")
_BRANCH_TO_SELF: Final = b"\xfe\xe7"  # Thumb `b .`


class Write(NamedTuple):
    """One write to the pins: the board's millisecond, and the counts."""

    tick: int
    outputs: tuple[int, ...]


class Board:
    """One running emulator. Killed by `close`."""

    def __init__(
        self, image: Image, folder: Path, seed: int = 1, halted_on: str | None = None
    ) -> None:
        """`halted_on`: the emulator's name of another line than the cable, and it stands until a
        debugger lets it run."""
        folder.mkdir(parents=True, exist_ok=True)
        self.cable = Cable()
        self._healed = (0, b"")
        self._image = image
        self._folder = folder
        seed_address = image.symbols["kept"].address
        command = [program("qemu-system-arm", "qemu-system-arm"), "-M", "lm3s6965evb"]
        command += ["-kernel", str(image.elf), "-display", "none", "-monitor", "none"]
        command += ["-nodefaults", "-serial", "chardev:line"]
        # 64 ns an instruction, a processor of 15 MIPS: the board's clock never outruns its
        # program, so a busy machine makes the board slow but loses none of its ticks.
        command += ["-icount", "shift=6,sleep=on"]
        command += ["-S"] * (halted_on is not None)
        line = halted_on or f"serial,path={self.cable.device_path}"
        command += ["-chardev", f"{line},id=line"]
        command += ["-qmp", f"unix:{folder}/qmp,server=on,wait=off"]
        command += ["-gdb", f"unix:{folder}/gdb,server=on,wait=off"]
        # The noise that the cells of a real RAM wake up with.
        command += ["-device", f"loader,addr={seed_address:#x},data={seed},data-len=4"]
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
        self.qmp = Qmp(folder / "qmp")

    def close(self) -> None:
        self.qmp.close()
        self._process.kill()
        self._process.wait()
        self.cable.close()

    def memory(self, symbol: str) -> bytes:
        """What `symbol` holds now."""
        return self._read(*self._image.symbols[symbol])

    def word(self, symbol: str) -> int:
        """An unsigned 32-bit variable."""
        return int.from_bytes(self.memory(symbol), "little")

    def outputs(self) -> tuple[int, ...]:
        """What the pins do now, in counts."""
        outputs: tuple[int, ...] = struct.unpack(f"<{ACTUATORS}h", self.memory("board_outputs"))
        return outputs

    def writes(self) -> list[Write]:
        """The pins' history since boot, as far as the trace reaches back, oldest first."""
        trace, count = self.memory("board_trace"), self.word("board_writes")
        rows = [Write(tick, tuple(counts)) for tick, *counts in _TRACE.iter_unpack(trace)]
        start = count % len(rows)
        return rows[start:] + rows[:start] if count > len(rows) else rows[:count]

    def counters(self) -> Counters:
        """What the device core has counted since boot."""
        address = self.word("board_counters")
        return Counters.from_buffer_copy(self._read(address, ctypes.sizeof(Counters)))

    def stack(self) -> bytes:
        """The memory between the variables and the top; painted at start where never used."""
        bottom = self._image.symbols["link_bss_end"].address
        return self._read(bottom, self._image.symbols["link_stack_top"].address - bottom)

    def set_sensors(self, *counts: int) -> None:
        """What the board's converters read from now on."""
        self._poke("board_sensors", struct.pack(f"<{len(counts)}i", *counts))

    def hang_in(self, function: str) -> None:
        """The first instruction of `function` becomes a branch to itself, until `heal`."""
        address, _ = self._image.symbols[function]
        self._healed = (address & ~1, self._read(address & ~1, len(_BRANCH_TO_SELF)))
        self._poke(function, _BRANCH_TO_SELF)

    def heal(self) -> None:
        """Undo `hang_in`: the emulator's flash keeps a patch through a reset."""
        with self.debugger() as debugger:
            debugger.write(*self._healed)

    def debugger(self) -> Debugger:
        """Stops the board while it is in use."""
        return Debugger(self._folder / "gdb")

    def freeze(self) -> None:
        """Stop the board, its clock included."""
        self.qmp.execute("stop")

    def resume(self) -> None:
        self.qmp.execute("cont")

    def reset(self) -> None:
        """The reset line: registers and program start anew, the RAM keeps its content."""
        self.qmp.execute("system_reset")

    def _read(self, address: int, size: int) -> bytes:
        path = self._folder / "memory"
        self.qmp.execute("pmemsave", val=address, size=size, filename=str(path))
        return path.read_bytes()

    def _poke(self, symbol: str, data: bytes) -> None:
        with self.debugger() as debugger:
            debugger.write(self._image.symbols[symbol].address & ~1, data)
