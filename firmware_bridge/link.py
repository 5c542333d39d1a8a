"""The host's end of the link: bytes and a time in, events and bytes out.

Owns: the session (handshake, salt, sequence numbers, age token), the two delivery classes
(SET: newest wins, never sent twice; control: one at a time, repeated until answered), and the
judgement that the device went silent, reset or is the wrong one. Must not: do I/O, read a
clock, draw a nonce, or arm by itself.

Every change of state is a row of `TRANSITIONS`; a signal without a row is ignored. In LOST
the caller must discard what it has queued for the device and call `open` with a new nonce:
an old command must not reach a device that slept through its own clock.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final

import msgspec

from firmware_bridge.codec import codec_of, question
from firmware_bridge.errors import (
    IdentityError,
    KeyMismatchError,
    LinkStateError,
    MessageError,
)
from firmware_bridge.frames import Frame
from firmware_bridge.messages import (
    PROTOCOL_VERSION,
    AckResult,
    DeviceState,
    Hello,
    Kind,
    Layout,
    Telemetry,
    parse_ack,
    parse_telemetry,
    set_values,
)

_MS: Final = 1_000_000
_SEQ_MASK: Final = 0xFFFF
_SEQ_HALF: Final = 0x8000


class LinkState(Enum):
    CLOSED = "closed"
    IDENT = "ident"  # asking who is there
    SESSION = "session"  # identified; waiting for the first frame with the session's salt
    READY = "ready"  # in session, device in SAFE
    ARMING = "arming"
    ARMED = "armed"
    DISARMING = "disarming"
    REFUSED = "refused"  # the wrong firmware; asking again in case it is replaced
    LOST = "lost"  # waiting for the caller to flush and open again


class Signal(Enum):
    """What can happen to a link."""

    OPEN = "open"
    CLOSE = "close"
    HELLO = "hello"
    WRONG_HELLO = "wrong identity"
    IN_SESSION = "first telemetry"
    ARM = "arm"
    DISARM = "disarm"
    ACCEPTED = "control accepted"
    DECLINED = "control declined"
    DEVICE_ARMED = "device armed"
    DEVICE_SAFE = "device went safe"
    DEVICE_RESET = "device reset"
    SILENCE = "silence"
    UNANSWERED = "control unanswered"


_S = LinkState
_IN_SESSION: Final = (_S.SESSION, _S.READY, _S.ARMING, _S.ARMED, _S.DISARMING)
_LOSSES: Final = (Signal.DEVICE_RESET, Signal.SILENCE, Signal.UNANSWERED)

TRANSITIONS: Final[Mapping[tuple[LinkState, Signal], LinkState]] = {
    **{(state, Signal.OPEN): _S.IDENT for state in _S},
    **{(state, Signal.CLOSE): _S.CLOSED for state in _S},
    **{(state, loss): _S.LOST for state in _IN_SESSION for loss in _LOSSES},
    (_S.IDENT, Signal.HELLO): _S.SESSION,
    (_S.IDENT, Signal.WRONG_HELLO): _S.REFUSED,
    (_S.REFUSED, Signal.HELLO): _S.SESSION,
    (_S.SESSION, Signal.IN_SESSION): _S.READY,
    (_S.READY, Signal.ARM): _S.ARMING,
    (_S.ARMING, Signal.DECLINED): _S.READY,
    (_S.ARMING, Signal.DEVICE_ARMED): _S.ARMED,
    (_S.ARMING, Signal.DEVICE_SAFE): _S.READY,
    (_S.ARMING, Signal.DISARM): _S.DISARMING,
    (_S.ARMED, Signal.DEVICE_SAFE): _S.READY,
    (_S.ARMED, Signal.DISARM): _S.DISARMING,
    (_S.DISARMING, Signal.ACCEPTED): _S.READY,
}


class LinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait. `silence_ns` is the age of the last telemetry that counts as lost."""

    silence_ns: int = 100 * _MS
    ident_retry_ns: int = 100 * _MS
    control_retry_ns: int = 50 * _MS
    control_attempts: int = 5


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The firmware this host was built for (u32 hashes)."""

    schema_hash: int
    envelope_hash: int
    layout: Layout


class LinkChange(msgspec.Struct, frozen=True):
    """The link moved, and why."""

    before: LinkState
    after: LinkState
    cause: Signal


class LinkCounters(msgspec.Struct):
    """Since the link was made."""

    frames: int = 0
    frames_missed: int = 0  # gaps in the device's sequence numbers
    frames_repeated: int = 0
    messages_refused: int = 0
    control_retries: int = 0
    control_declined: int = 0
    sessions: int = 0
    lost_silent: int = 0
    lost_reset: int = 0
    lost_unanswered: int = 0


class _Control(msgspec.Struct):
    """The one control frame that waits for its answer."""

    seq: int
    wire: bytes
    retry_at_ns: int
    attempts: int = 1


Event = Telemetry | LinkChange


class Link:
    """One host end. Not a thread, not a port: its caller moves the bytes."""

    def __init__(
        self,
        identity: Identity,
        settings: LinkSettings | None = None,
        key: bytes | None = None,
    ) -> None:
        """With `key` (32 bytes) every frame of both ends is proved with it."""
        self.state = LinkState.CLOSED
        self.counters = LinkCounters()
        self.device: Hello | None = None
        self.refusal: IdentityError | KeyMismatchError | None = None
        self._codec = codec_of(key)
        self.decoder = self._codec.decoder
        self._identity = identity
        self._settings = settings or LinkSettings()
        self._host_nonce = 0
        self._seq = 0
        self._token = 0
        self._last_seq: int | None = None
        self._safe_count = 0
        self._heard_ns = 0
        self._ident_at_ns = 0
        self._hello_ack_due = False
        self._control: _Control | None = None

    def open(self, now_ns: int, host_nonce: int) -> None:
        """Begin anew on an open port. `host_nonce` (u32) must differ from the last one."""
        self._signal(Signal.OPEN)
        self.decoder.restart()
        self._end_session()
        self._host_nonce = host_nonce
        self._ident_at_ns = now_ns

    def close(self) -> None:
        """The port is gone."""
        self._signal(Signal.CLOSE)
        self._end_session()

    def receive(self, now_ns: int, data: bytes) -> list[Event]:
        """Take what the port read; changes of state and telemetry, in order."""
        events: list[Event] = []
        for frame in self.decoder.feed(data):
            self.counters.frames += 1
            try:
                if frame.kind == Kind.HELLO:
                    self._on_hello(now_ns, self._codec.hello(frame), events)
                elif self._is_next(frame):
                    self._on_session_frame(now_ns, frame, events)
            except MessageError:
                self.counters.messages_refused += 1
        if self.decoder.stranger is not None:
            self._on_stranger(events)
        return events

    def tick(self, now_ns: int) -> bytes:
        """Bytes to send now: handshake and repeats. Call after `receive`, then look at `state`."""
        if self.state in (LinkState.IDENT, LinkState.REFUSED):
            return self._ident(now_ns)
        if self.state not in _IN_SESSION:
            return b""
        if now_ns - self._heard_ns > self._settings.silence_ns:
            self.counters.lost_silent += 1
            self._signal(Signal.SILENCE)
            return b""
        return self._hello_ack() + self._retry_control(now_ns)

    def arm(self, now_ns: int) -> bytes:
        """Ask the device to leave SAFE; follow with `set_outputs` until ARMED.

        Raises IdentityError when the firmware is not ours, KeyMismatchError when the key is not,
        LinkStateError in any state but READY.
        """
        if self.refusal is not None:
            raise self.refusal
        if self.state is not LinkState.READY:
            raise LinkStateError(f"cannot arm in state {self.state.value}")
        self._signal(Signal.ARM)
        return self._send_control(now_ns, Kind.ARM, (self._host_nonce, self._safe_count))

    def disarm(self, now_ns: int) -> bytes:
        """Send the device to SAFE; replaces an ARM that waits. Nothing to do = no bytes."""
        if self._signal(Signal.DISARM) is None:
            return b""
        return self._send_control(now_ns, Kind.DISARM, ())

    def set_outputs(self, counts: tuple[int, ...]) -> bytes:
        """One SET with the newest age token while ARMING or ARMED, else no bytes.

        Raises WireValueError when `counts` is not one int16 per actuator.
        """
        values = set_values(counts, self._identity.layout)
        if self.state is not LinkState.ARMED and self.state is not LinkState.ARMING:
            return b""
        return self._codec.encode(Frame(Kind.SET, self._next_seq(), self._token, values))

    def _signal(self, cause: Signal) -> LinkChange | None:
        """Follow the table; None when this signal has no row in this state."""
        before = self.state
        after = TRANSITIONS.get((before, cause))
        if after is None:
            return None
        self.state = after
        return LinkChange(before, after, cause)

    def _emit(self, cause: Signal, events: list[Event]) -> bool:
        change = self._signal(cause)
        if change is not None:
            events.append(change)
        return change is not None

    def _end_session(self) -> None:
        self._codec.end()
        self.device = None
        self.refusal = None
        self._control = None
        self._hello_ack_due = False

    def _next_seq(self) -> int:
        self._seq = (self._seq + 1) & _SEQ_MASK
        return self._seq

    def _ident(self, now_ns: int) -> bytes:
        if now_ns < self._ident_at_ns:
            return b""
        self._ident_at_ns = now_ns + self._settings.ident_retry_ns
        return question()

    def _hello_ack(self) -> bytes:
        if not self._hello_ack_due or self.device is None:
            return b""
        self._hello_ack_due = False
        values = self._codec.hello_ack(self.device, self._host_nonce)
        return self._codec.encode(Frame(Kind.HELLO_ACK, 0, 0, values))

    def _send_control(self, now_ns: int, kind: Kind, values: tuple[int, ...]) -> bytes:
        seq = self._next_seq()
        wire = self._codec.encode(Frame(kind, seq, self._token, values))
        self._control = _Control(seq, wire, now_ns + self._settings.control_retry_ns)
        return wire

    def _retry_control(self, now_ns: int) -> bytes:
        control = self._control
        if control is None or now_ns < control.retry_at_ns:
            return b""
        if control.attempts >= self._settings.control_attempts:
            self.counters.lost_unanswered += 1
            self._signal(Signal.UNANSWERED)
            return b""
        control.attempts += 1
        control.retry_at_ns = now_ns + self._settings.control_retry_ns
        self.counters.control_retries += 1
        return control.wire

    def _on_hello(self, now_ns: int, hello: Hello, events: list[Event]) -> None:
        if self.state in _IN_SESSION:
            if self.device is not None and hello.boot_nonce != self.device.boot_nonce:
                self.counters.lost_reset += 1
                self._emit(Signal.DEVICE_RESET, events)
            return  # a late answer to a repeated IDENT
        self.refusal = self._compare(hello)
        if self.refusal is not None:
            self.device = hello
            self._emit(Signal.WRONG_HELLO, events)
        elif self._emit(Signal.HELLO, events):
            self.device = hello
            self._codec.begin(hello, self._host_nonce)
            self._seq = 0
            self._last_seq = None
            self._heard_ns = now_ns
            self._hello_ack_due = True
            self.counters.sessions += 1

    def _on_stranger(self, events: list[Event]) -> None:
        """Somebody answers whose frames cannot be proved."""
        stranger, self.decoder.stranger = self.decoder.stranger, None
        if stranger is not None and self.state in (LinkState.IDENT, LinkState.REFUSED):
            self.refusal = KeyMismatchError(stranger.value)
            self._emit(Signal.WRONG_HELLO, events)

    def _compare(self, hello: Hello) -> IdentityError | None:
        for field, ours, theirs in (
            ("protocol version", PROTOCOL_VERSION, hello.protocol_version),
            ("schema hash", self._identity.schema_hash, hello.schema_hash),
            ("envelope hash", self._identity.envelope_hash, hello.envelope_hash),
        ):
            if ours != theirs:
                return IdentityError(field, ours, theirs)
        return None

    def _is_next(self, frame: Frame) -> bool:
        """Count gaps; False for a frame already seen or overtaken."""
        if self._last_seq is not None:
            step = (frame.seq - self._last_seq) & _SEQ_MASK
            if not 0 < step < _SEQ_HALF:
                self.counters.frames_repeated += 1
                return False
            self.counters.frames_missed += step - 1
        self._last_seq = frame.seq
        return True

    def _on_session_frame(self, now_ns: int, frame: Frame, events: list[Event]) -> None:
        if frame.kind == Kind.TELEMETRY:
            telemetry = parse_telemetry(frame, self._identity.layout)
            self._token = frame.token
            self._heard_ns = now_ns
            self._safe_count = telemetry.safe_count
            self._follow_device(telemetry.state, events)
            events.append(telemetry)
        elif frame.kind == Kind.ACK:
            self._on_ack(frame, events)
        else:
            raise MessageError(f"unknown kind {frame.kind:#x}")

    def _follow_device(self, device_state: int, events: list[Event]) -> None:
        if self.state is LinkState.SESSION:
            self._emit(Signal.IN_SESSION, events)
        elif device_state == DeviceState.ARMED:
            self._emit(Signal.DEVICE_ARMED, events)
        elif device_state == DeviceState.SAFE and self._control is None:
            # While ARM waits for its answer, SAFE is the state before it.
            self._emit(Signal.DEVICE_SAFE, events)

    def _on_ack(self, frame: Frame, events: list[Event]) -> None:
        ack = parse_ack(frame)
        if self._control is None or ack.control_seq != self._control.seq:
            return  # answers a control frame that was replaced
        self._control = None
        if ack.result == AckResult.OK:
            self._emit(Signal.ACCEPTED, events)
        else:
            self.counters.control_declined += 1
            self._emit(Signal.DECLINED, events)
