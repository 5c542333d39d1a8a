"""The carrier between a broker that is played and a real socket: order, disk faults, floods."""

import sqlite3

import msgspec
import pytest

from edge_agent.authority.body import Status
from edge_agent.core.command_ipc import (
    Answer,
    Carried,
    LinkUp,
    Standing,
    TwinSeen,
)
from edge_agent.gateway.journal import UNFINISHED_MAX
from edge_agent.gateway.plane import BURST, RETRY_NS
from edge_agent.gateway.session import Received
from tests.unit.gateway.carrier_bench import CMD, Bench, S


def test_the_session_is_published_when_the_control_process_knows_the_connection(
    bench: Bench,
) -> None:
    assert bench.step() == [LinkUp(1)]
    bench.relay.send(Standing("b1", "old", -1))  # from before it heard of it
    bench.step()
    assert not bench.link.status.on
    bench.relay.send(Standing("b1", "s1", 1))
    bench.step()
    assert (bench.link.status.on, bench.link.status.boot, bench.link.status.sess) == (
        True,
        "b1",
        "s1",
    )


def test_no_session_begins_before_commands_can_be_heard(bench: Bench) -> None:
    bench.link.deaf = True
    assert bench.step() == []
    bench.link.deaf = False
    assert bench.step() == [LinkUp(1)]


def test_each_connection_is_told_anew(bench: Bench) -> None:
    bench.stand()
    bench.link.connection = 2
    assert bench.step() == [LinkUp(2)]


def test_without_a_control_process_the_status_says_so(bench: Bench) -> None:
    bench.stand()
    bench.relay.close()
    bench.step()
    bench.step()
    assert (bench.link.status.on, bench.link.status.why) == (False, "no control process")


def test_what_comes_before_the_session_is_kept_acknowledged_and_carried_after(
    bench: Bench,
) -> None:
    bench.receive(7)
    assert bench.step() == [LinkUp(1)]
    assert bench.link.acked == [7]
    bench.relay.send(Standing("b1", "s1", 1))
    bench.step()
    (carried,) = bench.step()
    assert isinstance(carried, Carried)
    assert (carried.sealed, carried.interrupted) == (b"sealed 7", False)


def test_what_an_earlier_run_was_given_is_carried_as_interrupted(bench: Bench) -> None:
    bench.stand()
    bench.receive(1)
    assert len(bench.step()) == 1
    bench.carrier.close(S)
    bench.start()
    (again,) = bench.stand("b2")
    assert isinstance(again, Carried)
    assert again.interrupted


def test_a_last_answer_stays_until_the_broker_has_it(bench: Bench) -> None:
    bench.stand()
    bench.receive(1)
    (carried,) = bench.step()
    assert isinstance(carried, Carried)
    bench.link.connected = False
    bench.relay.send(Answer(carried.row, True, b"done"))
    bench.step()
    assert bench.link.published == []
    bench.link.connected = True
    bench.step()
    assert bench.link.published == [b"done"]
    bench.link.connection = 2  # lost before the acknowledgement
    bench.step()
    assert bench.link.published == [b"done", b"done"]
    bench.link.pubacks = [2]
    bench.step()
    bench.link.connection = 3
    bench.step()
    assert len(bench.link.published) == 2


def test_a_disk_that_fails_acknowledges_nothing_and_takes_no_commands(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.stand()

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("edge_agent.gateway.journal.Journal.add", full)
        bench.receive(1, 2)
        assert bench.step() == []
        assert bench.link.acked == []
        assert (bench.link.status.on, bench.link.status.why) == (False, "its disk fails")
        bench.relay.send(Standing("b1", "s2", 1))
        bench.step(RETRY_NS // 2)
        assert not bench.link.status.on
    heard = bench.step(RETRY_NS)
    assert bench.link.acked == [1, 2]
    assert LinkUp(1) in [*heard, *bench.step()]  # what waited is for an old session
    bench.relay.send(Standing("b1", "s3", 1))
    bench.step()
    assert bench.link.status.sess == "s3"


def test_a_flood_is_acknowledged_dropped_and_counted(bench: Bench) -> None:
    bench.stand()
    bench.receive(*range(BURST + 50))
    bench.step(0)
    assert len(bench.link.acked) == BURST + 50
    assert bench.count("flooded") == 50
    assert bench.count("carried") == BURST


def test_what_is_too_large_is_acknowledged_and_counted(bench: Bench) -> None:
    bench.stand()
    bench.link.coming = [
        Received(CMD, None, False, 1, 1, 1),
        Received(CMD, b"x" * 8193, False, 1, 1, 2),
    ]
    assert bench.step() == []
    assert (bench.link.acked, bench.count("oversized")) == ([1, 2], 2)


def test_unanswered_commands_are_bounded(bench: Bench) -> None:
    for start in range(0, UNFINISHED_MAX, 50):
        bench.receive(*range(start, start + 50))
        bench.step()
    assert bench.count("carried") == UNFINISHED_MAX
    assert bench.count("turned_away") == -UNFINISHED_MAX % 50


def test_a_copy_of_an_answered_command_gets_the_answer_again(bench: Bench) -> None:
    bench.stand()
    bench.receive(1)
    (carried,) = bench.step()
    assert isinstance(carried, Carried)
    bench.relay.send(Answer(carried.row, True, b"done"))
    bench.step()
    bench.receive(1)
    assert bench.step() == []
    assert bench.link.published == [b"done", b"done"]


def _twin(bench: Bench, connection: int) -> None:
    """A connection at which another device's status is found."""
    bench.link.connection = connection
    payload = msgspec.msgpack.encode(Status(on=True, run="another"))
    bench.link.coming.append(
        Received("ed/v1/ahu-7/status", payload, False, bench.now_ns, connection, 900 + connection)
    )


def test_a_twin_is_left_the_plane_and_the_control_process_is_told_once(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.stand()
    for connection in (1, 2):
        _twin(bench, connection)
        assert not any(isinstance(heard, TwinSeen) for heard in bench.step())
    assert bench.link.state == "connected"
    _twin(bench, 3)
    told = [heard for _ in range(5) for heard in bench.step()]
    assert [heard for heard in told if isinstance(heard, TwinSeen)] == [
        TwinSeen("another device has this identity")
    ]
    assert bench.link.state == "taken_over"
    assert (bench.link.status.on, bench.link.status.why) == (
        False,
        "another device has this identity",
    )
    assert capsys.readouterr().err.count("ALARM") == 1
    assert bench.link.acked == [901, 902, 903]  # and none of it went into the journal
    assert bench.count("carried") == 0
