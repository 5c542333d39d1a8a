"""Hours of simulated time in one process: the whole agent, watched from inside.

Owns: which simulation is run, and a sample of its process at every simulated minute. Must not:
judge. The garbage collector is off as in `edge-agent run`, so that a cycle is a leak here too.
"""

import io
import os
import sys
from array import array
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.census import MB, named, of_folder, of_process
from bench.growth import SAMPLES_MIN, Kind, Rule, Sample
from edge_agent.app import load_model
from edge_agent.app_sim import SimRequest, parts_of
from edge_agent.config import Config, RecordingConfig, settings_of
from edge_agent.core.clock import NS_PER_S, SystemClock
from edge_agent.core.errors import TransientError
from edge_agent.service import realtime
from edge_agent.sim.run import PERIOD_NS, SimOptions, simulate

_S_PER_HOUR: Final = 3600
_S_PER_SAMPLE: Final = 60
HOURS_MIN: Final = SAMPLES_MIN * _S_PER_SAMPLE / _S_PER_HOUR
_TICKS_PER_SAMPLE: Final = _S_PER_SAMPLE * NS_PER_S // PERIOD_NS
# Small, so that a recording is closed every four minutes and the oldest goes after half an hour.
RECORDING: Final = RecordingConfig(segment_mb_max=1, total_mb_max=8)
RULES: Final = (
    Rule("simulation.own_kb", Kind.SLOPE, 16),
    Rule("simulation.blocks", Kind.SLOPE, 60),
    Rule("simulation.threads", Kind.STEADY, 0),
    Rule("simulation.descriptors", Kind.STEADY, 0),
    Rule("recordings.files", Kind.STEADY, 0),
    Rule("recordings.bytes", Kind.CAPPED, RECORDING.total_mb_max * MB),
)


class Simulated(NamedTuple):
    """What was seen, and the run's own summary."""

    samples: list[Sample]
    summary: dict[str, Any]


def run(hours: float, folder: Path) -> Simulated:
    """Simulate; TransientError when the run itself was not as it should be."""
    settings = settings_of(Config(recording=RECORDING), "soak")
    model = load_model(settings, SystemClock())
    options = SimOptions(duration_s=hours * _S_PER_HOUR)
    request = SimRequest(options, folder, as_json=True)
    watch = Watch(partial(_figures, folder))
    parts = parts_of(settings, model, request, watch.asked)
    realtime.set_up(realtime.Wishes())
    (result,) = simulate(options, parts, io.StringIO())
    if result.problems:
        raise TransientError("; ".join(result.problems), where="simulation")
    return Simulated(watch.samples(), result.summary)


class Watch:
    """Samples this process without growing it: an object for each figure would be a leak."""

    def __init__(self, figures: Callable[[], dict[str, int]]) -> None:
        self._look = figures
        self._ticks = 0
        self._columns = {name: array("q") for name in figures()}

    def asked(self) -> bool:
        """Whether to end, asked before every tick: never, but it looks on."""
        self._ticks += 1
        if self._ticks % _TICKS_PER_SAMPLE == 0:
            for name, value in self._look().items():
                self._columns[name].append(value)
        return False

    def samples(self) -> list[Sample]:
        """All of them, once the run is over."""
        rows = zip(*self._columns.values(), strict=True)
        return [
            Sample((number + 1) * _S_PER_SAMPLE, dict(zip(self._columns, row, strict=True)))
            for number, row in enumerate(rows)
        ]


def _figures(folder: Path) -> dict[str, int]:
    return {
        "simulation.blocks": sys.getallocatedblocks(),
        **named("simulation", of_process(os.getpid())),
        **named("recordings", of_folder(folder / "recordings")),
    }
