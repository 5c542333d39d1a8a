"""The simulated microcontroller: the C that a real one runs, on a board made of memory.

Owns: nanoseconds outside, whole milliseconds of the timer interrupt inside, and the words in
which tests and reports ask about the device. Must not: decide or correct anything that the C
decides, do I/O or read a clock: bytes and a time in, bytes out.
"""

from typing import Final, NamedTuple

import msgspec

from edge_agent.core.clock import NS_PER_MS
from edge_agent.safety.limits import Envelope
from edge_agent.safety.margin import DEADMAN_MAX_MS, deadman_ms
from edge_agent.sim.mcu_limits import device_limits
from firmware_bridge.device.library import Board
from firmware_bridge.device.tables import KEY_SIZE
from firmware_bridge.frames import BadFrames
from firmware_bridge.messages import (
    PROTOCOL_VERSION,
    DeviceState,
    Hello,
    ResetReason,
    SafeReason,
)

FIRMWARE_VERSION: Final = 1


class McuSettings(NamedTuple):
    """Times in milliseconds, except the token's age (units of 10 ms).

    `deadman_ms` None takes the smallest lease of the envelope, at most DEADMAN_MAX_MS. With a
    `key` (32 bytes) it is a device that was built with one.
    """

    deadman_ms: int | None = None
    token_max_age: int = 5
    telemetry_ms: int = 20
    reset_reason: int = ResetReason.POWER_ON
    key: bytes | None = None


class McuCounters(msgspec.Struct):
    """Since boot; of these only the overruns are on the wire."""

    sets_applied: int
    sets_stale: int
    sets_repeated: int
    sets_not_armed: int
    sets_clamped: int
    messages_refused: int
    overruns: int
    dead_man_trips: int
    watchdog_kicks: int


class SimulatedMcu:
    """One boot of one device. A reset is a new object with another boot nonce."""

    def __init__(
        self,
        envelope: Envelope,
        feedback_sensors: tuple[str, ...],
        boot_nonce: int,
        settings: McuSettings | None = None,
        now_ns: int = 0,
    ) -> None:
        """ValueError for a dead man that no device may have, WireValueError for a device that
        the wire cannot carry."""
        self.settings = settings or McuSettings()
        chosen_ms = self.settings.deadman_ms
        self.deadman_ms = deadman_ms(envelope) if chosen_ms is None else chosen_ms
        if not 1 <= self.deadman_ms <= DEADMAN_MAX_MS:
            raise ValueError(f"dead man of {self.deadman_ms} ms; 1 to {DEADMAN_MAX_MS} is possible")
        self._limits = device_limits(envelope, feedback_sensors)
        self._limits.protocol_version = PROTOCOL_VERSION
        self._limits.firmware_version = FIRMWARE_VERSION
        self._limits.deadman_ms = self.deadman_ms
        self._limits.telemetry_ms = self.settings.telemetry_ms
        self._limits.token_max_age = self.settings.token_max_age
        self.hello = Hello(
            PROTOCOL_VERSION,
            FIRMWARE_VERSION,
            self._limits.schema_hash,
            self._limits.envelope_hash,
            boot_nonce,
            self.settings.reset_reason,
            self.deadman_ms,
        )
        key = self.settings.key
        self._limits.key[:] = key or bytes(KEY_SIZE)
        self._board = Board(
            self._limits, boot_nonce, self.settings.reset_reason, keyed=key is not None
        )
        self._boot_ns = now_ns
        self._ticks = 0
        self._sensors = (0,) * len(feedback_sensors)
        self._to_send = b""

    @property
    def outputs(self) -> tuple[int, ...]:
        """What the pins do now, in counts."""
        return tuple(self._board.look().outputs[: self._limits.actuators])

    @property
    def state(self) -> DeviceState:
        return DeviceState(self._board.look().state)

    @property
    def safe_reason(self) -> SafeReason:
        return SafeReason(self._board.look().safe_reason)

    @property
    def safe_count(self) -> int:
        """Entries into SAFE since boot."""
        count: int = self._board.look().safe_count
        return count

    @property
    def counters(self) -> McuCounters:
        view = self._board.look()
        c = view.counters
        return McuCounters(
            sets_applied=c.sets_applied,
            sets_stale=c.sets_stale,
            sets_repeated=c.sets_repeated,
            sets_not_armed=c.sets_not_armed,
            sets_clamped=c.sets_clamped,
            messages_refused=c.messages_refused,
            overruns=c.overruns,
            dead_man_trips=view.dead_man_trips,
            watchdog_kicks=view.kicks,
        )

    @property
    def bad_frames(self) -> BadFrames:
        """Dropped pieces of the stream, by cause."""
        return BadFrames(*self._board.look().counters.bad)

    @property
    def sensors(self) -> tuple[int, ...]:
        """What the next telemetry will report, in counts."""
        return self._sensors

    def set_sensors(self, counts: tuple[int, ...]) -> None:
        """What the device's own converters read, in the order of `feedback_sensors`."""
        if len(counts) != self._limits.sensors:
            raise ValueError(f"{len(counts)} values for {self._limits.sensors} sensors")
        self._sensors = counts
        for index, value in enumerate(counts):
            self._board.set_sensor(index, value)

    def overrun(self) -> None:
        """The port lost bytes."""
        self._board.overrun()

    def hang(self, now_ns: int) -> None:
        """The main loop hangs until now; the timer interrupt does not."""
        ticks = (now_ns - self._boot_ns) // NS_PER_MS
        self._board.hang(ticks - self._ticks)
        self._ticks = ticks

    def receive(self, now_ns: int, data: bytes) -> None:
        """Bytes from the host."""
        self._tick_to(now_ns)
        self._to_send += self._board.receive(data)

    def advance(self, now_ns: int) -> bytes:
        """Let time pass: leases and the dead man, then what is due on the wire."""
        self._tick_to(now_ns)
        data = self._to_send + self._board.transmit()
        self._to_send = b""
        return data

    def take_changes(self) -> list[tuple[int, tuple[int, ...]]]:
        """(time, outputs) of every change since the last call: nothing reached the pins unseen."""
        return [(self._at_ns(at_ms), outputs) for at_ms, outputs in self._board.take_changes()]

    def next_due_ns(self) -> int | None:
        """When `advance` next has something to do if no byte arrives before; None: never."""
        view = self._board.look()
        if not view.in_session:
            return None
        due_ms: int = view.telemetry_ms
        if view.state != DeviceState.SAFE:
            due_ms = min(due_ms, view.now_ms + self._limits.deadman_ms - view.unfed_ms)
        return self._at_ns(due_ms)

    def _at_ns(self, at_ms: int) -> int:
        return self._boot_ns + at_ms * NS_PER_MS

    def _tick_to(self, now_ns: int) -> None:
        """Every interrupt of the timer that is due."""
        ticks = (now_ns - self._boot_ns) // NS_PER_MS
        if ticks > self._ticks:
            self._board.advance(ticks - self._ticks)
            self._ticks = ticks
