"""Warming runs between the ticks change nothing that is decided or recorded."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from edge_agent.app import load_model, shipped_model
from edge_agent.app_sim import SimRequest, parts_of
from edge_agent.config import load
from edge_agent.core.clock import Clock, SystemClock
from edge_agent.core.records import Proposal
from edge_agent.inference.manifest import load_manifest
from edge_agent.inference.session import OnnxPolicy
from edge_agent.recording.reader import SegmentReader, segments
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.sim.run import SimOptions, simulate


class Warmed:
    """The shipped model, warmed before every decision."""

    def __init__(self, clock: Clock) -> None:
        folder = shipped_model(ENVELOPE.device)
        self._policy = OnnxPolicy(folder, load_manifest(folder, ENVELOPE), clock)
        self.runs = 0

    def propose(self, features: Sequence[float]) -> Proposal:
        self._policy.warm()
        self.runs += 1
        return self._policy.propose(features)


def _recorded(folder: Path, made: list[Warmed] | None) -> list[bytes]:
    """Five minutes of a morning, tick by tick, as bytes."""
    options = SimOptions(duration_s=300.0)
    settings = load(None)
    request = SimRequest(options, folder, as_json=True)
    parts = parts_of(settings, load_model(settings, SystemClock()), request, lambda: False)

    def warmed(clock: Clock) -> Warmed:
        assert made is not None
        made.append(Warmed(clock))
        return made[-1]

    if made is not None:
        parts = replace(parts, make_policy=warmed)
    (result,) = simulate(options, parts, io.StringIO())
    assert result.problems == ()
    ticks = [t for path in segments(folder / "recordings") for t in SegmentReader(path)]
    return [msgspec.msgpack.encode(tick) for tick in ticks]


def test_a_run_that_was_warmed_is_recorded_byte_for_byte_as_one_that_was_not(
    tmp_path: Path,
) -> None:
    made: list[Warmed] = []
    warmed = _recorded(tmp_path / "warmed", made)
    assert made[0].runs > 2_000
    assert len(warmed) == 3_000
    assert warmed == _recorded(tmp_path / "plain", None)
