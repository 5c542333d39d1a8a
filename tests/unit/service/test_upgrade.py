"""What the judge of an upgrade has noted is said as it is, and a damaged note stops nothing."""

from pathlib import Path

import pytest

from edge_agent.service.findings import Verdict
from edge_agent.service.upgrade import judge_upgrade, rolled_back

TRIAL = "NEW=2.0\nGOOD=1.0\nUNITS='edge-agent edge-agent-gateway '\nCUTS=1\n"


def outcome(result: str) -> str:
    return f"RESULT={result}\nNEW=2.0\nGOOD=1.0\nWHY=edge-agent failed: exit-code, exit code 78\n"


def test_a_machine_without_the_package_has_nothing_to_say(tmp_path: Path) -> None:
    assert judge_upgrade(tmp_path / "absent").verdict is Verdict.OK
    assert rolled_back(tmp_path / "absent") == ""


def test_a_trial_that_goes_on_is_told_whatever_came_before(tmp_path: Path) -> None:
    (tmp_path / "trial").write_text(TRIAL, "utf-8")
    (tmp_path / "outcome").write_text(outcome("held"), "utf-8")
    found = judge_upgrade(tmp_path)
    assert found.verdict is Verdict.WARN
    assert found.words == "2.0 is on trial: if it is not steady, 1.0 comes back"


def test_a_roll_back_is_told_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "outcome").write_text(outcome("rolled-back"), "utf-8")
    words = "the upgrade to 2.0 was rolled back to 1.0: edge-agent failed: exit-code, exit code 78"
    assert rolled_back(tmp_path) == words
    found = judge_upgrade(tmp_path)
    assert (found.verdict, found.words) == (Verdict.WARN, words)
    assert "edge-agent-trial" in found.fix


def test_a_version_that_held_is_no_news(tmp_path: Path) -> None:
    (tmp_path / "outcome").write_text(outcome("held"), "utf-8")
    assert rolled_back(tmp_path) == ""
    assert judge_upgrade(tmp_path).verdict is Verdict.OK


def test_no_way_back_is_a_warning_and_no_roll_back(tmp_path: Path) -> None:
    (tmp_path / "outcome").write_text(outcome("no-way-back"), "utf-8")
    assert rolled_back(tmp_path) == ""
    assert judge_upgrade(tmp_path).verdict is Verdict.WARN


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"RESULT", b"RESULT=rolled-back"])
def test_a_damaged_note_stops_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "outcome").write_bytes(content)
    (tmp_path / "trial").mkdir()
    judge_upgrade(tmp_path)
    assert rolled_back(tmp_path) in {"", "the upgrade to ? was rolled back to ?: no reason noted"}
