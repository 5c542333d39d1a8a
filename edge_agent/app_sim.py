"""Composition of `edge-agent sim`: the real agent, model, link and recorder on simulated time.

Owns: which concrete parts a simulated run is made of. Must not: simulate anything itself.
"""

import json
import secrets
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from edge_agent import __version__
from edge_agent.app import LoadedModel, hashes_of, load_model, options_of
from edge_agent.config import Config, Settings, settings_of
from edge_agent.core.clock import Clock, SystemClock, utc_now_ns
from edge_agent.core.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_TRANSIENT
from edge_agent.inference.manifest import features_of
from edge_agent.inference.session import OnnxPolicy
from edge_agent.ports.serial_bridge import SerialBridgePort
from edge_agent.recording.format import Header, channel_infos
from edge_agent.recording.writer import SegmentWriter
from edge_agent.sim.mcu_process import FEEDBACK_SENSORS
from edge_agent.sim.run import SimOptions, SimParts, View, simulate
from edge_agent.sim.scenarios import SCENARIOS, Scenario
from edge_agent.sim.summary import summary_text
from edge_agent.sim.transport import MemoryCable

_BYTES_PER_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class SimRequest:
    """What was asked for on the command line."""

    options: SimOptions
    state_dir: Path
    as_json: bool


def list_scenarios() -> str:
    """Every scenario and what happens in it."""
    return "\n".join(f"{s.name:<18}{s.summary}" for s in SCENARIOS.values())


def run_simulation(request: SimRequest) -> int:
    """Run, print the summary, and say 1 when a declared reaction was not seen.

    Ctrl-C ends it with the summary of what ran until then, and says 130.
    """
    options = request.options
    settings = settings_of(Config(device=options.device), "built-in defaults")
    wall = SystemClock()
    model = load_model(settings, wall)
    with _interruptible() as interrupted:
        parts = parts_of(settings, model, request, interrupted)
        results = simulate(options, parts, sys.stdout)
    if request.as_json:
        document = [
            {
                "scenario": r.scenario,
                "seed": r.seed,
                "problems": r.problems,
                "interrupted": r.interrupted,
                **r.summary,
            }
            for r in results
        ]
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        for result in results:
            sys.stdout.write(summary_text(result.scenario, result.summary) + "\n")
            for problem in result.problems:
                sys.stdout.write(f"  PROBLEM {problem}\n")
    if any(r.problems for r in results):
        return EXIT_TRANSIENT
    if not results[-1].interrupted:
        return EXIT_OK
    sys.stderr.write("edge-agent: interrupted; the summary is of what ran until then\n")
    return EXIT_INTERRUPTED


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed: the tick in progress ends and the recording stays whole. A
    second one ends the program where it is."""
    pressed = False

    def press(_number: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


def view_for(*, as_json: bool) -> View:
    """A screen on a terminal, lines elsewhere, nothing when JSON is wanted."""
    if as_json:
        return View.OFF
    return View.SCREEN if sys.stdout.isatty() else View.LINES


def parts_of(
    settings: Settings, model: LoadedModel, request: SimRequest, interrupted: Callable[[], bool]
) -> SimParts:
    """What a simulated run with these settings is made of."""
    envelope = settings.envelope
    feedback = FEEDBACK_SENSORS.get(envelope.device, ())
    recordings = request.state_dir / "recordings"

    def make_policy(clock: Clock) -> OnnxPolicy:
        return OnnxPolicy(model.folder, model.manifest, clock)

    def make_bridge(cable: MemoryCable, nonce: Callable[[], int]) -> SerialBridgePort:
        return SerialBridgePort(cable.name, cable.open, envelope, feedback, nonce)

    def make_recorder(scenario: Scenario) -> SegmentWriter:
        header = _header(settings, model, scenario, request.options.seed)
        limits = settings.config.recording
        return SegmentWriter(
            recordings,
            header,
            limits.segment_mb_max * _BYTES_PER_MB,
            limits.total_mb_max * _BYTES_PER_MB,
            flush_every_bytes=1 << 16,
        )

    return SimParts(
        envelope=envelope,
        make_policy=make_policy,
        make_features=lambda: features_of(model.manifest, envelope),
        make_bridge=make_bridge,
        make_recorder=make_recorder,
        make_options=lambda: options_of(settings),
        wall=SystemClock(),
        interrupted=interrupted,
    )


def _header(settings: Settings, model: LoadedModel, scenario: Scenario, seed: int) -> Header:
    sensors, actuators = channel_infos(settings.envelope)
    return Header(
        device=settings.envelope.device,
        boot=secrets.token_hex(8),
        code_version=__version__,
        hashes=hashes_of(settings, model),
        sensors=sensors,
        actuators=actuators,
        started_utc_ns=utc_now_ns(),
        seed=seed,
        scenario=scenario.name,
    )
