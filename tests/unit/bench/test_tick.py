"""The whole benchmark works: real agent, real gateway, real floor, one small block each."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.processes import ROOT
from bench.report import TARGETS


def run_bench(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "bench" / "tick.py"), *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.xdist_group("bench")
def test_a_smoke_run_prints_every_ratio() -> None:
    done = run_bench("--smoke", "--normal", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {row["id"] for row in found["ratios"]} == set(TARGETS)
    assert all(row["ratio"] > 0 for row in found["ratios"])
    assert set(found["max_rate_hz"]) == {"agent", "floor"}
    assert set(found["memory_mb"]) == {"agent", "floor", "bare", "gateway"}
    assert found["agent_after"]["mode after 50"] == "ACTIVE"


def test_a_missing_model_is_one_message_and_exit_78(tmp_path: Path) -> None:
    done = run_bench("--smoke", "--normal", "--model", str(tmp_path))
    assert done.returncode == 78
    assert done.stderr.startswith("bench: ")
    assert "Traceback" not in done.stderr
