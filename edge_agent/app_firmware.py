"""What joins an envelope to the firmware that guards it.

Owns: the microcontroller's header, which needs both the limits and the wire's schema. Must
not: know a file or a compiler.
"""

from edge_agent.safety.header import render_mcu
from edge_agent.safety.limits import Envelope
from firmware_bridge.messages import schema_hash


def limits_header(envelope: Envelope, feedback: tuple[str, ...]) -> str:
    """`limits_<device>_mcu.h` for a microcontroller that measures `feedback`; ConfigError when
    the envelope is unsound or has no such sensor."""
    actuators = tuple(a.name for a in envelope.actuators)
    return render_mcu(envelope, feedback, schema_hash(actuators, feedback))
