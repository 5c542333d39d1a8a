"""The gateway's end of the Unix socket to the control process.

Owns: connecting and connecting again, non-blocking sends, and the one-shot status query.
Must not: wait for the control process; what does not fit its queue is dropped and counted.
"""

import os
import socket
from pathlib import Path
from typing import Any

from edge_agent.core.clock import NS_PER_MS
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

RETRY_NS = 500 * NS_PER_MS
DATAGRAMS_PER_RECEIVE = 256


class ControlSocket:
    """A connection that comes and goes with the control process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._codec = Codec()
        self._sock: socket.socket | None = None
        self._next_attempt_ns = 0
        self._counts = dict.fromkeys(
            ("connects", "losses", "readings_sent", "readings_dropped", "malformed"), 0
        )

    @property
    def connected(self) -> bool:
        """Whether there is a connection; the control process may still refuse it."""
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
        except OSError:  # absent, stale, or its backlog is full
            sock.close()
            return
        self._sock = sock
        self._counts["connects"] += 1
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
        messages: list[ControlMessage] = []
        for _ in range(DATAGRAMS_PER_RECEIVE):
            if self._sock is None:
                break
            try:
                datagram = self._sock.recv(MAX_DATAGRAM_BYTES + 1)
            except BlockingIOError:
                break
            except OSError:
                datagram = b""
            if not datagram:
                self._lose()
                break
            message = self._codec.from_control(datagram)
            if message is None:
                self._counts["malformed"] += 1
            else:
                messages.append(message)
        return messages

    def counters(self) -> dict[str, int | str]:
        """State and counters by flat name."""
        state = "connected" if self.connected else "gone"
        return {
            "control.state": state,
            **{f"control.{name}": count for name, count in self._counts.items()},
        }

    def close(self) -> None:
        """Close the connection; the control process notices at its next tick."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _send(self, message: GatewayMessage) -> bool:
        if self._sock is None:
            return False
        datagram = self._codec.encode(message)
        if datagram is None:
            return False
        try:
            self._sock.send(datagram)
        except BlockingIOError:
            return False
        except OSError:
            self._lose()
            return False
        return True

    def _lose(self) -> None:
        self._counts["losses"] += 1
        self.close()


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
