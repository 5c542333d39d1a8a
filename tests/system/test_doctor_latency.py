"""`edge-agent doctor --latency`: wake-ups and inferences of this machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.cli import main

ROOT = Path(__file__).parents[2]


def test_latency_measures_the_loops_own_pacing_in_both_classes() -> None:
    """In a process of its own: the scheduling class is for good."""
    command = [sys.executable, "-m", "edge_agent", "doctor", "--latency", "--seconds", "0.5"]
    done = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, check=True)
    rows = json.loads(done.stdout)
    own = ["loop", "inference", "warmed"]
    assert [row["what"] for row in rows] == [*own, *own, "cyclictest", "cyclictest"]
    for row in rows:
        if "refused" not in row:
            assert 0 <= row["p50_us"] <= row["p99_us"] <= row["max_us"]
    assert not any("refused" in row for row in rows[:3])
    table = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    assert [line.split()[0] for line in table.splitlines()[2:]] == [row["what"] for row in rows]


def test_what_else_is_configured_has_rows_of_its_own(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text("[loop]\nlock_memory = true\ncpus = [0]\n", encoding="utf-8")
    command = [sys.executable, "-m", "edge_agent", "doctor", "--latency", "--seconds", "0.2"]
    command += ["--config", str(config), "--state-dir", str(tmp_path), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    setups = [row["scheduler"] for row in json.loads(done.stdout) if row["what"] == "warmed"]
    assert setups == ["normal", "SCHED_FIFO 50", "SCHED_FIFO 50 on 0 locked"]


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "601"])
def test_a_measurement_without_a_length_is_wrong_usage(seconds: str) -> None:
    assert main(["doctor", "--latency", f"--seconds={seconds}"]) == 2
