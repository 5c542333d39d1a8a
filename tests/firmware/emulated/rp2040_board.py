"""A Raspberry Pi Pico under rp2040js, whose clock goes on only when a test says so.

Owns: the emulator's process, the line to it, and what the edges at its pins mean. Must not: speak
the protocol. However fast or slow this machine is, no time passes there that no test let pass.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.firmware.emulated.images import Image, program

MS: Final = 1_000_000
ROUND_MS: Final = 5
PINS: Final = (2, 4, 6, 8)
PERIOD_NS: Final = MS  # of the PWM
LOW: Final = 0
HIGH: Final = 1
FLOATING: Final = -1  # what `outputs` says of a pin that nothing drives
_FLASH: Final = 0x1000_0000
_BRANCH_TO_SELF: Final = "fee7"  # Thumb `b .`
_RUNNER: Final = Path(__file__).with_name("rp2040_run.js")


class Edge(NamedTuple):
    """A pin became 0 (low), 1 (high) or anything else (an input, pulled by a resistor)."""

    at_ns: float
    pin: int
    level: int


def wanted(name: str, what: str) -> Path:
    """The path that the environment has in `name`."""
    path = Path(os.environ.get(name) or "/nowhere").absolute()
    if not path.exists():
        raise FileNotFoundError(f"{name}={os.environ.get(name, '')}: it must name {what}")
    return path


def parts() -> tuple[Path, Path]:
    """The emulator and the boot ROM."""
    return (
        wanted("RP2040JS", "the folder node_modules/rp2040js that `npm install rp2040js` makes"),
        wanted("PICO_BOOTROM", "a file with the boot ROM of an RP2040; see docs/firmware.md"),
    )


class Pico:
    """One running emulator; the `Pace` of a host whose time is the board's, and its `Line`."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._binary = image.elf.with_suffix(".bin")
        command: list[str | Path] = [program("node", "nodejs"), _RUNNER, *parts(), self._binary]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self._to_board = bytearray()
        self._from_board = bytearray()
        self._now_ns = 0
        self.edges: list[Edge] = []
        self.starts: list[float] = []
        self.lost = 0  # bytes that one of the board's FIFOs had no room for
        self.baud = 0
        self.low_latency = "on"
        self.live(0)

    def live(self, nanoseconds: int, **more: Any) -> None:
        """Let so much of the board's time pass; `more` is told to the emulator first."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"live_ns": nanoseconds, "line": self._to_board.hex(), **more}
        self._to_board.clear()
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        self._from_board += bytes.fromhex(answer["line"])
        self._now_ns = answer["now_ns"]
        self.edges += [Edge(*edge) for edge in answer["edges"]]
        self.starts += answer["starts"]
        self.lost += answer["lost"]
        self.baud = answer["baud"]

    def hang_in(self, function: str) -> None:
        """The first instruction of `function` becomes a branch to itself, until `heal`."""
        address = self._image.symbols[function].address & ~1
        self.live(0, flash=[[address, _BRANCH_TO_SELF]])

    def heal(self, function: str) -> None:
        """What `function` began with before `hang_in`."""
        address = self._image.symbols[function].address & ~1
        with self._binary.open("rb") as file:
            file.seek(address - _FLASH)
            self.live(0, flash=[[address, file.read(2).hex()]])

    def outputs(self) -> tuple[int, ...]:
        """What the pins did in the last period of the PWM, in counts of its thousandth."""
        return tuple(self._level(pin) for pin in PINS)

    def _level(self, pin: int) -> int:
        since = self._now_ns - PERIOD_NS
        high_ns, before, level = 0.0, float(since), LOW
        for edge in (edge for edge in self.edges if edge.pin == pin):
            if edge.at_ns > since:
                high_ns += (edge.at_ns - before) * (level == HIGH)
                before = edge.at_ns
            level = edge.level
        if level not in {LOW, HIGH}:
            return FLOATING
        high_ns += (self._now_ns - before) * (level == HIGH)
        return round(1000 * high_ns / PERIOD_NS)

    def last_high_ns(self) -> float:
        """When the last pin that was high went low, or floating."""
        high = set[int]()
        last = 0.0
        for edge in self.edges:
            if edge.level == HIGH:
                high.add(edge.pin)
            elif edge.pin in high:
                high.remove(edge.pin)
                last = edge.at_ns
        assert not high
        return last

    def now_ns(self) -> int:
        return self._now_ns

    def wait(self) -> None:
        """One round of a host."""
        self.live(ROUND_MS * MS)

    def open_line(self, _: str) -> "Pico":
        return self

    def fileno(self) -> None:
        """Nothing arrives while nobody lets time pass."""

    def read(self) -> bytes:
        data = bytes(self._from_board)
        self._from_board.clear()
        return data

    def write(self, data: bytes) -> bool:
        self._to_board += data
        return True

    def flush_output(self) -> None:
        self._to_board.clear()

    def close(self) -> None:
        """The host has done with the line; the board ends with `end`."""

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._process.stdout.close()
