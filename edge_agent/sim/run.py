"""Simulated runs from start to summary: the real agent in a simulated world.

Owns: the order of a simulated tick, pacing against the wall, and what is shown. Must not:
know a model, a serial link or a file; `app.py` hands in what makes them. The agent, the link
and the frames are those of a real run; only the cable and the clock differ.
"""

import difflib
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, Protocol

import msgspec

from edge_agent.core.clock import NS_PER_S, NS_PER_US, Clock
from edge_agent.core.errors import ConfigError
from edge_agent.core.records import Command, Intent, Op, Reading, TickRecord
from edge_agent.decision.agent import Agent, Options
from edge_agent.decision.features import Features
from edge_agent.decision.policy import Policy
from edge_agent.safety.limits import Envelope
from edge_agent.sim import view
from edge_agent.sim.episodes import shoulder_morning
from edge_agent.sim.faults import FaultyPolicy
from edge_agent.sim.mcu_process import FEEDBACK_SENSORS
from edge_agent.sim.scenarios import DEFAULT, Scenario, select
from edge_agent.sim.summary import SummaryBuilder
from edge_agent.sim.transport import MemoryCable
from edge_agent.sim.world import MCU_STEP_NS, SimulatedSensors, World, WorldPlan

PERIOD_NS: Final = NS_PER_S // 10
_J_PER_KWH: Final = 3.6e6


class Bridge(Protocol):
    """The port to the microcontroller (see `edge_agent.ports.protocol`)."""

    def poll(self, now_ns: int) -> Sequence[Reading]:
        """Everything that arrived since the last call."""

    def apply(self, now_ns: int, command: Command) -> None:
        """Pass the whole command on."""

    def close(self) -> None:
        """Release the cable."""


class Recorder(Protocol):
    """Keeps encoded TickRecords in order; never raises for a disk."""

    def append(self, payload: bytes) -> None:
        """One record."""

    def status(self) -> dict[str, int | str]:
        """Counters, the file's path and the last failure."""

    def close(self) -> None:
        """Write out and release."""


class Output(Protocol):
    """Where the view goes: a text stream."""

    def write(self, text: str, /) -> object:
        """Take some text."""

    def flush(self) -> object:
        """Show it now."""


class View(Enum):
    """How a run shows itself."""

    SCREEN = "screen"
    LINES = "lines"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimOptions:
    """What was asked for. `duration_s` None: the scenario's own. `speed`: multiples of real
    time, 0 = as fast as possible."""

    device: str = "air-handler"
    scenario: str = DEFAULT
    seed: int = 1
    duration_s: float | None = None
    speed: float = 0.0
    view: View = View.OFF


@dataclass(frozen=True, slots=True, kw_only=True)
class SimParts:
    """What the simulator does not make itself; each is called once per scenario.

    `make_policy` gets the simulated clock, so that a policy which measures its own time
    measures none and runs repeat exactly. `make_bridge` gets the cable and the source of
    session nonces. `wall` is real time. `interrupted` is asked before every tick: whether a
    person wants the run to end here.
    """

    envelope: Envelope
    make_policy: Callable[[Clock], Policy]
    make_features: Callable[[], Features]
    make_bridge: Callable[[MemoryCable, Callable[[], int]], Bridge]
    make_recorder: Callable[[Scenario], Recorder]
    make_options: Callable[[], Options]
    wall: Clock
    interrupted: Callable[[], bool] = lambda: False
    period_ns: int = PERIOD_NS


@dataclass(frozen=True, slots=True)
class SimResult:
    """One run. `problems` is empty when everything went as declared, or was `interrupted`
    before it could: the summary is of what ran."""

    scenario: str
    seed: int
    summary: dict[str, Any]
    problems: tuple[str, ...]
    interrupted: bool = False


def simulate(options: SimOptions, parts: SimParts, out: Output) -> tuple[SimResult, ...]:
    """Run the scenario (or, for `all`, each of them in turn) and sum up; an interrupted one is
    the last.

    ConfigError for an unknown device or scenario, a duration too short for the scenario's
    faults, or a speed or period that makes no sense.
    """
    results = []
    for scenario in _planned(options, parts):
        results.append(_Run(scenario, options, parts, out).finish())
        if results[-1].interrupted:
            break
    return tuple(results)


def _planned(options: SimOptions, parts: SimParts) -> tuple[Scenario, ...]:
    if options.device not in FEEDBACK_SENSORS or options.device != parts.envelope.device:
        close = difflib.get_close_matches(options.device, FEEDBACK_SENSORS, n=1)
        fix = f"did you mean {close[0]!r}?" if close else f"one of: {', '.join(FEEDBACK_SENSORS)}"
        raise ConfigError(f"no simulation of {options.device!r}", where="--device", fix=fix)
    if not 0.0 <= options.speed <= 1e6:
        raise ConfigError(f"speed {options.speed}", where="--speed", fix="0 to 1000000")
    if parts.period_ns <= 0 or parts.period_ns % MCU_STEP_NS:
        raise ConfigError(
            f"a period of {parts.period_ns} ns",
            where="simulation",
            fix=f"a multiple of {MCU_STEP_NS} ns, the microcontroller's step",
        )
    scenarios = select(options.scenario)
    if options.duration_s is None:
        return scenarios
    shorter = tuple(replace(s, duration_s=options.duration_s) for s in scenarios)
    for scenario in shorter:
        needed_s = max((i.settled_s for i in scenario.injections), default=1.0)
        if not needed_s <= scenario.duration_s <= 1e7:
            raise ConfigError(
                f"{scenario.name} needs {needed_s:.0f} s or more, not {scenario.duration_s}",
                where="--duration",
                fix="leave the duration to the scenario, or give it more time",
            )
    return shorter


