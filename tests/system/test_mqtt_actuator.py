"""An actuator behind the broker: driven, and safe within its lease whoever vanishes."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.system.mqtt_peer import MqttPeer
from tests.system.plug_site import COMMAND, LEASE_S, STATE, TIMEOUT_S, PlugSite

SLACK_S = 0.5  # what a busy machine adds


@pytest.fixture
def heating() -> Iterator[PlugSite]:
    """The agent is in control of a cold room, and the heater is on."""
    with PlugSite() as site:
        site.until_plug("ON")
        yield site


def test_it_is_switched_kept_on_by_fresh_decisions_and_off_when_warm(heating: PlugSite) -> None:
    site, on_s = heating, heating.changes[-1][0]
    site.until(lambda: time.monotonic() - on_s > 2 * TIMEOUT_S, "longer than its own timer")
    assert site.plug == "ON"
    assert len(site.changes) == 1
    site.room = 25.0
    site.until_plug("OFF")
    site.until(lambda: site.control()["channels"]["heater"]["value"] == 0.0, "told")
    assert site.control()["mode"] == "ACTIVE"
    with MqttPeer(site.broker.port, COMMAND, STATE) as late:  # nothing is retained
        late.publish(STATE, "OFF")
        site.until(lambda: late.received, "its own message")
        assert not any(retained for _, _, retained in late.received)


def test_a_stop_switches_it_off_and_waits_for_its_word(heating: PlugSite) -> None:
    heating.agent.send_signal(signal.SIGTERM)
    heating.until(lambda: heating.agent.poll() is not None, "stopped")
    assert (heating.agent.returncode, heating.plug) == (0, "OFF")
    assert heating.peer.payloads(COMMAND)[-1] == b"OFF"


def test_a_killed_control_process_leaves_it_off_within_the_lease(heating: PlugSite) -> None:
    heating.agent.kill()
    killed_s = time.monotonic()
    assert heating.until_plug("OFF") - killed_s <= LEASE_S + SLACK_S


def test_a_stopped_control_process_is_not_spoken_for_by_the_gateway(heating: PlugSite) -> None:
    site = heating
    os.kill(site.agent.pid, signal.SIGSTOP)
    stopped_s = time.monotonic()
    assert site.until_plug("OFF") - stopped_s <= LEASE_S + SLACK_S
    said = len(site.peer.payloads(COMMAND))
    site.until(lambda: time.monotonic() - stopped_s > 2 * LEASE_S, "long silence")
    assert len(site.peer.payloads(COMMAND)) == said
    os.kill(site.agent.pid, signal.SIGCONT)


def test_a_killed_gateway_is_a_lost_link(heating: PlugSite) -> None:
    site = heating
    os.kill(site.gateway_pid(), signal.SIGSTOP)
    stopped_s = time.monotonic()
    assert site.until_plug("OFF") - stopped_s <= LEASE_S + SLACK_S
    site.until(lambda: site.control()["mode"] == "RAMPING", "control knows")
    os.kill(site.gateway_pid(), signal.SIGKILL)
    site.until_plug("ON")  # a new gateway, and the dwell is over


def test_a_plug_that_says_nothing_is_not_driven(heating: PlugSite) -> None:
    site = heating
    site.speaks = False
    site.until(lambda: site.control()["mode"] == "RAMPING", "control knows")
    site.until_plug("OFF")
    site.speaks = True
    site.until_plug("ON")


def test_a_plug_that_somebody_else_switches_trips(heating: PlugSite) -> None:
    site = heating
    with MqttPeer(site.broker.port) as other:
        seen = time.monotonic()

        def tripped() -> bool:
            nonlocal seen
            if time.monotonic() - seen > 0.05:
                seen = time.monotonic()
                other.offer(STATE, "OFF")
            return bool(site.control()["mode"] == "TRIPPED")

        site.speaks = False
        site.until(tripped, "it is noticed")
    assert "does not follow" in site.control()["cause"]
    site.until_plug("OFF")
