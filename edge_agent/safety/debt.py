"""A debt of bad time: what makes a fault that comes and goes fire as surely as a lasting one.

Owns: the one rule of growth and recovery that every timed check shares. Must not: know what is
bad, or read a clock.

A timer that one good moment sets to zero never fires for a fault that toggles faster than its
limit. A debt grows by the bad time and shrinks by a quarter of the good time, so it fires
whenever something is bad for more than a fifth of the time, only later.
"""

from typing import Final

RECOVERY: Final = 4  # good time that pays for one unit of bad time


def after(debt_ns: int, elapsed_ns: int, limit_ns: int, *, bad: bool) -> int:
    """The debt after `elapsed_ns` more, 0 to `limit_ns` + 1; above the limit the check fires.

    Time that did not pass, or went back, changes nothing.
    """
    passed_ns = max(0, elapsed_ns)
    if bad:
        return min(debt_ns + passed_ns, limit_ns + 1)
    return max(0, debt_ns - passed_ns // RECOVERY)
