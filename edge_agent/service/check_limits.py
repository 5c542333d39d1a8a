"""Check of control groups: whether the memory and tasks that the units allow are limits here.

Owns: reading which controllers the kernel lends, and the judgement. Must not: change one.

systemd takes `MemoryMax=` without a word where nothing enforces it. A Raspberry Pi's kernel has the
memory controller off by default, to save memory (raspberrypi/linux 9b0efcc1ec, in 2018, and since
December 2024 by `cgroup_disable=memory` in its device tree, pull request 6439).
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from edge_agent.service.findings import Finding, good, warning

_CHECK: Final = "limits"
_GROUPS: Final = "sys/fs/cgroup"
# controller -> what the units set
_NEEDED: Final[Mapping[str, str]] = MappingProxyType({"memory": "MemoryMax", "pids": "TasksMax"})


def read_controllers(root: Path) -> frozenset[str]:
    """Version 2 has a list, version 1 a folder each; empty without control groups."""
    folder = root / _GROUPS
    try:
        return frozenset((folder / "cgroup.controllers").read_text("ascii").split())
    except OSError:
        return frozenset(path.name for path in folder.glob("*") if path.is_dir())


def judge_limits(controllers: frozenset[str]) -> Finding:
    """A limit that is none keeps nothing from running: it is missed on the day of a leak."""
    missing = [limit for controller, limit in _NEEDED.items() if controller not in controllers]
    if not missing:
        return good(_CHECK, f"the kernel enforces {' and '.join(_NEEDED.values())} of a unit")
    words = f"the kernel does not enforce {' and '.join(missing)} of a unit: no such control group"
    if missing == [_NEEDED["memory"]]:
        fix = "on a Raspberry Pi: cgroup_enable=memory in the one line of"
        return warning(_CHECK, words, f"{fix} /boot/firmware/cmdline.txt, then reboot")
    return warning(_CHECK, words, "run it where control groups are mounted at /sys/fs/cgroup")
