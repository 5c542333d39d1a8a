"""The simulated microcontroller: the device's end of the wire, with its own limits.

Owns: what real firmware owns: the outputs, the age token, the dead man, the latched SAFE
state and a table of limits a stated margin wider than the host's. Must not: trust the host,
do I/O or read a clock: bytes and a time in, bytes out, exactly like the code it stands for.
"""

from collections import deque
from enum import IntEnum
from typing import Final, NamedTuple

import msgspec

from edge_agent.safety.limits import Envelope
from edge_agent.sim.mcu_limits import Output, output_limits
from firmware_bridge.errors import MessageError
from firmware_bridge.frames import Direction, Frame, FrameDecoder, encode_frame
from firmware_bridge.messages import (
    PROTOCOL_VERSION,
    TOKEN_PERIOD_MS,
    AckResult,
    DeviceState,
    Hello,
    Kind,
    Layout,
    ResetReason,
    SafeReason,
    Telemetry,
    parse_arm,
    parse_empty,
    parse_hello_ack,
    parse_ident,
    parse_set,
    schema_hash,
    session_salt,
    telemetry_values,
)

FIRMWARE_VERSION: Final = 1
ARMING_TOKENS: Final = 3  # fresh, different tokens before the outputs follow
DEADMAN_MAX_MS: Final = 500
_NS_PER_MS: Final = 1_000_000
_NS_PER_US: Final = 1_000
_CHANGES_MAX: Final = 4096
_MASK_16: Final = 0xFFFF
_MASK_32: Final = 0xFFFF_FFFF


class McuSettings(NamedTuple):
    """Times in milliseconds, except the token's age (units of 10 ms).

    `deadman_ms` None takes the smallest lease of the envelope, at most DEADMAN_MAX_MS.
    """

    deadman_ms: int | None = None
    token_max_age: int = 5
    telemetry_ms: int = 20
    reset_reason: int = ResetReason.POWER_ON


class McuCounters(msgspec.Struct):
    """Since boot, and not on the wire."""

    sets_applied: int = 0
    sets_stale: int = 0
    sets_repeated: int = 0
    sets_not_armed: int = 0
    sets_clamped: int = 0
    messages_refused: int = 0
    dead_man_trips: int = 0


class _Verdict(IntEnum):
    REPEATED = 0
    STALE = 1
    FRESH = 2


