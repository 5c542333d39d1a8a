"""Short soaks: both parts really run and are really watched, and the table has every figure."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bench import soak, soak_simulated, soak_site
from bench.growth import SAMPLES_MIN, Sample
from bench.processes import Process
from edge_agent.client import DeviceClient, NoAnswerError
from edge_agent.core.errors import EXIT_CONFIG, TransientError

pytestmark = pytest.mark.xdist_group("bench")


def test_the_simulated_part_watches_a_whole_run_and_the_shortest_is_long_enough() -> None:
    found = soak.measure(0.0, soak_simulated.HOURS_MIN)
    (part,) = found["parts"]
    assert part["facts"]["ticks"] == 10_800
    assert part["facts"]["segments"] == 5
    text = soak.table(found)
    assert all(f"| {rule.name} |" in text for rule in soak_simulated.RULES)


def test_the_real_part_commands_disturbs_and_ends_in_good_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(soak_site, "_REMEMBERED", 3)
    told: list[Sample] = []
    with TemporaryDirectory(prefix="soak-") as folder:  # a socket's path must be short
        soaked = soak_site.run(0.005, Path(folder), told.append)
    assert soaked.exit_code == 0
    assert soaked.samples == told
    assert soaked.outcomes["ping done"] >= 1  # what the ninth sample is followed by
    assert soaked.status["mqtt.connects"] >= 2  # the broker was killed once, at least
    assert soaked.status["recording.records_lost"] == 0
    assert {rule.name for rule in soak_site.RULES} <= told[-1].figures.keys()
    assert told[-1].figures["control.own_kb"] > 10_000
    assert set(soak.FACTS) <= soaked.status.keys()


def test_a_site_that_does_not_come_up_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Process] = []
    begin = Process.__init__

    def kept(process: Process, arguments: list[str]) -> None:
        begin(process, arguments)
        started.append(process)

    def offline(_client: DeviceClient, _within_s: float) -> None:
        raise NoAnswerError("nobody")

    monkeypatch.setattr(Process, "__init__", kept)
    monkeypatch.setattr(DeviceClient, "wait_online", offline)
    with TemporaryDirectory(prefix="soak-") as folder, pytest.raises(NoAnswerError):
        soak_site.Site(Path(folder), 24.0)
    left = [process.pid for process in started if process.alive()]
    for process in started:
        process.end()
    assert (len(started), left) == (3, [])  # the board, the agent, the feeder


@pytest.mark.parametrize("option", ["--hours", "--simulated-hours"])
@pytest.mark.parametrize("hours", ["0.04", "-1", "nan", "inf"])
def test_hours_that_give_too_few_samples_are_refused_before_the_run(
    option: str, hours: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert soak.main(["--hours=0", "--simulated-hours=0", f"{option}={hours}"]) == EXIT_CONFIG
    assert f"{option}: {float(hours):g} hours" in (told := capsys.readouterr().err)
    assert "fix: choose at least 0." in told


def test_a_missing_figure_does_not_count_as_none_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status = dict.fromkeys(soak.FACTS, 0)
    samples = [Sample(n, {r.name: 0 for r in soak_site.RULES}) for n in range(SAMPLES_MIN)]
    soaked = soak_site.Soaked(samples, {}, status, 0)
    monkeypatch.setattr(soak_site, "run", lambda *_: soaked)
    with pytest.raises(KeyError, match="records_lost"):
        soak.measure(1.0, 0.0)
    with pytest.raises(TransientError, match="no report of the gateway"):
        soak_site.said({})
