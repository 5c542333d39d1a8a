"""Telemetry: live first, kept without a connection, then slowly, and every gap visible."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
import pytest

from edge_agent.authority.documents import Telemetry
from edge_agent.core.records import Mode, Reason, Rule
from edge_agent.gateway.backlog import Backlog
from edge_agent.gateway.client import MqttLink
from edge_agent.gateway.telemetry import BACKLOG_PER_S, BACKLOG_WINDOW, Reporter, Source
from edge_agent.safety.devices.air_handler import ENVELOPE
from tests.unit.authority.office import record

S = 1_000_000_000


class PlayedLink:
    def __init__(self) -> None:
        self.connected = True
        self.connection = 1
        self.sent: list[tuple[Telemetry, int]] = []

    def publish(self, topic: str, payload: bytes, *, qos: int = 0) -> int | None:
        assert topic == "tele"
        if not self.connected:
            return None
        self.sent.append((msgspec.msgpack.decode(payload, type=Telemetry), qos))
        return len(self.sent)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.link = PlayedLink()
        self.now_ns = 100 * S
        self.start("r1")

    def start(self, run: str) -> None:
        self.backlog = Backlog(self.folder / "t.sqlite", 100_000, 3_600 * S)
        self.reporter = Reporter(Source(ENVELOPE, run, "tele"), self.backlog, 1.0)

    def step(self, dt_ns: int = S, acks: tuple[int, ...] = (), *, idle: bool = True) -> None:
        self.now_ns += dt_ns
        tick = record(Mode.SAFE, self.now_ns, (), Reason(Rule.STOP_REQUESTED), ({0: 2150}, False))
        self.reporter.see(msgspec.msgpack.encode(tick), "b1")
        self.serve(acks, idle=idle)

    def serve(self, acks: tuple[int, ...] = (), *, idle: bool = True) -> None:
        self.reporter.service(cast("MqttLink", self.link), list(acks), self.now_ns, idle=idle)

    def seqs(self, *, hist: bool) -> list[int]:
        return [sample.seq for sample, _qos in self.link.sent if sample.hist is hist]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.reporter.close(made.now_ns)


def test_a_sample_speaks_in_names_and_units(bench: Bench) -> None:
    bench.step()
    ((sample, qos),) = bench.link.sent
    assert (sample.boot, sample.run, sample.seq, sample.mode, qos) == ("b1", "r1", 1, "SAFE", 0)
    assert sample.values[ENVELOPE.sensors[0].name] == 21.5
    assert set(sample.command) == {a.name for a in ENVELOPE.actuators}
    assert sample.cause is not None
    assert sample.cause.rule == "STOP_REQUESTED"
    assert sample.at == bench.now_ns


def test_samples_come_at_the_configured_rate_whatever_the_ticks_do(bench: Bench) -> None:
    for _ in range(100):
        bench.step(S // 10)
    assert bench.seqs(hist=False) == list(range(1, 11))


def test_no_new_tick_is_no_sample(bench: Bench) -> None:
    bench.step()
    for _ in range(5):
        bench.now_ns += S
        bench.serve()
    assert len(bench.link.sent) == 1


def test_what_cannot_be_sent_follows_when_it_can_and_after_the_present(bench: Bench) -> None:
    bench.step()
    bench.link.connected = False
    for _ in range(3):
        bench.step()
    bench.link.connected, bench.link.connection = True, 2
    bench.step()
    assert [(s.seq, s.hist, qos) for s, qos in bench.link.sent] == [
        *((1, False, 0), (5, False, 0)),
        *((2, True, 1), (3, True, 1), (4, True, 1)),
    ]


def test_a_lost_live_sample_shows_as_a_gap(bench: Bench) -> None:
    bench.step()
    bench.step()
    bench.link.sent.pop()  # the connection swallowed it
    bench.step()
    assert bench.seqs(hist=False) == [1, 3]


def _without_a_connection(bench: Bench, samples: int) -> None:
    bench.link.connected = False
    for _ in range(samples):
        bench.step()
    bench.now_ns += S
    bench.serve()  # flushed
    bench.link.connected, bench.link.connection = True, 2


def test_the_kept_ones_are_few_at_a_time_until_the_broker_has_them(bench: Bench) -> None:
    _without_a_connection(bench, 30)
    bench.serve()
    assert bench.seqs(hist=True) == list(range(1, BACKLOG_WINDOW + 1))
    bench.now_ns += S
    bench.serve()
    assert len(bench.link.sent) == BACKLOG_WINDOW
    bench.serve((1, 2))
    assert bench.seqs(hist=True) == list(range(1, BACKLOG_WINDOW + 3))


def test_the_kept_ones_are_so_many_a_second(bench: Bench) -> None:
    _without_a_connection(bench, 200)
    acked = 0
    for _ in range(1_000):  # one second in steps of a millisecond, each acknowledged at once
        bench.now_ns += S // 1_000
        new = tuple(range(acked + 1, len(bench.link.sent) + 1))
        acked = len(bench.link.sent)
        bench.serve(new)
    assert BACKLOG_PER_S <= len(bench.link.sent) <= BACKLOG_PER_S + BACKLOG_WINDOW


def test_the_kept_ones_wait_for_events_and_answers(bench: Bench) -> None:
    _without_a_connection(bench, 3)
    bench.serve(idle=False)
    assert bench.link.sent == []
    bench.serve()
    assert bench.seqs(hist=True) == [1, 2, 3]


def test_what_was_under_way_when_the_connection_went_is_sent_again(bench: Bench) -> None:
    _without_a_connection(bench, 3)
    bench.serve()
    bench.serve((1,))
    bench.link.connection = 3
    bench.now_ns += S
    bench.serve()
    assert bench.seqs(hist=True) == [1, 2, 3, 2, 3]


def test_the_next_run_numbers_anew_and_sends_what_the_last_has_kept(bench: Bench) -> None:
    _without_a_connection(bench, 2)
    bench.reporter.close(bench.now_ns)
    bench.start("r2")
    bench.step()
    assert [(s.run, s.seq) for s, _ in bench.link.sent] == [("r2", 1), ("r1", 1), ("r1", 2)]


def test_a_record_of_another_version_is_counted(bench: Bench) -> None:
    tick = record(Mode.SAFE, bench.now_ns, (), Reason(9999), ({}, False))
    for bad in (b"\x93", msgspec.msgpack.encode(tick)):
        bench.now_ns += S
        bench.reporter.see(bad, "b1")
        bench.serve()
    assert bench.link.sent == []
    assert bench.reporter.counters()["telemetry_malformed"] == 2


def test_a_disk_that_fails_holds_nothing_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("edge_agent.gateway.backlog.Backlog.add", full)
        _without_a_connection(bench, 3)
    bench.step()
    assert bench.seqs(hist=False) == [4]
    assert bench.seqs(hist=True) == []
    assert bench.reporter.counters()["backlog_errors"] >= 1
