"""What several files of system tests stand on; a file that needs another has one of its own."""

from collections.abc import Iterator

import pytest

from edge_agent.client import DeviceClient
from tests.system.plane_site import PlaneSite


@pytest.fixture(scope="module")
def site() -> Iterator[PlaneSite]:
    """A device that is commanded from afar, for all tests of one file."""
    with PlaneSite() as site:
        yield site.start()


@pytest.fixture(scope="module")
def ops(site: PlaneSite) -> DeviceClient:
    """Who may command it."""
    client = site.client()
    client.wait_online(20)
    return client
