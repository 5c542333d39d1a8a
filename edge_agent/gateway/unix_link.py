"""A connection to the control process that comes and goes: one Unix socket, whole datagrams.

Owns: connecting, connecting again after a while, sending and receiving bytes. Must not: wait
for the control process, keep what it could not send, or know what the bytes mean.
"""

import socket
from pathlib import Path
from typing import Final

from edge_agent.core.clock import NS_PER_MS
from edge_agent.core.datagrams import DatagramBuffer

RETRY_NS: Final = 500 * NS_PER_MS
_DATAGRAMS_PER_RECEIVE: Final = 256


class UnixLink:
    """The gateway's end. `connects` and `losses` count since it was made."""

    def __init__(self, path: Path, max_datagram_bytes: int) -> None:
        self._path = path
        self._buffer = DatagramBuffer(max_datagram_bytes)
        self._sock: socket.socket | None = None
        self._next_attempt_ns = 0
        self.connects = 0
        self.losses = 0

    @property
    def connected(self) -> bool:
        """Whether there is a connection; the control process may still refuse it."""
        return self._sock is not None

    def fileno(self) -> int | None:
        """Readable when `receive` has something; None while there is no connection."""
        return None if self._sock is None else self._sock.fileno()

    def connect(self, now_ns: int) -> bool:
        """Try, if there is no connection and the last attempt is long enough ago.

        True: there is a new connection.
        """
        if self._sock is not None or now_ns < self._next_attempt_ns:
            return False
        self._next_attempt_ns = now_ns + RETRY_NS
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.setblocking(False)
        try:
            sock.connect(str(self._path))
        except OSError:  # absent, stale, or its backlog is full
            sock.close()
            return False
        self._sock = sock
        self.connects += 1
        return True

    def send(self, datagram: bytes) -> bool:
        """Whether the control process's queue has it."""
        if self._sock is None:
            return False
        try:
            self._sock.send(datagram)
        except BlockingIOError:
            return False
        except OSError:
            self._lose()
            return False
        return True

    def receive(self) -> list[bytes]:
        """Datagrams that have arrived, up to a bound."""
        datagrams: list[bytes] = []
        while self._sock is not None and len(datagrams) < _DATAGRAMS_PER_RECEIVE:
            datagram = self._buffer.receive(self._sock)
            if datagram is None:
                break
            if datagram:
                datagrams.append(bytes(datagram))
            else:
                self._lose()
        return datagrams

    def close(self) -> None:
        """Close the connection, if there is one; the control process notices at its next tick."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _lose(self) -> None:
        self.losses += 1
        self.close()
