"""Real-time set-up: what was granted is said, and children do not get it."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
# In a process of its own: the scheduling class and a frozen collector are for good.
PROGRAM = """
import gc, json, os, subprocess, sys
from edge_agent.service import realtime
said = realtime.set_up(int(sys.argv[1]))
child = [sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"]
of_child = int(subprocess.run(child, capture_output=True, check=True).stdout)
own = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
print(json.dumps([said, own, of_child, gc.isenabled()]))
"""


def _set_up(priority: int) -> tuple[dict[str, str], int, int, bool]:
    command = [sys.executable, "-c", PROGRAM, str(priority)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=20)
    said, own, of_child, collects = json.loads(done.stdout)
    return said, own, of_child, collects


def test_a_child_of_a_real_time_process_is_scheduled_normally() -> None:
    """Where the system refuses the class to this user, that is what must be said."""
    said, own, of_child, _ = _set_up(10)
    assert of_child == os.SCHED_OTHER
    if own == os.SCHED_FIFO:
        assert said["scheduler"] == "SCHED_FIFO 10"
    else:
        assert own == os.SCHED_OTHER
        assert said["scheduler"].startswith("normal (SCHED_FIFO 10 refused: ")


def test_priority_zero_leaves_the_scheduler_alone_and_stops_the_collector() -> None:
    said, own, _, collects = _set_up(0)
    assert said["scheduler"] == "normal"
    assert own == os.SCHED_OTHER
    assert not collects
