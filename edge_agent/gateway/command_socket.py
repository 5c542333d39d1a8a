"""The gateway's end of the socket for commands.

Owns: connecting and connecting again, sending and receiving. Must not: wait for the control
process, or keep what it could not send: the journal has it.
"""

import socket
from pathlib import Path

from edge_agent.core.clock import NS_PER_MS
from edge_agent.core.command_ipc import (
    MAX_COMMAND_DATAGRAM_BYTES,
    CommandCodec,
    ToControl,
    ToGateway,
)

RETRY_NS = 500 * NS_PER_MS
_DATAGRAMS_PER_RECEIVE = 256


class CommandSocket:
    """A connection that comes and goes with the control process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._codec = CommandCodec()
        self._sock: socket.socket | None = None
        self._next_attempt_ns = 0
        self.malformed = 0

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._sock is not None

    def fileno(self) -> int | None:
        """Readable when `receive` has something; None while there is no connection."""
        return None if self._sock is None else self._sock.fileno()

    def connect(self, now_ns: int) -> None:
        """Try to connect if there is no connection and the last attempt is long enough ago."""
        if self._sock is not None or now_ns < self._next_attempt_ns:
            return
        self._next_attempt_ns = now_ns + RETRY_NS
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.setblocking(False)
        try:
            sock.connect(str(self._path))
        except OSError:  # absent, stale, or another gateway is there
            sock.close()
            return
        self._sock = sock

    def send(self, message: ToControl) -> bool:
        """Whether the control process's queue has it."""
        datagram = self._codec.encode(message)
        if self._sock is None or datagram is None:
            return False
        try:
            self._sock.send(datagram)
        except BlockingIOError:
            return False
        except OSError:
            self.close()
            return False
        return True

    def receive(self) -> list[ToGateway]:
        """What the control process said, up to a bound."""
        messages: list[ToGateway] = []
        for _ in range(_DATAGRAMS_PER_RECEIVE):
            if self._sock is None:
                break
            try:
                datagram = self._sock.recv(MAX_COMMAND_DATAGRAM_BYTES + 1)
            except BlockingIOError:
                break
            except OSError:
                datagram = b""
            if not datagram:
                self.close()
                break
            message = self._codec.to_gateway(datagram)
            if message is None:
                self.malformed += 1
            else:
                messages.append(message)
        return messages

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None
