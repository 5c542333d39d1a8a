"""What a device says of itself, unasked: what it is, how it is, and what happened.

Owns: the form of these documents. Must not: make them; the gateway does, and the control process
where a gateway in wrong hands must not be the only witness. Values are in the channel's unit,
channels and rules are names, so that a reader needs nothing but the document.
"""

from typing import Any, Literal

import msgspec

from edge_agent.authority.admission import cause_words
from edge_agent.core.records import Reason
from edge_agent.safety.limits import Envelope

Severity = Literal["info", "warning", "alarm"]


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """The root cause of the present stop. `number` is in counts, or in ns for ages."""

    rule: str
    channel: str
    number: int
    text: str


class SensorMeta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One sensor. Beyond `min` and `max` it is not believed. `goal`: `set-goal` takes it."""

    name: str
    unit: str
    step: float  # the smallest difference that it shows
    min: float
    max: float
    max_age_s: float
    needed: bool
    goal: bool = False


class ActuatorMeta(msgspec.Struct, frozen=True, kw_only=True):
    """One actuator and its limits; `safe` is where a stop brings it."""

    name: str
    unit: str
    step: float
    min: float
    max: float
    rate_up_per_s: float
    rate_down_per_s: float
    safe: float


class OperationMeta(msgspec.Struct, frozen=True, kw_only=True):
    """One operation: the roles and modes that it takes, and the JSON Schema of its arguments."""

    roles: tuple[str, ...]
    modes: tuple[str, ...]
    args: dict[str, Any]


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """What the device is. It changes when the agent, its model or its configuration does."""

    device: str
    agent: str
    control: str
    hashes: dict[str, str]
    sensors: tuple[SensorMeta, ...]
    actuators: tuple[ActuatorMeta, ...]
    ops: dict[str, OperationMeta]


class Telemetry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One tick in words. `run` names the run of the gateway, which numbers: a `seq` that is
    missing in a run is a sample that is lost. `hist`: it was kept while nobody could hear it.

    `at` is the device's monotonic clock in ns, `utc_ms` its clock of day, right or wrong.
    """

    boot: str
    run: str
    seq: int
    at: int
    utc_ms: int
    tick: int
    mode: str
    decides: str
    driven: bool
    values: dict[str, float | None]
    doubtful: dict[str, str] = {}  # msgspec copies mutable defaults
    command: dict[str, float]
    cause: Cause | None = None
    hist: bool = False


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What happened. `(boot, seq)` names it; `seq` counts every event of the run from 1."""

    boot: str
    seq: int
    at: int
    utc_ms: int
    kind: str
    sev: Severity
    data: dict[str, Any]


class KeyState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One key of the desired state: its present value, and what became of the wish.

    `ac` 200: so it is. 202: it will be. 400: outside the envelope. 409: the device's own
    configuration, or a later command, says otherwise. 422: not possible. Absent: not desired.
    """

    v: float | str | tuple[float, float] | None = None
    ac: int | None = None
    why: str = ""


class NotApplied(msgspec.Struct, frozen=True, kw_only=True):
    """The newest document that was refused: its version, why, and the keys that are to blame."""

    ver: int
    reason: str
    keys: dict[str, KeyState]


class Reported(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which desired document is in force, 0 before the first, and every key that there is."""

    boot: str
    ver: int
    keys: dict[str, KeyState]
    refused: NotApplied | None = None


def cause_of(reason: Reason | None, limits: Envelope) -> Cause | None:
    """A reason by names; ValueError for a rule that this version does not know."""
    words = cause_words(reason, limits)
    return Cause(**words["cause"]) if words else None
