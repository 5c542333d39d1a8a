"""What a process and a folder hold at this instant, by the kernel's account.

Owns: reading it. Must not: judge it; see `growth.py`.

Memory is what the process has for itself: anonymous pages, shared memory and what was swapped
out. Resident memory as a whole also counts pages of libraries, which come and go with the needs
of the machine, and a share of them (PSS) changes with whoever else runs.
"""

from pathlib import Path
from typing import Final

from bench.processes import memory_kb

MB: Final = 1_000_000
_OWN = ("RssAnon", "RssShmem", "VmSwap")


def of_process(pid: int) -> dict[str, int]:
    """Memory of its own and as a whole, threads, descriptors."""
    memory = memory_kb(pid)
    return {
        "own_kb": sum(memory[name] for name in _OWN),
        "resident_kb": memory["VmRSS"],
        "threads": _entries(f"/proc/{pid}/task"),
        "descriptors": _entries(f"/proc/{pid}/fd"),
    }


def _entries(folder: str) -> int:
    return sum(1 for _ in Path(folder).iterdir())


def of_folder(folder: Path) -> dict[str, int]:
    """Files below it, and the bytes in them; what goes away meanwhile does not count."""
    sizes = []
    for path in folder.rglob("*"):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if not path.is_dir():
            sizes.append(found.st_size)
    return {"files": len(sizes), "bytes": sum(sizes)}


def named(part: str, figures: dict[str, int]) -> dict[str, int]:
    """The same under `part.name`."""
    return {f"{part}.{name}": value for name, value in figures.items()}