def _deadman_ms(envelope: Envelope, settings: McuSettings) -> int:
    deadman_ms = settings.deadman_ms
    if deadman_ms is None:
        leases_ms = (a.lease_ns // _NS_PER_MS for a in envelope.actuators)
        deadman_ms = min(DEADMAN_MAX_MS, *leases_ms)
    if not 1 <= deadman_ms <= DEADMAN_MAX_MS:
        raise ValueError(f"dead man of {deadman_ms} ms; 1 to {DEADMAN_MAX_MS} is possible")
    return deadman_ms


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
        self.settings = settings or McuSettings()
        self.deadman_ms = _deadman_ms(envelope, self.settings)
        self.layout = Layout(len(envelope.actuators), len(feedback_sensors))
        self.hello = Hello(
            PROTOCOL_VERSION,
            FIRMWARE_VERSION,
            schema_hash(tuple(a.name for a in envelope.actuators), feedback_sensors),
            int(envelope.sha256()[:8], 16),
            boot_nonce,
            self.settings.reset_reason,
            self.deadman_ms,
        )
        self.state = DeviceState.SAFE
        self.safe_reason = SafeReason.BOOT
        self.counters = McuCounters()
        self.decoder = FrameDecoder(Direction.FROM_HOST)
        self._outputs = tuple(Output(output_limits(a, self.deadman_ms)) for a in envelope.actuators)
        self._sensors = (0,) * len(feedback_sensors)
        self._boot_ns = now_ns
        self._earned_ms = 0
        self._fed_ns = now_ns
        self._telemetry_at_ns = now_ns
        self._host_nonce: int | None = None
        self._seq = 0
        self._safe_count = 0
        self._last_set_seq = 0
        self._last_control: tuple[int, AckResult] | None = None
        self._clamped = 0
        self._arming_tokens: tuple[int, ...] = ()
        self._changes: deque[tuple[int, tuple[int, ...]]] = deque(maxlen=_CHANGES_MAX)
        self._to_send = self._encode_hello()  # told once unasked: a host notices a reset at once

    @property
    def outputs(self) -> tuple[int, ...]:
        """What the pins do now, in counts."""
        return tuple(output.counts for output in self._outputs)

    @property
    def sensors(self) -> tuple[int, ...]:
        """What the next telemetry will report, in counts."""
        return self._sensors

    def set_sensors(self, counts: tuple[int, ...]) -> None:
        """What the device's own converters read, in the order of `feedback_sensors`."""
        if len(counts) != self.layout.sensors:
            raise ValueError(f"{len(counts)} values for {self.layout.sensors} sensors")
        self._sensors = counts

    def receive(self, now_ns: int, data: bytes) -> None:
        """Bytes from the host."""
        self._check_dead_man(now_ns)
        for frame in self.decoder.feed(data):
            try:
                self._on_frame(now_ns, frame)
            except MessageError:
                self.counters.messages_refused += 1

    def advance(self, now_ns: int) -> bytes:
        """Let time pass: the dead man, then what is due on the wire."""
        self._check_dead_man(now_ns)
        if self._host_nonce is not None and now_ns >= self._telemetry_at_ns:
            period_ns = self.settings.telemetry_ms * _NS_PER_MS
            late_ns = now_ns - self._telemetry_at_ns
            self._telemetry_at_ns += period_ns * (1 + late_ns // period_ns)
            self._to_send += self._encode_telemetry(now_ns)
        data, self._to_send = self._to_send, b""
        return data

    def take_changes(self) -> list[tuple[int, tuple[int, ...]]]:
        """(time, outputs) of every change since the last call: nothing reached the pins unseen."""
        changes = list(self._changes)
        self._changes.clear()
        return changes

    def next_due_ns(self) -> int | None:
        """When `advance` next has something to do if no byte arrives before; None: never."""
        if self._host_nonce is None:
            return None
        if self.state is DeviceState.SAFE:
            return self._telemetry_at_ns
        return min(self._telemetry_at_ns, self._fed_ns + self.deadman_ms * _NS_PER_MS)

    def _token(self, now_ns: int) -> int:
        return (now_ns - self._boot_ns) // (TOKEN_PERIOD_MS * _NS_PER_MS) & _MASK_16

    def _check_dead_man(self, now_ns: int) -> None:
        if self.state is DeviceState.SAFE:
            return
        if now_ns - self._fed_ns >= self.deadman_ms * _NS_PER_MS:
            self.counters.dead_man_trips += 1
            self._enter_safe(now_ns, SafeReason.DEAD_MAN)

    def _enter_safe(self, now_ns: int, reason: SafeReason) -> None:
        if self.state is DeviceState.SAFE:
            return
        self.state = DeviceState.SAFE
        self.safe_reason = reason
        self._safe_count += 1
        before = self.outputs
        for output in self._outputs:
            output.make_safe()
        self._note_change(now_ns, before)

    def _note_change(self, now_ns: int, before: tuple[int, ...]) -> None:
        if self.outputs != before:
            self._changes.append((now_ns, self.outputs))

    def _on_frame(self, now_ns: int, frame: Frame) -> None:
        if frame.kind == Kind.SET:
            self._on_set(now_ns, frame)
        elif frame.kind in (Kind.ARM, Kind.DISARM):
            self._on_control(now_ns, frame)
        elif frame.kind == Kind.IDENT:
            parse_ident(frame)
            self._to_send += self._encode_hello()
        elif frame.kind == Kind.HELLO_ACK:
            self._on_hello_ack(now_ns, frame)
        else:
            raise MessageError(f"unknown kind {frame.kind:#x}")

    def _on_hello_ack(self, now_ns: int, frame: Frame) -> None:
        ack = parse_hello_ack(frame)
        if ack.boot_nonce != self.hello.boot_nonce or ack.host_nonce == self._host_nonce:
            return  # meant for an earlier boot, or said twice
        self._enter_safe(now_ns, SafeReason.NEW_SESSION)
        self._host_nonce = ack.host_nonce
        self.decoder.salt = session_salt(self.hello, ack.host_nonce)
        self._last_control = None
        self._last_set_seq = 0
        self._clamped = 0
        self._telemetry_at_ns = now_ns

    def _on_control(self, now_ns: int, frame: Frame) -> None:
        """ARM and DISARM; a repeated frame gets its first answer again and does nothing."""
        if self._last_control is not None:
            last_seq, last_result = self._last_control
            step = (frame.seq - last_seq) & _MASK_16
            if step == 0:
                self._answer(now_ns, frame.seq, last_result)
            if not 0 < step < 0x8000:
                return
        if frame.kind == Kind.DISARM:
            parse_empty(frame)
            self._enter_safe(now_ns, SafeReason.REQUESTED)
            result = AckResult.OK
        else:
            result = self._arm(now_ns, frame)
        self._last_control = (frame.seq, result)
        self._answer(now_ns, frame.seq, result)

    def _answer(self, now_ns: int, control_seq: int, result: AckResult) -> None:
        self._to_send += self._encode(Kind.ACK, self._token(now_ns), (control_seq, result))

    def _arm(self, now_ns: int, frame: Frame) -> AckResult:
        arm = parse_arm(frame)
        if arm.host_nonce != self._host_nonce:
            return AckResult.WRONG_NONCE
        if arm.last_safe_count != self._safe_count:
            return AckResult.WRONG_SAFE_COUNT
        if self.state is DeviceState.SAFE:
            self.state = DeviceState.ARMING
            self._arming_tokens = ()
            self._last_set_seq = frame.seq  # a SET from before the ARM is not for this arming
            self._fed_ns = now_ns
            self._earned_ms = now_ns // _NS_PER_MS
        return AckResult.OK

    def _on_set(self, now_ns: int, frame: Frame) -> None:
        wanted = parse_set(frame, self.layout)
        if self.state is DeviceState.SAFE:
            self.counters.sets_not_armed += 1
            return
        verdict = self._judge_set(now_ns, frame)
        if verdict is not _Verdict.FRESH:
            self.counters.sets_repeated += verdict is _Verdict.REPEATED
            self.counters.sets_stale += verdict is _Verdict.STALE
            return
        self._last_set_seq = frame.seq
        self._fed_ns = now_ns
        if self.state is DeviceState.ARMING and not self._enough_tokens(frame.token):
            return
        self.state = DeviceState.ARMED
        self._apply(now_ns, wanted)

    def _judge_set(self, now_ns: int, frame: Frame) -> _Verdict:
        if not 0 < (frame.seq - self._last_set_seq) & _MASK_16 < 0x8000:
            return _Verdict.REPEATED
        if (self._token(now_ns) - frame.token) & _MASK_16 > self.settings.token_max_age:
            return _Verdict.STALE
        return _Verdict.FRESH

    def _enough_tokens(self, token: int) -> bool:
        if token not in self._arming_tokens:
            self._arming_tokens += (token,)
        return len(self._arming_tokens) >= ARMING_TOKENS

    def _apply(self, now_ns: int, wanted: tuple[int, ...]) -> None:
        now_ms = now_ns // _NS_PER_MS
        elapsed_ms = now_ms - self._earned_ms
        self._earned_ms = now_ms
        before = self.outputs
        self._clamped = 0
        for index, (output, counts) in enumerate(zip(self._outputs, wanted, strict=True)):
            output.earn(elapsed_ms)
            self._clamped |= output.follow(counts) << index
        self.counters.sets_applied += 1
        self.counters.sets_clamped += self._clamped != 0
        self._note_change(now_ns, before)

    def _encode_hello(self) -> bytes:
        return encode_frame(Frame(Kind.HELLO, 0, 0, msgspec.structs.astuple(self.hello)), 0)

    def _encode_telemetry(self, now_ns: int) -> bytes:
        message = Telemetry(
            (now_ns - self._boot_ns) // _NS_PER_US & _MASK_32,
            self.state,
            self.safe_reason,
            self._last_set_seq,
            self._clamped,
            self.decoder.bad.total() & _MASK_32,
            0,  # rx_overruns: a pty loses nothing
            self._safe_count,
            self.outputs,
            self._sensors,
        )
        return self._encode(Kind.TELEMETRY, self._token(now_ns), telemetry_values(message))

    def _encode(self, kind: Kind, token: int, values: tuple[int, ...]) -> bytes:
        self._seq = (self._seq + 1) & _MASK_16
        return encode_frame(Frame(kind, self._seq, token, values), self.decoder.salt or 0)
