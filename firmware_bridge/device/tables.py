"""The memory that Python and the device core share, as targets/host declares it.

Owns: the layout of every struct that crosses. Must not: be used to reach into a device; what
is not in `View` is the device's own.
"""

import ctypes
from typing import Final

ACTUATORS_ROOM: Final = 32
SENSORS_ROOM: Final = 32
INTERLOCKS_ROOM: Final = 64
FORCES_ROOM: Final = 256
EXCLUSIVES_ROOM: Final = 64
KEY_SIZE: Final = 32
CAUSES: Final = 7  # why a piece of the stream is dropped
GOOD: Final = CAUSES


class Motion(ctypes.Structure):
    """One actuator: envelope_motion in envelope.h."""

    _fields_ = (
        ("min_counts", ctypes.c_int32),
        ("max_counts", ctypes.c_int32),
        ("safe_counts", ctypes.c_int32),
        ("rate_up_counts_per_s", ctypes.c_int32),
        ("rate_down_counts_per_s", ctypes.c_int32),
        ("ramp_counts_per_s", ctypes.c_int32),
        ("travel_max_counts", ctypes.c_int32),
        ("travel_window_ns", ctypes.c_int64),
        ("travel_full", ctypes.c_int64),
        ("dwell_ns", ctypes.c_int64),
        ("hold_ns", ctypes.c_int64),
    )


class Interlock(ctypes.Structure):
    """envelope_interlock in envelope.h."""

    _fields_ = (
        ("ok_min", ctypes.c_int32),
        ("ok_max", ctypes.c_int32),
        ("clear_min", ctypes.c_int32),
        ("clear_max", ctypes.c_int32),
        ("engage_after_ticks", ctypes.c_int32),
        ("clear_after_ticks", ctypes.c_int32),
        ("sensor", ctypes.c_int16),
        ("first_force", ctypes.c_int16),
        ("end_force", ctypes.c_int16),
    )


class Force(ctypes.Structure):
    """envelope_force in envelope.h."""

    _fields_ = (("actuator", ctypes.c_int16), ("counts", ctypes.c_int32))


class Exclusive(ctypes.Structure):
    """envelope_exclusive in envelope.h."""

    _fields_ = (("first", ctypes.c_int16), ("second", ctypes.c_int16))


class Limits(ctypes.Structure):
    """eb1_host_limits: what a generated header says on a microcontroller."""

    _fields_ = (
        ("sensors", ctypes.c_int32),
        ("actuators", ctypes.c_int32),
        ("interlocks", ctypes.c_int32),
        ("forces", ctypes.c_int32),
        ("exclusives", ctypes.c_int32),
        ("protocol_version", ctypes.c_uint32),
        ("firmware_version", ctypes.c_uint32),
        ("envelope_hash", ctypes.c_uint32),
        ("schema_hash", ctypes.c_uint32),
        ("deadman_ms", ctypes.c_uint32),
        ("telemetry_ms", ctypes.c_uint32),
        ("token_max_age", ctypes.c_uint32),
        ("key", ctypes.c_uint8 * KEY_SIZE),
        ("leases_ms", ctypes.c_uint16 * ACTUATORS_ROOM),
        ("motions", Motion * ACTUATORS_ROOM),
        ("locks", Interlock * INTERLOCKS_ROOM),
        ("forced", Force * FORCES_ROOM),
        ("pairs", Exclusive * EXCLUSIVES_ROOM),
    )


class Ends(ctypes.Structure):
    """eb1_host_ends in host.h: who speaks with whom."""

    _fields_ = (
        ("salt", ctypes.c_uint32),
        ("open", ctypes.c_uint32),
        ("expect", ctypes.c_uint32),
        ("schema_hash", ctypes.c_uint32),
        ("envelope_hash", ctypes.c_uint32),
        ("boot_nonce", ctypes.c_uint32),
        ("host_nonce", ctypes.c_uint32),
        ("number", ctypes.c_uint32),
        ("frames", ctypes.c_uint32),
        ("key", ctypes.c_uint8 * KEY_SIZE),
    )


class Counters(ctypes.Structure):
    """eb1_counters in device.h: since boot."""

    _fields_ = (
        ("bad_frames", ctypes.c_uint32),
        ("overruns", ctypes.c_uint32),
        ("bad", ctypes.c_uint32 * CAUSES),
        ("sets_applied", ctypes.c_uint32),
        ("sets_stale", ctypes.c_uint32),
        ("sets_repeated", ctypes.c_uint32),
        ("sets_not_armed", ctypes.c_uint32),
        ("sets_clamped", ctypes.c_uint32),
        ("messages_refused", ctypes.c_uint32),
    )


class View(ctypes.Structure):
    """eb1_host_view in host.h."""

    _fields_ = (
        ("state", ctypes.c_uint32),
        ("safe_reason", ctypes.c_uint32),
        ("safe_count", ctypes.c_uint32),
        ("now_ms", ctypes.c_uint32),
        ("unfed_ms", ctypes.c_uint32),
        ("telemetry_ms", ctypes.c_uint32),
        ("in_session", ctypes.c_uint32),
        ("kicks", ctypes.c_uint32),
        ("dead_man_trips", ctypes.c_uint32),
        ("counters", Counters),
        ("outputs", ctypes.c_int16 * ACTUATORS_ROOM),
    )


class Change(ctypes.Structure):
    """eb1_host_change in host.h."""

    _fields_ = (("at_ms", ctypes.c_uint32), ("outputs", ctypes.c_int16 * ACTUATORS_ROOM))
