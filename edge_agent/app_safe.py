"""Composition of `edge-agent safe`: after a control process has ended, however it ended.

Owns: asking the microcontroller to make its outputs safe, and waiting for its word. Must not:
arm, send an output, or take the port from an agent that is running: it is locked.

A new session alone makes an armed device safe, and DISARM follows where that did not. The
device's own dead man needs none of this; what is gained is the answer.
"""

import select

from edge_agent.app_hardware import serial_bridge
from edge_agent.config import Settings
from edge_agent.core.clock import NS_PER_MS, NS_PER_S, Clock
from edge_agent.core.errors import PortError
from edge_agent.core.records import Command
from edge_agent.core.units import to_value
from edge_agent.ports.serial_bridge import SerialBridgePort
from edge_agent.safety.limits import Envelope
from firmware_bridge.messages import DeviceState

_STEP_NS = 20 * NS_PER_MS  # repeats of the handshake are due between two frames


def make_safe(settings: Settings, clock: Clock, wait_s: float) -> str:
    """What the outputs stand at, in words, once the microcontroller has said that it is SAFE.

    PortError when it does not say so within `wait_s`: absent, busy, silent or of other firmware.
    ConfigError when the line's key cannot be had.
    """
    serial = settings.config.serial
    if settings.config.mode == "simulated":
        return "simulated hardware: there is nothing to make safe"
    if serial is None:
        return "no microcontroller: what hangs on a broker goes safe by its own timer, unconfirmed"
    port = serial_bridge(settings, serial)
    try:
        return _until_safe(port, settings.compiled, clock, wait_s)
    finally:
        port.close()


def _until_safe(port: SerialBridgePort, envelope: Envelope, clock: Clock, wait_s: float) -> str:
    safe = Command(envelope.safe_counts, armed=False)
    first = len(envelope.sensors)
    end_ns = clock.now_ns() + round(wait_s * NS_PER_S)
    while (now_ns := clock.now_ns()) < end_ns:
        readings = port.poll(now_ns)
        port.apply(now_ns, safe)
        applied = tuple(r.counts for r in readings if r.channel >= first)
        if applied == safe.counts and port.status()["device_state"] == DeviceState.SAFE.name:
            return f"safe, by the microcontroller's word: {_outputs(envelope)}"
        descriptor = port.fileno()
        waited = () if descriptor is None else (descriptor,)
        select.select(waited, (), (), _STEP_NS / NS_PER_S)
    status = port.status()
    raise PortError(
        f"no word of safe outputs in {wait_s:g} s: {status['fault'] or status['state']}",
        where=str(status["path"]),
        fix="none is needed for safety: the device's dead man makes its outputs safe by itself;"
        " `edge-agent bridge info` says who answers",
    )


def _outputs(envelope: Envelope) -> str:
    return ", ".join(
        f"{a.name} {to_value(a.safe.counts, a.counts_per_unit):g} {a.unit}"
        for a in envelope.actuators
    )
