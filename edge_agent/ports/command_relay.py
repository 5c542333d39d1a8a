"""The control process's end of the socket for commands.

Owns: the listening socket and its one peer, the gateway. Must not: block, raise for what a
peer does, or look into a command. It takes a bounded number of datagrams between two ticks,
whatever a gateway sends: what else there is waits in the kernel, and the gateway drops.

Answers are not lost to a full queue: they wait here, in order, up to a bound, and whatever a
gateway misses is asked for again, since it keeps every command until its last answer.
"""

import socket
from collections import deque
from pathlib import Path

from edge_agent.core.command_ipc import (
    MAX_COMMAND_DATAGRAM_BYTES,
    CommandCodec,
    ToControl,
    ToGateway,
)
from edge_agent.core.datagrams import DatagramBuffer
from edge_agent.core.records import Command, Reading
from edge_agent.ports.listening import listen

MESSAGES_PER_TICK = 32
ANSWERS_KEPT = 256
_BACKLOG = 2
_COUNTERS = ("connects", "messages", "malformed", "answers", "answers_dropped")


class CommandRelay:
    """The port through which commands come."""

    def __init__(self, path: Path) -> None:
        """Listen on `path`, as `listen` does; PortError when that cannot be."""
        self._path = path
        self._codec = CommandCodec()
        self._peer: socket.socket | None = None
        self._buffer = DatagramBuffer(MAX_COMMAND_DATAGRAM_BYTES)
        self._answers: deque[bytes] = deque()
        self._left = MESSAGES_PER_TICK
        self._counts = dict.fromkeys(_COUNTERS, 0)
        self._listener = listen(path, _BACKLOG)
        self._inode = path.stat().st_ino

    def fileno(self) -> int | None:
        """Readable when `take` has something; None when the tick's share is used up."""
        if self._left <= 0:
            return None
        return self._listener.fileno() if self._peer is None else self._peer.fileno()

    def poll(self, now_ns: int) -> list[Reading]:  # noqa: ARG002 - as every port
        """A tick begins: there is a new share, and no readings come from here."""
        self._left = MESSAGES_PER_TICK
        self._flush()
        return []

    def apply(self, now_ns: int, command: Command) -> None:
        """Nothing is driven from here."""

    def take(self) -> list[ToControl]:
        """What the gateway said, up to the share of this tick."""
        if self._peer is None and not self._accept():
            return []
        taken: list[ToControl] = []
        while self._left > 0 and self._peer is not None:
            datagram = self._receive(self._peer)
            if datagram is None:
                break
            self._left -= 1
            message = self._codec.to_control(datagram)
            if message is None:
                self._counts["malformed"] += 1
                continue
            self._counts["messages"] += 1
            taken.append(message)
        return taken

    def send(self, message: ToGateway) -> bool:
        """Hand it to the gateway, now or when there is room; never waits. Without one it is not
        kept: the next asks, and its journal may be another. Whether it was taken."""
        if self._peer is None:
            return False
        datagram = self._codec.encode(message)
        if datagram is None or len(self._answers) >= ANSWERS_KEPT:
            self._counts["answers_dropped"] += 1
            return False
        self._answers.append(datagram)
        self._flush()
        return True

    @property
    def peer(self) -> int:
        """Which gateway is there, counted from 1; 0: none."""
        return self._counts["connects"] if self._peer is not None else 0

    @property
    def has_room(self) -> bool:
        """Whether what can wait may be sent: half of the queue is for answers."""
        return self._peer is not None and len(self._answers) < ANSWERS_KEPT // 2

    def status(self) -> dict[str, int | str]:
        """Counters and state by name."""
        return {"gateway": "connected" if self._peer is not None else "absent", **self._counts}

    def close(self) -> None:
        """Leave, and remove the socket if it is still ours."""
        self._drop()
        self._listener.close()
        try:
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        except FileNotFoundError:
            pass

    def _accept(self) -> bool:
        try:
            self._peer, _address = self._listener.accept()
        except OSError:  # nobody is there, or no descriptor is free
            return False
        self._peer.setblocking(False)
        self._counts["connects"] += 1
        return True

    def _receive(self, peer: socket.socket) -> bytes | None:
        datagram = self._buffer.receive(peer)
        if datagram is None:
            return None
        if not datagram:
            self._drop()
            return None
        return bytes(datagram)

    def _flush(self) -> None:
        while self._answers and self._peer is not None:
            try:
                self._peer.send(self._answers[0])
            except BlockingIOError:
                return
            except OSError:
                self._drop()
                return
            self._answers.popleft()
            self._counts["answers"] += 1

    def _drop(self) -> None:
        if self._peer is not None:
            self._peer.close()
            self._peer = None
            self._answers.clear()
