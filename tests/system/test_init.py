"""`edge-agent init`: what it writes runs, and the device that it sketches can be installed."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.cli import main
from edge_agent.client.key_file import read_key
from edge_agent.core.errors import EXIT_CONFIG, EXIT_OK, EXIT_TRANSIENT, EXIT_USAGE
from edge_agent.safety.checks import require_sound
from edge_agent.starter.device import ENVELOPE

ROOT = Path(__file__).parents[2]


def _python(*arguments: str, path: str = "") -> str:
    environment = {**os.environ, "PYTHONPATH": f"{path}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_sketched_envelope_is_sound() -> None:
    require_sound(ENVELOPE)


def test_what_is_written_checks_and_simulates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "site"
    assert main(["init", str(folder)]) == EXIT_OK
    config = str(folder / "agent.toml")
    assert main(["check", "--config", config]) == EXIT_OK
    assert "ok: this configuration can run, on simulated hardware" in capsys.readouterr().out
    sim = ["sim", "--duration", "20", "--json", "--state-dir", str(folder / "state")]
    assert main(sim) == EXIT_OK
    (run,) = json.loads(capsys.readouterr().out)
    assert run["problems"] == []
    assert main(["doctor", "--config", config]) == EXIT_OK


def test_the_whole_sketch_works_when_its_lines_are_taken_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every commented section is valid, with the keys that were written."""
    folder = tmp_path / "site"
    assert main(["init", str(folder), "--device", "tank-heater-2"]) == EXIT_OK
    config = folder / "agent.toml"
    plane = config.read_text("utf-8")
    for line in (
        "[mqtt]",
        "[plane]",
        'id = "',
        'host = "127',
        "keyring_file",
        "[metrics]",
        "port = 9464",
    ):
        plane = plane.replace(f"# {line}", line)
    config.write_text(plane, "utf-8")
    assert main(["check", "--config", str(config)]) == EXIT_OK
    assert "1 keys, version 1" in capsys.readouterr().out
    options = read_key(folder / "keys" / "tank-heater-2.operator.key.json", "me")
    assert options.device == "tank-heater-2"


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path / "site")]) == EXIT_OK
    keys = tmp_path / "site" / "keys"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in keys.iterdir()} == {0o600}


@pytest.mark.xdist_group("wheel")
def test_the_package_of_the_device_installs_and_its_limits_can_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    assert main(["init", str(folder), "--device", "tank-heater"]) == EXIT_OK
    target = tmp_path / "packages"
    pip = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    _python(*pip, "--target", str(target), str(folder / "tank-heater"))
    shown = _python("-m", "edge_agent", "envelope", "show", "tank-heater", path=str(target))
    assert "heater" in shown
    assert "too_hot" in shown
    _python("-m", "edge_agent", "envelope", "check", "tank-heater", path=str(target))


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    assert main(["init", str(folder)]) == EXIT_OK  # empty is as good as new
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main(["init", str(folder)]) == EXIT_CONFIG
    assert "nothing is written over" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    (tmp_path / "file").write_text("x")
    assert main(["init", str(tmp_path / "file")]) == EXIT_CONFIG


@pytest.mark.parametrize(
    "name", ["", "Heater", "9lives", "a_b", "../x", "a--b", "x" * 41, "air-handler", "-"]
)
def test_a_name_that_cannot_be_a_package_is_wrong_usage(tmp_path: Path, name: str) -> None:
    assert main(["init", str(tmp_path / "site"), f"--device={name}"]) == EXIT_USAGE
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    assert main(["init", "/proc/sys/site"]) == EXIT_TRANSIENT
    assert main(["init", str(tmp_path / 'quo"te')]) == EXIT_CONFIG
    assert list(tmp_path.iterdir()) == []