class _Run:
    """One scenario from start to end."""

    def __init__(
        self, scenario: Scenario, options: SimOptions, parts: SimParts, out: Output
    ) -> None:
        envelope = parts.envelope
        self._scenario, self._options, self._parts, self._out = scenario, options, parts, out
        self._world = World(
            WorldPlan(
                envelope=envelope,
                feedback=FEEDBACK_SENSORS[envelope.device],
                episode=shoulder_morning(options.seed),
                faults=scenario.faults,
                seed=options.seed,
            )
        )
        clock = self._world.clock
        policy = FaultyPolicy(
            parts.make_policy(clock), scenario.faults, clock, len(envelope.actuators)
        )
        self._agent = Agent(
            envelope, policy, parts.make_features(), parts.period_ns, parts.make_options()
        )
        self._sensors = SimulatedSensors(self._world)
        self._bridge = parts.make_bridge(self._world.cable, self._world.nonce)
        self._summary = SummaryBuilder(envelope, parts.period_ns, scenario.injections)
        self._shown_ns = 0  # of wall time for a screen, of simulated time for lines
        self._shown_mode = -1

    def finish(self) -> SimResult:
        """Run to the end of the scenario, or to where it is interrupted."""
        parts, recorder = self._parts, self._parts.make_recorder(self._scenario)
        encode = msgspec.msgpack.Encoder().encode
        ticks = int(self._scenario.duration_s * NS_PER_S) // parts.period_ns
        start_ns = parts.wall.now_ns()
        step_ns_total, interrupted = 0, False
        with ExitStack() as stack:
            stack.enter_context(closing(recorder))
            stack.enter_context(closing(self._bridge))
            if self._options.view is View.SCREEN:
                self._out.write(view.CLEAR)
            for k in range(1, ticks + 1):
                interrupted = parts.interrupted()
                if interrupted:
                    break
                now_ns = k * parts.period_ns
                tick, step_ns = self._tick(now_ns)
                step_ns_total += step_ns
                recorder.append(encode(tick))
                self._summary.add(tick)
                self._show(tick, step_ns)
                if self._options.speed:
                    parts.wall.sleep_until_ns(start_ns + round(now_ns / self._options.speed))
        wall_ns = parts.wall.now_ns() - start_ns
        summary = {
            **self._summary.as_data(),
            **self._energy(),
            "wall_s": round(wall_ns / NS_PER_S, 2),
            "step_mean_us": round(step_ns_total / max(ticks, 1) / NS_PER_US, 1),
            "recording": recorder.status(),
        }
        problems = tuple(self._summary.problems(complete=not interrupted))
        name, seed = self._scenario.name, self._options.seed
        return SimResult(name, seed, summary, problems, interrupted)

    def _tick(self, now_ns: int) -> tuple[TickRecord, int]:
        """One tick, and the wall time that the decision took."""
        wall = self._parts.wall
        readings = [*self._sensors.poll(now_ns), *self._bridge.poll(now_ns)]
        start_ns = wall.now_ns()
        tick = self._agent.step(now_ns, readings, self._intents(now_ns))
        step_ns = wall.now_ns() - start_ns
        self._bridge.apply(now_ns, self._agent.command)
        return tick, step_ns

    def _intents(self, now_ns: int) -> tuple[Intent, ...]:
        """The scenario's operator arms once."""
        arm_ns = round(self._scenario.arm_s * NS_PER_S)
        due = now_ns - self._parts.period_ns < arm_ns <= now_ns
        return (Intent(Op.ARM, "scenario"),) if due else ()

    def _energy(self) -> dict[str, float]:
        """What the plant really used, kWh."""
        plant = self._world.plant
        joules = {
            "cooling_kwh": plant.energy_j[0, 0],
            "heating_kwh": plant.energy_j[1, 0],
            "fan_kwh": plant.fan_energy_j[0],
        }
        return {name: round(float(value) / _J_PER_KWH, 4) for name, value in joules.items()}

    def _show(self, tick: TickRecord, step_ns: int) -> None:
        if self._options.view is View.OFF:
            return
        if self._options.view is View.SCREEN:
            wall_ns = self._parts.wall.now_ns()
            if wall_ns - self._shown_ns < view.REDRAW_NS:
                return
            self._shown_ns = wall_ns
            text = view.screen(self._state(tick, step_ns))
        else:
            due = tick.now_ns - self._shown_ns >= view.LINE_EVERY_NS
            if not due and tick.mode == self._shown_mode:
                return
            self._shown_ns, self._shown_mode = tick.now_ns, tick.mode
            text = view.line(self._state(tick, step_ns)) + "\n"
        self._out.write(text)
        self._out.flush()

    def _state(self, tick: TickRecord, step_ns: int) -> view.ViewState:
        scenario = self._scenario
        present = tuple(str(f) for f in scenario.faults if f.at(tick.now_ns))
        return view.ViewState(
            self._parts.envelope, scenario.name, scenario.duration_s, tick, step_ns, present
        )
