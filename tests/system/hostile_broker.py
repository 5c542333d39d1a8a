"""A listener that speaks just enough MQTT to misbehave in one chosen way per connection."""

import contextlib
import socket
import threading
from collections.abc import Callable

CONNACK_311 = b"\x20\x02\x00\x00"
CONNACK_5 = b"\x20\x03\x00\x00\x00"
TAKEN_OVER_5 = b"\xe0\x02\x8e\x00"


Answer = Callable[[bytes], bytes]


class HostileBroker:
    """Answers every CONNECT with `greeting`, then keeps the socket. With `answer` it hears on and
    says what that makes of the bytes; one connection only."""

    def __init__(self, greeting: bytes, answer: Answer | None = None) -> None:
        self._greeting = greeting
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _address = self._listener.accept()
            except OSError:
                return
            self.connections.append(sock)
            try:
                sock.recv(4096)
                sock.sendall(self._greeting)
                while self._answer is not None and (heard := sock.recv(4096)):
                    sock.sendall(self._answer(heard))
            except OSError:
                pass  # the client was quicker to go

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self.connections:
            with contextlib.suppress(OSError):  # the client has gone
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self._thread.join(10)


Make = Callable[..., HostileBroker]
