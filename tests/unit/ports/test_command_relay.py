"""The control process's end of the socket for commands, with real sockets."""

import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.core.command_ipc import (
    MAX_COMMAND_DATAGRAM_BYTES,
    Answer,
    Carried,
    CommandCodec,
    LinkUp,
    Standing,
)
from edge_agent.core.errors import PortError
from edge_agent.ports.command_relay import ANSWERS_KEPT, MESSAGES_PER_TICK, CommandRelay
from tests.unit.peak import peak_bytes

CODEC = CommandCodec()
CARRIED = Carried(1, "t", b"sealed", False, False, 5)


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[CommandRelay]:
    port = CommandRelay(tmp_path / "commands.sock")
    yield port
    port.close()


@pytest.fixture
def peer(relay: CommandRelay, tmp_path: Path) -> Iterator[socket.socket]:
    with _connect(tmp_path) as sock:
        yield sock


def _connect(folder: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(2)
    sock.connect(str(folder / "commands.sock"))
    return sock


def _say(peer: socket.socket, message: LinkUp | Carried) -> None:
    peer.send(CODEC.encode(message) or b"")


def _readable(relay: CommandRelay) -> bool:
    number = relay.fileno()
    return number is not None and bool(select.select([number], [], [], 0)[0])


def test_what_the_gateway_says_is_taken_in_order(relay: CommandRelay, peer: socket.socket) -> None:
    _say(peer, LinkUp(3))
    _say(peer, CARRIED)
    assert _readable(relay)
    assert relay.take() == [LinkUp(3), CARRIED]
    assert not _readable(relay)


def test_room_for_the_longest_message_is_not_made_anew(
    relay: CommandRelay, peer: socket.socket
) -> None:
    _say(peer, LinkUp(3))
    assert peak_bytes(relay.take) < MAX_COMMAND_DATAGRAM_BYTES // 4


def test_nobody_there_is_nothing_taken(relay: CommandRelay) -> None:
    assert relay.take() == []
    assert relay.poll(1) == []


def test_a_tick_takes_its_share_and_is_not_woken_for_more(
    relay: CommandRelay, peer: socket.socket
) -> None:
    peer.setblocking(False)
    for _ in range(MESSAGES_PER_TICK):
        _say(peer, CARRIED)
        assert relay.take() == [CARRIED]
    assert relay.fileno() is None
    _say(peer, CARRIED)
    assert relay.take() == []
    relay.poll(1)  # the next tick
    assert _readable(relay)
    assert relay.take() == [CARRIED]


@pytest.mark.parametrize(
    "datagram", [b"\xc1", b"\x91" * 5000, b"x" * (MAX_COMMAND_DATAGRAM_BYTES + 1)]
)
def test_a_malformed_datagram_is_counted(
    relay: CommandRelay, peer: socket.socket, datagram: bytes
) -> None:
    peer.send(datagram)
    _say(peer, CARRIED)
    assert relay.take() == [CARRIED]
    assert relay.status()["malformed"] == 1


def test_answers_go_out_in_order(relay: CommandRelay, peer: socket.socket) -> None:
    relay.take()
    relay.send(Standing("b", "s", 1))
    relay.send(Answer(1, True, b"done"))
    heard = [CODEC.to_gateway(peer.recv(9999)) for _ in range(2)]
    assert heard == [Standing("b", "s", 1), Answer(1, True, b"done")]


def test_answers_wait_for_room_and_are_bounded(relay: CommandRelay, peer: socket.socket) -> None:
    relay.take()
    many = 2000
    for n in range(many):
        relay.send(Answer(n, True, b"x" * 500))
    dropped = relay.status()["answers_dropped"]
    sent = relay.status()["answers"]
    assert isinstance(dropped, int)
    assert isinstance(sent, int)
    assert sent + dropped + ANSWERS_KEPT == many
    rows = [_row(peer) for _ in range(sent)]
    relay.poll(1)
    rows += [_row(peer) for _ in range(5)]
    assert rows == list(range(sent + 5))


def _row(peer: socket.socket) -> int:
    message = CODEC.to_gateway(peer.recv(9999))
    assert isinstance(message, Answer)
    return message.row


def test_a_gateway_that_goes_makes_room_for_the_next(relay: CommandRelay, tmp_path: Path) -> None:
    with _connect(tmp_path) as first:
        _say(first, CARRIED)
        assert relay.take() == [CARRIED]
    assert relay.take() == []
    relay.send(Answer(1, True, b"to nobody"))
    with _connect(tmp_path) as second:
        _say(second, LinkUp(1))
        assert relay.take() == [LinkUp(1)]
        relay.send(Answer(2, True, b"to the second"))
        assert _row(second) == 2
    assert relay.status()["connects"] == 2


def test_a_second_gateway_waits_for_the_first_to_go(
    relay: CommandRelay, peer: socket.socket, tmp_path: Path
) -> None:
    relay.take()
    with _connect(tmp_path) as second:
        _say(second, CARRIED)
        assert relay.take() == []
        peer.close()
        relay.take()
        assert relay.take() == [CARRIED]


def test_a_second_control_process_is_refused(relay: CommandRelay, tmp_path: Path) -> None:
    with pytest.raises(PortError, match="another control process"):
        CommandRelay(tmp_path / "commands.sock")


def test_the_socket_is_the_owners_and_goes_with_the_port(tmp_path: Path) -> None:
    path = tmp_path / "commands.sock"
    relay = CommandRelay(path)
    assert path.stat().st_mode & 0o777 == 0o600
    relay.close()
    assert not path.exists()


@pytest.mark.parametrize("message", [LinkUp(1), CARRIED], ids=lambda m: type(m).__name__)
def test_a_message_to_control_comes_back_equal(message: LinkUp | Carried) -> None:
    assert CODEC.to_control(CODEC.encode(message) or b"") == message
    assert CODEC.to_gateway(CODEC.encode(message) or b"") is None


def test_a_message_beyond_the_limit_is_not_encoded() -> None:
    assert CODEC.encode(Answer(1, True, b"x" * MAX_COMMAND_DATAGRAM_BYTES)) is None
