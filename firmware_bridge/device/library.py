"""The device core, called from Python: the same C that a microcontroller runs.

Owns: finding and checking the library, and one board made of memory. Must not: decide or
correct anything that the C says. Calls hold the interpreter's lock, because the library holds
the limits of the device at hand in one place.
"""

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from firmware_bridge.device.build import KEYED_LIBRARY, LIBRARY, sources_hash
from firmware_bridge.device.tables import GOOD, Change, Ends, Limits, View
from firmware_bridge.errors import OurError, WireValueError
from firmware_bridge.frames import RAW_MAX, Frame

FIX: Final = "run `make sim`, or python firmware_bridge/device/build.py"
_WIRE_MAX: Final = RAW_MAX + 3
_ROOM: Final = 64 * _WIRE_MAX  # what one call may answer
_VALUES_MAX: Final = RAW_MAX  # of one frame: each takes a byte at least
# Around the values of a TELEMETRY: header, array head, eight fields, CRC or tag.
_TELEMETRY_FIXED_BYTES: Final = 5 + 3 + 30 + 4
_KEYED_MORE_BYTES: Final = 4


class LibraryError(OurError):
    """The library is not there, or not built from the sources that are there."""


_HASH_NAME: Final = "eb1_host_sources"
_POINTER: Final = ctypes.c_void_p
_U32: Final = ctypes.c_uint32
_I32: Final = ctypes.c_int32
_SIGNATURES: Final[Mapping[str, tuple[type, ...]]] = {
    "eb1_host_size": (),
    "eb1_host_boot": (_POINTER, _POINTER, _U32, _U32),
    "eb1_host_advance": (_POINTER, _U32),
    "eb1_host_hang": (_POINTER, _U32),
    "eb1_host_receive": (_POINTER, ctypes.c_char_p, _U32, _POINTER, _U32),
    "eb1_host_transmit": (_POINTER, _POINTER, _U32),
    "eb1_host_set_sensor": (_POINTER, _U32, _I32),
    "eb1_host_overrun": (_POINTER,),
    "eb1_host_look": (_POINTER, _POINTER),
    "eb1_host_take_change": (_POINTER, _POINTER),
    "eb1_host_encode": (_POINTER, _POINTER, _POINTER, _POINTER, _U32),
    "eb1_host_decode": (_POINTER, _U32, _POINTER, _POINTER, _POINTER),
}


def load(path: Path = LIBRARY) -> ctypes.PyDLL:
    """The library; LibraryError when it is missing or stale."""
    try:
        library = ctypes.PyDLL(str(path))
    except OSError as error:
        raise LibraryError(f"{error}: {FIX}") from error
    built_from = ctypes.string_at(ctypes.addressof(ctypes.c_char.in_dll(library, _HASH_NAME)))
    if built_from.decode() != sources_hash():
        raise LibraryError(f"{path} was built from other C than is there: {FIX}")
    for name, words in _SIGNATURES.items():
        function = getattr(library, name)
        function.argtypes = words
        function.restype = _U32
    return library


def require_possible(limits: Limits, *, keyed: bool = False) -> None:
    """WireValueError when a frame of this device could be longer than the wire allows."""
    longest = _TELEMETRY_FIXED_BYTES + 3 * limits.actuators + 5 * limits.sensors
    longest += _KEYED_MORE_BYTES * keyed
    if longest > RAW_MAX:
        raise WireValueError(
            f"{limits.actuators} actuators and {limits.sensors} sensors need {longest} bytes"
            f" of telemetry; the wire carries {RAW_MAX}"
        )


class Board:
    """One boot of one device, on a board made of memory. A reset is a new object.

    With a key, in `limits.key`, it is the build that proves every frame with it.
    """

    def __init__(
        self, limits: Limits, boot_nonce: int, reset_reason: int, *, keyed: bool = False
    ) -> None:
        require_possible(limits, keyed=keyed)
        self._library = load(KEYED_LIBRARY if keyed else LIBRARY)
        self._limits = limits  # the C keeps a pointer to it
        self._memory = ctypes.create_string_buffer(self._library.eb1_host_size())
        self._out = ctypes.create_string_buffer(_ROOM)
        self._library.eb1_host_boot(
            self._memory, ctypes.byref(self._limits), boot_nonce, reset_reason
        )

    def advance(self, ms: int) -> None:
        """`ms` times the timer interrupt and one round of the main loop."""
        self._library.eb1_host_advance(self._memory, ms)

    def hang(self, ms: int) -> None:
        """`ms` times the timer interrupt, while the main loop does nothing."""
        self._library.eb1_host_hang(self._memory, ms)

    def receive(self, data: bytes) -> bytes:
        """Bytes from the host; what is answered to them at once."""
        answered = b""
        for start in range(0, len(data), _WIRE_MAX):  # so that every answer has room
            piece = data[start : start + _WIRE_MAX]
            used = self._library.eb1_host_receive(self._memory, piece, len(piece), self._out, _ROOM)
            answered += self._out.raw[:used]
        return answered

    def transmit(self) -> bytes:
        """Every frame that is due now."""
        used = self._library.eb1_host_transmit(self._memory, self._out, _ROOM)
        return self._out.raw[:used]

    def set_sensor(self, index: int, counts: int) -> None:
        self._library.eb1_host_set_sensor(self._memory, index, counts)

    def overrun(self) -> None:
        """The port lost bytes."""
        self._library.eb1_host_overrun(self._memory)

    def look(self) -> View:
        view = View()
        self._library.eb1_host_look(self._memory, ctypes.byref(view))
        return view

    def take_changes(self) -> list[tuple[int, tuple[int, ...]]]:
        """(milliseconds since boot, outputs) of every change since the last call."""
        changes = []
        change = Change()
        while self._library.eb1_host_take_change(self._memory, ctypes.byref(change)):
            changes.append((change.at_ms, tuple(change.outputs[: self._limits.actuators])))
        return changes


class Codec:
    """frame.c alone, for comparison with frames.py."""

    def __init__(self, path: Path = LIBRARY) -> None:
        """LibraryError when the library is missing or stale."""
        self._library = load(path)

    def encode(self, frame: Frame, ends: Ends) -> bytes:
        """The wire bytes of a frame whose values fit the wire."""
        wire = ctypes.create_string_buffer(5 * len(frame.values) + 20)
        head = (_U32 * 3)(frame.kind, frame.seq, frame.token)
        values = (ctypes.c_int64 * len(frame.values))(*frame.values)
        used = self._library.eb1_host_encode(
            wire, ctypes.byref(ends), head, values, len(frame.values)
        )
        return wire.raw[:used]

    def decode(self, piece: bytes, ends: Ends) -> Frame | int:
        """The frame between two delimiters, or the number of the first failed check."""
        memory = ctypes.create_string_buffer(piece, len(piece))
        head = (_U32 * 4)()
        values = (ctypes.c_int64 * _VALUES_MAX)()
        cause = self._library.eb1_host_decode(memory, len(piece), ctypes.byref(ends), head, values)
        if cause != GOOD:
            return int(cause)
        return Frame(head[0], head[1], head[2], tuple(values[: head[3]]))
