"""A helper program that is given so much time and no more.

Owns: its start, its end by force, and what it printed. Must not: be used in a tick; it waits.
"""

import subprocess
from collections.abc import Sequence
from typing import NamedTuple


class Ended(NamedTuple):
    """`code` is negative for a signal, None when the time was over and it was killed."""

    code: int | None
    out: str
    err: str


def run_bounded(command: Sequence[str], within_s: float) -> Ended:
    """Run it and wait, at most `within_s`. Raises OSError when it cannot be started."""
    try:
        done = subprocess.run(  # noqa: S603 - own argv, no shell
            command,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=within_s,
        )
    except subprocess.TimeoutExpired:
        return Ended(None, "", "")
    return Ended(done.returncode, done.stdout, done.stderr)
