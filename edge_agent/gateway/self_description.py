"""What the device is, in words for a plane: enough to draw a form for every operation.

Owns: how envelope, operations and hashes become `Meta`. Must not: decide which of them there are.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from edge_agent import __version__
from edge_agent.authority.documents import ActuatorMeta, Meta, OperationMeta, SensorMeta
from edge_agent.authority.operations import OPERATIONS, Operation
from edge_agent.core.clock import NS_PER_S
from edge_agent.core.records import Mode, Op
from edge_agent.decision.goals import settable
from edge_agent.safety.limits import ActuatorLimits, Envelope, SensorLimits

_REF = "#/components/schemas/{name}"


def describe(envelope: Envelope, control: str, hashes: Mapping[str, str]) -> Meta:
    """The whole description. `control` is the configured one, `hashes` of what is running."""
    goals = settable(envelope)
    return Meta(
        device=envelope.device,
        agent=__version__,
        control=control,
        hashes=dict(hashes),
        sensors=tuple(_sensor(s, goal=s.name in goals) for s in envelope.sensors),
        actuators=tuple(_actuator(a) for a in envelope.actuators),
        ops={name: _operation(row, sorted(goals)) for name, row in OPERATIONS.items()},
    )


def _sensor(limits: SensorLimits, *, goal: bool) -> SensorMeta:
    scale = limits.counts_per_unit
    return SensorMeta(
        name=limits.name,
        unit=limits.unit,
        step=1 / scale,
        min=limits.min_counts / scale,
        max=limits.max_counts / scale,
        max_age_s=limits.max_age_ns / NS_PER_S,
        needed=limits.needed,
        goal=goal,
    )


def _actuator(limits: ActuatorLimits) -> ActuatorMeta:
    scale = limits.counts_per_unit
    return ActuatorMeta(
        name=limits.name,
        unit=limits.unit,
        step=1 / scale,
        min=limits.min_counts / scale,
        max=limits.max_counts / scale,
        rate_up_per_s=limits.rate_up_counts_per_s / scale,
        rate_down_per_s=limits.rate_down_counts_per_s / scale,
        safe=limits.safe.counts / scale,
    )


def _operation(operation: Operation, goals: list[str]) -> OperationMeta:
    _, parts = msgspec.json.schema_components([operation.args], ref_template=_REF)
    args: dict[str, Any] = parts[operation.args.__name__]
    if operation.intent == Op.SET_GOAL:
        args["properties"]["channel"]["enum"] = goals
    return OperationMeta(
        roles=tuple(sorted(operation.roles)),
        modes=tuple(mode.name for mode in Mode if mode in operation.starts_in),
        args=args,
    )
