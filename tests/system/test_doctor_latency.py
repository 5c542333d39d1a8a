"""`edge-agent doctor --latency`: wake-ups and inferences of this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.app_latency import lead_us
from edge_agent.cli import main
from edge_agent.config import LoopConfig

ROOT = Path(__file__).parents[2]
ONE = min(os.sched_getaffinity(0))
# Its rows name the processors on which it would have run.
CYCLICTEST = """
import os, sys
from pathlib import Path
from edge_agent import app_latency
from edge_agent.config import load
from edge_agent.core.clock import NS_PER_S, SystemClock
app_latency.cyclictest = lambda *_: f"{os.sched_getaffinity(0)}"
for row in app_latency.measure(load(Path(sys.argv[1])), SystemClock(), NS_PER_S // 5):
    print(row.what, row.scheduler, row.lateness, sep="\t")
"""


def _latency(folder: Path, loop: str, *more: str) -> str:
    """What the doctor prints with this `[loop]`."""
    config = folder / "agent.toml"
    config.write_text(f"[loop]\n{loop}\n", encoding="utf-8")
    command = [sys.executable, "-m", "edge_agent", "doctor", "--latency", "--seconds", "0.2"]
    command += ["--config", str(config), "--state-dir", str(folder), *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout


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
    assert not any("refused" in row for row in rows[:6])
    table = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    assert [line.split()[0] for line in table.splitlines()[2:]] == [row["what"] for row in rows]


@pytest.mark.parametrize(
    ("loop", "less", "all_of_it"),
    [
        ("lock_memory = true", f"normal on {ONE} locked", f"SCHED_FIFO 50 on {ONE} locked"),
        ("realtime_priority = 10", "SCHED_FIFO 10", f"SCHED_FIFO 10 on {ONE}"),
    ],
)
def test_what_is_configured_has_rows_of_its_own(
    tmp_path: Path, loop: str, less: str, all_of_it: str
) -> None:
    """As it is written; no row names what was not granted."""
    rows = json.loads(_latency(tmp_path, f"{loop}\ncpus = [{ONE}]", "--json"))
    assert all("p50_us" in row for row in rows if row["what"] != "cyclictest")
    warmed = [row for row in rows if row["what"] == "warmed"]
    for row, name in zip(warmed, ["normal", less, all_of_it], strict=True):
        assert (row["scheduler"] == name) == ("not_granted" not in row)


def test_with_what_was_granted_is_measured_and_what_was_not_is_named(tmp_path: Path) -> None:
    table = _latency(tmp_path, f"cpus = [{ONE}, 1023]").splitlines()
    (line,) = (line for line in table if line.startswith(f"warmed      normal on {ONE} "))
    figures, named = line.split("  (")
    assert len(figures.split()) == len(f"warmed normal on {ONE}".split()) + 4
    assert named == "cpus 1023 refused: not there, or not for this process)"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor is all there is")
def test_cyclictest_runs_on_the_processors_of_before(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(f"[loop]\ncpus = [{ONE}]\n", encoding="utf-8")
    command = [sys.executable, "-c", CYCLICTEST, str(config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    cpus = f"{os.sched_getaffinity(0)}"
    wanted = [f"cyclictest\t{name}\t{cpus}" for name in ("normal", "SCHED_FIFO 50")]
    assert done.stdout.splitlines()[-2:] == wanted


@pytest.mark.parametrize(
    ("loop", "lead"),
    [
        (LoopConfig(rate_hz=10.0), 1000),
        (LoopConfig(rate_hz=1000.0), 500),
        (LoopConfig(rate_hz=10.0, warm_before_us=3000), 3000),
    ],
)
def test_the_model_is_warmed_as_the_configuration_would_allow(loop: LoopConfig, lead: int) -> None:
    assert lead_us(loop) == lead


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "601"])
def test_a_measurement_without_a_length_is_wrong_usage(seconds: str) -> None:
    assert main(["doctor", "--latency", f"--seconds={seconds}"]) == 2
