"""The whole agent as it runs at a site, and what it does when a part of it fails."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.system.whole_agent import SAFE, Site


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as made:
        yield made


@pytest.fixture
def active(site: Site) -> Site:
    """Everything runs and the policy decides."""
    site.start("broker", "mcu", "agent")
    site.until_mode("ACTIVE")
    return site


def test_without_a_broker_control_runs_and_is_active_once_it_comes(site: Site) -> None:
    site.start("mcu", "agent")
    site.until(lambda: site.report().get("mqtt.connect_failures"), "an attempt in vain")
    command = [sys.executable, "-m", "edge_agent", "status", "--json", "--state-dir"]
    asked = subprocess.run(
        [*command, str(site.state)], capture_output=True, text=True, check=True, timeout=20
    )
    control = json.loads(asked.stdout)["control"]
    assert control["mode"] == "ARMING"
    assert control["serial"]["device_state"] == "SAFE"
    site.start("broker")
    site.until_mode("ACTIVE")
    assert site.alive()


def _moved(site: Site) -> bool:
    return site.outputs()[-1][1] != SAFE
