"""The whole agent and its processes: stopped in good order, or killed."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from edge_agent.core.clock import NS_PER_S
from edge_agent.core.records import Mode
from tests.system.whole_agent import MAX_AGE_S, SAFE, Site, state_of

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
    assert state_of(gateway) in {"", "Z"}
    assert site.outputs()[-1][1] == SAFE
    report = site.end_mcu()
    assert report["outputs"] == SAFE
    assert report["safe_reason"] == "REQUESTED"  # told to, not by its own dead man


def _nothing_went_wrong(site: Site) -> bool:
    """Standard error holds changes of mode and of connections, and not a word more."""
    lines = site.err.read_text(encoding="utf-8").splitlines()
    return all(line.startswith(("edge-agent: mode=", "edge-agent: mqtt=")) for line in lines)


def test_ctrl_c_ends_safe_and_confirmed_and_is_told_to_the_end(moving: Site) -> None:
    site, gateway = moving, moving.gateway_pid()
    os.killpg(site.agent.pid, signal.SIGINT)  # as a terminal does
    _ends_well(site, gateway)
    assert site.broker_status() == {"on": False, "device": "air-handler", "reason": "stopped"}
    last = site.recorded()[-1]  # the gateway stays until all is said
    assert (last.mode, list(last.verdict.command)) == (Mode.SAFE, SAFE)
    assert _nothing_went_wrong(site)


def test_sigterm_to_all_at_once_ends_safe_and_confirmed(moving: Site) -> None:
    """As a service manager stops a unit: control and gateway get the signal together."""
    site, gateway = moving, moving.gateway_pid()
    for pid in (gateway, site.agent.pid):
        os.kill(pid, signal.SIGTERM)
    _ends_well(site, gateway)
    assert _nothing_went_wrong(site)


def test_a_lost_terminal_is_no_hindrance_and_a_hangup_is_a_stop(site: Site) -> None:
    site.start("broker", "mcu")
    site.start_agent("<&- >&- 2>&-")
    site.until_mode("ACTIVE")
    site.until_moving()
    gateway = site.gateway_pid()
    site.agent.send_signal(signal.SIGHUP)
    _ends_well(site, gateway)


def test_a_killed_gateway_is_started_again_while_control_goes_on(moving: Site) -> None:
    site, before, killed = moving, moving.control(), moving.gateway_pid()
    killed_s = site.kill(killed) / NS_PER_S
    modes = []  # (s since the kill, mode)

    def away() -> bool:
        modes.append((time.monotonic() - killed_s, site.control()["mode"]))
        return bool(site.control()["gateway_process"]["restarts"])

    site.until(away, "started again")
    assert state_of(killed) == ""  # reaped, no zombie
    site.until(lambda: site.status()["gateway"]["connected"], "connected again")
    control = site.until_mode("ACTIVE")["control"]
    assert control["gateway_process"]["restarts"] == 1
    assert control["gateway_process"]["last_exit"] == -signal.SIGKILL
    assert control["gateway_process"]["pid"] == site.gateway_pid() != killed
    assert {mode for after_s, mode in modes if after_s < MAX_AGE_S - 0.5} == {"ACTIVE"}
    # The microcontroller had a fresh command all the time: its dead man did not act.
    assert control["serial"]["device_state"] == "ARMED"
    assert control["serial"]["safe_count"] == before["serial"]["safe_count"]
    site.until(lambda: site.report().get("records"), "recording again")
    ticks = [tick.tick for tick in site.recorded()]
    assert ticks[0] < before["ticks"]["ticks"] < ticks[-1]
    assert len(ticks) == len(set(ticks))


def test_killed_control_is_safe_within_the_lease_and_takes_its_gateway_along(moving: Site) -> None:
    site, gateway = moving, moving.gateway_pid()
    killed_ns = site.kill(site.agent.pid)
    site.agent.wait()
    site.until(lambda: site.outputs()[-1][1] == SAFE, "pins safe")
    at_ns = site.outputs()[-1][0]
    assert at_ns - killed_ns <= LEASE_NS + NS_PER_S // 5
    site.until(lambda: state_of(gateway) in {"", "Z"}, "the gateway ends by itself")
    site.until(lambda: not site.broker_status()["on"], "the broker knows")
    assert site.end_mcu()["safe_reason"] == "DEAD_MAN"
