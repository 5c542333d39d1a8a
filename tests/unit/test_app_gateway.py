"""The gateway's recording: what the disk refuses is told, not swallowed."""

import os
from pathlib import Path

import msgspec
import pytest

from edge_agent.app_gateway import FlightRecorder
from edge_agent.config import load, with_state_dir
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
