"""The stop watch of the link measures what it says."""

import json

import pytest

from bench import frames
from firmware_bridge.frames import encode_frame


def test_the_frame_that_is_measured_has_forty_bytes() -> None:
    assert 40 <= len(encode_frame(frames.TELEMETRY, frames.SALT)) <= 42


def test_every_figure_is_there_and_a_miss_is_an_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["frames.py", "--blocks", "1", "--json"])
    code = frames.main()
    document = json.loads(capsys.readouterr().out)
    assert code == (1 if document["missed"] else 0)
    figures = [value for name, value in document.items() if name != "missed"]
    assert len(figures) >= 6
    assert min(figures) > 0
    monkeypatch.setattr("sys.argv", ["frames.py", "--blocks", "1"])
    frames.main()
    assert "at most 1.2" in capsys.readouterr().out
