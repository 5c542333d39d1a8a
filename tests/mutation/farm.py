"""Copies of the project, a server in each, and the jobs handed to whichever is free.

Owns: the copies and the server processes, from start to end.
"""

import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.architecture.source import ROOT, repository_files
from tests.mutation.server import BUILD, Answer, Job


class Farm:
    """`workers` servers; a context manager, because it owns processes and folders."""

    def __init__(self, workers: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mutation-")
        self._pool = ThreadPoolExecutor(workers)
        self._free: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()
        self._servers = [_started(Path(self._folder.name) / str(k)) for k in range(workers)]
        for server in self._servers:
            self._free.put(server)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        for server in self._servers:
            server.communicate()  # the end of its input is the end of a server
        self._folder.cleanup()

    def answers(self, jobs: Iterable[Job]) -> Iterator[Answer]:
        """The answers, in the order of the jobs."""
        return self._pool.map(self._answer, jobs)

    def _answer(self, job: Job) -> Answer:
        server = self._free.get()
        try:
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write(json.dumps(job) + "\n")
            server.stdin.flush()
            return Answer(*json.loads(server.stdout.readline()))
        finally:
            self._free.put(server)


def _started(room: Path) -> subprocess.Popen[str]:
    """A server in a copy of the project as it stands; its tests import the copy.

    Git ignores the libraries of the device core, so the copy builds its own. Files of its tests
    are its own too: pytest clears away old ones, and others may be at work in the usual place.
    """
    own = room / "build/tmp"
    own.mkdir(parents=True)
    for path in repository_files():
        target = room / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, target)
    subprocess.run([sys.executable, *BUILD], cwd=room, check=True)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.mutation.server"],
        cwd=room,
        env={**os.environ, "PYTHONPATH": str(room), "TMPDIR": str(own)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
