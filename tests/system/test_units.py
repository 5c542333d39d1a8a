"""The units that ship, read by systemd's own judges. `make test-service` boots them."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from edge_agent import loop
from edge_agent.config import LoopConfig
from edge_agent.core.clock import NS_PER_S
from edge_agent.core.errors import EXIT_CONFIG
from edge_agent.gateway.metrics_settings import MetricsSettings

DEPLOY = Path(__file__).parents[2] / "deploy"
CONTROL, GATEWAY = "edge-agent.service", "edge-agent-gateway.service"
PROGRAM = "/opt/edge-agent/bin/edge-agent"
# Exposure times ten, as `systemd-analyze security` counts it: 0 is none, 100 is an open door.
EXPOSURE_MAX: Mapping[str, int] = MappingProxyType({CONTROL: 15, GATEWAY: 20})


def installed(name: str, folder: Path, before: str = "", after: str = "") -> Path:
    """A copy whose program exists on this machine, with one line changed if told."""
    text = (DEPLOY / "systemd" / name).read_text(encoding="utf-8")
    assert before in text
    unit = folder / name
    unit.write_text(text.replace(before, after, 1).replace(PROGRAM, "/bin/true"), encoding="utf-8")
    return unit


def verify(unit: Path) -> int:
    command = ["systemd-analyze", "verify", "--recursive-errors=no", "--man=no", str(unit)]
    return subprocess.run(command, check=False, capture_output=True).returncode


def exposure_is_below(unit: Path, threshold: int) -> bool:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={threshold}"]
    return subprocess.run([*command, unit], check=False, capture_output=True).returncode == 0


def settings(name: str) -> dict[str, list[str]]:
    """Every value of every key, in order."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd" / name).read_text(encoding="utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("name", [CONTROL, GATEWAY])
def test_a_unit_has_no_line_that_systemd_does_not_know(name: str, tmp_path: Path) -> None:
    assert verify(installed(name, tmp_path)) == 0


def test_a_line_that_systemd_does_not_know_is_found(tmp_path: Path) -> None:
    assert verify(installed(CONTROL, tmp_path, "PrivateNetwork=", "PrivateNetwrk=")) != 0


@pytest.mark.parametrize("name", [CONTROL, GATEWAY])
def test_a_unit_is_exposed_no_more_than_it_may_be(name: str, tmp_path: Path) -> None:
    assert exposure_is_below(installed(name, tmp_path), EXPOSURE_MAX[name])


def test_a_unit_that_is_opened_up_is_found(tmp_path: Path) -> None:
    opened = installed(CONTROL, tmp_path, "CapabilityBoundingSet=\n", "")
    assert not exposure_is_below(opened, EXPOSURE_MAX[CONTROL])


@pytest.mark.parametrize("name", [CONTROL, GATEWAY])
def test_a_process_is_supervised_by_its_progress_and_not_root(name: str) -> None:
    unit = settings(name)
    assert unit["Type"] == ["notify"]
    assert unit["NotifyAccess"] == ["main"]
    assert unit["User"][0].startswith("edge-agent")
    assert str(EXIT_CONFIG) in unit["RestartPreventExitStatus"][0].split()
    assert unit["Restart"] == ["on-failure"]


def test_the_control_process_has_no_network_and_serial_ports_only() -> None:
    unit = settings(CONTROL)
    assert unit["PrivateNetwork"] == ["yes"]
    assert unit["RestrictAddressFamilies"] == ["AF_UNIX"]
    assert unit["DevicePolicy"] == ["closed"]
    assert unit["DeviceAllow"] == ["char-ttyACM rw", "char-ttyUSB rw"]


def test_the_gateway_has_no_device_and_writes_only_what_is_its_own() -> None:
    unit = settings(GATEWAY)
    assert unit["PrivateDevices"] == ["yes"]
    assert not {"DeviceAllow", "SupplementaryGroups", "ReadWritePaths"} & unit.keys()
    assert unit["StateDirectory"] == ["edge-agent/recordings edge-agent/outbox"]
    assert unit["User"] != settings(CONTROL)["User"]


def test_the_gateway_can_listen_on_the_default_port_of_its_metrics_alone() -> None:
    unit = settings(GATEWAY)
    assert unit["SocketBindDeny"] == ["any"]
    assert unit["SocketBindAllow"] == [f"ipv4:tcp:{MetricsSettings().port}"]


def test_outputs_are_made_safe_whatever_ended_the_control_process() -> None:
    unit = settings(CONTROL)
    assert unit["ExecStopPost"] == [f"{PROGRAM} safe"]
    assert "-" not in unit["ExecStopPost"][0][:1]  # a stop that was not confirmed is a failed one


def test_times_fit_the_loop() -> None:
    unit = settings(CONTROL)
    slowest_period_s = 1.0  # rate_hz is at least 1
    assert LoopConfig().rate_hz >= 1.0 / slowest_period_s
    assert float(unit["WatchdogSec"][0]) / 4 > slowest_period_s
    leaving_s = (loop.STOP_WITHIN_NS + loop.CONFIRM_WITHIN_NS) / NS_PER_S
    assert float(unit["TimeoutStopSec"][0]) > leaving_s + 5.0
