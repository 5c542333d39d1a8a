"""Ctrl-C at the command line: what ran is summed up, nothing ends in a traceback."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_agent.cli import main
from edge_agent.core.errors import EXIT_INTERRUPTED
from edge_agent.recording.reader import SegmentReader, segments
from tests.system.mqtt_peer import wait_until

ROOT = Path(__file__).parents[2]
SUMMED_UP = "edge-agent: interrupted; the summary is of what ran until then\n"


class Simulation:
    """`edge-agent sim` as a process that has begun."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.recordings = folder / "recordings"
        command = [sys.executable, "-m", "edge_agent", "sim", "--state-dir", str(folder)]
        self.process = subprocess.Popen(
            [*command, *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until(lambda: self.recordings.is_dir() and segments(self.recordings), "it began")

    def ctrl_c(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self) -> tuple[int, str, str]:
        """Exit code, results and diagnostics."""
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err

    def kept(self) -> int:
        """How many ticks were recorded, in a file without damage."""
        (recording,) = segments(self.recordings)
        reader = SegmentReader(recording)
        count = len(list(reader))
        assert reader.damage == []
        return count

    def sleeps(self) -> int:
        """How often it went to sleep so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


Start = Callable[..., Simulation]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Simulation] = []

    def start_one(*options: str) -> Simulation:
        made.append(Simulation(tmp_path, *options))
        return made[-1]

    yield start_one
    for simulation in made:
        simulation.process.kill()
        simulation.process.communicate()


def test_ctrl_c_ends_a_simulation_with_the_summary_of_what_ran(start: Start) -> None:
    simulation = start("--scenario", "all", "--speed", "1")
    simulation.ctrl_c()
    code, out, err = simulation.end()
    assert (code, err) == (EXIT_INTERRUPTED, SUMMED_UP)
    assert out.count("scenario ") == 1  # those that did not begin are not summed up
    assert "PROBLEM" not in out  # nor are their faults missing
    assert f"{simulation.kept()} records in" in out


def test_an_interrupted_simulation_as_json_says_so(start: Start) -> None:
    simulation = start("--scenario", "sensor-nan", "--speed", "1", "--json")
    simulation.ctrl_c()
    code, out, err = simulation.end()
    assert (code, err) == (EXIT_INTERRUPTED, SUMMED_UP)
    (run,) = json.loads(out)
    assert run["interrupted"] is True
    assert run["problems"] == []
    assert run["ticks"] == simulation.kept()


def test_a_second_ctrl_c_ends_a_simulation_at_once(start: Start) -> None:
    simulation = start("--speed", "0.0001")  # a tick lasts a quarter of an hour
    assert simulation.process.stdout is not None
    assert simulation.process.stdout.readline()  # the first tick is over, its pause is not
    sleeps = simulation.sleeps()
    simulation.ctrl_c()
    wait_until(lambda: simulation.sleeps() > sleeps, "it took the first one in, and sleeps on")
    simulation.ctrl_c()
    assert simulation.end() == (EXIT_INTERRUPTED, "", "edge-agent: interrupted\n")


def test_ctrl_c_elsewhere_is_a_line_and_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupt(_settings: object) -> dict[str, object]:
        raise KeyboardInterrupt

    monkeypatch.setattr("edge_agent.cli_config.DEFAULT_PATH", tmp_path / "none.toml")
    monkeypatch.setattr("edge_agent.app_gateway.ask_status", interrupt)
    assert main(["status"]) == EXIT_INTERRUPTED
    assert capsys.readouterr() == ("", "edge-agent: interrupted\n")
