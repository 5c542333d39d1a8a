"""One child process that is started again whenever it ends.

Owns: the child, the pauses between its starts, and what `status` says of it. Must not: wait
for the child while the loop runs, know what it does, or read a clock.

Shaped like a sink of the loop, which calls it every tick; it looks at the child once a second.
A start costs that tick about 1 ms, after its command has left (measured on two cores, from a
process of 77 MB: median 0.14 to 1.2 ms, at most 4; made by vfork, so no memory is copied). A
parent of class SCHED_FIFO waits until the child, which is not, has come to its exec: median 7 ms
and at most 15 with both cores busy. A loop of 200 Hz then misses one deadline and holds a tick.

The child is in a process group of its own, so that a terminal's Ctrl-C reaches the parent alone:
what happens on the way to safe is still published and recorded, and the parent ends it last.
"""

import subprocess
from collections.abc import Sequence

from edge_agent.core.clock import NS_PER_S
from edge_agent.core.records import TickRecord

LOOK_EVERY_NS = NS_PER_S
PAUSE_FIRST_NS = NS_PER_S
PAUSE_LAST_NS = 30 * NS_PER_S
STABLE_AFTER_NS = 60 * NS_PER_S  # then its next end is not part of the last series
STOP_WITHIN_S = 10.0


class ChildProcess:
    """Restart pauses double from `pause_ns[0]` to `pause_ns[1]`, without jitter: there is one
    child, and nobody to collide with."""

    def __init__(
        self,
        command: Sequence[str],
        pause_ns: tuple[int, int] = (PAUSE_FIRST_NS, PAUSE_LAST_NS),
    ) -> None:
        self._command = list(command)
        self._pause_first_ns, self._pause_last_ns = pause_ns
        self._pause_ns = self._pause_first_ns
        self._process: subprocess.Popen[bytes] | None = None
        self._look_ns = 0
        self._started_ns = 0
        self._start_ns = 0
        self._keep = True
        self._starts = 0
        self._start_failures = 0
        self._last_exit: int | None = None
        self._fault = ""

    def publish(self, tick: TickRecord) -> None:
        """Once a second: see whether the child is there, and start it when its pause is over."""
        if tick.now_ns >= self._look_ns:
            self._look_ns = tick.now_ns + LOOK_EVERY_NS
            self.look(tick.now_ns)

    def look(self, now_ns: int) -> None:
        """Take in the end of the child, or start it if that is due. Never waits for it."""
        if self._process is not None:
            code = self._process.poll()  # reaps it: no zombie is left
            if code is None:
                return
            self._process = None
            self._last_exit = code
            if now_ns - self._started_ns >= STABLE_AFTER_NS:
                self._pause_ns = self._pause_first_ns
            self._start_later(now_ns)
        if self._keep and now_ns >= self._start_ns:
            self._start(now_ns)

    def leave(self) -> None:
        """Start it no more; safe to call from a signal handler."""
        self._keep = False

    def stop(self, within_s: float = STOP_WITHIN_S) -> None:
        """End it in good order, or by force when that takes longer; waits."""
        self._keep = False
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._last_exit = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._last_exit = self._process.wait()
        self._process = None

    def status(self) -> dict[str, int | str]:
        """`pid` is 0 while none runs; `last_exit` appears with the first, negative for a signal."""
        items: dict[str, int | str] = {
            "state": "waiting" if self._process is None else "running",
            "pid": 0 if self._process is None else self._process.pid,
            "restarts": max(0, self._starts - 1),
            "start_failures": self._start_failures,
        }
        if self._last_exit is not None:
            items["last_exit"] = self._last_exit
        if self._fault:
            items["fault"] = self._fault
        return items

    def _start(self, now_ns: int) -> None:
        try:
            self._process = subprocess.Popen(self._command, process_group=0)  # noqa: S603 - own argv
        except OSError as error:  # no memory or no process number left: later, perhaps
            self._start_failures += 1
            self._fault = str(error)
            self._start_later(now_ns)
            return
        self._starts += 1
        self._started_ns = now_ns
        self._fault = ""

    def _start_later(self, now_ns: int) -> None:
        self._start_ns = now_ns + self._pause_ns
        self._pause_ns = min(2 * self._pause_ns, self._pause_last_ns)
