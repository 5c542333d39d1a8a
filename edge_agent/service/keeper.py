"""A small file that is kept in step with something in memory, by a thread that sleeps otherwise.

Owns: the thread, and that the newest content is tried until the disk has it. Must not: know
what the file says, or let anybody wait: a slow disk inside a tick would be a missed
deadline.
"""

import queue
import sys
import threading
from pathlib import Path
from typing import Final

from edge_agent.service.durable import remove_file, replace_file

RETRY_S: Final = 5.0
_CLOSE_WITHIN_S: Final = 5.0


class Keeper:
    """Keeps one file. One thread, idle but for a change."""

    def __init__(self, path: Path, what: str) -> None:
        """`what` is named on stderr when it cannot be kept."""
        self._path = path
        self._what = what
        # None removes the file; a content that is False ends the thread.
        self._changes: queue.SimpleQueue[bytes | bool | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"keeps {what}", daemon=True)
        self._thread.start()

    def put(self, content: bytes | None) -> None:
        """What the file says from now on; None: there is none. Never waits."""
        self._changes.put(content)

    def close(self) -> None:
        """Write what is still to be written, within a bounded time."""
        self._closing.set()
        self._changes.put(False)
        self._thread.join(_CLOSE_WITHIN_S)

    def _keep(self) -> None:
        """The thread: the newest change is written until it is on the disk."""
        for change in iter(self._changes.get, False):
            kept = self._write(change)
            while not kept and self._changes.empty():
                self._closing.wait(RETRY_S)
                kept = self._write(change)

    def _write(self, change: bytes | bool | None) -> bool:
        try:
            if isinstance(change, bytes):
                replace_file(self._path, change)
            else:
                remove_file(self._path)
        except OSError as error:
            sys.stderr.write(f"edge-agent: {self._path}: {self._what} cannot be kept: {error}\n")
            return False
        return True
