"""The gateway's end of the socket for commands: messages over a `UnixLink`.

Owns: their coding, and counting what is none. Must not: keep what it could not send: the
journal has it.
"""

from pathlib import Path

from edge_agent.core.command_ipc import (
    MAX_COMMAND_DATAGRAM_BYTES,
    CommandCodec,
    ToControl,
    ToGateway,
)
from edge_agent.gateway.unix_link import UnixLink


class CommandSocket:
    """Commands to the control process, answers from it."""

    def __init__(self, path: Path) -> None:
        self._link = UnixLink(path, MAX_COMMAND_DATAGRAM_BYTES)
        self._codec = CommandCodec()
        self.malformed = 0

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._link.connected

    def fileno(self) -> int | None:
        """Readable when `receive` has something; None while there is no connection."""
        return self._link.fileno()

    def connect(self, now_ns: int) -> bool:
        """Try to connect if there is no connection and the last attempt is long enough ago.

        True: there is a new connection, to a control process that has been told nothing.
        """
        return self._link.connect(now_ns)

    def send(self, message: ToControl) -> bool:
        """Whether the control process's queue has it."""
        datagram = self._codec.encode(message)
        return datagram is not None and self._link.send(datagram)

    def receive(self) -> list[ToGateway]:
        """What the control process said, up to a bound."""
        datagrams = self._link.receive()
        messages = [self._codec.to_gateway(datagram) for datagram in datagrams]
        understood = [message for message in messages if message is not None]
        self.malformed += len(messages) - len(understood)
        return understood

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._link.close()
