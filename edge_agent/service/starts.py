"""How often the control process began and crashed at once: what makes it start in safe mode.

Owns: one small file, the count in it, and what counts. Must not: read the time of day (a board
without a battery for its clock starts in 1970), write while the loop runs, or stop a start
because the file cannot be written: it then says so, and the count stands still.

A run that ends in good order, or that was refused for a reason a person can read, clears its own
entry. One that is still entered when the next begins has crashed, and quickly if both began within
QUICK_NS of each other in the same boot of the machine. Another boot counts from nothing: a power
cut is not the program's fault.
"""

import sys
from pathlib import Path
from typing import Final

import msgspec

from edge_agent.core.clock import NS_PER_S
from edge_agent.service.durable import remove_file, replace_file

QUICK_NS: Final = 60 * NS_PER_S
CRASHES_MAX: Final = 5
_FILE: Final = "starts.json"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds: the run that is going on, or has crashed."""

    machine_boot: str
    began_ns: int  # CLOCK_MONOTONIC of that boot
    crashes: int  # quick ones in a row, before this run
    schema: int = 1  # one that a newer program wrote, and that makes no sense, counts nothing


class StartCount:
    """The entry of one run."""

    def __init__(self, state_dir: Path, machine_boot: str, now_ns: int) -> None:
        """Enter the run that begins now."""
        self._path = state_dir / _FILE
        before = _read(self._path)
        self.crashes = 0
        if before is not None and before.machine_boot == machine_boot:
            quick = 0 <= now_ns - before.began_ns <= QUICK_NS
            self.crashes = before.crashes + 1 if quick else 0
        self._write(Start(machine_boot=machine_boot, began_ns=now_ns, crashes=self.crashes))
        self._before = before

    @property
    def too_many(self) -> bool:
        """Whether it has crashed so often that another try would be the same again."""
        return self.crashes >= CRASHES_MAX

    def refused(self) -> None:
        """This run never began, and said why: all stands as before it."""
        if self._before is None:
            self.ended()
        else:
            self._write(self._before)

    def ended(self) -> None:
        """In good order: nothing is counted any more."""
        try:
            remove_file(self._path)
        except OSError as error:
            self._complain(error)

    def _write(self, start: Start) -> None:
        try:
            replace_file(self._path, msgspec.json.encode(start) + b"\n")
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        sys.stderr.write(f"edge-agent: {self._path}: crashes cannot be counted: {error}\n")


def forget_crashes(state_dir: Path) -> None:
    """A person has looked at the cause. Raises OSError."""
    remove_file(state_dir / _FILE)


def machine_boot() -> str:
    """A name for this boot of the machine, from the kernel; empty where there is none."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _read(path: Path) -> Start | None:
    """The entry that nobody cleared; None as well for a file that makes no sense."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Start)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
