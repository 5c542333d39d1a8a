"""The one file that opens a tty: raw, exclusive, non-blocking.

Owns: the descriptor, its line settings, and the judgement that the device was unplugged.
Must not: block, retry, interpret a byte or know a frame.

The standard library does everything needed: raw mode, the usual baud rates, TIOCEXCL, low
latency and flushing are termios and ioctl calls of a few lines each, and `os.read` on a
non-blocking descriptor costs half of a library's `read`.

Two processes never share a port: an advisory lock keeps out any second opener that asks, and
TIOCEXCL any other program. The kernel lets the superuser past that mark, so it is asked for
first: a port that another program claimed is not shared with it either. A pseudo-terminal gets
the lock alone, because the kernel keeps its exclusive mark for as long as the other end lives,
even after the process that set it was killed.
"""

import contextlib
import errno
import fcntl
import os
import struct
import termios
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from firmware_bridge.errors import PortLostError, PortUnavailableError, WireValueError

READ_SIZE: Final = 4096
_READS_MAX: Final = 8  # a stalled host finds up to 16 kB queued; more is never there
# struct serial_struct: `flags` is the fifth int; ASYNC_LOW_LATENCY is bit 13 (linux/serial.h).
_SERIAL_STRUCT_SIZE: Final = 72
_SERIAL_FLAGS: Final = struct.Struct("=16xi")
_ASYNC_LOW_LATENCY: Final = 1 << 13
# Whether the port is marked exclusive: _IOR('T', 0x40, int) of asm-generic/ioctls.h.
_TIOCGEXCL: Final = 0x8004_5440
# Unix98 pseudo-terminal slaves (Documentation/admin-guide/devices.txt).
_PTY_MAJORS: Final = range(136, 144)
_PARITY_FLAGS: Final[Mapping[str, int]] = MappingProxyType(
    {"none": 0, "even": termios.PARENB, "odd": termios.PARENB | termios.PARODD}
)
_STOP_FLAGS: Final[Mapping[int, int]] = MappingProxyType({1: 0, 2: termios.CSTOPB})


class Framing(NamedTuple):
    """What stands around the eight data bits of a character."""

    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1


EIGHT_N_ONE: Final = Framing()


class SerialPort:
    """An open port. Closed by `close` and by any loss."""

    def __init__(
        self, path: str, baud: int, framing: Framing = EIGHT_N_ONE, *, low_latency: bool = True
    ) -> None:
        """Open `path` at `baud` bit/s; discards what the driver had queued. A character that
        arrives with the wrong parity is passed on: a checksum over the message sees more.
        `low_latency` is as in `ask_low_latency`, and a driver may refuse it.

        Raises WireValueError for a baud rate the system has no constant for, PortUnavailableError
        when the device is absent, busy, not permitted or not a tty.
        """
        speed = getattr(termios, f"B{baud}", None)
        if speed is None or baud == 0:
            raise WireValueError(f"{baud} is not a standard baud rate")
        self.path = path
        self.low_latency = ""
        self.dropped_writes = 0
        self._unsent = b""
        self._fd = -1
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
            self._claim()
            self._set_raw(speed, framing)
            self.ask_low_latency(low_latency)
        except (OSError, termios.error) as error:
            self.close()
            raise PortUnavailableError(f"{path}: {error}") from error

    def fileno(self) -> int:
        return self._fd

    def read(self) -> bytes:
        """Everything that has arrived, or b"". Raises PortLostError when the device is gone."""
        data = self._read_once()
        if len(data) < READ_SIZE // 4:
            return data  # the usual case: one call
        parts = [data]
        while data and len(parts) < _READS_MAX:
            data = self._read_once()
            parts.append(data)
        return b"".join(parts)

    def write(self, data: bytes) -> bool:
        """Send whole messages; False when `data` was dropped (and counted).

        A message that the driver took in part is finished first, so the peer never sees the
        middle of one; while that is impossible new data is dropped: newer will come.
        Raises PortLostError when the device is gone.
        """
        if self._unsent:
            self._unsent = self._unsent[self._write_once(self._unsent) :]
            if self._unsent:
                self.dropped_writes += 1
                return False
        written = self._write_once(data)
        if written == 0 and data:
            self.dropped_writes += 1
            return False
        self._unsent = data[written:]
        return True

    def flush_output(self) -> None:
        """Discard what the driver has queued for the device. Raises PortLostError."""
        self._unsent = b""
        try:
            termios.tcflush(self._fd, termios.TCOFLUSH)
        except (termios.error, ValueError) as error:  # ValueError: closed, the descriptor is -1
            raise self._lost(str(error)) from error

    def ask_low_latency(self, wanted: bool) -> str:
        """Whether the driver is to pass on bytes at once, or may wait for more (16 ms on some
        adapters). What it then does, as in `low_latency`: on, off, or why nobody can tell."""
        settings = bytearray(_SERIAL_STRUCT_SIZE)
        try:
            fcntl.ioctl(self._fd, termios.TIOCGSERIAL, settings)
            (flags,) = _SERIAL_FLAGS.unpack_from(settings)
            flags = flags | _ASYNC_LOW_LATENCY if wanted else flags & ~_ASYNC_LOW_LATENCY
            _SERIAL_FLAGS.pack_into(settings, 0, flags)
            fcntl.ioctl(self._fd, termios.TIOCSSERIAL, settings)
            fcntl.ioctl(self._fd, termios.TIOCGSERIAL, settings)
        except OSError as error:  # not every driver knows the request
            self.low_latency = f"the driver cannot: {error.strerror}"
        else:
            (flags,) = _SERIAL_FLAGS.unpack_from(settings)
            self.low_latency = "on" if flags & _ASYNC_LOW_LATENCY else "off"
        return self.low_latency

    def close(self) -> None:
        """Close; harmless when already closed."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _claim(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.major(os.fstat(self._fd).st_rdev) in _PTY_MAJORS:
            return
        marked = bytearray(4)
        with contextlib.suppress(OSError):  # other machines have another number for it
            fcntl.ioctl(self._fd, _TIOCGEXCL, marked)
        if any(marked):
            raise OSError(errno.EBUSY, "another program has it open, exclusively")
        fcntl.ioctl(self._fd, termios.TIOCEXCL)

    def _set_raw(self, speed: int, framing: Framing) -> None:
        characters = termios.tcgetattr(self._fd)[6]
        # VMIN 1: with VMIN 0 "nothing yet" and "hung up" would read the same.
        characters[termios.VMIN] = 1
        characters[termios.VTIME] = 0
        # No HUPCL: closing must not drop DTR, which resets many boards.
        control = termios.CS8 | termios.CREAD | termios.CLOCAL
        control |= _PARITY_FLAGS[framing.parity] | _STOP_FLAGS[framing.stop_bits]
        attributes = [0, 0, control, 0, speed, speed, characters]
        termios.tcsetattr(self._fd, termios.TCSANOW, attributes)
        termios.tcflush(self._fd, termios.TCIOFLUSH)

    def _read_once(self) -> bytes:
        try:
            data = os.read(self._fd, READ_SIZE)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._lost(str(error)) from error
        if not data:
            raise self._lost("hung up")
        return data

    def _write_once(self, data: bytes) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._lost(str(error)) from error

    def _lost(self, why: str) -> PortLostError:
        self.close()
        return PortLostError(f"{self.path}: {why}")
