"""Datagrams of a Unix socket, read into one place for good.

Owns: the buffer. Must not: wait, open a socket, keep what it read, or know what the bytes mean.

Room made for each datagram and cut to its size leaves a hole behind it, and the heap grows with
every hole (docs/soak.md).
"""

from typing import Protocol


class Socket(Protocol):
    """One that does not wait; where it comes from is the business of who has it."""

    def recv_into(self, buffer: bytearray, /) -> int:
        """As `socket.socket` has it."""


class DatagramBuffer:
    """Room for the longest datagram, and a byte more, which shows one that is too long."""

    def __init__(self, max_bytes: int) -> None:
        self._buffer = bytearray(max_bytes + 1)
        self._view = memoryview(self._buffer)

    def receive(self, sock: Socket) -> memoryview | None:
        """The next datagram, which holds until the next call; None when nothing waits. Empty when
        the connection is over."""
        try:
            size = sock.recv_into(self._buffer)
        except BlockingIOError:
            return None
        except OSError:
            size = 0
        return self._view[:size]
