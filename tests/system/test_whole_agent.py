"""The whole agent as it runs at a site: broker, serial line and payloads fail, it goes on."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from edge_agent.core.clock import NS_PER_S
from tests.system.whole_agent import FED, MAX_AGE_S, SAFE, Site

LEASE_NS = NS_PER_S // 2
# (payload, what `status` calls it). The channel's format is JSON with a path.
ZOO = (
    (b"\xff\xfe\x00\x80garbage", "not_text"),
    (b"#VALUE!", "not_json"),
    (b"x" * 10_000_000, "too_large"),
    (b'{"air": {"celsius": NaN}}', "not_finite"),
    (b'{"air": {"celsius": "warm"}}', "not_a_number"),
    (b"[" * 60_000, "too_deep"),
    (b'{"air": 1}', "path_missing"),
    (b"", "empty"),
)


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
    site.until(lambda: site.control()["serial"]["device_state"] == "ARMED", "the MCU is there")
    command = [sys.executable, "-m", "edge_agent", "status", "--json", "--state-dir"]
    asked = subprocess.run(
        [*command, str(site.state)], capture_output=True, text=True, check=True, timeout=20
    )
    assert json.loads(asked.stdout)["control"]["mode"] == "ARMING"
    site.start("broker")
    site.until_mode("ACTIVE")
    assert site.alive()


def test_without_the_broker_control_goes_on_until_the_sensors_are_too_old(active: Site) -> None:
    """Some seconds show a minute: of an outage, control knows only the age of each sensor.

    The sensors' limit is 2 s here instead of 150, so both sides of it are seen; how far the
    pauses between attempts grow is shown by tests/unit/gateway/test_backoff.py.
    """
    site, ticks_before = active, active.control()["ticks"]["ticks"]
    site.until_moving()
    site.broker.stop()
    gone_s = time.monotonic()
    site.until(lambda: site.control()["mode"] != "ACTIVE", "the age limit acts")
    away_s = time.monotonic() - gone_s
    assert MAX_AGE_S - 0.5 <= away_s <= MAX_AGE_S + 1.5  # fed each 0.2 s, shown once a second
    control = site.until_mode("RAMPING")["control"]
    # The broker ends between two messages of a round: which sensor is the oldest is chance.
    sensor, _, why = control["cause"].partition(" is stale: ")
    assert sensor in FED, control["cause"]
    assert f"(limit {MAX_AGE_S} s)" in why
    assert control["ticks"]["ticks"] > ticks_before + 8 * away_s
    assert site.report()["mqtt.disconnects"] == 1
    site.start("broker")
    site.until(lambda: site.outputs()[-1][1] == SAFE, "outputs are safe")
    site.until_mode("ACTIVE", within_s=40)
    assert site.report()["mqtt.connects"] == 2
    assert len(site.telemetry()) > 10
    assert site.ticks_seen_twice() == 0


def test_an_absent_serial_port_is_reported_and_found_later(site: Site) -> None:
    site.start("broker", "agent")
    site.until(lambda: site.report().get("sensor.occupancy.good"), "sensors flow")
    control = site.until_mode("ARMING")["control"]
    assert control["serial"]["state"] == "closed"
    assert control["serial"]["open_failures"] >= 1
    assert "No such file" in control["serial"]["fault"]
    site.start("mcu")
    site.until_mode("ACTIVE")


def test_an_unplugged_serial_port_is_safe_reported_and_recovered(active: Site) -> None:
    site = active
    site.until_moving()
    site.tell_mcu("unplug")
    unplugged_ns = time.monotonic_ns()
    control = site.until_mode("RAMPING")["control"]
    assert control["serial"]["state"] == "closed"
    assert control["serial"]["unplugged"] == 1
    assert control["serial"]["fault"]
    at_ns, outputs = site.outputs()[-1]
    assert outputs == SAFE
    assert at_ns - unplugged_ns <= LEASE_NS + NS_PER_S // 5
    site.tell_mcu("replug")
    control = site.until_mode("ACTIVE")["control"]
    assert control["serial"]["reconnects"] == 1
    assert control["serial"]["device_state"] == "ARMED"


def test_no_payload_ends_the_agent_or_touches_another_channel(site: Site) -> None:
    site.start("broker")
    operator, topic = site.peer(), "ahu/outdoor_temperature"
    good = site.fed.pop("outdoor_temperature")
    operator.publish(topic, good, retain=True)  # of unknown age once it is delivered
    site.start("mcu", "agent")
    site.until(lambda: _stale_retained(site), "the retained value is counted")
    assert _mode_and_doubt(site) == ("ARMING", {"outdoor_temperature": "MISSING"})
    only_it = ("HOLDING", {"outdoor_temperature": "INVALID"})
    for payload, _ in ZOO:
        operator.publish(topic, good)
        site.until(lambda: _mode_and_doubt(site) == ("ACTIVE", {}), "good again")
        operator.publish(topic, payload)
        site.until(lambda: _mode_and_doubt(site) == only_it, f"{payload[:20]!r} is INVALID")
    operator.publish(topic, good)
    site.until(lambda: _mode_and_doubt(site) == ("ACTIVE", {}), "good at the end")
    named = {f"sensor.outdoor_temperature.{cause}": 1 for _, cause in ZOO}
    site.until(lambda: named.items() <= site.report().items(), "each is named in status")
    assert site.report()["mqtt.disconnects"] == 0
    assert site.control()["channels"]["outdoor_temperature"]["value"] == 12.5


def _stale_retained(site: Site) -> object:
    return site.report().get("sensor.outdoor_temperature.stale_retained")


def _mode_and_doubt(site: Site) -> tuple[str, dict[str, str]]:
    last = site.telemetry()[-1]
    doubtful = {k: v for k, v in last["doubtful"].items() if k in site.fed or k.startswith("out")}
    return last["mode"], doubtful
