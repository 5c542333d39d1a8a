"""What a start makes of the crashes and trips before it."""

import os
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from edge_agent.app import watching_agent
from edge_agent.app_reset import reset
from edge_agent.app_safe_mode import inherited_trip, is_safe_mode
from edge_agent.config import Settings, load, with_state_dir
from edge_agent.core.clock import NS_PER_MS
from edge_agent.core.errors import EXIT_CONFIG, ConfigError
from edge_agent.core.records import Command, Intent, Mode, Op, Reading, Reason, Rule
from edge_agent.safety.devices.air_handler import ENVELOPE
from edge_agent.service.latch import keep_trip, latch_path, make_trip, read_trip
from edge_agent.service.starts import CRASHES_MAX, StartCount

PERIOD_NS = 100 * NS_PER_MS


def settings(folder: Path, after_crashes: Literal["safe-mode", "stop"] = "safe-mode") -> Settings:
    found = with_state_dir(load(None), folder)
    config = msgspec.structs.replace(found.config, after_crashes=after_crashes)
    return msgspec.structs.replace(found, config=config)


def start_after(crashes: int, folder: Path) -> StartCount:
    for i in range(crashes):
        StartCount(folder, "boot", i)
    return StartCount(folder, "boot", crashes)


def test_too_few_crashes_are_no_trip(tmp_path: Path) -> None:
    assert inherited_trip(settings(tmp_path), start_after(CRASHES_MAX - 1, tmp_path)) is None
    assert read_trip(latch_path(tmp_path)) is None


def test_crashes_become_a_trip_that_is_kept_and_counted_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trip = inherited_trip(settings(tmp_path), start_after(CRASHES_MAX, tmp_path))
    assert is_safe_mode(trip)
    assert trip == read_trip(latch_path(tmp_path))
    assert "starts in safe mode and cannot be armed" in capsys.readouterr().err
    again = inherited_trip(settings(tmp_path), start_after(0, tmp_path))
    assert again == trip


def test_an_earlier_trip_is_not_forgotten_over_it(tmp_path: Path) -> None:
    stopped = make_trip(Reason(Rule.STOP_REQUESTED), ENVELOPE, "b00t")
    keep_trip(latch_path(tmp_path), stopped)
    trip = inherited_trip(settings(tmp_path), start_after(CRASHES_MAX, tmp_path))
    assert trip is not None
    assert trip.words.endswith("; before that, a person requested a stop")
    twice = inherited_trip(settings(tmp_path), start_after(CRASHES_MAX, tmp_path))
    assert twice == trip


def test_a_trip_that_is_no_crash_is_no_safe_mode(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep_trip(latch_path(tmp_path), make_trip(Reason(Rule.INTERLOCK, 1), ENVELOPE, "b00t"))
    trip = inherited_trip(settings(tmp_path), start_after(0, tmp_path))
    assert trip is not None
    assert not is_safe_mode(trip)
    assert "starts TRIPPED" in capsys.readouterr().err


def test_who_wants_no_safe_mode_gets_a_refusal_until_a_reset(tmp_path: Path) -> None:
    wanted = settings(tmp_path, "stop")
    for starts in (start_after(CRASHES_MAX, tmp_path), start_after(0, tmp_path)):
        with pytest.raises(ConfigError, match="crashed 5 times") as refused:
            inherited_trip(wanted, starts)
        assert refused.value.exit_code == EXIT_CONFIG
        assert "edge-agent reset" in refused.value.fix
    assert "crashed 5 times" in reset(wanted)
    assert inherited_trip(wanted, start_after(0, tmp_path)) is None


def test_a_disk_that_keeps_no_trip_does_not_make_it_drive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = start_after(CRASHES_MAX, tmp_path)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert is_safe_mode(inherited_trip(settings(tmp_path), starts))
    monkeypatch.undo()
    later = StartCount(tmp_path, "boot", CRASHES_MAX + 1)
    assert later.too_many  # nothing was cleared that is not kept elsewhere


def test_the_agent_of_safe_mode_drives_nothing_whatever_is_asked(tmp_path: Path) -> None:
    agent = watching_agent(settings(tmp_path), PERIOD_NS, Reason(Rule.CRASH_LOOP, -1, 5))
    asked = [Op.RESET, Op.ENFORCE, Op.ARM]
    for number in range(300):
        now_ns = (number + 1) * PERIOD_NS
        readings = [Reading(i, s.min_counts + 1, now_ns, 0) for i, s in enumerate(ENVELOPE.sensors)]
        intents = [Intent(asked[number])] if number < len(asked) else []
        tick = agent.step(now_ns, readings, intents)
        assert agent.command == Command(ENVELOPE.safe_counts, armed=False)
        assert tick.mode != Mode.ACTIVE
    assert tick.monitor
