"""Scenarios: what a simulated run goes through, and what the agent must do about it.

Owns: the table of named scenarios with their declared reactions. Must not: run anything.
A declared reaction is a promise that a run checks: what is not met is reported as a problem.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edge_agent.core.errors import ConfigError
from edge_agent.core.records import Mode, Rule
from edge_agent.sim.faults import Fault, FaultKind

ALL = "all"
DEFAULT = "normal"
_ARM_S = 5.0
_FIRST_FAULT_S = 180.0  # by then the unit is up and near its set-point
_SAMPLE_S = 1.2  # one sample of a sensor and two ticks
_TRUST_S = 60.0 + _SAMPLE_S  # the model's dwell before it replaces the fallback
_RETURN_S = 5.0 + _SAMPLE_S  # the supervisor's dwell after the last trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """What must be seen after a fault begins: one of `rules` given as a reason (or as the
    root cause), with the supervisor in `mode` if one is named, in time; and the model in
    control again within `recovers_within_s` of the fault's end. `fallback`: whether the
    fallback stands in, where the device has one and it is switched on."""

    rules: tuple[Rule, ...]
    within_s: float
    mode: Mode | None = None
    recovers_within_s: float
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class Injection:
    """A fault, and the reaction to it that the scenario promises."""

    fault: Fault
    reaction: Reaction

    @property
    def settled_s(self) -> float:
        """When both reaction and recovery must have been seen."""
        reacted_s = self.fault.start_s + self.reaction.within_s
        return max(reacted_s, self.fault.end_s + self.reaction.recovers_within_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One simulated run; times are simulated seconds from its start."""

    name: str
    summary: str
    duration_s: float
    arm_s: float = _ARM_S
    injections: tuple[Injection, ...] = ()

    @property
    def faults(self) -> tuple[Fault, ...]:
        return tuple(i.fault for i in self.injections)


def _sensor(kind: FaultKind, channel: str, duration_s: float, reaction: Reaction) -> Injection:
    spike = 25.0 if kind is FaultKind.SENSOR_SPIKE else 0.0
    fault = Fault(
        kind=kind,
        start_s=_FIRST_FAULT_S,
        duration_s=duration_s,
        channel=channel,
        spike=spike,
    )
    return Injection(fault, reaction)


def _model(kind: FaultKind, start_s: float, duration_s: float, *rules: Rule) -> Injection:
    """Garbage from the model shows in the very next tick. What the gate refuses, the fallback
    replaces, until the model has been in order for its dwell; what is only too much is clamped."""
    refused = Rule.NOT_FINITE in rules or Rule.WRONG_SHAPE in rules
    reaction = Reaction(
        rules=rules,
        within_s=0.3,
        mode=Mode.ACTIVE,
        recovers_within_s=_TRUST_S if refused else _RETURN_S,
        fallback=refused,
    )
    return Injection(Fault(kind=kind, start_s=start_s, duration_s=duration_s), reaction)


def _held(rule: Rule, within_s: float) -> Reaction:
    return Reaction(
        rules=(rule,), within_s=within_s, mode=Mode.HOLDING, recovers_within_s=_RETURN_S
    )


def _link(kind: FaultKind, duration_s: float) -> Injection:
    """The hardware's word is lost: to safe, and back when it obeys again."""
    reaction = Reaction(
        rules=(Rule.LINK_LOST,),
        within_s=1.0,
        mode=Mode.RAMPING,
        recovers_within_s=9.0,  # up to 2 s until the port is tried again, handshake, dwell
    )
    fault = Fault(kind=kind, start_s=_FIRST_FAULT_S, duration_s=duration_s)
    return Injection(fault, reaction)


_TABLE = (
    Scenario(
        name=DEFAULT,
        summary="a morning of heating, free cooling and chiller; nothing breaks",
        duration_s=1800.0,
    ),
    Scenario(
        name="sensor-frozen",
        summary="the supply temperature sticks at one value; noticed after 30 minutes",
        duration_s=2100.0,
        injections=(
            _sensor(
                FaultKind.SENSOR_FROZEN,
                "supply_temperature",
                1840.0,
                _held(Rule.INVALID_INPUT, 1800.0 + _SAMPLE_S),
            ),
        ),
    ),
    Scenario(
        name="sensor-nan",
        summary="the mixed temperature is not a number for 30 s",
        duration_s=300.0,
        injections=(
            _sensor(
                FaultKind.SENSOR_NAN,
                "mixed_temperature",
                30.0,
                _held(Rule.INVALID_INPUT, _SAMPLE_S),
            ),
        ),
    ),
    Scenario(
        name="sensor-silent",
        summary="the outdoor temperature stops reporting for 200 s",
        duration_s=450.0,
        injections=(
            _sensor(
                FaultKind.SENSOR_SILENT,
                "outdoor_temperature",
                200.0,
                _held(Rule.STALE_INPUT, 150.0 + _SAMPLE_S),
            ),
        ),
    ),
    Scenario(
        name="sensor-spike",
        summary="one sample of the return temperature is 25 degC off",
        duration_s=240.0,
        injections=(
            _sensor(
                FaultKind.SENSOR_SPIKE,
                "return_temperature",
                1.0,
                _held(Rule.INVALID_INPUT, _SAMPLE_S),
            ),
        ),
    ),
    Scenario(
        name="model-garbage",
        summary="NaN, infinity, a wrong shape (the fallback decides), huge values, extremes",
        duration_s=580.0,
        injections=(
            _model(FaultKind.MODEL_NAN, 180.0, 30.0, Rule.NOT_FINITE),
            _model(FaultKind.MODEL_INFINITE, 280.0, 6.0, Rule.NOT_FINITE),
            _model(FaultKind.MODEL_WRONG_SHAPE, 360.0, 6.0, Rule.WRONG_SHAPE),
            _model(FaultKind.MODEL_HUGE, 440.0, 10.0, Rule.ABOVE_MAX),
            _model(FaultKind.MODEL_ALTERNATING, 500.0, 20.0, Rule.RATE_UP, Rule.RATE_DOWN),
        ),
    ),
    Scenario(
        name="serial-unplugged",
        summary="the microcontroller's cable is pulled for 90 s and put back",
        duration_s=300.0,
        injections=(_link(FaultKind.SERIAL_UNPLUGGED, 90.0),),
    ),
    Scenario(
        name="mcu-reset",
        summary="the microcontroller's watchdog resets it",
        duration_s=300.0,
        injections=(_link(FaultKind.MCU_RESET, 0.0),),
    ),
)
SCENARIOS: Mapping[str, Scenario] = MappingProxyType({s.name: s for s in _TABLE})


def select(name: str) -> tuple[Scenario, ...]:
    """The scenario of this name, or every one for `all`; ConfigError with the nearest name."""
    if name == ALL:
        return _TABLE
    if name in SCENARIOS:
        return (SCENARIOS[name],)
    names = (*SCENARIOS, ALL)
    close = difflib.get_close_matches(name, names, n=1)
    fix = f"did you mean {close[0]!r}? " if close else ""
    raise ConfigError(
        f"unknown scenario {name!r}", where="--scenario", fix=f"{fix}one of: {', '.join(names)}"
    )
