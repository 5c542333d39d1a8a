"""Runs tests against one wrong version after another, each in a process of its own.

    python -m tests.mutation.server     in a copy of the project, one JSON job a line

Owns: one copy of the project and the processes that test it. Starting Python and importing the
libraries takes longer than most mutants live, so this process imports them once and forks; what
it must not have imported is the project itself, which every fork takes from the changed files.
Each job answers with one line: how the mutant ended, and by which test.
"""

import importlib.util
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

# What the tests import of others. Where one is missing, a fork only takes longer.
import hypothesis.stateful
import msgspec
import numpy as np
import pytest
import z3

PRELOADED = (hypothesis, msgspec, np, pytest, z3)
SURVIVED, KILLED, TIMED_OUT, CRASHED, REFUSED = (
    "survived",
    "killed",
    "timeout",
    "crashed",
    "refused",
)
BROKEN = "broken"  # the runner failed, or selected no test: never counted as a kill
_OPTIONS = (
    "-x",
    "-q",
    "--tb=no",
    "--assert=plain",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:xdist",
    "-p",
    "no:cov",
)
# A mutant that fills the memory ends alone. C allocates none, and its sanitizers reserve terabytes.
_DATA_MAX_BYTES = 2 << 30
_COMPILE_LIMIT_S = 300
_LOG = Path("fork.log")  # what the last fork said
BUILD = ("firmware_bridge/device/build.py",)  # the libraries of the device core, for Python
LIBRARIES = Path("firmware_bridge/device/targets/host")


class Job(NamedTuple):
    """`path` gets the text `source`; then the stages are run until one fails.

    A stage may use `limits_s` of processor time, which other people's load hardly changes, and
    `patience_s` more than that by the clock: a mutant that only waits has an end too.
    """

    path: str
    source: str
    compiler: list[str]  # a command that must succeed first; empty: none, the file is no C
    stages: list[list[str]]  # words for pytest
    limits_s: list[float]  # one a stage
    patience_s: float
    keep_bytecode: bool  # only for a version that means the same as the original


class Answer(NamedTuple):
    """How it ended."""

    end: str
    by: str  # the test that failed, or the stage
    seconds: list[float]  # one a stage that ended


class Witness:
    """Sees, as a plugin of pytest, how many tests ran and which one failed."""

    def __init__(self) -> None:
        self.tests = 0
        self.failed = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.tests += report.when == "call"
        if report.failed:
            self.failed = self.failed or report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed = self.failed or f"{report.nodeid} (not importable)"


def evaluated(job: Job) -> Answer:
    """The job's answer; the file is as before when this returns, and the libraries too.

    Those that Python calls are built from the wrong C before any test runs: older ones would be
    refused, and that refusal would count as a kill.
    """
    target = Path(job.path)
    before = {path: path.read_bytes() for path in (target, *LIBRARIES.glob("*.so"))}
    Path(importlib.util.cache_from_source(job.path)).unlink(missing_ok=True)
    target.write_text(job.source, encoding="utf-8")
    try:
        if job.compiler and not _compiles(job.compiler):
            return Answer(REFUSED, job.compiler[0], [])
        return _forked(job)
    finally:
        for path, content in before.items():
            path.write_bytes(content)


def _compiles(command: list[str]) -> bool:
    """The command, then the libraries; False when the compiler refuses one."""
    for words in (command, [sys.executable, *BUILD]):
        done = subprocess.run(words, capture_output=True, check=False, timeout=_COMPILE_LIMIT_S)
        if done.returncode != 0:
            return False
    return True


def _forked(job: Job) -> Answer:
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reads)
        _test(job, writes)
    os.close(writes)
    _, status = os.waitpid(child, 0)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # whatever its tests left behind
    with os.fdopen(reads, encoding="utf-8") as pipe:
        lines = pipe.read().splitlines()
    answers = [Answer(*json.loads(line)) for line in lines]
    stage = f"stage {len(lines) + 1}"
    if status == 0 and answers and (answers[-1].end != SURVIVED or len(answers) == len(job.stages)):
        return answers[-1]._replace(seconds=[answer.seconds[0] for answer in answers])
    if not os.WIFSIGNALED(status):
        last = _LOG.read_text(encoding="utf-8", errors="replace").splitlines()[-1:]
        return Answer(BROKEN, f"{stage} ended with wait status {status}: {last}", [])
    late = os.WTERMSIG(status) in {signal.SIGALRM, signal.SIGPROF}
    return Answer(TIMED_OUT if late else CRASHED, f"{stage}, signal {os.WTERMSIG(status)}", [])


def _test(job: Job, writes: int) -> None:
    """In the fork: a line for each stage, then the end of the process."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    log = os.open(_LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if not job.compiler:
        resource.setrlimit(resource.RLIMIT_DATA, (_DATA_MAX_BYTES, _DATA_MAX_BYTES))
    # The timer below counts this process alone; each that it starts has this limit.
    whole_s = int(sum(job.limits_s)) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (whole_s, whole_s))
    sys.dont_write_bytecode = not job.keep_bytecode
    os.environ["PYTHONDONTWRITEBYTECODE"] = "" if job.keep_bytecode else "1"
    with os.fdopen(writes, "w", encoding="utf-8", buffering=1) as pipe:
        for number, (stage, limit_s) in enumerate(
            zip(job.stages, job.limits_s, strict=True), start=1
        ):
            # Nobody handles these: they end the fork.
            signal.setitimer(signal.ITIMER_PROF, limit_s)
            signal.setitimer(signal.ITIMER_REAL, limit_s + job.patience_s)
            answer = _stage(stage, number)
            pipe.write(json.dumps(answer) + "\n")
            if answer.end != SURVIVED:
                break
    os._exit(0)


def _stage(words: list[str], number: int) -> Answer:
    witness = Witness()
    start_s = time.monotonic()
    code = pytest.main([*_OPTIONS, *words], plugins=[witness])
    seconds = [time.monotonic() - start_s]
    if code == pytest.ExitCode.OK and witness.tests:
        return Answer(SURVIVED, "", seconds)
    if code in {pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED} and witness.failed:
        return Answer(KILLED, witness.failed, seconds)
    return Answer(BROKEN, f"stage {number}: {code!r}, {witness.tests} tests", seconds)


def refuse_early_imports(modules: Iterable[str]) -> None:
    """The forks must find the project's files changed, not a memory of them."""
    early = [name for name in modules if name.split(".")[0] in {"edge_agent", "firmware_bridge"}]
    if early:
        raise SystemExit(f"imported before the fork: {early}")


def main() -> None:
    refuse_early_imports(sys.modules)
    for line in sys.stdin:
        document: list[Any] = json.loads(line)
        print(json.dumps(evaluated(Job(*document))), flush=True)


if __name__ == "__main__":
    main()
