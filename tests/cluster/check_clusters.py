"""A device and its plane on three brokers, of which one dies: `make test-clusters`.

The tests of the plane's client that need one broker only are run as they are, on each engine;
then the node of device and client is killed in the middle of commands.
"""

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from edge_agent.client import DeviceClient, NoAnswerError, Outcome
from tests.cluster.front import Front
from tests.cluster.nodes import CLUSTERS, Cluster
from tests.system.plane_site import PlaneSite
from tests.system.test_plane import (  # noqa: F401 - collected here, for these brokers
    test_a_command_under_way_when_all_is_killed_is_reported_and_not_run_again,
    test_a_device_is_armed_disarmed_stopped_and_reset_from_afar,
    test_a_goal_is_followed_and_one_outside_the_envelope_is_refused,
    test_bytes_that_are_sent_again_are_answered_again_and_not_followed_again,
    test_commands_to_a_dead_device_are_refused_when_it_is_back,
    test_what_is_not_genuine_is_counted_and_never_answered,
)

COMMANDS_MIN = 300
KILLED_AT = 100
BACK_WITHIN_S = 30.0
QUIET_S = 5.0


class ClusterBroker:
    """A cluster behind one address, for device and clients."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._front = Front(cluster.ports)
        self.host, self.port = "127.0.0.1", self._front.port

    def start(self) -> None:
        """The nodes run already."""

    def stop(self, with_signal: signal.Signals = signal.SIGKILL) -> None:
        """Nobody is let in any more; the nodes end with the cluster."""
        self._front.close()


@pytest.fixture(scope="module", params=sorted(CLUSTERS))
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PlaneSite]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    with (
        CLUSTERS[request.param](folder) as cluster,
        PlaneSite("3.1.1", ClusterBroker(cluster)) as site,
    ):
        yield site.start()


@pytest.fixture(scope="module")
def ops(site: PlaneSite) -> DeviceClient:
    client = site.client()
    client.wait_online(60)
    return client


def _asked(ops: DeviceClient, number: int) -> Outcome | None:
    """The last answer to one harmless command that the device follows; None: nobody answered."""
    value = 14.0 + number % 50 / 10
    try:
        return ops.command("set-goal", {"channel": "supply_setpoint", "value": value})
    except NoAnswerError:
        return None


@dataclass
class Account:
    """What became of the commands. Times are seconds after the kill."""

    done: list[Outcome] = field(default_factory=list)
    unanswered: list[int] = field(default_factory=list)
    refused: list[tuple[float, str]] = field(default_factory=list)
    first_done_s: float = 0.0

    def take(self, number: int, outcome: Outcome | None, killed_s: float) -> None:
        since_s = time.monotonic() - killed_s if killed_s else 0.0
        if outcome is None:
            self.unanswered.append(number)
        elif outcome.st == "done":
            self.done.append(outcome)
            self.first_done_s = self.first_done_s or since_s
        else:
            self.refused.append((since_s, outcome.reason))


def test_a_node_is_killed_and_every_command_is_followed_once_or_known_not_to_be(
    site: PlaneSite, ops: DeviceClient
) -> None:
    """A client that got no answer comes again under another name: on RabbitMQ what a client of
    MQTT 3.1.1 with a clean session subscribed to stays on the dead node, under its name."""
    assert isinstance(site.broker, ClusterBroker)
    killed_s = 0.0
    account = Account()
    for number in count():
        if number >= COMMANDS_MIN and time.monotonic() - killed_s > BACK_WITHIN_S + QUIET_S:
            break
        if number == KILLED_AT:
            site.broker.cluster.kill(0)
            killed_s = time.monotonic()
        outcome = _asked(ops, number)
        account.take(number, outcome, killed_s)
        if outcome is None:
            assert time.monotonic() - killed_s < BACK_WITHIN_S, "nobody answers any more"
            ops = site.client()
    refused = account.refused
    print(f"\nfirst done {account.first_done_s:.2f} s after the kill; unanswered: ", end="")
    print(f"{account.unanswered}; refused: {len(refused)}", *refused[-1:])
    assert len(account.unanswered) <= 3
    assert all(number >= KILLED_AT for number in account.unanswered)
    # What has come late was refused, and in the last seconds nothing is late any more.
    assert {reason for _, reason in refused} <= {"stale_session", "expired"}
    assert all(0 < since_s < BACK_WITHIN_S for since_s, _ in refused)
    # Followed once each, in the order in which they were sent.
    numbers = [outcome.seq for outcome in account.done]
    assert numbers == sorted(set(numbers))
    assert ops.command("arm", within_s=20).st == "done"
    assert ops.command("stop").st == "done"
