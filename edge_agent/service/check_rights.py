"""Checks of rights: who may write the state, who may read a key, and what real time is allowed.

Owns: reading modes, limits and /sys, and the judgements. Must not: change a mode or a limit, or
read what is in a key file.
"""

import os
import resource
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from edge_agent.service.findings import Finding, failure, good, warning
from edge_agent.service.realtime import Wishes

_RIGHTS: Final = "rights"
_REAL_TIME: Final = "real time"
_CAP_SYS_NICE: Final = 1 << 23
_CAP_IPC_LOCK: Final = 1 << 14
_LOCKED_BYTES: Final = 512 << 20  # the limit counts addresses, of which the process has 400 MB
_GOVERNORS: Final = "sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
_THROTTLED: Final = "sys/devices/platform/soc/soc:firmware/get_throttled"
_UNDER_VOLTAGE: Final = 0x1_0001  # now, or since the start


class PathFacts(NamedTuple):
    """`secret`: only its owner may read it. `fault`: why nothing is known, else empty."""

    path: Path
    secret: bool
    mode: int
    uid: int
    fault: str


def read_path(path: Path, *, secret: bool) -> PathFacts:
    """Mode and owner; opens a secret to see whether this user may, and reads nothing."""
    try:
        facts = path.stat()
        if secret:
            path.open("rb").close()
    except OSError as error:
        return PathFacts(path, secret, 0, 0, error.strerror or str(error))
    return PathFacts(path, secret, facts.st_mode, facts.st_uid, "")


def judge_rights(paths: Sequence[PathFacts], own_uid: int) -> Finding:
    """The first thing that is wrong, else ok. Root's files are nobody's danger."""
    for facts in paths:
        problem = _problem(facts, own_uid)
        if problem is not None:
            return problem
    secrets = sum(facts.secret for facts in paths)
    words = f"{len(paths) - secrets} folders and files, {secrets} with a secret, kept from others"
    return good(_RIGHTS, words)


def _problem(facts: PathFacts, own_uid: int) -> Finding | None:
    if facts.fault:
        fix = "correct the path, its owner, or run this as the agent's user"
        return failure(_RIGHTS, f"{facts.path}: {facts.fault}", fix)
    if facts.secret and not stat.S_ISREG(facts.mode):
        return failure(_RIGHTS, f"{facts.path}: is not a file", "give the path of the key itself")
    if facts.secret and facts.mode & 0o077:
        words = f"{facts.path}: others may use it (mode {stat.S_IMODE(facts.mode):o})"
        return failure(_RIGHTS, words, f"chmod 600 {facts.path}")
    if facts.mode & 0o002:
        words = f"{facts.path}: everybody may write it (mode {stat.S_IMODE(facts.mode):o})"
        return failure(_RIGHTS, words, f"chmod o-w {facts.path}")
    if facts.uid not in (0, own_uid) and own_uid != 0:
        words = f"{facts.path}: belongs to user {facts.uid}, this is user {own_uid}"
        return warning(_RIGHTS, words, "chown it to the agent's user, or run this as that user")
    return None


class RealTimeFacts(NamedTuple):
    """What the system allows. Limits are -1 for none; `throttled` is the Raspberry Pi firmware's
    word on its supply, None elsewhere."""

    priority_max: int
    locked_bytes_max: int
    governors: tuple[str, ...]
    realtime_kernel: bool
    throttled: int | None


def read_real_time(root: Path) -> RealTimeFacts:
    """Of this process and this machine."""
    soft, _ = resource.getrlimit(resource.RLIMIT_RTPRIO)
    locked, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    capabilities = _effective_capabilities(root)
    try:
        throttled: int | None = int(_text(root / _THROTTLED), 16)
    except ValueError:  # another board: there is no such file
        throttled = None
    return RealTimeFacts(
        priority_max=99 if capabilities & _CAP_SYS_NICE else soft,
        locked_bytes_max=-1 if capabilities & _CAP_IPC_LOCK else locked,
        governors=tuple(sorted({_text(file) for file in root.glob(_GOVERNORS)} - {""})),
        realtime_kernel=_text(root / "sys/kernel/realtime") == "1",
        throttled=throttled,
    )


def judge_real_time(facts: RealTimeFacts, wanted: Wishes) -> Finding:
    """Nothing here keeps a loop from running; it decides how punctual it is."""
    governors = ", ".join(facts.governors) or "none"
    if facts.throttled is not None and facts.throttled & _UNDER_VOLTAGE:
        words = f"the supply was too low (throttled={facts.throttled:#x}): the CPU is slowed down"
        return warning(_REAL_TIME, words, "a stronger supply and a shorter cable")
    if 0 <= facts.priority_max < wanted.priority:
        words = f"SCHED_FIFO {wanted.priority} is configured, {facts.priority_max} is allowed"
        fix = f"LimitRTPRIO={wanted.priority} in the unit, or [loop] realtime_priority = 0"
        return warning(_REAL_TIME, words, fix)
    if wanted.lock_memory and 0 <= facts.locked_bytes_max < _LOCKED_BYTES:
        words = f"lock_memory is configured, {facts.locked_bytes_max // 1024} KiB are allowed"
        fix = "LimitMEMLOCK=infinity in the unit, or [loop] lock_memory = false"
        return warning(_REAL_TIME, words, fix)
    if wanted.priority and set(facts.governors) - {"performance"}:
        words = f"SCHED_FIFO is configured, and the CPU's frequency governor is {governors}"
        fix = "cpupower frequency-set -g performance; `edge-agent doctor --latency` shows the gain"
        return warning(_REAL_TIME, words, fix)
    kernel = "PREEMPT_RT" if facts.realtime_kernel else "ordinary kernel"
    locked = "any" if facts.locked_bytes_max < 0 else f"{facts.locked_bytes_max // 1024} KiB"
    words = f"priority to {facts.priority_max}, locked memory {locked}, governor {governors}"
    return good(_REAL_TIME, f"{words}, {kernel}")


def _effective_capabilities(root: Path) -> int:
    for line in _text(root / f"proc/{os.getpid()}/status").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii", "replace").strip()
    except OSError:
        return ""
