"""What the policy sees: its feature rows and the range of each that training covers.

Owns: the declaration, written as it stands into the manifest. Must not: compute; the
runtime's own edge_agent/decision/features.py does, in training as on the device.

Noisy measurements enter through means only: at ten decisions a second the noise of a single
sample would become valve travel. The means of the control error over minutes are leaky
integrals; with them the policy makes up for a coil it cannot see. The last commands serve
the play behind the network only (network.py).
"""

from dataclasses import dataclass

from edge_agent.decision.features import FeatureKind, Features, FeatureSpec
from edge_agent.safety.devices.air_handler import ENVELOPE

VALUE, MEAN, COMMAND = FeatureKind.VALUE, FeatureKind.MEAN, FeatureKind.COMMAND


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One feature with the range, in its unit, outside which the policy is not asked."""

    spec: FeatureSpec
    minimum: float
    maximum: float


def _value(channel: str, minimum: float, maximum: float) -> Row:
    spec = FeatureSpec(kind=VALUE, channel=channel)
    return Row(spec=spec, minimum=minimum, maximum=maximum)


def _mean(channel: str, tau_s: float, minimum: float, maximum: float) -> Row:
    spec = FeatureSpec(kind=MEAN, channel=channel, time_constant_s=tau_s)
    return Row(spec=spec, minimum=minimum, maximum=maximum)


def _error(tau_s: float) -> Row:
    spec = FeatureSpec(
        kind=MEAN, channel="supply_temperature", minus="supply_setpoint", time_constant_s=tau_s
    )
    return Row(spec=spec, minimum=-30.0, maximum=35.0)


def _command(actuator: str) -> Row:
    return Row(spec=FeatureSpec(kind=COMMAND, channel=actuator), minimum=0.0, maximum=100.0)


SENSORS = tuple(sensor.name for sensor in ENVELOPE.sensors)
ACTUATORS = tuple(actuator.name for actuator in ENVELOPE.actuators)

ROWS = (
    _value("supply_setpoint", 8.0, 34.0),
    _mean("supply_setpoint", 60.0, 8.0, 34.0),
    _error(8.0),
    _error(60.0),
    _error(300.0),
    _error(1200.0),
    _mean("mixed_temperature", 8.0, -10.0, 45.0),
    _mean("mixed_temperature", 60.0, -10.0, 45.0),
    _mean("outdoor_temperature", 30.0, -25.0, 45.0),
    _mean("return_temperature", 30.0, 5.0, 40.0),
    _value("fan_status", -0.01, 1.01),
    _value("occupancy", -0.01, 1.01),
    _mean("fan_status", 120.0, -0.01, 1.01),
    _mean("fan_status", 1200.0, -0.01, 1.01),  # how much of the slow errors is the night's
    *(_command(actuator) for actuator in ACTUATORS),  # last, in order: the play reads them
)
OCCUPANCY = ROWS.index(_value("occupancy", -0.01, 1.01))
MIXED = ROWS.index(_mean("mixed_temperature", 8.0, -10.0, 45.0))
SEEN = len(ROWS) - len(ACTUATORS)  # rows that the network itself sees


def new_features() -> Features:
    """A feature computer of the runtime with these rows."""
    return Features([row.spec for row in ROWS], SENSORS, ACTUATORS)
