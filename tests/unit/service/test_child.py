"""A child that is started again: when, how often, and what is said of it."""

import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.core.clock import NS_PER_S
from edge_agent.core.records import Mode, Proposal, Snapshot, TickRecord, Verdict
from edge_agent.service.child import LOOK_EVERY_NS, STABLE_AFTER_NS, ChildProcess
from tests.system.mqtt_peer import wait_until

PAUSES_NS = (NS_PER_S, 4 * NS_PER_S)


def _ends(child: ChildProcess, now_ns: int) -> None:
    """Look again and again, at one instant, until the child's end was seen."""

    def waiting() -> bool:
        child.look(now_ns)
        return child.status()["state"] == "waiting"

    wait_until(waiting, "the child's end")


def _pid(child: ChildProcess) -> int:
    return int(child.status()["pid"])


def _tick(now_ns: int) -> TickRecord:
    nothing = Snapshot((), (), ())
    proposal, verdict = Proposal(None), Verdict((), ())
    return TickRecord(0, now_ns, (), (), nothing, (), proposal, verdict, Mode.SAFE, None)


@pytest.fixture
def sleeper() -> Iterator[ChildProcess]:
    """A child that runs until it is ended, started at the instant 0."""
    child = ChildProcess(["sleep", "60"], PAUSES_NS)
    child.look(0)
    yield child
    child.stop()


def test_pauses_double_up_to_the_longest_and_every_start_is_counted() -> None:
    child = ChildProcess(["sh", "-c", "exit 3"], PAUSES_NS)
    now_ns, starts = 0, []
    for _ in range(5):
        child.look(now_ns)
        starts.append(now_ns)
        _ends(child, now_ns)
        while child.status()["restarts"] == len(starts) - 1 and len(starts) < 5:
            now_ns += NS_PER_S // 4
            child.look(now_ns)
    child.stop()
    pauses = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert [ns / NS_PER_S for ns in pauses] == [1, 2, 4, 4]
    assert child.status() == {
        "state": "waiting",
        "pid": 0,
        "restarts": 4,
        "start_failures": 0,
        "last_exit": 3,
    }


def test_a_child_that_ran_well_for_long_starts_with_the_shortest_pause(
    sleeper: ChildProcess,
) -> None:
    now_ns = 0
    for life_ns, pause_ns in (
        (1, PAUSES_NS[0]),
        (1, 2 * PAUSES_NS[0]),
        (STABLE_AFTER_NS, NS_PER_S),
    ):
        os.kill(_pid(sleeper), signal.SIGKILL)
        now_ns += life_ns
        _ends(sleeper, now_ns)
        sleeper.look(now_ns + pause_ns - 1)
        assert sleeper.status()["state"] == "waiting"
        now_ns += pause_ns
        sleeper.look(now_ns)
        assert sleeper.status()["state"] == "running"
    assert sleeper.status()["last_exit"] == -signal.SIGKILL


def test_an_ended_child_leaves_no_zombie(sleeper: ChildProcess) -> None:
    pid = _pid(sleeper)
    os.kill(pid, signal.SIGKILL)
    _ends(sleeper, 1)
    assert not Path(f"/proc/{pid}").exists()


def test_it_looks_once_a_second_however_often_the_loop_ticks(sleeper: ChildProcess) -> None:
    pid = _pid(sleeper)
    sleeper.publish(_tick(1))
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: " Z " in Path(f"/proc/{pid}/stat").read_text("ascii"), "ended")
    sleeper.publish(_tick(LOOK_EVERY_NS))
    assert _pid(sleeper) == pid
    sleeper.publish(_tick(LOOK_EVERY_NS + 1))
    assert sleeper.status()["state"] == "waiting"


def test_a_terminals_signals_do_not_reach_it(sleeper: ChildProcess) -> None:
    assert os.getpgid(_pid(sleeper)) != os.getpgid(0)


def test_once_left_it_is_not_started_again(sleeper: ChildProcess) -> None:
    sleeper.leave()
    os.kill(_pid(sleeper), signal.SIGTERM)
    _ends(sleeper, 1)
    sleeper.look(100 * NS_PER_S)
    assert sleeper.status()["state"] == "waiting"


def test_a_start_that_fails_is_counted_named_and_tried_again(tmp_path: Path) -> None:
    program = tmp_path / "program"
    child = ChildProcess([str(program)], PAUSES_NS)
    child.look(0)
    child.look(PAUSES_NS[0] - 1)
    status = child.status()
    assert (status["state"], status["start_failures"]) == ("waiting", 1)
    assert "No such file" in str(status["fault"])
    program.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    program.chmod(0o700)
    child.look(PAUSES_NS[0])
    assert child.status()["state"] == "running"
    assert "fault" not in child.status()
    child.stop()


def test_one_that_does_not_obey_is_ended_by_force(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    child = ChildProcess(["sh", "-c", f"trap '' TERM; touch {ready}; sleep 60 & wait; wait"])
    child.look(0)
    wait_until(ready.exists, "it ignores SIGTERM")
    group = _pid(child)
    child.stop(within_s=0.05)
    assert child.status()["last_exit"] == -signal.SIGKILL
    os.killpg(group, signal.SIGKILL)  # its own child, which nobody else ends


def test_stop_before_the_first_start_and_twice_is_harmless() -> None:
    child = ChildProcess(["sleep", "60"])
    child.stop()
    child.look(0)
    child.stop()
    assert child.status()["restarts"] == 0
