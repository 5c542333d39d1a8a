"""A device and its plane on three brokers, of which one dies: `make test-clusters`.

The tests of the plane's client that need one broker only are run as they are, on each engine;
then the node of device and client is killed in the middle of commands.
"""

import signal
import time
from collections.abc import Iterator
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

COMMANDS = 300
KILLED_AT = 100
BACK_WITHIN_S = 30.0


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


def test_a_node_is_killed_and_every_command_is_answered_or_known(
    site: PlaneSite, ops: DeviceClient
) -> None:
    """A client that got no answer comes again under another name: on RabbitMQ what a client of
    MQTT 3.1.1 with a clean session subscribed to stays on the dead node, under its name."""
    assert isinstance(site.broker, ClusterBroker)
    killed_s = gap_s = 0.0
    unanswered: list[int] = []
    outcomes: list[Outcome] = []
    for number in range(COMMANDS):
        if number == KILLED_AT:
            site.broker.cluster.kill(0)
            killed_s = time.monotonic()
        outcome = _asked(ops, number)
        if outcome is None:
            unanswered.append(number)
            assert time.monotonic() - killed_s < BACK_WITHIN_S, "nobody answers any more"
            ops = site.client()
            continue
        outcomes.append(outcome)
        if killed_s and not gap_s:
            gap_s = time.monotonic() - killed_s
    print(f"\nfirst answer {gap_s:.2f} s after the kill; unanswered: {unanswered}")
    assert {(outcome.st, outcome.reason) for outcome in outcomes} == {("done", "")}
    assert len(unanswered) <= 3
    assert all(number >= KILLED_AT for number in unanswered)
    # Followed once each, in the order in which they were sent.
    numbers = [outcome.seq for outcome in outcomes]
    assert numbers == sorted(set(numbers))
    assert ops.command("arm", within_s=20).st == "done"
    assert ops.command("stop").st == "done"
