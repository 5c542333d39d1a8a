"""The gateway's recording: what the disk refuses is told, not swallowed."""

import os
from functools import partial
from pathlib import Path

import msgspec
import pytest

from edge_agent.app_gateway import FlightRecorder, is_outdated
from edge_agent.config import Settings, load, with_state_dir
from edge_agent.core.ipc import Welcome
from tests.unit.sim.sample_ticks import tick

RECORD = msgspec.msgpack.encode(tick(0))


def test_records_that_the_disk_refuses_are_counted_for_all_to_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int, _data: object) -> int:
        raise OSError(28, "No space left on device")

    recorder = FlightRecorder(with_state_dir(load(None), tmp_path))
    assert recorder.status() == {}
    recorder.begin(Welcome("b00t", "air-handler", {}))
    recorder.append(RECORD)
    monkeypatch.setattr(os, "write", full)
    for _ in range(10_000):
        recorder.append(RECORD)
    status = recorder.status()
    monkeypatch.undo()
    recorder.close()
    assert int(status["records_lost"]) > 0
    assert status["error"] == "No space left on device"


def settings(folder: Path, text: str) -> Settings:
    path = folder / "agent.toml"
    path.write_text(text, "utf-8")
    return load(path)


def control_goes_by(digest: str) -> Welcome:
    return Welcome("b00t", "air-handler", {"config": digest})


def test_a_gateway_follows_only_to_the_files_that_the_control_process_goes_by(
    tmp_path: Path,
) -> None:
    old = settings(tmp_path, "[loop]\nrate_hz = 5.0\n")
    new = settings(tmp_path, "[loop]\nrate_hz = 6.0\n")
    told: list[str] = []
    assert not is_outdated(old, lambda: new, told.append, control_goes_by(old.digest))
    assert is_outdated(old, lambda: new, told.append, control_goes_by(new.digest))
    assert told == []
    assert not is_outdated(old, lambda: new, told.append, control_goes_by("other"))
    assert "another configuration than the files here" in told[0]


def test_a_gateway_that_could_not_start_by_it_stays_as_it_is_and_says_why(tmp_path: Path) -> None:
    old = settings(tmp_path, "[loop]\nrate_hz = 5.0\n")
    new = settings(tmp_path, '[mqtt]\nusername = "a"\npassword_file = "/nowhere"\n')
    told: list[str] = []
    assert not is_outdated(old, lambda: new, told.append, control_goes_by(new.digest))
    assert "/nowhere" in told[0]
    (tmp_path / "agent.toml").write_text("[lop]\n", "utf-8")
    broken = partial(load, tmp_path / "agent.toml")
    assert not is_outdated(old, broken, told.append, control_goes_by(new.digest))
    assert "did you mean 'loop'?" in told[1]
