"""The carrier between a broker that is played and a real socket: order, disk faults, floods."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
import pytest

from edge_agent.authority.body import Status
from edge_agent.authority.documents import Meta
from edge_agent.core.command_ipc import (
    Answer,
    Carried,
    EventsKept,
    Happened,
    InForce,
    LinkUp,
    Standing,
    ToControl,
    TwinSeen,
    Wanted,
)
from edge_agent.core.ipc import Welcome
from edge_agent.gateway.client import MqttLink
from edge_agent.gateway.journal import UNFINISHED_MAX
from edge_agent.gateway.plane import BURST, RETRY_NS, Carrier, PlaneJob
from edge_agent.gateway.plane_settings import PlaneSettings
from edge_agent.gateway.session import Received
from edge_agent.ports.command_relay import CommandRelay
from edge_agent.safety.devices.air_handler import ENVELOPE

S = 1_000_000_000
CMD, RESP, EVT = "ed/v1/ahu-7/cmd", "ed/v1/ahu-7/resp", "ed/v1/ahu-7/evt"
META, DESIRED, REPORTED = (f"ed/v1/ahu-7/{leaf}" for leaf in ("meta", "desired", "reported"))


class PlayedLink:
    """A broker's side that does what the test says."""

    def __init__(self) -> None:
        self.connected = True
        self.state = "connected"
        self.last_reason = ""
        self.connection = 1
        self.window = 20
        self.coming: list[Received] = []
        self.acked: list[int] = []
        self.published: list[bytes] = []
        self.pubacks: list[int] = []
        self.retained: dict[str, bytes] = {}
        self.status = Status(on=False)

    def fileno(self) -> int:
        return -1

    def service(self, now_ns: int) -> None:
        pass

    def take_messages(self) -> list[Received]:
        coming, self.coming = self.coming, []
        return coming

    def take_acks(self) -> list[int]:
        acks, self.pubacks = self.pubacks, []
        return acks

    def ack(self, message: Received) -> None:
        self.acked.append(message.mid)

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False
    ) -> int | None:
        if not self.connected:
            return None
        if retain:
            self.retained[topic] = payload
            return 0
        assert topic in {RESP, EVT}
        self.published.append(payload)
        return len(self.published)

    def set_status(self, payload: bytes) -> None:
        self.status = msgspec.msgpack.decode(payload, type=Status)

    def counters(self) -> dict[str, int | str]:
        return {"mqtt.state": "played"}

    def leave(self, now_ns: int, reason: str, last_status: bytes = b"") -> None:
        self.connected = False
        self.state, self.last_reason = "taken_over", reason
        self.set_status(last_status)

    def close(self, last_status: bytes) -> None:
        self.set_status(last_status)


class Bench:
    """A carrier, its two neighbours, and a clock in the hand."""

    def __init__(self, folder: Path) -> None:
        self.relay = CommandRelay(folder / "commands.sock")
        self.folder = folder
        self.now_ns = S
        self.start()

    def start(self) -> None:
        self.link = PlayedLink()
        job = PlaneJob(
            settings=PlaneSettings(id="ahu-7"),
            envelope=ENVELOPE,
            control="enforce",
            run="r1",
            socket_path=self.folder / "commands.sock",
            folder=self.folder,
        )
        self.carrier = Carrier(job, cast("MqttLink", self.link))

    def step(self, dt_ns: int = S) -> list[ToControl]:
        """One pass; what the control process then hears."""
        self.now_ns += dt_ns
        self.carrier.step(self.now_ns)
        self.relay.poll(self.now_ns)
        return self.relay.take()

    def stand(self, boot: str = "b1", session: str = "s1") -> list[ToControl]:
        """Until the control process has told its session."""
        while LinkUp(self.link.connection) not in self.step():
            pass
        self.relay.send(Standing(boot, session, self.link.connection))
        self.step()
        return self.step()

    def receive(self, *numbers: int, retained: bool = False) -> None:
        self.link.coming += [
            Received(CMD, b"sealed %d" % n, retained, self.now_ns, 1, n) for n in numbers
        ]

    def count(self, name: str) -> int | str:
        return self.carrier.counters().get(f"plane.{name}", 0)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.carrier.close(S)
    made.relay.close()


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
