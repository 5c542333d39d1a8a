"""Talking to QEMU: its QMP socket, and as much of the debugger's protocol as a write needs.

Owns: the two sockets. Must not: know the firmware.
"""

import json
import socket
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_TIMEOUT_S = 10.0


def _connect(path: Path) -> socket.socket:
    """Connect to a socket that the emulator is about to make."""
    deadline = time.monotonic() + _TIMEOUT_S
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_TIMEOUT_S)
    while True:
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            assert time.monotonic() < deadline, f"no emulator at {path}"
            time.sleep(0.002)
        else:
            return connection


class Qmp:
    """The machine monitor."""

    def __init__(self, path: Path) -> None:
        self._socket = _connect(path)
        self._lines = self._socket.makefile("rb")
        self._events: deque[str] = deque()
        self._next()  # the greeting
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: object) -> Any:
        """Run one command; its result. An error of QEMU fails the test."""
        message = json.dumps({"execute": command, "arguments": arguments})
        self._socket.sendall(message.encode())
        while True:
            answer = self._next()
            assert "error" not in answer, (command, answer)
            if "return" in answer:
                return answer["return"]
            self._events.append(answer["event"])

    def wait_for(self, event: str) -> None:
        """Until QEMU reports `event`; what it reported before that is forgotten."""
        while True:
            seen = self._events.popleft() if self._events else self._next()["event"]
            if seen == event:
                return

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def _next(self) -> dict[str, Any]:
        line = self._lines.readline()
        assert line, "the emulator closed its monitor"
        message: dict[str, Any] = json.loads(line)
        return message


class Debugger:
    """Stops the board while the `with` block lasts, and writes its memory, flash included."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        self._socket = _connect(self._path)
        self._received = b""
        self._command("?")  # answered once the board stands
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._command("D")  # detach: the board runs on
        self.close()

    def close(self) -> None:
        self._socket.close()

    def write(self, address: int, data: bytes) -> None:
        answer = self._command(f"M{address:x},{len(data):x}:{data.hex()}")
        assert answer == "OK", answer

    def stop_at(self, address: int) -> None:
        """From now on `run` ends before the instruction there."""
        answer = self._command(f"Z0,{address:x},2")
        assert answer == "OK", answer

    def run(self) -> None:
        """Until the next stop: off the instruction where the board stands, then on."""
        for how in ("s", "c"):
            self._send(how)
            while not self._packet().startswith("T"):
                pass

    def _command(self, text: str) -> str:
        self._send(text)
        while (answer := self._packet()).startswith("T") and text != "?":
            pass  # "it stands", said once more unasked
        return answer

    def _send(self, text: str) -> None:
        self._socket.sendall(b"+$%s#%02x" % (text.encode(), sum(text.encode()) & 0xFF))

    def _packet(self) -> str:
        """The next packet, without its checksum; each is acknowledged by the next command."""
        while (end := self._received.find(b"#")) < 0 or len(self._received) < end + 3:
            data = self._socket.recv(4096)
            assert data, "the emulator closed its debugger"
            self._received += data
        packet, self._received = self._received[:end], self._received[end + 3 :]
        return packet.split(b"$")[1].decode()
