"""The wheel is complete: it runs outside the source tree, with its models inside."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, repository_files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _run(*command: str | Path, cwd: Path) -> str:
    # Without PYTHONPATH, or the source tree would answer in the wheel's place.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built offline with the locked backend."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps"]
    _run(*command, "--no-build-isolation", "--wheel-dir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.xdist_group("wheel")
def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names}
    info = f"edge_autonomy-{PROJECT['version']}.dist-info"
    assert tops == {"edge_agent", "firmware_bridge", info}
    assert {"edge_agent/py.typed", "firmware_bridge/py.typed"} <= names
    assert {f"{info}/licenses/LICENSE", f"{info}/entry_points.txt"} <= names


@pytest.mark.xdist_group("wheel")
def test_every_model_ships_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    needed = re.compile(r"models/[^/]+/(?:manifest\.toml|golden.*|.*\.onnx)")
    wanted = {f"edge_agent/{p}" for p in repository_files() if needed.fullmatch(p)}
    assert any(name.endswith("manifest.toml") for name in wanted)
    assert any(name.endswith(".onnx") for name in wanted)
    assert {name for name in names if name.startswith("edge_agent/models/")} == wanted


@pytest.mark.xdist_group("wheel")
def test_the_wheel_runs_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    _run(sys.executable, "-m", "venv", "--without-pip", venv, cwd=tmp_path)
    python = venv / "bin/python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(_run(python, "-c", where, cwd=tmp_path).strip())
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    _run(*pip, "--no-index", "--no-deps", wheel, cwd=tmp_path)
    # The dependencies come from this environment: a plain path entry, whose own .pth files
    # (the editable install among them) are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    agent = venv / "bin/edge-agent"
    assert PROJECT["version"] in _run(agent, "--version", cwd=tmp_path)
    origin = _run(python, "-c", "import edge_agent; print(edge_agent.__file__)", cwd=tmp_path)
    assert Path(origin.strip()).is_relative_to(site)
