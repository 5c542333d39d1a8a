"""Messages: what the frames of this protocol say, with exact arity and ranges.

Owns: the kinds, the records, their encoding into integer bodies and back, the two hashes of
the handshake. Must not: keep state, read a clock or know the link's rules.

Host to device: IDENT, HELLO_ACK, ARM, DISARM, SET. Device to host: HELLO, ACK, TELEMETRY.
Units are in the names; values of actuators and sensors are counts (int16 for actuators,
int32 for sensors) in the order both ends agreed on through the schema hash.
"""

import hashlib
import struct
import zlib
from enum import IntEnum
from typing import Final

import msgspec

from firmware_bridge.errors import MessageError, WireValueError
from firmware_bridge.frames import FROM_DEVICE, UNSALTED, Frame

PROTOCOL_VERSION: Final = 1
ACTUATORS_MAX: Final = 32  # one bit each in the clamp bitmap
COUNTS_MIN: Final = -(2**15)  # int16: small enough to prove the device's arithmetic
COUNTS_MAX: Final = 2**15 - 1
SENSOR_MIN: Final = -(2**31)
SENSOR_MAX: Final = 2**31 - 1
U16_MAX: Final = 2**16 - 1
U32_MAX: Final = 2**32 - 1
TOKEN_PERIOD_MS: Final = 10
_TELEMETRY_FIXED: Final = 8  # fields before the vectors
_SALT_INPUT: Final = struct.Struct("<IIII")
_SESSION_NAME: Final = struct.Struct("<IIIII")


class Kind(IntEnum):
    """The first byte of a frame. Bit 7: from the device; bit 6: opens a session, salt 0."""

    ARM = 0x01
    DISARM = 0x02
    SET = 0x10
    IDENT = UNSALTED | 0x01
    HELLO_ACK = UNSALTED | 0x02
    ACK = FROM_DEVICE | 0x01
    TELEMETRY = FROM_DEVICE | 0x10
    HELLO = FROM_DEVICE | UNSALTED | 0x01


class DeviceState(IntEnum):
    """What the device does with its outputs."""

    SAFE = 0  # at their safe values, latched
    ARMING = 1  # still at their safe values, counting fresh tokens
    ARMED = 2  # following SET inside the device's own limits


class SafeReason(IntEnum):
    """Why the device is, or last was, in SAFE."""

    BOOT = 0
    REQUESTED = 1  # DISARM
    DEAD_MAN = 2  # no fresh SET for deadman_ms
    NEW_SESSION = 3  # the host opened another session while armed


class ResetReason(IntEnum):
    """Why the device started."""

    POWER_ON = 0
    WATCHDOG = 1
    SOFTWARE = 2
    UNKNOWN = 3


class AckResult(IntEnum):
    """The device's answer to ARM and DISARM."""

    OK = 0
    WRONG_NONCE = 1
    WRONG_SAFE_COUNT = 2  # it went SAFE since the ARM was decided


