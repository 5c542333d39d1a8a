"""Commands while parts of the way are killed: nothing lost, nothing twice, nothing out of order."""

import os
import signal
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from edge_agent.client import DeviceClient, Outcome
from tests.system.plane_faults import FAULTS, Trial, held_back, quick
from tests.system.plane_site import PlaneSite

pytestmark = pytest.mark.xdist_group("whole-agent")


@pytest.fixture
def site() -> Iterator[PlaneSite]:
    with PlaneSite() as site:
        yield site.start()


def _online(site: PlaneSite) -> DeviceClient:
    client = site.client()
    client.wait_online(20)
    return client


def _in_order(outcomes: list[Outcome]) -> bool:
    """The last answers of one run, in the order in which they were first heard."""
    return all(a.seq < b.seq for a, b in pairwise(o for o in outcomes if o.final))


def test_answers_outlive_the_gateway(site: PlaneSite) -> None:
    ops = _online(site)
    outcomes = []
    for number in range(40):
        command_id = ops.send("ping")
        if number == 20:
            os.kill(site.gateway_pid(), signal.SIGKILL)
        outcomes.append(ops.wait(command_id, 20))
        if outcomes[-1].reason == "stale_session":  # it came while there was no gateway
            ops.listen(0)
            site.until(lambda: ops.command("ping").st == "done", "device is back")
    assert {o.st for o in outcomes} <= {"done", "rejected"}
    assert sum(o.st == "rejected" for o in outcomes) <= 1
    assert len({o.id for o in outcomes}) == 40
    assert _in_order(outcomes)


def test_answers_outlive_the_broker(site: PlaneSite) -> None:
    ops = _online(site)
    site.until(lambda: ops.command("arm").st == "done", "armed", 30)
    ids = [ops.send("ping") for _ in range(30)]
    command_id = ops.send("disarm")
    site.until(lambda: site.status()["control"]["mode"] == "RAMPING", "ramping")
    site.broker.stop()
    site.until(lambda: site.status()["control"]["mode"] == "SAFE", "safe without a broker")
    site.broker.start()
    disarmed = ops.wait(command_id, 30)
    assert (disarmed.st, disarmed.data["mode"]) == ("done", "SAFE")
    outcomes = [ops.wait(i, 20) for i in ids]
    assert {o.st for o in outcomes} == {"done"}
    assert _in_order([*outcomes, disarmed])


def test_commands_that_a_dead_link_has_held_back_are_refused_when_it_lives_again(
    site: PlaneSite,
) -> None:
    ops = _online(site)
    gateway = site.gateway_pid()  # stopped: as a link that is there and delivers nothing
    outcomes = held_back(
        site,
        ops,
        lambda: os.kill(gateway, signal.SIGSTOP),
        lambda: os.kill(gateway, signal.SIGCONT),
    )
    assert {o.st for o in outcomes} == {"rejected"}
    assert {o.reason for o in outcomes} <= {"expired", "stale_session"}


def test_nothing_is_done_twice_across_random_kills(site: PlaneSite) -> None:
    ops = _online(site)
    ids: list[str] = []
    for round_number in range(4):
        ops.wait_online(30)
        for _ in range(10):
            ids.append(ops.send("disarm"))
            time.sleep(0.013 * round_number)
        os.kill(site.gateway_pid(), signal.SIGKILL)
        if round_number % 2:
            site.end_agent(signal.SIGKILL)
            site.start_agent()
    last = [ops.wait(i, 30) for i in ids]
    assert {(o.st, o.reason) for o in last} <= {
        ("done", ""),
        ("failed", "interrupted"),
        ("rejected", "stale_session"),
        ("rejected", "busy"),
    }
    assert sum(o.st == "done" for o in last) > 0
    for command_id in ids:
        finals = [o for o in ops.answers(command_id) if o.final]
        assert len(finals) == 1, finals


def test_no_result_and_no_event_is_lost_repeated_or_reordered_when_anything_is_killed() -> None:
    with PlaneSite() as site:
        trial = Trial(quick(site), seed=1, outage_s=2.0)
        for kind in FAULTS:
            trial.round(kind, 25)
        found = trial.close().verdict()
    assert found.pop("results") == 100
    assert found.pop("events") >= 80
    assert found.pop("interrupted") <= 4
    assert found == dict.fromkeys(found, 0)
