"""Real processes, really killed: the sixth start only watches, until a person resets it."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from edge_agent.service.starts import CRASHES_MAX

WITHIN_S = 30.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short: the path of a Unix socket below it has 95 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="safe-mode-") as name:
        yield Path(name)


def edge_agent(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "edge_agent", *words, "--state-dir", str(folder)]
    return subprocess.run(program, capture_output=True, text=True, timeout=WITHIN_S, check=False)


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """`edge-agent run --arm` on a simulated machine, once it decides; ended by force."""
    program = [sys.executable, "-m", "edge_agent", "run", "--arm", "--no-gateway"]
    program += ["--state-dir", str(folder)]
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True) as agent:
        try:
            control(folder)
            yield agent
        finally:
            agent.kill()


def control(folder: Path) -> dict[str, Any]:
    """The control part of the status, as soon as it knows a measured temperature."""
    end_s = monotonic() + WITHIN_S
    while monotonic() < end_s:
        answer = edge_agent(folder, "status", "--json")
        found = json.loads(answer.stdout)["control"] if answer.returncode == 0 else {}
        if found and found["channels"]["supply_temperature"]["quality"] == "GOOD":
            return dict(found)
        sleep(0.05)
    raise AssertionError("no status")


def crash(folder: Path) -> None:
    with running(folder):
        pass


def end(agent: subprocess.Popen[str]) -> str:
    """In good order; what it wrote."""
    agent.send_signal(signal.SIGTERM)
    words = agent.communicate(timeout=WITHIN_S)[1]
    assert agent.returncode == 0, words
    return words


def test_after_quick_crashes_it_only_watches_until_a_person_resets_it(folder: Path) -> None:
    for _ in range(CRASHES_MAX):
        crash(folder)
    with running(folder) as agent:
        seen = control(folder)
        mapped = Path(f"/proc/{agent.pid}/maps").read_text(encoding="utf-8")
        said = end(agent)
    assert (seen["mode"], seen["safe_mode"], seen["enforced"]) == ("TRIPPED", True, False)
    assert seen["cause"] == "the program crashed 5 times at once: it only watches"
    assert "onnxruntime" not in mapped  # it may be what crashes
    assert "starts in safe mode and cannot be armed" in said

    with running(folder) as agent:  # a restart changes nothing
        assert control(folder)["safe_mode"]
        end(agent)
    assert "the program crashed 5 times at once" in edge_agent(folder, "reset").stdout
    with running(folder) as agent:
        seen = control(folder)
        assert not seen["safe_mode"]
        assert seen["mode"] in {"ARMING", "ACTIVE"}
        end(agent)


def test_runs_that_end_in_good_order_are_no_crashes(folder: Path) -> None:
    for _ in range(CRASHES_MAX - 1):
        crash(folder)
    with running(folder) as agent:
        end(agent)
    crash(folder)
    with running(folder) as agent:
        assert not control(folder)["safe_mode"]
        end(agent)
