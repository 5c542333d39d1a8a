"""Whole runs on simulated time: every promise is kept, and the same seed is the same run."""

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.core.clock import NS_PER_MS, NS_PER_S, ManualClock
from edge_agent.core.errors import ConfigError
from edge_agent.core.records import Mode, Proposal, Snapshot, Verdict
from edge_agent.decision.agent import Agent
from edge_agent.recording.reader import SegmentReader, segments
from edge_agent.safety import envelope as envelope_step
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.safety.envelope import EnvelopeState, Order
from edge_agent.safety.limits import Envelope
from edge_agent.sim.run import PERIOD_NS, SimOptions, View, simulate
from edge_agent.sim.scenarios import SCENARIOS
from tests.simulation.rig import SplitRangePolicy, features, parts, run

FAULTY = [name for name, scenario in SCENARIOS.items() if scenario.injections]


@pytest.mark.parametrize("name", FAULTY)
def test_every_fault_meets_its_declared_reaction_inside_the_envelope(
    name: str, tmp_path: Path
) -> None:
    # A slower tick for the scenario that lasts longest: the promises are in seconds.
    period_ns = 2 * PERIOD_NS if SCENARIOS[name].duration_s > 1000 else PERIOD_NS
    paced = replace(parts(tmp_path), period_ns=period_ns)
    (result,) = simulate(SimOptions(scenario=name), paced, io.StringIO())
    assert result.problems == ()
    assert result.summary["commands_outside_envelope"] == 0
    assert result.summary["missed_deadlines"] == 0
    assert result.summary["ticks"] == SCENARIOS[name].duration_s * NS_PER_S // period_ns
    assert len(result.summary["faults"]) == len(SCENARIOS[name].injections)
    assert all(fault["cause"] for fault in result.summary["faults"])


class Broken:
    """A model that never gives a number."""

    def propose(self, features: Sequence[float]) -> Proposal:
        return Proposal((math.nan,) * 4)


def test_the_fallback_holds_the_set_point_of_a_whole_morning_without_a_model(
    tmp_path: Path,
) -> None:
    broken = replace(parts(tmp_path), make_policy=lambda _clock: Broken())
    (result,) = simulate(SimOptions(), broken, io.StringIO())
    assert result.problems == ()
    assert result.summary["fallback_ticks"] > 17_000
    assert result.summary["rms_error"] < 2.0  # with set-point steps of 3 and 4 K
    assert result.summary["trips"] == 0


def test_nothing_breaks_in_a_normal_run(tmp_path: Path) -> None:
    (result,) = run(tmp_path, SimOptions(duration_s=300.0))
    assert result.problems == ()
    assert result.summary["commands_outside_envelope"] == 0
    assert result.summary["trips"] == 0
    assert result.summary["modes_percent"]["ACTIVE"] > 95.0
    assert result.summary["fan_kwh"] > 0.0


def test_the_same_seed_gives_the_same_recording_byte_for_byte(tmp_path: Path) -> None:
    kept = []
    for folder, seed in (("a", 5), ("b", 5), ("c", 6)):
        options = SimOptions(scenario="serial-unplugged", seed=seed, duration_s=290.0)
        run(tmp_path / folder, options)
        (path,) = segments(tmp_path / folder)
        kept.append(path.read_bytes())
    assert kept[0] == kept[1]
    assert kept[0] != kept[2]


def test_the_recording_holds_every_tick_and_says_what_it_is(tmp_path: Path) -> None:
    (result,) = run(tmp_path, SimOptions(duration_s=20.0, seed=7))
    (path,) = segments(tmp_path)
    reader = SegmentReader(path)
    ticks = list(reader)
    assert reader.damage == []
    assert [t.tick for t in ticks] == list(range(200))
    assert reader.header is not None
    assert (reader.header.seed, reader.header.scenario) == (7, "normal")
    assert result.summary["recording"]["path"] == str(path)


