"""The port to our own microcontroller: telemetry becomes Readings, Commands become SETs.

Owns: one link over one serial port. Must not: block, raise for a fault of the device, or decide
anything: arming follows `Command.armed`.

An actuator's Reading is the value that the device applied; it is GOOD only while the device
is ARMED, because a value held in SAFE is not the answer to any command.
"""

from collections.abc import Callable
from itertools import repeat
from typing import Final, Protocol

from edge_agent.core.records import Command, Quality, Reading
from edge_agent.ports.reopening import ReopeningLine
from edge_agent.safety.limits import Envelope
from firmware_bridge.errors import SerialFaultError
from firmware_bridge.link import Identity, Link, LinkSettings, LinkState
from firmware_bridge.messages import (
    DeviceState,
    Layout,
    SafeReason,
    Telemetry,
    schema_hash,
)

# int(...) once: an IntEnum costs more to pass around in the hot path than an int.
_GOOD: Final = int(Quality.GOOD)
_INVALID: Final = int(Quality.INVALID)
_ARMED: Final = int(DeviceState.ARMED)


def link_identity(envelope: Envelope, feedback_sensors: tuple[str, ...]) -> Identity:
    """What the firmware must say it was built for."""
    actuators = tuple(actuator.name for actuator in envelope.actuators)
    return Identity(
        schema_hash=schema_hash(actuators, feedback_sensors),
        envelope_hash=int(envelope.sha256()[:8], 16),
        layout=Layout(len(actuators), len(feedback_sensors)),
    )


class Line(Protocol):
    """An open serial line: a tty (`firmware_bridge.serial_port`) or the simulator's cable.

    Every method raises `SerialFaultError` when the line is lost, and none of them blocks.
    """

    @property
    def low_latency(self) -> str:
        """Whether what arrives is passed on at once, in words."""

    def fileno(self) -> int | None:
        """Readable when `read` has something; None when it cannot be waited for."""

    def read(self) -> bytes:
        """Everything that has arrived."""

    def write(self, data: bytes) -> bool:
        """Whether all of it was taken."""

    def flush_output(self) -> None:
        """Discard what was written and not sent yet."""

    def close(self) -> None:
        """Release it."""


