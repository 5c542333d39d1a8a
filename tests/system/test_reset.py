"""A latched trip and the real programs: `run` starts tripped, `reset` clears it, in that order."""

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

from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.service.latch import latch_path

WITHIN_S = 30.0
TRIP: dict[str, Any] = {
    "rule": 44,
    "channel": 12,
    "number": 3,
    "words": "supply_fan was commanded but shows no effect",
    "utc": "2026-01-02T03:04:05+00:00",
    "boot": "0123",
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short: the path of a Unix socket below it has 95 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="reset-") as name:
        yield Path(name)


def edge_agent(*words: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "edge_agent", *words]
    return subprocess.run(program, capture_output=True, text=True, timeout=WITHIN_S, check=False)


def place(folder: Path) -> list[str]:
    """The options of an agent whose microcontroller is not there, which is enough to be safe."""
    sensors = json.dumps([s.name for s in ENVELOPE.sensors])
    config = folder / "agent.toml"
    text = f'mode = "real"\n[serial]\nport = "{folder}/absent"\nsensors = {sensors}\n'
    config.write_text(text, encoding="utf-8")
    return ["--config", str(config), "--state-dir", str(folder / "state")]


def latched(folder: Path, content: str) -> Path:
    path = latch_path(folder / "state")
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8")
    return path


@contextmanager
def running(options: list[str]) -> Iterator[Path]:
    """`edge-agent run --arm`, ended with SIGTERM; its stderr goes to the file it gives."""
    program = [sys.executable, "-m", "edge_agent", "run", "--arm", "--no-gateway", *options]
    log = Path(options[1]).with_name("stderr")
    with log.open("w") as out, subprocess.Popen(program, stderr=out) as agent:
        try:
            yield log
        finally:
            agent.send_signal(signal.SIGTERM)
            agent.wait(WITHIN_S)


def status(options: list[str]) -> dict[str, Any]:
    """The control part of the status, as soon as there is one."""
    until = monotonic() + WITHIN_S
    while monotonic() < until:
        answer = edge_agent("status", "--json", *options)
        if answer.returncode == 0:
            control: dict[str, Any] = json.loads(answer.stdout)["control"]
            if control:
                return control
        sleep(0.1)
    pytest.fail("no status")


def test_a_trip_of_an_earlier_run_is_met_again_and_reset_only_between_runs(folder: Path) -> None:
    options = place(folder)
    path = latched(folder, json.dumps(TRIP))
    with running(options) as log:
        control = status(options)
        assert control["mode"] == "TRIPPED"
        assert "shows no effect" in control["cause"]
        refused = edge_agent("reset", *options)
        assert refused.returncode == 1
        assert "an agent is running" in refused.stderr
        assert path.exists()
    said = log.read_text(encoding="utf-8")
    assert f"starts TRIPPED and cannot be armed: {TRIP['words']}" in said
    assert "edge-agent reset" in said
    done = edge_agent("reset", *options)
    assert done.returncode == 0
    assert TRIP["words"] in done.stdout
    assert "2026-01-02T03:04:05" in done.stdout
    assert not path.exists()
    again = edge_agent("reset", *options)
    assert (again.returncode, again.stdout[:16]) == (0, "nothing to reset")


def test_a_record_that_cannot_be_read_keeps_it_tripped_and_says_so(folder: Path) -> None:
    options = place(folder)
    path = latched(folder, "{")
    with running(options):
        control = status(options)
    assert control["mode"] == "TRIPPED"
    assert control["cause"].startswith("the record of the last trip cannot be read")
    assert path.exists()
    assert "cannot be read" in edge_agent("reset", *options).stdout
    assert not path.exists()
