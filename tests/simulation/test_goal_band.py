"""A goal that is a band, in closed loop with the shipped model and the simulated plant."""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent import app
from edge_agent.config import load
from edge_agent.core.clock import Clock, ManualClock
from edge_agent.core.records import Intent, Mode, Op, Reading, TickRecord
from edge_agent.decision.agent import Agent
from edge_agent.inference.manifest import features_of
from edge_agent.inference.session import OnnxPolicy
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim import run as sim_run
from edge_agent.sim.run import SimOptions, SimParts
from tests.simulation.rig import parts

WISH, MEASURED = (ENVELOPE.sensor_index[name] for name in ("supply_setpoint", "supply_temperature"))
SET_AT_TICK, SETTLED_TICK, DURATION_S = 3_000, 6_000, 2_400.0


def _with_the_model(folder: Path) -> SimParts:
    settings = load(None)
    model = app.load_model(settings, ManualClock())

    def policy(clock: Clock) -> OnnxPolicy:
        return OnnxPolicy(model.folder, model.manifest, clock)

    return replace(
        parts(folder),
        make_policy=policy,
        make_features=lambda: features_of(model.manifest, settings.compiled),
    )


def _wished(low: int, high: int, records: list[TickRecord]) -> Callable[..., Agent]:
    """An agent that is told the band, and whose records are kept."""

    class Told(Agent):
        def step(
            self, now_ns: int, readings: Sequence[Reading], intents: Sequence[Intent] = ()
        ) -> TickRecord:
            if len(records) == SET_AT_TICK:
                intents = (*intents, Intent(Op.SET_BAND, "test", WISH, low, high_counts=high))
            records.append(super().step(now_ns, readings, intents))
            return records[-1]

    return Told


def _run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, low: int, high: int
) -> tuple[list[TickRecord], float]:
    records: list[TickRecord] = []
    monkeypatch.setattr(sim_run, "Agent", _wished(low, high, records))
    (result,) = sim_run.simulate(
        SimOptions(duration_s=DURATION_S), _with_the_model(folder), io.StringIO()
    )
    return records[SETTLED_TICK:], float(result.summary["cooling_kwh"])


def test_a_band_is_kept_and_costs_less_cooling_than_its_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    within, kwh = _run(tmp_path / "band", monkeypatch, 1300, 1700)
    _, kwh_of_the_middle = _run(tmp_path / "value", monkeypatch, 1500, 1500)
    assert {r.mode for r in within} == {Mode.ACTIVE}
    # At an edge the model regulates as it does at any set point: to within one kelvin.
    assert all(1200 <= r.snapshot.counts[MEASURED] <= 1800 for r in within)
    assert all(1300 <= r.snapshot.counts[WISH] <= 1700 for r in within)
    assert kwh < 0.95 * kwh_of_the_middle