class SerialBridgePort:
    """All actuators of a device and the sensors that its microcontroller reads."""

    def __init__(
        self,
        name: str,
        open_line: Callable[[], Line],
        envelope: Envelope,
        feedback_sensors: tuple[str, ...],
        nonce_source: Callable[[], int],
    ) -> None:
        """`name` is for people. `open_line` is called by `poll` until it succeeds, and raises
        SerialFaultError when it cannot; `nonce_source` gives a new u32 for every session."""
        self._line = ReopeningLine(name, open_line)
        self._nonce_source = nonce_source
        self._identity = link_identity(envelope, feedback_sensors)
        self._link = Link(self._identity)
        self._sensor_channels = tuple(envelope.sensor_index[name] for name in feedback_sensors)
        first = len(envelope.sensors)
        self._actuator_channels = tuple(range(first, first + len(envelope.actuators)))
        self._telemetry: Telemetry | None = None
        self._dropped_writes = 0
        self._keyed = False

    def use_link(self, settings: LinkSettings, key: bytes | None) -> None:
        """Before the first `poll`: wait as `settings` say, and with `key` prove every frame with
        it and take no other."""
        self._link = Link(self._identity, settings, key)
        self._keyed = key is not None

    def poll(self, now_ns: int) -> list[Reading]:
        """The newest telemetry as Readings stamped `now_ns`; [] when nothing came.

        Older telemetry of the same call is superseded: it says the same channels earlier.
        """
        try:
            line = self._line.at(now_ns)
            return [] if line is None else self._exchange(now_ns, line)
        except SerialFaultError as fault:
            self._lose(now_ns, fault)
            return []

    def apply(self, now_ns: int, command: Command) -> None:
        """Arm or disarm as told, then send the whole vector."""
        line = self._line.line
        if line is None:
            return
        try:
            data = self._arming(now_ns, command.armed) + self._link.set_outputs(command.counts)
            self._write(line, data)
        except SerialFaultError as fault:
            self._lose(now_ns, fault)

    def fileno(self) -> int | None:
        """The open descriptor, or None while the device is away."""
        return self._line.fileno()

    def status(self) -> dict[str, int | str]:
        """Everything a person needs to see why the outputs are, or are not, moving."""
        counters = self._link.counters
        telemetry = self._telemetry
        refusal = self._link.refusal
        device = self._link.device
        line = self._line.status()
        return {
            "path": line["path"],
            "low_latency": "" if self._line.line is None else self._line.line.low_latency,
            "keyed": int(self._keyed),
            "state": self._link.state.value,
            "fault": line["fault"] if refusal is None else str(refusal),
            "device_state": "" if telemetry is None else DeviceState(telemetry.state).name,
            "safe_reason": "" if telemetry is None else SafeReason(telemetry.safe_reason).name,
            "safe_count": 0 if telemetry is None else telemetry.safe_count,
            "clamped_by_device": 0 if telemetry is None else telemetry.clamped,
            "device_bad_frames": 0 if telemetry is None else telemetry.bad_frames,
            "firmware_version": 0 if device is None else device.firmware_version,
            "frames": counters.frames,
            "frames_missed": counters.frames_missed,
            "bad_frames": self._link.decoder.bad.total(),
            "messages_refused": counters.messages_refused,
            "arm_declined": counters.control_declined,
            "sessions": counters.sessions,
            "lost_silent": counters.lost_silent,
            "lost_reset": counters.lost_reset,
            "lost_unanswered": counters.lost_unanswered,
            "unplugged": line["unplugged"],
            "reconnects": line["reconnects"],
            "open_failures": line["open_failures"],
            "dropped_writes": self._dropped_writes,
        }

    def close(self) -> None:
        """Release the device; its own dead man makes it safe if no DISARM did."""
        self._line.close()
        self._end()

    def _end(self) -> None:
        self._link.close()
        self._telemetry = None

    def _exchange(self, now_ns: int, line: Line) -> list[Reading]:
        if self._link.state is LinkState.CLOSED:  # it was opened just now
            self._link.open(now_ns, self._nonce_source())
        newest: Telemetry | None = None
        for event in self._link.receive(now_ns, line.read()):
            if type(event) is Telemetry:
                newest = event
        self._write(line, self._link.tick(now_ns))
        if self._link.state is LinkState.LOST:
            # What is still queued was decided for a device that no longer listens.
            line.flush_output()
            self._link.open(now_ns, self._nonce_source())
            self._write(line, self._link.tick(now_ns))
        if newest is None:
            return []
        self._telemetry = newest
        self._line.reset_pause()
        return self._readings(now_ns, newest)

    def _readings(self, now_ns: int, telemetry: Telemetry) -> list[Reading]:
        # map: half the cost of a comprehension, once per channel and tick.
        readings = list(
            map(Reading, self._sensor_channels, telemetry.sensors, repeat(now_ns), repeat(_GOOD))
        )
        quality = _GOOD if telemetry.state == _ARMED else _INVALID
        readings += map(
            Reading, self._actuator_channels, telemetry.applied, repeat(now_ns), repeat(quality)
        )
        return readings

    def _arming(self, now_ns: int, armed: bool) -> bytes:
        link = self._link
        if not armed:
            return link.disarm(now_ns)
        if link.state is LinkState.READY:
            return link.arm(now_ns)
        return b""

    def _write(self, line: Line, data: bytes) -> None:
        if data and not line.write(data):
            self._dropped_writes += 1

    def _lose(self, now_ns: int, fault: SerialFaultError) -> None:
        self._line.lose(now_ns, fault)
        self._end()
