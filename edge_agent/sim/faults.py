"""Faults: what goes wrong, when, and for how long.

Owns: the kinds of fault, which of them make sense where, and what each does to a sample or a
proposal. Must not: know a scenario or what the agent should do about it. A fault that the
simulator cannot produce is an error, never silently left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from edge_agent.core.clock import NS_PER_S, Clock
from edge_agent.core.errors import ConfigError
from edge_agent.core.records import Proposal, Quality, Reading
from edge_agent.decision.policy import Policy
from edge_agent.safety.limits import Envelope


class FaultKind(StrEnum):
    """What can be broken on purpose."""

    SENSOR_FROZEN = "sensor frozen"
    SENSOR_NAN = "sensor not a number"
    SENSOR_SILENT = "sensor silent"
    SENSOR_SPIKE = "sensor spike"
    MODEL_NAN = "model gives NaN"
    MODEL_INFINITE = "model gives infinity"
    MODEL_WRONG_SHAPE = "model gives the wrong shape"
    MODEL_HUGE = "model gives huge values"
    MODEL_ALTERNATING = "model alternates between extremes"
    SERIAL_UNPLUGGED = "serial cable unplugged"
    MCU_RESET = "microcontroller reset"


SENSOR_FAULTS = (
    FaultKind.SENSOR_FROZEN,
    FaultKind.SENSOR_NAN,
    FaultKind.SENSOR_SILENT,
    FaultKind.SENSOR_SPIKE,
)
MODEL_FAULTS = (
    FaultKind.MODEL_NAN,
    FaultKind.MODEL_INFINITE,
    FaultKind.MODEL_WRONG_SHAPE,
    FaultKind.MODEL_HUGE,
    FaultKind.MODEL_ALTERNATING,
)
# The microcontroller's converters give an integer every time: they can stick or jump only.
_ON_THE_WIRE = (FaultKind.SENSOR_FROZEN, FaultKind.SENSOR_SPIKE)
_HUGE = 1e6  # far out of range, and still a number


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault. `channel` names the sensor of a sensor's fault; `spike` is what a spike
    adds, in the channel's unit. A reset has no duration."""

    kind: FaultKind
    start_s: float
    duration_s: float = 0.0
    channel: str = ""
    spike: float = 0.0

    @property
    def end_s(self) -> float:
        return self.start_s + self.duration_s

    def at(self, now_ns: int) -> bool:
        """Whether it is present at this simulated time."""
        return self.start_s * NS_PER_S <= now_ns < self.end_s * NS_PER_S

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.channel}" if self.channel else self.kind.value


def require_possible(
    faults: Sequence[Fault], envelope: Envelope, on_the_wire: Sequence[str]
) -> None:
    """ConfigError for a fault that the simulator cannot produce.

    `on_the_wire` are the sensors that the microcontroller reports.
    """
    for i, fault in enumerate(faults):
        problem = _problem(fault, envelope, on_the_wire)
        for other in faults[:i]:
            overlap = fault.start_s < other.end_s and other.start_s < fault.end_s
            if overlap and _target(fault) == _target(other):
                problem = f"overlaps with {other} at {other.start_s} s"
        if problem:
            raise ConfigError(
                problem, where=f"fault {fault} at {fault.start_s} s", fix="correct the scenario"
            )


def _problem(fault: Fault, envelope: Envelope, on_the_wire: Sequence[str]) -> str:
    momentary = fault.kind is FaultKind.MCU_RESET
    if fault.start_s < 0 or fault.duration_s < 0 or momentary == (fault.duration_s > 0):
        return "start_s must not be negative; duration_s belongs to every fault but a reset"
    if (fault.kind in SENSOR_FAULTS) != bool(fault.channel):
        return "a channel belongs to a sensor's fault, and to no other"
    if fault.channel and fault.channel not in envelope.sensor_index:
        return f"unknown sensor {fault.channel!r}; one of: {', '.join(envelope.sensor_index)}"
    if fault.channel in on_the_wire and fault.kind not in _ON_THE_WIRE:
        return "the microcontroller reports this sensor: it can freeze or spike, no more"
    if (fault.kind is FaultKind.SENSOR_SPIKE) != (fault.spike != 0.0):
        return "a spike needs its size, and nothing else has one"
    return ""


def _target(fault: Fault) -> str:
    """What it acts on; two faults of one target at one time would hide each other."""
    if fault.channel:
        return fault.channel
    return "model" if fault.kind in MODEL_FAULTS else "microcontroller"


def distorted(reading: Reading, fault: Fault, before: int, counts_per_unit: int) -> Reading | None:
    """What a faulty sensor says instead; None for nothing.

    `before` is the last value from before the fault, in counts.
    """
    channel, stamp_ns = reading.channel, reading.stamp_ns
    match fault.kind:
        case FaultKind.SENSOR_SILENT:
            return None
        case FaultKind.SENSOR_NAN:
            return Reading(channel, 0, stamp_ns, Quality.INVALID)
        case FaultKind.SENSOR_FROZEN:
            return Reading(channel, before, stamp_ns, reading.quality)
        case FaultKind.SENSOR_SPIKE:
            jump = round(fault.spike * counts_per_unit)
            return Reading(channel, reading.counts + jump, stamp_ns, reading.quality)
    raise ValueError(f"{fault.kind.value} does not act on a sensor")


class FaultyPolicy:
    """A policy that answers with garbage while a model's fault is present."""

    def __init__(self, inner: Policy, faults: Sequence[Fault], clock: Clock, outputs: int) -> None:
        self._inner = inner
        self._faults = tuple(f for f in faults if f.kind in MODEL_FAULTS)
        self._clock = clock
        self._outputs = outputs
        self._flip = False

    def propose(self, features: Sequence[float]) -> Proposal:
        """What the inner policy says, or what the present fault makes of it."""
        proposal = self._inner.propose(features)
        if not self._faults:
            return proposal
        now_ns = self._clock.now_ns()
        for fault in self._faults:
            if fault.at(now_ns):
                return Proposal(self._garbage(fault.kind), proposal.elapsed_ns)
        return proposal

    def _garbage(self, kind: FaultKind) -> tuple[float, ...]:
        n = self._outputs
        match kind:
            case FaultKind.MODEL_NAN:
                return (math.nan,) * n
            case FaultKind.MODEL_INFINITE:
                return (math.inf,) * n
            case FaultKind.MODEL_WRONG_SHAPE:
                return (50.0,) * (n + 1)
            case FaultKind.MODEL_HUGE:
                return (_HUGE,) * n
        self._flip = not self._flip
        return (100.0 if self._flip else 0.0,) * n
