"""What the board last started with is there to be put back, and nothing else is."""

from pathlib import Path

import pytest

from edge_agent.config import load
from edge_agent.service.last_good import FOLDER, keep_last_good


def kept(folder: Path) -> dict[str, str]:
    top = folder / FOLDER
    return {str(p.relative_to(top)): p.read_text("utf-8") for p in top.rglob("*") if p.is_file()}


def test_the_copies_are_laid_out_as_the_originals_and_load_to_the_same(tmp_path: Path) -> None:
    site = tmp_path / "etc"
    (site / "config.d").mkdir(parents=True)
    (site / "agent.toml").write_text("[loop]\nrate_hz = 5.0 # slow\n", "utf-8")
    (site / "config.d" / "10-mine.toml").write_text('control = "monitor"\n', "utf-8")
    settings = load(site / "agent.toml")
    keep_last_good(tmp_path, settings.texts)
    assert kept(tmp_path).keys() == {"agent.toml", "config.d/10-mine.toml"}
    assert load(tmp_path / FOLDER / "agent.toml").digest == settings.digest


def test_a_drop_in_that_is_gone_is_gone_from_the_copies(tmp_path: Path) -> None:
    keep_last_good(tmp_path, {"agent.toml": "a", "config.d/10.toml": "b"})
    keep_last_good(tmp_path, {"agent.toml": "c"})
    assert kept(tmp_path) == {"agent.toml": "c"}


def test_what_has_not_changed_is_not_written_again(tmp_path: Path) -> None:
    keep_last_good(tmp_path, {"agent.toml": "a"})
    before = (tmp_path / FOLDER / "agent.toml").stat().st_ino
    keep_last_good(tmp_path, {"agent.toml": "a"})
    assert (tmp_path / FOLDER / "agent.toml").stat().st_ino == before
    keep_last_good(tmp_path, {"agent.toml": "b"})
    assert kept(tmp_path) == {"agent.toml": "b"}


def test_a_start_without_any_file_takes_no_copy_away(tmp_path: Path) -> None:
    keep_last_good(tmp_path, {"agent.toml": "a"})
    keep_last_good(tmp_path, load(None).texts)
    assert kept(tmp_path) == {"agent.toml": "a"}


def test_a_disk_that_fails_stops_nothing_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / FOLDER).write_text("a file where the folder should be")
    keep_last_good(tmp_path, {"agent.toml": "a"})
    assert "the configuration cannot be kept" in capsys.readouterr().err
