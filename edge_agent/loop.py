"""The loop: wait, read, decide, act, tell. The only unbounded `while` of the package.

    ports -> readings -> agent.step -> command -> ports
                              └-> TickRecord -> sinks (gateway, recording)

Owns: the order of a tick, its pacing, and the way out. Must not: decide anything, block on
anything but the wait, or name a concrete port. The command leaves before the record does:
they are microseconds apart and the machine waits for the first of them.
"""

import select
from dataclasses import dataclass, field
from typing import Protocol

from edge_agent.core.clock import NS_PER_S, Clock
from edge_agent.core.records import Intent, Mode, Op, TickRecord
from edge_agent.decision.agent import Agent
from edge_agent.ports.protocol import Port
from edge_agent.safety.limits import Envelope
from edge_agent.service.status import TickStats
from edge_agent.service.warming import Warming

CONFIRM_WITHIN_NS = NS_PER_S  # for the hardware to say that its outputs are safe
STOP_WITHIN_NS = 30 * NS_PER_S  # longer than any ramp to safe


class Sink(Protocol):
    """Whoever is told about every tick; never waits, never raises."""

    def publish(self, tick: TickRecord) -> None:
        """Take the record, or drop and count it."""


class Commands(Protocol):
    """The control plane's commands, as the loop sees them: judged elsewhere, never waited for."""

    def fileno(self) -> int | None:
        """Readable when `serve` has something to do."""

    def serve(self, now_ns: int) -> None:
        """Judge and answer what has come; also between two ticks."""

    def intents(self, now_ns: int) -> tuple[Intent, ...]:
        """What to tell the agent in the tick that begins."""

    def publish(self, tick: TickRecord) -> None:
        """Answer what the tick has settled."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the loop runs; `app.py` builds it."""

    agent: Agent
    ports: tuple[Port, ...]
    sinks: tuple[Sink, ...]
    clock: Clock
    period_ns: int
    on_telemetry: bool  # also tick as soon as a port has something
    commands: Commands
    warming: Warming | None = None


@dataclass(slots=True)
class Operator:
    """What people ask of the running loop: arm at start, and stop in good order."""

    envelope: Envelope
    arm: bool
    stop_requested: bool = False
    again: bool = False  # after the stop, the process begins anew
    driving: bool = False  # in the last tick before the stop
    confirmed: bool = False
    _applied: dict[int, int] = field(default_factory=dict)
    _stop_ns: int = -1
    _safe_ns: int = -1

    def request_stop(self) -> None:
        """From a signal handler: outputs to their safe action, then out."""
        self.stop_requested, self.again = True, False

    def request_again(self) -> None:
        """From a signal handler: the same, and then another run; a stop outweighs it."""
        self.again = self.again or not self.stop_requested
        self.stop_requested = True

    def intents(self) -> tuple[Intent, ...]:
        """What to tell the agent this tick."""
        if self.stop_requested:
            return (Intent(Op.DISARM),)
        if self.arm:
            self.arm = False
            return (Intent(Op.ARM),)
        return ()

    def finished(self, tick: TickRecord) -> bool:
        """Whether the loop may end: stopped, safe, and the hardware said so or is silent."""
        if not self.stop_requested:
            self.driving = tick.mode not in (Mode.SAFE, Mode.TRIPPED)
            return False
        if self._stop_ns < 0:
            self._stop_ns = tick.now_ns
        else:  # only what is reported after the first tick of the stop counts
            self._note_applied(tick)
        if tick.mode in (Mode.SAFE, Mode.TRIPPED):
            self._safe_ns = tick.now_ns if self._safe_ns < 0 else self._safe_ns
            safe = {i: a.safe.counts for i, a in enumerate(self.envelope.actuators)}
            self.confirmed = self._applied == safe
            if self.confirmed or tick.now_ns - self._safe_ns > CONFIRM_WITHIN_NS:
                return True
        return tick.now_ns - self._stop_ns > STOP_WITHIN_NS

    def _note_applied(self, tick: TickRecord) -> None:
        first = len(self.envelope.sensors)
        for reading in tick.readings:
            if reading.channel >= first:
                self._applied[reading.channel - first] = reading.counts


def run(parts: Parts, operator: Operator, stats: TickStats) -> None:
    """Tick until the operator's stop is done."""
    agent, clock, ports, commands = parts.agent, parts.clock, parts.ports, parts.commands
    deadline_ns = clock.now_ns()
    while True:
        _wait(parts, deadline_ns)
        now_ns = clock.now_ns()
        commands.serve(now_ns)
        if now_ns < deadline_ns and not parts.on_telemetry:
            continue  # woken by a command
        readings = [r for port in ports for r in port.poll(now_ns)]
        if now_ns < deadline_ns and not readings:
            continue  # woken by half a frame
        intents = (*operator.intents(), *commands.intents(now_ns))
        tick = agent.step(now_ns, readings, intents)
        command = agent.command
        for port in ports:
            port.apply(now_ns, command)
        stats.add(now_ns - deadline_ns, clock.now_ns() - now_ns)
        commands.publish(tick)
        for sink in parts.sinks:
            sink.publish(tick)
        if operator.finished(tick):
            return
        deadline_ns = next_deadline_ns(deadline_ns, now_ns, parts)


def next_deadline_ns(deadline_ns: int, now_ns: int, parts: Parts) -> int:
    """The first planned instant after now: absolute, so lateness never adds up; deadlines that
    passed unused are skipped, never made up for."""
    if parts.on_telemetry:
        return now_ns + parts.period_ns
    periods = max(1, (now_ns - deadline_ns) // parts.period_ns + 1)
    return deadline_ns + periods * parts.period_ns


def _wait(parts: Parts, deadline_ns: int) -> None:
    """Sleep to the deadline, or first to the warming before it; at most until a command has come
    or, with `on_telemetry`, until a port has something."""
    warming = parts.warming
    warm_ns = None if warming is None else warming.due_ns(deadline_ns)
    if warming is None or warm_ns is None:
        _sleep_until_ns(parts, deadline_ns)
    else:
        _sleep_until_ns(parts, warm_ns)
        warming.run_before(deadline_ns)


def _sleep_until_ns(parts: Parts, instant_ns: int) -> None:
    ports = parts.ports if parts.on_telemetry else ()
    numbers = (parts.commands.fileno(), *(port.fileno() for port in ports))
    descriptors = [number for number in numbers if number is not None]
    wait_ns = instant_ns - parts.clock.now_ns()
    if not descriptors:
        parts.clock.sleep_until_ns(instant_ns)
    elif wait_ns > 0:
        select.select(descriptors, (), (), wait_ns / NS_PER_S)