def test_recorded_inputs_through_a_fresh_agent_give_the_recorded_ticks(tmp_path: Path) -> None:
    run(tmp_path, SimOptions(scenario="mcu-reset", duration_s=200.0))
    ticks = list(SegmentReader(segments(tmp_path)[0]))
    agent = Agent(ENVELOPE, SplitRangePolicy(), features(), PERIOD_NS)
    assert [agent.step(t.now_ns, t.readings, t.intents) for t in ticks] == ticks
    assert {t.mode for t in ticks} == {Mode.SAFE, Mode.ARMING, Mode.ACTIVE, Mode.RAMPING}


def test_an_envelope_that_lets_a_command_through_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = envelope_step.step

    def broken(
        envelope: Envelope, state: EnvelopeState, order: Order, snapshot: Snapshot, now_ns: int
    ) -> tuple[EnvelopeState, Verdict]:
        after, verdict = whole(envelope, state, order, snapshot, now_ns)
        if order.mode == Mode.ACTIVE and order.wanted is not None:
            verdict = Verdict(order.wanted, verdict.reasons)
        return after, verdict

    monkeypatch.setattr(envelope_step, "step", broken)
    (result,) = run(tmp_path, SimOptions(duration_s=20.0))
    assert result.summary["commands_outside_envelope"] > 0
    assert any("too fast" in problem for problem in result.problems)


def test_a_disk_that_refuses_costs_the_recording_and_not_the_run(tmp_path: Path) -> None:
    blocked = tmp_path / "recordings"
    blocked.touch()
    (result,) = run(blocked, SimOptions(duration_s=20.0))
    assert result.problems == ()
    assert result.summary["recording"]["records_lost"] == 200
    assert result.summary["recording"]["error"]


def test_lines_come_once_a_minute_and_at_every_change_of_mode(tmp_path: Path) -> None:
    out = io.StringIO()
    run(tmp_path, SimOptions(duration_s=130.0, view=View.LINES), out)
    modes = [text.split()[2] for text in out.getvalue().splitlines()]
    assert modes == ["SAFE", "ARMING", "ACTIVE", "ACTIVE", "ACTIVE"]


def test_a_quiet_run_writes_nothing(tmp_path: Path) -> None:
    out = io.StringIO()
    run(tmp_path, SimOptions(duration_s=10.0), out)
    assert out.getvalue() == ""


def test_a_paced_run_takes_its_time_and_redraws_ten_times_a_second(tmp_path: Path) -> None:
    wall = ManualClock(10 * NS_PER_S)
    out = io.StringIO()
    options = SimOptions(duration_s=60.0, speed=20.0, view=View.SCREEN)
    simulate(options, parts(tmp_path, wall=wall), out)
    assert wall.now_ns() == 13 * NS_PER_S
    assert out.getvalue().count("\x1b[H") == 30


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (SimOptions(scenario="sensor-nam"), "did you mean 'sensor-nan'"),
        (SimOptions(device="air-handle"), "did you mean 'air-handler'"),
        (SimOptions(device="toaster"), "one of: air-handler"),
        (SimOptions(speed=-1.0), "speed -1"),
        (SimOptions(speed=float("nan")), "speed nan"),
        (SimOptions(speed=float("inf")), "speed inf"),
        (SimOptions(duration_s=0.0), "normal needs 1 s or more"),
        (SimOptions(duration_s=float("nan")), "normal needs"),
        (SimOptions(scenario="sensor-silent", duration_s=200.0), "sensor-silent needs 386 s"),
        (SimOptions(scenario="all", duration_s=400.0), "sensor-frozen needs"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_runs(
    options: SimOptions, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words):
        run(tmp_path, options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("period_ns", [0, -PERIOD_NS, 30 * NS_PER_MS])
def test_a_period_that_the_world_cannot_keep_is_refused(period_ns: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="multiple of"):
        simulate(SimOptions(), replace(parts(tmp_path), period_ns=period_ns), io.StringIO())
