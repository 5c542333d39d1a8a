"""Real-time set-up: what was granted is said, and children do not get it."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[3]
LOCK_ALL = 1 << 30
# In a process of its own: what is set up is for good.
PROGRAM = """
import gc, json, os, resource, subprocess, sys
from pathlib import Path
from edge_agent.service.realtime import Wishes, give_back, set_up
priority, lock, cpus, limit, back = json.loads(sys.argv[1])
before = os.sched_getaffinity(0)
if limit is not None:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
    if os.geteuid() == 0:
        os.seteuid(65534)  # and with it the right to lock more
granted, refused, said = set_up(Wishes(priority, lock, tuple(cpus)))
os.seteuid(os.getuid())
if back:
    give_back(before)
child = [sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"]
of_child = int(subprocess.run(child, capture_output=True, check=True).stdout)
own = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
status = Path("/proc/self/status").read_text()
locked_kb = int(status.split("VmLck:")[1].split()[0])
found = [said, own, of_child, gc.isenabled(), locked_kb, sorted(os.sched_getaffinity(0))]
print(json.dumps([*found, granted, refused]))
"""


class Found(NamedTuple):
    """What `set_up` said, and what is so."""

    said: dict[str, str]
    scheduler: int
    of_child: int
    collects: bool
    locked_kb: int
    cpus: list[int]
    granted: list[Any]  # of `Wishes`
    refused: list[str]


def _set_up(
    priority: int = 0,
    *,
    lock: bool = False,
    cpus: tuple[int, ...] = (),
    limit: int | None = None,
    back: bool = False,
) -> Found:
    wishes: list[Any] = [priority, lock, cpus, limit, back]
    command = [sys.executable, "-c", PROGRAM, json.dumps(wishes)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=20)
    return Found(*json.loads(done.stdout))


def test_a_child_of_a_real_time_process_is_scheduled_normally() -> None:
    """Where the system refuses the class to this user, that is what must be said."""
    found = _set_up(10)
    assert found.of_child == os.SCHED_OTHER
    if found.scheduler == os.SCHED_FIFO:
        assert found.said["scheduler"] == "SCHED_FIFO 10"
        assert (found.granted, found.refused) == ([10, False, []], [])
    else:
        assert found.scheduler == os.SCHED_OTHER
        assert found.granted == [0, False, []]
        assert found.said["scheduler"].startswith("normal (SCHED_FIFO 10 refused: ")


def test_without_wishes_only_the_collector_and_the_slack_are_touched() -> None:
    found = _set_up()
    assert (found.said["scheduler"], found.said["cpus"]) == ("normal", "any")
    assert (found.said["memory"], found.locked_kb) == ("not locked", 0)
    assert found.scheduler == os.SCHED_OTHER
    assert set(found.cpus) == os.sched_getaffinity(0)
    assert not found.collects
    assert (found.granted, found.refused) == ([0, False, []], [])


def test_it_runs_on_the_processors_that_are_wished_for() -> None:
    one = min(os.sched_getaffinity(0))
    found = _set_up(cpus=(one,))
    assert (found.said["cpus"], found.cpus) == (str(one), [one])


def test_what_the_next_run_would_inherit_is_given_back() -> None:
    found = _set_up(10, cpus=(min(os.sched_getaffinity(0)),), back=True)
    assert found.scheduler == os.SCHED_OTHER
    assert set(found.cpus) == os.sched_getaffinity(0)


def test_a_processor_that_is_not_there_is_refused_and_said() -> None:
    found = _set_up(cpus=(1023,))
    assert found.said["cpus"].startswith("any (cpus 1023 refused: ")
    assert set(found.cpus) == os.sched_getaffinity(0)


def test_of_two_processors_the_one_that_is_not_there_is_said() -> None:
    one = min(os.sched_getaffinity(0))
    found = _set_up(cpus=(one, 1023))
    why = "cpus 1023 refused: not there, or not for this process"
    assert (found.said["cpus"], found.cpus) == (f"{one} ({why})", [one])
    assert (found.granted, found.refused) == ([0, False, [one]], [why])


def test_a_number_that_no_processor_can_have_is_refused_as_well() -> None:
    found = _set_up(cpus=(1 << 31,))
    assert found.said["cpus"].startswith(f"any (cpus {1 << 31} refused: ")
    assert set(found.cpus) == os.sched_getaffinity(0)


def test_memory_is_locked_or_why_not_is_said() -> None:
    found = _set_up(lock=True)
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if found.said["memory"] == "locked on fault":
        assert found.locked_kb > 10_000
    else:
        assert 0 <= limit < LOCK_ALL
        assert found.said["memory"].startswith("not locked (lock_memory refused: ")


def test_what_the_limit_forbids_is_not_locked() -> None:
    found = _set_up(lock=True, limit=1 << 16)
    assert found.said["memory"].startswith("not locked (lock_memory refused: ")
    assert found.locked_kb == 0
