"""The whole agent and its processes: stopped in good order, or killed."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.core.clock import NS_PER_S
from tests.system.whole_agent import MAX_AGE_S, SAFE, Site, ended

LEASE_NS = NS_PER_S // 2
STOP_WITHIN_S = 30


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as made:
        yield made


@pytest.fixture
def moving(site: Site) -> Site:
    """Everything runs, and the outputs are away from safe."""
    site.start("broker", "mcu", "agent")
    site.until_mode("ACTIVE")
    site.until_moving()
    return site


def _ends_well(site: Site, gateway: int) -> None:
    site.until(lambda: not site.alive(), "stopped", STOP_WITHIN_S)
    assert site.agent.returncode == 0, site.err.read_text(encoding="utf-8")
    assert ended(gateway)
    assert site.outputs()[-1][1] == SAFE
    report = site.end_mcu()
    assert report["outputs"] == SAFE
    assert report["safe_reason"] == "REQUESTED"  # told to, not by its own dead man


def test_ctrl_c_ends_safe_and_confirmed_and_is_told_to_the_end(moving: Site) -> None:
    site, gateway = moving, moving.gateway_pid()
    os.killpg(site.agent.pid, signal.SIGINT)  # as a terminal does
    _ends_well(site, gateway)
    assert site.broker_status() == {"on": False, "device": "air-handler", "reason": "stopped"}
    last = site.telemetry()[-1]
    assert (last["mode"], set(last["command"].values())) == ("SAFE", {0.0})
    assert site.err.read_text(encoding="utf-8") == ""


def test_sigterm_to_all_at_once_ends_safe_and_confirmed(moving: Site) -> None:
    """As a service manager stops a unit: control and gateway get the signal together."""
    site, gateway = moving, moving.gateway_pid()
    for pid in (gateway, site.agent.pid):
        os.kill(pid, signal.SIGTERM)
    _ends_well(site, gateway)
    assert site.err.read_text(encoding="utf-8") == ""


def test_closed_standard_streams_are_no_hindrance(site: Site) -> None:
    site.start("broker", "mcu")
    site.start_agent("<&- >&- 2>&-")
    site.until_mode("ACTIVE")
    site.until_moving()
    gateway = site.gateway_pid()
    site.agent.terminate()
    _ends_well(site, gateway)


def test_a_killed_gateway_is_started_again_while_control_goes_on(moving: Site) -> None:
    site, ticks = moving, moving.control()["ticks"]["ticks"]
    killed_ns = site.kill(site.gateway_pid())
    site.until(lambda: _gateway(site).get("restarts") == 1, "restarted")
    assert _gateway(site)["last_exit"] == -signal.SIGKILL
    site.until(lambda: site.status()["gateway"]["connected"], "connected again")
    away_s = (time.monotonic_ns() - killed_ns) / NS_PER_S
    assert site.control()["ticks"]["ticks"] > ticks
    if away_s < MAX_AGE_S:
        assert site.control()["mode"] == "ACTIVE"
    site.until_mode("ACTIVE")
    assert site.report()["mqtt.state"] == "connected"
    assert _zombies(site.agent.pid) == []
    assert ended_states(site) == "ARMED"


def test_killed_control_is_safe_within_the_lease_and_takes_its_gateway_along(moving: Site) -> None:
    site, gateway = moving, moving.gateway_pid()
    killed_ns = site.kill(site.agent.pid)
    site.agent.wait()
    site.until(lambda: site.outputs()[-1][1] == SAFE, "pins safe")
    at_ns = site.outputs()[-1][0]
    assert at_ns - killed_ns <= LEASE_NS + NS_PER_S // 10
    site.until(lambda: ended(gateway), "the gateway ends by itself")
    site.until(lambda: not site.broker_status()["on"], "the broker knows")
    assert site.end_mcu()["safe_reason"] == "DEAD_MAN"
