"""Crashes are counted across runs, without a clock of the day, and only those that are ones."""

import os
from pathlib import Path

import pytest

from edge_agent.core.clock import NS_PER_S
from edge_agent.service.starts import (
    CRASHES_MAX,
    QUICK_NS,
    StartCount,
    forget_crashes,
    machine_boot,
)

BOOT = "boot-1"


def crash(folder: Path, at_ns: int, boot: str = BOOT) -> StartCount:
    """A run that began then, and never said another word."""
    return StartCount(folder, boot, at_ns)


def test_the_sixth_start_in_a_row_of_crashes_is_one_too_many(tmp_path: Path) -> None:
    starts = [crash(tmp_path, i * NS_PER_S) for i in range(CRASHES_MAX + 1)]
    assert [start.too_many for start in starts] == [False] * CRASHES_MAX + [True]
    assert starts[-1].crashes == CRASHES_MAX


def test_a_crash_after_a_minute_begins_the_count_anew(tmp_path: Path) -> None:
    for i in range(CRASHES_MAX):
        crash(tmp_path, i * NS_PER_S)
    late_ns = (CRASHES_MAX - 1) * NS_PER_S + QUICK_NS + 1
    assert crash(tmp_path, late_ns).crashes == 0


def test_the_last_instant_of_the_minute_is_still_quick(tmp_path: Path) -> None:
    crash(tmp_path, 0)
    assert crash(tmp_path, QUICK_NS).crashes == 1


def test_a_run_that_ends_in_good_order_clears_the_count(tmp_path: Path) -> None:
    for i in range(CRASHES_MAX):
        crash(tmp_path, i)
    crash(tmp_path, 10).ended()
    assert list(tmp_path.iterdir()) == []
    assert crash(tmp_path, 11).crashes == 0


def test_a_start_that_was_refused_leaves_the_count_as_it_was(tmp_path: Path) -> None:
    crash(tmp_path, 0)
    crash(tmp_path, 1)
    for i in range(10):
        crash(tmp_path, 2 + i).refused()
    assert crash(tmp_path, 20).crashes == 2


def test_a_first_start_that_was_refused_leaves_nothing(tmp_path: Path) -> None:
    crash(tmp_path, 0).refused()
    assert list(tmp_path.iterdir()) == []


def test_a_power_cut_is_not_the_programs_fault(tmp_path: Path) -> None:
    for i in range(CRASHES_MAX + 3):
        assert crash(tmp_path, 5, boot=f"boot-{i}").crashes == 0


def test_time_that_went_back_is_another_boot_under_the_same_name(tmp_path: Path) -> None:
    crash(tmp_path, 10 * NS_PER_S)
    assert crash(tmp_path, 5 * NS_PER_S).crashes == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"\xff",
        b'{"machine_boot": "boot-1", "began_ns": 0}',
        b'{"machine_boot": "boot-1", "began_ns": "x", "crashes": 99}',
        b'{"machine_boot": "boot-1", "began_ns": 1e99, "crashes": 99}',
    ],
)
def test_a_file_that_makes_no_sense_counts_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "starts.json").write_bytes(content)
    assert crash(tmp_path, 1).crashes == 0
    assert crash(tmp_path, 2).crashes == 1


def test_a_full_disk_does_not_stop_a_start_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    crash(tmp_path, 0)
    monkeypatch.setattr(os, "fsync", full)
    start = crash(tmp_path, 1)
    start.ended()
    assert start.crashes == 1
    assert capsys.readouterr().err.count("crashes cannot be counted: [Errno 28]") == 2


def test_a_person_can_clear_it(tmp_path: Path) -> None:
    crash(tmp_path, 0)
    forget_crashes(tmp_path)
    forget_crashes(tmp_path)
    assert crash(tmp_path, 1).crashes == 0


def test_the_kernel_names_this_boot() -> None:
    assert len(machine_boot()) == 36
    assert machine_boot() == machine_boot()


def test_without_such_a_name_all_runs_are_of_one_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.service.starts._BOOT_ID", tmp_path / "absent")
    assert machine_boot() == ""


@pytest.mark.parametrize(
    ("content", "crashes"),
    [
        (b'{"machine_boot":"boot-1","began_ns":0,"crashes":3}\n', 4),
        (b'{"schema":7,"machine_boot":"boot-1","began_ns":0,"crashes":3,"why":[]}\n', 4),
        (b'{"schema":8,"boots":{"boot-1":[0]}}\n', 0),
    ],
)
def test_a_count_of_another_version_goes_on_where_it_can_be_read(
    tmp_path: Path, content: bytes, crashes: int
) -> None:
    (tmp_path / "starts.json").write_bytes(content)
    assert crash(tmp_path, 1).crashes == crashes
