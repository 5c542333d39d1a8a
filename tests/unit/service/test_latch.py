"""A trip outlives its process, whatever the disk does, and only a person clears it."""

import json
import os
from pathlib import Path
from time import monotonic, sleep

import msgspec
import pytest

from edge_agent.core.errors import ConfigError
from edge_agent.core.records import Mode, Op, Reason, Rule, TickRecord
from edge_agent.decision.agent import Options
from edge_agent.decision.words import explain_reason
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.service import latch
from edge_agent.service.latch import TripLatch, latch_path, read_trip
from tests.unit.decision.bench import Bench
from tests.unit.sim.sample_ticks import tick

CAUSE = Reason(Rule.EFFECT_MISSING, 12, 3)


def in_mode(mode: Mode, cause: Reason | None = CAUSE) -> TickRecord:
    return msgspec.structs.replace(tick(0), mode=mode, cause=cause)


def lived(path: Path, *ticks: TickRecord) -> None:
    """A run that saw these ticks and ended in good order."""
    keeper = TripLatch(path, ENVELOPE, "b00t")
    for seen in ticks:
        keeper.publish(seen)
    keeper.close()


def test_a_run_without_a_trip_leaves_no_file(tmp_path: Path) -> None:
    lived(latch_path(tmp_path), in_mode(Mode.SAFE), in_mode(Mode.ACTIVE, None))
    assert list(tmp_path.iterdir()) == []
    assert read_trip(latch_path(tmp_path)) is None


def test_a_trip_is_there_for_the_next_run_with_cause_words_time_and_boot(tmp_path: Path) -> None:
    path = latch_path(tmp_path)
    lived(path, in_mode(Mode.ACTIVE, None), in_mode(Mode.TRIPPED), in_mode(Mode.TRIPPED))
    trip = read_trip(path)
    assert trip is not None
    assert trip.cause == CAUSE
    assert trip.boot == "b00t"
    assert "shows no effect" in trip.words
    assert trip.utc.startswith("20")
    assert trip.utc.endswith("+00:00")
    assert [p.name for p in tmp_path.iterdir()] == ["trip.json"]
    assert json.loads(path.read_text(encoding="utf-8"))["rule"] == Rule.EFFECT_MISSING


def test_a_reset_in_the_running_agent_removes_it(tmp_path: Path) -> None:
    path = latch_path(tmp_path)
    lived(path, in_mode(Mode.TRIPPED), in_mode(Mode.SAFE))
    assert read_trip(path) is None


def test_a_run_that_starts_tripped_keeps_the_first_cause(tmp_path: Path) -> None:
    path = latch_path(tmp_path)
    lived(path, in_mode(Mode.TRIPPED))
    before = path.read_bytes()
    lived(path, in_mode(Mode.TRIPPED, Reason(Rule.STOP_REQUESTED)))
    assert path.read_bytes() == before


def test_a_stop_is_kept_as_well(tmp_path: Path) -> None:
    path = latch_path(tmp_path)
    lived(path, in_mode(Mode.TRIPPED, Reason(Rule.STOP_REQUESTED)))
    trip = read_trip(path)
    assert trip is not None
    assert trip.words == "a person requested a stop"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"rule": "44", "channel": 0, "number": 0, "words": "", "utc": "", "boot": ""}',
        b'{"rule": 1e99, "channel": 0, "number": 0, "words": "", "utc": "", "boot": ""}',
    ],
)
def test_a_damaged_file_counts_as_a_trip(content: bytes, tmp_path: Path) -> None:
    path = latch_path(tmp_path)
    path.write_bytes(content)
    trip = read_trip(path)
    assert trip is not None
    assert trip.cause.rule == Rule.TRIP_UNREADABLE
    assert "cannot be read" in trip.words


def test_something_that_is_no_file_counts_as_a_trip(tmp_path: Path) -> None:
    latch_path(tmp_path).mkdir()
    trip = read_trip(latch_path(tmp_path))
    assert trip is not None
    assert trip.cause.rule == Rule.TRIP_UNREADABLE


def test_a_crash_before_the_rename_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = latch_path(tmp_path)
    lived(path, in_mode(Mode.TRIPPED))
    before = path.read_bytes()

    def crash(*_arguments: object) -> None:
        raise OSError("power cut")

    monkeypatch.setattr(Path, "replace", crash)
    lived(path, in_mode(Mode.SAFE), in_mode(Mode.TRIPPED, Reason(Rule.STOP_REQUESTED)))
    assert not path.exists() or path.read_bytes() == before


def test_a_disk_that_fails_is_named_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real, failures = os.fsync, [OSError(28, "No space left on device")]

    def full_once(descriptor: int) -> None:
        if failures:
            raise failures.pop()
        real(descriptor)

    monkeypatch.setattr("edge_agent.service.durable.os.fsync", full_once)
    monkeypatch.setattr("edge_agent.service.keeper.RETRY_S", 0.01)
    path = latch_path(tmp_path)
    keeper = TripLatch(path, ENVELOPE, "b00t")
    keeper.publish(in_mode(Mode.TRIPPED))
    until = monotonic() + 10.0
    while not path.exists() and monotonic() < until:
        sleep(0.01)
    keeper.close()
    assert "the trip cannot be kept: [Errno 28]" in capsys.readouterr().err
    assert read_trip(path) is not None


def test_a_folder_that_cannot_be_written_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="would not outlive a restart"):
        latch.require_writable(latch_path(tmp_path / "file" / "state"))


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    path = latch_path(tmp_path / "a" / "b")
    latch.require_writable(path)
    lived(path, in_mode(Mode.TRIPPED))
    assert path.is_file()


# What another version of the program has written: the fields of the first one, and of one to come.
OLD = b'{"rule":44,"channel":12,"number":3,"words":"w","utc":"2026-11-01","boot":"b"}\n'
NEWER = b'{"schema":7,"rule":9999,"channel":99,"number":3,"words":"of the new kind",'
NEWER += b'"utc":"2027-01-01","boot":"b","cause":{"deep":[1]}}\n'
NEWEST = b'{"schema":8,"trips":[{"words":"two at once"}]}\n'


def test_a_trip_of_an_older_version_is_read_as_it_was_meant(tmp_path: Path) -> None:
    latch_path(tmp_path).write_bytes(OLD)
    trip = read_trip(latch_path(tmp_path))
    assert trip is not None
    assert (trip.cause, trip.words) == (Reason(44, 12, 3), "w")


@pytest.mark.parametrize(
    ("content", "words"),
    [(NEWER, "of the new kind"), (NEWEST, "counts as a trip")],
    ids=["more fields", "another shape"],
)
def test_a_trip_of_a_newer_version_stays_a_trip_and_its_file_as_it_is(
    content: bytes, words: str, tmp_path: Path
) -> None:
    path = latch_path(tmp_path)
    path.write_bytes(content)
    trip = read_trip(path)
    assert trip is not None
    assert words in trip.words
    bench = Bench(options=Options(fallback=None, latched=trip.cause))
    first = bench.tick(Op.ARM)
    assert first.mode == Mode.TRIPPED
    assert explain_reason(trip.cause, ENVELOPE)
    lived(path, first, in_mode(Mode.TRIPPED))
    assert path.read_bytes() == content


def test_what_is_written_says_its_schema(tmp_path: Path) -> None:
    lived(latch_path(tmp_path), in_mode(Mode.TRIPPED))
    assert json.loads(latch_path(tmp_path).read_bytes())["schema"] == 1
