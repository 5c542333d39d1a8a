"""What the doctor says of real time: of the system, and of what is configured."""

import os
from pathlib import Path

import pytest

from edge_agent.service import check_rights
from edge_agent.service.findings import Verdict
from edge_agent.service.realtime import Wishes

ALLOWED = check_rights.RealTimeFacts(80, -1, ("performance",), True, None)


@pytest.mark.parametrize(
    ("facts", "wanted", "verdict", "said"),
    [
        (ALLOWED, 50, Verdict.OK, "PREEMPT_RT"),
        (ALLOWED._replace(priority_max=0), 0, Verdict.OK, "priority to 0"),
        (ALLOWED._replace(priority_max=-1), 50, Verdict.OK, "priority to -1"),
        (ALLOWED._replace(priority_max=0), 50, Verdict.WARN, "0 is allowed"),
        (ALLOWED._replace(governors=("ondemand",)), 50, Verdict.WARN, "ondemand"),
        (ALLOWED._replace(governors=("ondemand",)), 0, Verdict.OK, "ondemand"),
        (ALLOWED._replace(throttled=0x50005), 0, Verdict.WARN, "supply was too low"),
        (ALLOWED._replace(throttled=0), 0, Verdict.OK, "priority"),
        (ALLOWED._replace(locked_bytes_max=8 << 20), 0, Verdict.OK, "8192 KiB"),
    ],
)
def test_what_is_said_of_real_time(
    facts: check_rights.RealTimeFacts, wanted: int, verdict: Verdict, said: str
) -> None:
    found = check_rights.judge_real_time(facts, Wishes(wanted))
    assert found.verdict is verdict
    assert said in found.words


@pytest.mark.parametrize(
    ("allowed", "verdict"),
    [(8 << 20, Verdict.WARN), (512 << 20, Verdict.OK), (-1, Verdict.OK)],
)
def test_memory_that_is_to_be_locked_must_be_allowed(allowed: int, verdict: Verdict) -> None:
    facts = ALLOWED._replace(locked_bytes_max=allowed)
    assert check_rights.judge_real_time(facts, Wishes(lock_memory=True)).verdict is verdict


def test_real_time_facts_come_from_the_machine(tmp_path: Path) -> None:
    governor = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq"
    governor.mkdir(parents=True)
    (governor / "scaling_governor").write_text("ondemand\n")
    firmware = tmp_path / "sys/devices/platform/soc/soc:firmware"
    firmware.mkdir(parents=True)
    (firmware / "get_throttled").write_text("50000\n")
    facts = check_rights.read_real_time(tmp_path)
    assert facts.governors == ("ondemand",)
    assert facts.throttled == 0x50000
    (firmware / "get_throttled").write_text("no\n")
    assert check_rights.read_real_time(tmp_path).throttled is None
    process = tmp_path / f"proc/{os.getpid()}"
    process.mkdir(parents=True)
    (process / "status").write_text("Name:\tx\nCapEff:\t0000000000804000\n")
    facts = check_rights.read_real_time(tmp_path)
    assert (facts.priority_max, facts.locked_bytes_max) == (99, -1)
