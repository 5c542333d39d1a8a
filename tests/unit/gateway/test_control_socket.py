"""The gateway's end of the socket, against a control process that misbehaves."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.core.errors import PortError
from edge_agent.core.ipc import MAX_DATAGRAM_BYTES, Bye, Codec, Hello, ReadingsBatch
from edge_agent.core.records import Quality, Reading
from edge_agent.gateway.control_socket import ControlSocket, query_status
from edge_agent.gateway.unix_link import RETRY_NS
from tests.unit.peak import peak_bytes

READING = Reading(0, 1, 2, Quality.GOOD)


class Control:
    """A raw listener, so that it can say anything."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        self._listener.listen(4)
        self.peers: list[socket.socket] = []

    def accept(self) -> socket.socket:
        self.peers.append(self._listener.accept()[0])
        return self.peers[-1]

    def close(self) -> None:
        for sock in (self._listener, *self.peers):
            sock.close()


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    listener = Control(tmp_path / "c.sock")
    yield listener
    listener.close()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[ControlSocket]:
    end = ControlSocket(tmp_path / "c.sock")
    yield end
    end.close()


def test_it_says_hello_and_passes_readings_on(control: Control, gateway: ControlSocket) -> None:
    gateway.connect(0)
    peer = control.accept()
    assert isinstance(Codec().from_gateway(peer.recv(1000)), Hello)
    gateway.send_readings([READING])
    assert Codec().from_gateway(peer.recv(1000)) == ReadingsBatch((READING,))
    assert gateway.counters()["control.readings_sent"] == 1


def test_an_absent_control_process_is_asked_for_twice_a_second(gateway: ControlSocket) -> None:
    gateway.connect(0)
    assert gateway.fileno() is None
    assert gateway.receive() == []
    gateway.send_readings([READING])
    assert gateway.counters()["control.readings_dropped"] == 1


def test_a_retry_is_not_made_early(tmp_path: Path, gateway: ControlSocket) -> None:
    gateway.connect(0)
    listener = Control(tmp_path / "c.sock")
    gateway.connect(RETRY_NS - 1)
    assert not gateway.connected
    gateway.connect(RETRY_NS)
    assert gateway.connected
    listener.close()


def test_malformed_and_oversize_words_are_counted_and_the_next_is_heard(
    control: Control, gateway: ControlSocket
) -> None:
    gateway.connect(0)
    peer = control.accept()
    for datagram in (b"\xc1", b"\x00" * (MAX_DATAGRAM_BYTES + 10), Codec().encode(Bye("x"))):
        peer.send(datagram or b"")
    assert gateway.receive() == [Bye("x")]
    assert gateway.counters()["control.malformed"] == 2


def test_room_for_the_longest_datagram_is_not_made_anew(
    control: Control, gateway: ControlSocket
) -> None:
    """It was once, and the holes that each left behind made the heap grow for days."""
    gateway.connect(0)
    control.accept().send(Codec().encode(Bye("x")) or b"")
    assert peak_bytes(gateway.receive) < MAX_DATAGRAM_BYTES // 8


def test_a_control_process_that_does_not_read_costs_readings_not_time(
    control: Control, gateway: ControlSocket
) -> None:
    gateway.connect(0)
    control.accept()
    gateway.send_readings([READING] * 300_000)
    dropped = gateway.counters()["control.readings_dropped"]
    assert isinstance(dropped, int)
    assert dropped > 0
    assert gateway.connected


def test_a_loss_is_noticed_when_reading_and_when_writing(
    control: Control, gateway: ControlSocket
) -> None:
    gateway.connect(0)
    control.accept().close()
    assert gateway.receive() == []
    assert not gateway.connected
    gateway.connect(RETRY_NS)
    control.accept().close()
    gateway.send_report({"a": 1})
    assert not gateway.connected
    assert gateway.counters()["control.losses"] == 2


@pytest.mark.parametrize("answer", [b"\xc1", b"", Codec().encode(Bye("no"))])
def test_a_status_query_with_a_strange_answer_is_a_port_error(
    control: Control, tmp_path: Path, answer: bytes
) -> None:
    def reply() -> None:
        peer = control.accept()
        peer.recv(1000)
        if answer:
            peer.send(answer)
        peer.close()

    thread = threading.Thread(target=reply)
    thread.start()
    with pytest.raises(PortError, match="something other than a status report"):
        query_status(tmp_path / "c.sock", 5.0)
    thread.join()


def test_a_status_query_without_an_answer_ends_in_time(control: Control, tmp_path: Path) -> None:
    assert control.peers == []
    with pytest.raises(PortError, match="no answer from the control process"):
        query_status(tmp_path / "c.sock", 0.05)
