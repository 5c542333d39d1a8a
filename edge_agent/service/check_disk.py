"""Check of the disk that keeps recordings and trips: room, writable, in step, how worn.

Owns: reading /sys and one small file that it writes, syncs and removes again. Must not: touch
what is already there.
"""

import os
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from edge_agent.core.clock import NS_PER_MS, NS_PER_S, Clock
from edge_agent.service.findings import Finding, failure, good, warning

_CHECK: Final = "disk"
_MB: Final = 1_000_000
FREE_MB_MIN: Final = 64
_INODES_MIN: Final = 1000
_SLOW_NS: Final = NS_PER_S
_PROBE: Final = bytes(4096)
_LIFE_WORN: Final = 0x0A  # eMMC: 90 to 100 % of its life is used
_EOL_NORMAL: Final = 0x01


class DiskFacts(NamedTuple):
    """`fault`: why the probe file could not be kept, else empty. `wear`: the medium's own words."""

    folder: Path
    fault: str
    sync_ns: int
    free_bytes: int
    inodes_free: int  # 0 on file systems that have no such count
    inodes: int
    file_system: str
    wear: tuple[str, ...]


def read_disk(folder: Path, clock: Clock, root: Path) -> DiskFacts:
    """Facts of the disk under `folder`, or under its nearest parent that exists."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    room = os.statvfs(there)
    device = there.stat().st_dev
    start_ns = clock.now_ns()
    fault = _probe(folder if folder.is_dir() else there)
    return DiskFacts(
        folder=there,
        fault=fault,
        sync_ns=clock.now_ns() - start_ns,
        free_bytes=room.f_bavail * room.f_frsize,
        inodes_free=room.f_favail,
        inodes=room.f_files,
        file_system=file_system(device, root),
        wear=wear(device, root),
    )


def judge_disk(facts: DiskFacts, may_grow_bytes: int) -> Finding:
    """`may_grow_bytes`: what the configuration still allows the recordings to take."""
    where = f"{facts.folder} ({facts.file_system})"
    free_mb = facts.free_bytes // _MB
    if facts.fault:
        fix = "remount it writable, or give the folder to the agent's user"
        return failure(_CHECK, f"{where} cannot be written: {facts.fault}", fix)
    if free_mb < FREE_MB_MIN or (facts.inodes and facts.inodes_free < _INODES_MIN):
        words = f"{where}: {free_mb} MB and {facts.inodes_free} files are left"
        return failure(_CHECK, words, "remove what is not needed, or another state_dir")
    doubt = _doubt(facts, where, may_grow_bytes)
    if doubt is not None:
        return doubt
    sync_ms = facts.sync_ns / NS_PER_MS
    return good(_CHECK, f"{where}: {free_mb} MB free, 4 KB on the disk in {sync_ms:.1f} ms")


def _doubt(facts: DiskFacts, where: str, may_grow_bytes: int) -> Finding | None:
    """What works today and may not tomorrow."""
    if facts.wear:
        fix = "copy the state folder away and replace the card or chip"
        return warning(_CHECK, f"{where}: {'; '.join(facts.wear)}", fix)
    if facts.file_system in {"tmpfs", "ramfs"}:
        words = f"{where} is memory: a latched trip and all recordings are gone with the power"
        return warning(_CHECK, words, "set state_dir to a disk")
    if facts.free_bytes - may_grow_bytes < FREE_MB_MIN * _MB:
        free_mb, more_mb = facts.free_bytes // _MB, may_grow_bytes // _MB
        words = f"{where}: {free_mb} MB free, and recordings may take {more_mb} more"
        return warning(_CHECK, words, "lower [recording] total_mb_max, or make room")
    if facts.sync_ns > _SLOW_NS:
        words = f"{where}: 4 KB took {facts.sync_ns // NS_PER_MS} ms to be on the disk"
        return warning(_CHECK, words, "a worn or busy card: recordings may lose ticks")
    return None


def file_system(device: int, root: Path) -> str:
    """Its type, by the kernel's table of mounts."""
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = (root / "proc/self/mountinfo").read_text("utf-8", "replace")
    except OSError:
        return "unknown"
    for line in mounts.splitlines():
        head, _, tail = line.partition(" - ")
        if head.split()[2:3] == [number] and tail:
            return tail.split()[0]
    return "unknown"


def wear(device: int, root: Path) -> tuple[str, ...]:
    """What the medium and its file system report of their own end, as far as they do: eMMC
    chips report their life, SD cards mostly nothing."""
    block = root / "sys/dev/block" / f"{os.major(device)}:{os.minor(device)}"
    if not block.exists():
        return ()
    part = block.resolve()
    disk = part.parent if (part / "partition").exists() else part
    found = []
    life = _numbers(disk / "device/life_time", 16)
    if life and max(life) >= _LIFE_WORN:
        found.append(f"at least {10 * (max(life) - 1)} % of the flash's life is used")
    end = _numbers(disk / "device/pre_eol_info", 16)
    if end and end[0] > _EOL_NORMAL:
        found.append("the flash has used most of its reserve blocks")
    errors = _numbers(root / "sys/fs/ext4" / part.name / "errors_count", 10)
    if errors and errors[0]:
        found.append(f"ext4 has counted {errors[0]} errors")
    return tuple(found)


def _numbers(file: Path, base: int) -> list[int]:
    """What a file of /sys holds; nothing when it is not there or holds something else."""
    try:
        return [int(word, base) for word in file.read_text("ascii").split()]
    except (OSError, ValueError):
        return []


def _probe(folder: Path) -> str:
    """Write, sync and remove one small file; why that failed, or nothing."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(_PROBE)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or str(error)
    return ""