class Hello(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who the device is. Versions and hashes are u32; `boot_nonce` differs at every start.
    `session_number` is on the wire in the keyed mode alone: how many sessions this boot had.
    """

    protocol_version: int
    firmware_version: int
    schema_hash: int
    envelope_hash: int
    boot_nonce: int
    reset_reason: int
    deadman_ms: int
    session_number: int = 0


class HelloAck(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The host opens a session with the device that booted as `boot_nonce`."""

    boot_nonce: int
    host_nonce: int


class Arm(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Leave SAFE, provided that the device is where the host believes it to be."""

    host_nonce: int
    last_safe_count: int


class Ack(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Answer to the control frame whose sequence number was `control_seq`."""

    control_seq: int
    result: int


class Telemetry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The device's whole state, at a fixed rate.

    `device_us` wraps at 2^32. `clamped` has bit i set when the last SET asked actuator i for
    something that the device's own limits did not allow. `applied` is the truth about the
    outputs. `safe_count` counts entries into SAFE since boot.
    """

    device_us: int
    state: int
    safe_reason: int
    last_set_seq: int
    clamped: int
    bad_frames: int
    rx_overruns: int
    safe_count: int
    applied: tuple[int, ...]
    sensors: tuple[int, ...]


class Layout(msgspec.Struct, frozen=True):
    """How many values the two vectors have; part of the schema."""

    actuators: int
    sensors: int

    def __post_init__(self) -> None:
        if not (1 <= self.actuators <= ACTUATORS_MAX and 0 <= self.sensors <= ACTUATORS_MAX):
            raise WireValueError(f"no wire for {self.actuators} actuators, {self.sensors} sensors")


def schema_hash(actuators: tuple[str, ...], sensors: tuple[str, ...]) -> int:
    """u32 over the protocol version and the channel names in wire order."""
    text = f"EB{PROTOCOL_VERSION};SET:{','.join(actuators)};TELEMETRY:{','.join(sensors)}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def session_salt(hello: Hello, host_nonce: int) -> int:
    """The CRC's initial value for one session (u32): any difference makes every frame fail."""
    return zlib.crc32(
        _SALT_INPUT.pack(hello.schema_hash, hello.envelope_hash, hello.boot_nonce, host_nonce)
    )


def session_name(hello: Hello, host_nonce: int) -> bytes:
    """What the keyed mode's tags of one session have in common: 20 bytes."""
    return _SESSION_NAME.pack(
        hello.schema_hash,
        hello.envelope_hash,
        hello.boot_nonce,
        host_nonce,
        hello.session_number,
    )


def set_values(counts: tuple[int, ...], layout: Layout) -> tuple[int, ...]:
    """The body of SET; WireValueError unless it is `layout.actuators` values of int16."""
    if len(counts) != layout.actuators:
        raise WireValueError(f"{len(counts)} values for {layout.actuators} actuators")
    for value in counts:
        if not COUNTS_MIN <= value <= COUNTS_MAX:
            raise WireValueError(f"{value} does not fit int16")
    return counts


def telemetry_values(message: Telemetry) -> tuple[int, ...]:
    """The body of TELEMETRY: the fixed fields, then the two vectors."""
    fixed = msgspec.structs.astuple(message)[:_TELEMETRY_FIXED]
    return (*fixed, *message.applied, *message.sensors)


def parse_hello(frame: Frame, *, keyed: bool = False) -> Hello:
    """MessageError unless all seven fields, eight in the keyed mode, are there and in range."""
    hello = Hello(*_exactly(frame, 7 + keyed))
    _check_unsigned(frame, (*frame.values[:5], hello.session_number), U32_MAX)
    _check_unsigned(frame, (hello.reset_reason,), max(ResetReason))
    if not 1 <= hello.deadman_ms <= U16_MAX:
        raise MessageError(f"dead man of {hello.deadman_ms} ms")
    return hello


def parse_hello_ack(frame: Frame) -> HelloAck:
    _check_unsigned(frame, _exactly(frame, 2), U32_MAX)
    return HelloAck(*frame.values)


def parse_arm(frame: Frame) -> Arm:
    _check_unsigned(frame, _exactly(frame, 2), U32_MAX)
    return Arm(*frame.values)


def parse_ack(frame: Frame) -> Ack:
    ack = Ack(*_exactly(frame, 2))
    _check_unsigned(frame, (ack.control_seq,), U16_MAX)
    _check_unsigned(frame, (ack.result,), max(AckResult))
    return ack


def parse_empty(frame: Frame) -> None:
    """For kinds without a body."""
    _exactly(frame, 0)


def parse_ident(frame: Frame) -> int:
    """The host's protocol version (u32)."""
    _check_unsigned(frame, _exactly(frame, 1), U32_MAX)
    return frame.values[0]


def parse_set(frame: Frame, layout: Layout) -> tuple[int, ...]:
    values = _exactly(frame, layout.actuators)
    _check_range(frame, values, COUNTS_MIN, COUNTS_MAX)
    return values


def parse_telemetry(frame: Frame, layout: Layout) -> Telemetry:
    """MessageError unless every field, applied value and sensor value is possible."""
    values = _exactly(frame, _TELEMETRY_FIXED + layout.actuators + layout.sensors)
    split = _TELEMETRY_FIXED + layout.actuators
    a, b, c, d, e, f, g, h = values[:_TELEMETRY_FIXED]
    message = Telemetry(a, b, c, d, e, f, g, h, values[_TELEMETRY_FIXED:split], values[split:])
    if not (
        0 <= message.state <= 2
        and 0 <= message.safe_reason <= 3
        and 0 <= message.last_set_seq <= U16_MAX
        and 0 <= message.clamped < 1 << layout.actuators
        and min(values[:_TELEMETRY_FIXED]) >= 0
    ):
        raise MessageError(f"impossible telemetry: {values}")
    _check_range(frame, message.applied, COUNTS_MIN, COUNTS_MAX)
    _check_range(frame, message.sensors, SENSOR_MIN, SENSOR_MAX)
    return message


def _exactly(frame: Frame, count: int) -> tuple[int, ...]:
    if len(frame.values) != count:
        raise MessageError(f"kind {frame.kind:#x} has {len(frame.values)} fields, not {count}")
    return frame.values


def _check_unsigned(frame: Frame, values: tuple[int, ...], maximum: int) -> None:
    _check_range(frame, values, 0, maximum)


def _check_range(frame: Frame, values: tuple[int, ...], low: int, high: int) -> None:
    for value in values:
        if not low <= value <= high:
            raise MessageError(f"kind {frame.kind:#x}: {value} is outside {low}..{high}")
