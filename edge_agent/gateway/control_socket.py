"""The gateway's end of the socket for readings and records, and the one-shot status query.

Owns: the messages over a `UnixLink`, and counting them. Must not: keep what does not fit the
control process's queue: it is dropped and counted.
"""

import os
import socket
import struct
from pathlib import Path
from typing import Any

from edge_agent.core.errors import PortError
from edge_agent.core.ipc import (
    MAX_DATAGRAM_BYTES,
    MAX_READINGS_PER_BATCH,
    ROLE_GATEWAY,
    ROLE_STATUS,
    Codec,
    ControlMessage,
    GatewayMessage,
    GatewayReport,
    Hello,
    ReadingsBatch,
    StatusReport,
)
from edge_agent.core.records import Reading
from edge_agent.gateway.unix_link import UnixLink

_UCRED = struct.Struct("iII")  # pid, uid, gid


class ControlSocket:
    """Readings and reports to the control process, records from it."""

    def __init__(self, path: Path) -> None:
        self._link = UnixLink(path, MAX_DATAGRAM_BYTES)
        self._codec = Codec()
        self._counts = dict.fromkeys(("readings_sent", "readings_dropped", "malformed"), 0)

    @property
    def connected(self) -> bool:
        """Whether there is a connection; the control process may still refuse it."""
        return self._link.connected

    def fileno(self) -> int | None:
        """Readable when `receive` has something; None while there is no connection."""
        return self._link.fileno()

    def connect(self, now_ns: int) -> None:
        """Try to connect if there is no connection and the last attempt is long enough ago."""
        if self._link.connect(now_ns):
            self._send(Hello(ROLE_GATEWAY, os.getpid()))

    def send_readings(self, readings: list[Reading]) -> None:
        """Pass readings on, in datagrams of bounded size; dropped when there is no room."""
        for start in range(0, len(readings), MAX_READINGS_PER_BATCH):
            batch = tuple(readings[start : start + MAX_READINGS_PER_BATCH])
            sent = self._send(ReadingsBatch(batch))
            self._counts["readings_sent" if sent else "readings_dropped"] += len(batch)

    def send_report(self, items: dict[str, int | str]) -> None:
        """Pass the counters on; a report that finds no room is followed by the next."""
        self._send(GatewayReport(items))

    def receive(self) -> list[ControlMessage]:
        """What the control process said, up to a bound."""
        messages = [self._codec.from_control(datagram) for datagram in self._link.receive()]
        understood = [message for message in messages if message is not None]
        self._counts["malformed"] += len(messages) - len(understood)
        return understood

    def counters(self) -> dict[str, int | str]:
        """State and counters by flat name."""
        counts = {"connects": self._link.connects, "losses": self._link.losses, **self._counts}
        state = "connected" if self.connected else "gone"
        return {
            "control.state": state,
            **{f"control.{name}": count for name, count in counts.items()},
        }

    def close(self) -> None:
        """Close the connection; the control process notices at its next tick."""
        self._link.close()

    def _send(self, message: GatewayMessage) -> bool:
        datagram = self._codec.encode(message)
        return datagram is not None and self._link.send(datagram)


def peer_pid(path: Path) -> int:
    """The process that listens there, by the kernel's account; PortError when none does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        try:
            sock.connect(str(path))
            credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        except OSError as error:
            raise PortError(
                f"nobody listens: {error.strerror}", where=str(path), fix="is it running?"
            ) from error
    pid: int = _UCRED.unpack(credentials)[0]
    return pid


def query_status(path: Path, timeout_s: float) -> dict[str, Any]:
    """The control process's status report; PortError when nobody answers within `timeout_s`."""
    codec = Codec()
    hello = codec.encode(Hello(ROLE_STATUS, os.getpid()))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(timeout_s)
        try:
            sock.connect(str(path))
            sock.send(hello or b"")
            answer = codec.from_control(sock.recv(MAX_DATAGRAM_BYTES + 1))
        except OSError as error:
            raise PortError(
                f"no answer from the control process: {error.strerror or error}",
                where=str(path),
                fix="is `edge-agent run` running, with the same runtime directory?",
            ) from error
    if not isinstance(answer, StatusReport):
        raise PortError(
            "answered with something other than a status report",
            where=str(path),
            fix="the control process may be of another version: restart it",
        )
    return answer.items
