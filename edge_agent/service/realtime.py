"""Making a Python loop punctual: what helps, what was granted, and nothing silent.

Owns: garbage collection, timer slack and the scheduling class of the control process. Must
not: fail when the system refuses; it reports what it got.

Figures behind the choices: a full collection costs milliseconds, none after freeze + disable
with bounded data; timer slack of 1 ns removes 50 us of lateness without root; SCHED_FIFO does
not change the median but cuts the tail of a loaded machine by an order of magnitude.
"""

import ctypes
import gc
import os

_PR_SET_TIMERSLACK = 29


def set_up(priority: int) -> dict[str, str]:
    """Prepare the calling process; returns what was achieved, by name, for `status`."""
    gc.collect()
    gc.freeze()
    gc.disable()
    slack = ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    return {
        "garbage_collector": "frozen",
        "timer_slack": "1 ns" if slack == 0 else os.strerror(ctypes.get_errno()),
        "scheduler": _scheduler(priority),
    }


def _scheduler(priority: int) -> str:
    if priority == 0:
        return "normal"
    try:
        # Not for children: a gateway of the same class would make the tick wait for it.
        policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(priority))
    except OSError as error:
        return f"normal (SCHED_FIFO {priority} refused: {error.strerror})"
    return f"SCHED_FIFO {priority}"
