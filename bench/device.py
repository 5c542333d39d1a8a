"""The microcontroller's end of the wire, reduced to what a load generator needs.

Owns: one pty, the device's side of the protocol (handshake, ARM, DISARM), telemetry with all
sensors of the device, and the match of a SET to the telemetry that it answers. Must not: pace
itself or judge a command; `bench/load.py` measures, the simulated MCU of the package guards.

Every telemetry frame has an age token of its own, which the host must give back with the
command that it decided from it: that is how an answer is told from a late one. The values
move slowly inside the range that the policy was trained on, so that filters, speed limits and
the model all have work to do; fan current and damper position follow the outputs, as the
effect checks of the envelope demand.
"""

import os
import pty
import select
import time
import tty
from types import TracebackType
from typing import Self

import msgspec

from edge_agent.safety.limits import Envelope
from firmware_bridge.frames import Direction, Frame, FrameDecoder, encode_frame
from firmware_bridge.messages import (
    PROTOCOL_VERSION,
    AckResult,
    DeviceState,
    Hello,
    Kind,
    ResetReason,
    SafeReason,
    Telemetry,
    parse_hello_ack,
    schema_hash,
    session_salt,
    telemetry_values,
)

NS_PER_S = 1_000_000_000
ANSWER_WITHIN_S = 0.25
_DEADMAN_MS = 500
_MASK_16 = 0xFFFF
_WAVE_NS = 20 * NS_PER_S
# Centre and swing of each sensor, in counts.
_WAVES = {
    "supply_temperature": (1600, 150),
    "mixed_temperature": (1500, 60),
    "outdoor_temperature": (1200, 40),
    "return_temperature": (2200, 40),
    "supply_setpoint": (1500, 0),
    "fan_status": (1, 0),
    "occupancy": (1, 0),
}


class BenchDevice:
    """One device behind one pty. `in_session` False: no handshake and salt 0, for the floor."""

    def __init__(self, envelope: Envelope, *, in_session: bool) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self.commands = 0
        self._sensors = [s.name for s in envelope.sensors]
        self._decoder = FrameDecoder(Direction.FROM_HOST)
        self._decoder.salt = None if in_session else 0
        names = tuple(a.name for a in envelope.actuators)
        self._hello = Hello(
            PROTOCOL_VERSION,
            1,
            schema_hash(names, tuple(self._sensors)),
            int(envelope.sha256()[:8], 16),
            int.from_bytes(os.urandom(4), "little"),
            ResetReason.POWER_ON,
            _DEADMAN_MS,
        )
        self.state = DeviceState.SAFE if in_session else DeviceState.ARMED
        self._applied = (0,) * len(names)
        self._seq = 0
        self._token = 0
        self._answered = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        os.close(self._slave)
        os.close(self._master)

    def exchange(self, at_ns: int) -> int | None:
        """One tick: telemetry at `at_ns` (or at once), then its SET; the time between, in ns.

        None when no SET with this frame's token came in time.
        """
        frame = self._telemetry()
        delay_ns = at_ns - time.monotonic_ns()
        if delay_ns > 0:
            time.sleep(delay_ns / NS_PER_S)
        sent_ns = time.monotonic_ns()
        os.write(self._master, frame)
        left_s = ANSWER_WITHIN_S
        while left_s > 0:
            select.select((self._master,), (), (), left_s)
            data = self._read()
            now_ns = time.monotonic_ns()
            self._receive(data)
            if self._answered == self._token:
                return now_ns - sent_ns
            left_s = ANSWER_WITHIN_S - (now_ns - sent_ns) / NS_PER_S
        return None

    def serve(self, within_s: float) -> bool:
        """Wait for bytes of the host and answer them; False when none came."""
        readable, _, _ = select.select((self._master,), (), (), within_s)
        if readable:
            self._receive(self._read())
        return bool(readable)

    @property
    def has_session(self) -> bool:
        """Whether a host has shaken hands, so that telemetry means something to it."""
        return self._decoder.salt is not None

    def _read(self) -> bytes:
        try:
            return os.read(self._master, 4096)
        except BlockingIOError:
            return b""

    def _telemetry(self) -> bytes:
        self._token = (self._token + 1) & _MASK_16
        now_ns = time.monotonic_ns()
        message = Telemetry(
            now_ns // 1000 & 0xFFFF_FFFF,
            self.state,
            SafeReason.BOOT,
            0,
            0,
            0,
            0,
            0,
            self._applied,
            self._measured(now_ns),
        )
        return self._encode(Kind.TELEMETRY, telemetry_values(message))

    def _measured(self, now_ns: int) -> tuple[int, ...]:
        """A triangular wave per sensor; feedback channels follow the outputs."""
        phase = now_ns % _WAVE_NS * 4 - 2 * _WAVE_NS  # -2..2 waves
        swing = abs(phase) - _WAVE_NS  # -1..1 waves
        damper, fan = self._applied[0], self._applied[3]
        feedback = {"fan_current": fan * 4 // 5, "damper_position": damper}
        values = []
        for name in self._sensors:
            if name in feedback:
                values.append(feedback[name])
            else:
                centre, size = _WAVES[name]
                values.append(centre + size * swing // _WAVE_NS)
        return tuple(values)

    def _encode(self, kind: Kind, values: tuple[int, ...]) -> bytes:
        self._seq = (self._seq + 1) & _MASK_16
        return encode_frame(Frame(kind, self._seq, self._token, values), self._decoder.salt or 0)

    def _receive(self, data: bytes) -> None:
        for frame in self._decoder.feed(data):
            if frame.kind == Kind.SET:
                self.commands += 1
                self._answered = frame.token
                self._applied = frame.values
                if self.state is DeviceState.ARMING:
                    self.state = DeviceState.ARMED
            elif frame.kind == Kind.IDENT:
                values = msgspec.structs.astuple(self._hello)[:-1]  # the last is for a key
                os.write(self._master, encode_frame(Frame(Kind.HELLO, 0, 0, values), 0))
            elif frame.kind == Kind.HELLO_ACK:
                nonce = parse_hello_ack(frame).host_nonce
                self._decoder.salt = session_salt(self._hello, nonce)
                self.state = DeviceState.SAFE
            elif frame.kind in (Kind.ARM, Kind.DISARM):
                self.state = DeviceState.ARMING if frame.kind == Kind.ARM else DeviceState.SAFE
                answer = self._encode(Kind.ACK, (frame.seq, AckResult.OK))
                os.write(self._master, answer)
