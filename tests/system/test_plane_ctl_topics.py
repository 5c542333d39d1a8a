"""`edge-agent ctl` list, watch, events and desired, and the same from Python."""

import json
import signal
from collections.abc import Iterator

import pytest

from edge_agent.client import BrokerOptions, DeviceClient, FleetClient, Reported, Telemetry
from tests.system.plane_site import DEVICE, PlaneSite
from tests.system.test_plane_ctl import _ctl, _new_key

pytestmark = pytest.mark.xdist_group("whole-agent")


@pytest.fixture(scope="module")
def site() -> Iterator[PlaneSite]:
    with PlaneSite() as site:
        _new_key(site, "alice")
        site.keyring.unlink()
        (site.folder / f"{DEVICE}.keyring.json").rename(site.keyring)
        yield site.start()


@pytest.fixture(scope="module")
def device(site: PlaneSite) -> Iterator[DeviceClient]:
    from edge_agent.client.key_file import read_key

    options = read_key(site.folder / f"{DEVICE}.alice.key.json", "alice")
    with DeviceClient(options) as client:
        client.wait_online(20)
        yield client


def test_all_devices_are_listed_with_their_status(site: PlaneSite, device: DeviceClient) -> None:
    (row,) = json.loads(_ctl(site, "list", "--json").stdout)
    assert (row["id"], row["status"]["on"], row["telemetry"]["mode"]) == (DEVICE, True, "SAFE")
    text = _ctl(site, "list").stdout
    assert text.splitlines()[1].split() == [DEVICE, "taken", "SAFE", "0"]


def test_a_watcher_is_shown_telemetry_status_and_what_is_in_force(
    site: PlaneSite, device: DeviceClient
) -> None:
    lines = _ctl(site, "watch", "--json", "--for", "3").stdout.splitlines()
    kinds = [next(iter(json.loads(line))) for line in lines]
    assert {"status", "telemetry", "meta", "reported"} <= set(kinds)
    assert "telemetry" in _ctl(site, "watch", "--for", "2").stdout
    assert DEVICE in _ctl(site, "watch", "--all", "--for", "2").stdout


def test_events_that_a_named_listener_missed_are_there_when_it_is_back(
    site: PlaneSite, device: DeviceClient
) -> None:
    assert _ctl(site, "events", "--name", "log", "--for", "0.5").returncode == 0
    assert device.command("stop").st == "done"
    assert device.command("reset").st == "done"
    lines = _ctl(site, "events", "--name", "log", "--for", "2", "--json").stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert [(e["device"], e["kind"], e["data"]["to"]) for e in events] == [
        (DEVICE, "trip", "TRIPPED"),
        (DEVICE, "mode", "SAFE"),
    ]


def test_a_desired_state_is_set_and_read_and_a_bad_one_says_which_key(
    site: PlaneSite, device: DeviceClient
) -> None:
    done = _ctl(site, "desired", "set", "goal.supply_setpoint=16.5", "telemetry_rate_hz=5")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "in force: version 1"), done.stderr
    refused = _ctl(site, "desired", "set", "goal.supply_setpoint=95")
    assert refused.returncode == 1
    assert "400 envelope: " in refused.stdout
    got = json.loads(_ctl(site, "desired", "get", "--json").stdout)
    assert got["desired"]["ver"] == 2
    assert got["reported"]["ver"] == 1
    assert got["reported"]["keys"]["goal.supply_setpoint"] == {"v": 16.5, "ac": 200}
    old = _ctl(site, "desired", "set", "--ver", "1", "control=monitor")
    assert "refused: version 1, old_version" in old.stdout
    assert _ctl(site, "desired", "set").returncode == 0
    assert _ctl(site, "desired", "set", "monitor").returncode == 2


def test_the_same_from_python(site: PlaneSite, device: DeviceClient) -> None:
    device.hear(1.5)
    assert device.meta is not None
    assert [sensor.name for sensor in device.meta.sensors if sensor.goal] == ["supply_setpoint"]
    reported = device.set_desired({"goal.supply_setpoint": 17.0})
    assert isinstance(reported, Reported)
    assert reported.refused is None
    site.until(lambda: _setpoint(device) == 17.0, "telemetry shows it")
    refused = device.set_desired({"control": "drive"})
    assert refused.refused is not None
    assert refused.refused.keys["control"].ac == 422
    assert device.set_desired({}).refused is None


def _setpoint(device: DeviceClient) -> float | None:
    found = [said for said in device.listen(0.3) if isinstance(said, Telemetry)]
    return found[-1].values["supply_setpoint"] if found else None


def test_a_fleet_is_seen_whole_and_a_dead_device_is_shown(
    site: PlaneSite, device: DeviceClient
) -> None:
    options = BrokerOptions(host="127.0.0.1", port=site.broker.port)
    with FleetClient(options, ("status", "tele", "evt")) as fleet:
        site.until(lambda: list(fleet.listen(0.2)) and _sampled(fleet), "a sample")
        assert fleet.devices[DEVICE].missed == 0
        site.end_agent(signal.SIGKILL)
        site.until(
            lambda: list(fleet.listen(0.2)) and not fleet.devices[DEVICE].status["on"], "its end"
        )


def _sampled(fleet: FleetClient) -> bool:
    return fleet.devices[DEVICE].telemetry is not None
