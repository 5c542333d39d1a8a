"""The carrier and what is no command: events, the desired state, what a device is."""

import sqlite3

import msgspec
import pytest

from edge_agent.authority.documents import Meta
from edge_agent.core.command_ipc import (
    Answer,
    Carried,
    EventsKept,
    Happened,
    InForce,
    LinkUp,
    Wanted,
)
from edge_agent.core.ipc import Welcome
from edge_agent.gateway.plane import RETRY_NS
from edge_agent.gateway.session import Received
from edge_agent.ports.command_relay import CommandRelay
from tests.unit.gateway.carrier_bench import DESIRED, META, REPORTED, Bench, S


def test_an_event_is_on_the_disk_before_it_is_confirmed_and_published(bench: Bench) -> None:
    bench.stand()
    bench.link.connected = False
    for seq in (1, 2):
        bench.relay.send(Happened("b1", seq, b"event %d" % seq))
    assert bench.step() == [EventsKept("b1", 2)]
    assert bench.link.published == []
    bench.carrier.close(S)
    bench.start()
    bench.step()
    assert bench.link.published == [b"event 1", b"event 2"]


def test_an_event_that_is_told_again_is_published_once(bench: Bench) -> None:
    bench.stand()
    for seq in (1, 2, 1, 2, 3):
        bench.relay.send(Happened("b1", seq, b"event %d" % seq))
    bench.step()
    bench.relay.send(Happened("b2", 1, b"of the next run"))
    bench.step()
    assert bench.link.published == [b"event 1", b"event 2", b"event 3", b"of the next run"]


def test_events_and_answers_keep_their_order_over_an_outage(bench: Bench) -> None:
    bench.stand()
    bench.receive(1)
    (carried,) = bench.step()
    assert isinstance(carried, Carried)
    bench.link.connected = False
    bench.relay.send(Happened("b1", 1, b"event 1"))
    bench.step()
    bench.relay.send(Answer(carried.row, True, b"done"))
    bench.step()
    bench.relay.send(Happened("b1", 2, b"event 2"))
    bench.step()
    bench.link.connected, bench.link.connection = True, 2
    bench.step()
    assert bench.link.published == [b"event 1", b"done", b"event 2"]


def test_a_disk_that_fails_confirms_no_event_and_loses_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.stand()

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("edge_agent.gateway.journal.Journal.keep_events", full)
        bench.relay.send(Happened("b1", 1, b"event 1"))
        assert bench.step() == []
        bench.relay.send(Happened("b1", 2, b"event 2"))
        bench.step(RETRY_NS // 2)
    assert bench.count("event_errors") == 1
    assert EventsKept("b1", 2) in [*bench.step(RETRY_NS), *bench.step()]
    assert bench.link.published == [b"event 1", b"event 2"]


def test_what_the_device_is_is_told_to_each_connection(bench: Bench) -> None:
    bench.step()
    assert META not in bench.link.retained
    bench.carrier.meet(Welcome("b1", "air-handler", {"model": "m1"}))
    bench.step()
    meta = msgspec.msgpack.decode(bench.link.retained.pop(META), type=Meta)
    assert (meta.device, meta.hashes) == ("air-handler", {"model": "m1"})
    bench.step()
    assert META not in bench.link.retained
    bench.link.connection = 2
    bench.step()
    assert META in bench.link.retained


def test_the_newest_desired_document_is_given_to_each_control_process(bench: Bench) -> None:
    bench.link.coming = [
        Received(DESIRED, b"old", True, 1, 1, 1),
        Received(DESIRED, b"new", False, 1, 1, 2),
    ]
    assert bench.step() == [LinkUp(1), Wanted(b"new")]
    assert bench.link.acked == [1, 2]
    assert bench.step() == []
    bench.relay.close()
    bench.step()
    bench.relay = CommandRelay(bench.folder / "commands.sock")
    assert [m for _ in range(3) for m in bench.step()] == [LinkUp(1), Wanted(b"new")]


def test_what_is_in_force_is_reported_to_each_connection(bench: Bench) -> None:
    bench.stand()
    bench.relay.send(InForce(b"report", 5.0))
    bench.step()
    assert bench.link.retained.pop(REPORTED) == b"report"
    bench.step()
    assert REPORTED not in bench.link.retained
    bench.link.connection = 2
    bench.step()
    assert bench.link.retained[REPORTED] == b"report"


def test_a_broker_that_takes_less_at_a_time_gets_less(bench: Bench) -> None:
    bench.stand()
    bench.link.window = 2
    for seq in range(1, 6):
        bench.relay.send(Happened("b1", seq, b"event %d" % seq))
    bench.step()
    assert bench.link.published == [b"event 1", b"event 2"]
    bench.link.pubacks = [1]
    bench.step()
    assert bench.link.published == [b"event 1", b"event 2", b"event 3"]
