"""One address in front of several brokers, as a load balancer is.

Owns: the way from a connection to the first node that answers. Must not: know a protocol. A
connection that its node drops is dropped; the client comes again and gets another node.
"""

import contextlib
import socket
import threading
from collections.abc import Sequence

_CONNECT_WITHIN_S = 1.0


class Front:
    """Listens until `close`; nodes are tried in the order given."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = tuple(ports)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Nobody is let in any more, and everybody inside is let go."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in list(self._ends):
            self._drop(end)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        node = self._node()
        if node is None:
            client.close()
            return
        self._ends |= {client, node}
        back = threading.Thread(target=self._pump, args=(node, client), daemon=True)
        back.start()
        self._pump(client, node)
        back.join()
        self._ends -= {client, node}

    def _node(self) -> socket.socket | None:
        for port in self._ports:
            with contextlib.suppress(OSError):
                node = socket.create_connection(("127.0.0.1", port), _CONNECT_WITHIN_S)
                node.settimeout(None)
                node.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return node
        return None

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        self._drop(source)
        self._drop(sink)

    @staticmethod
    def _drop(end: socket.socket) -> None:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
