"""`edge-agent run` without a configuration: the whole service on a laptop."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_agent.core.errors import PortError
from edge_agent.core.records import Mode
from edge_agent.gateway.control_socket import query_status
from edge_agent.recording.reader import SegmentReader, segments
from tests.system.mqtt_peer import wait_until


def run_until(
    condition: Callable[[dict[str, Any]], bool], what: str, folder: Path, *options: str
) -> tuple[dict[str, Any], str]:
    """`edge-agent run` until its status is so, then a stop in good order: the status, and what it
    said."""
    control: dict[str, Any] = {}

    def reached() -> bool:
        try:
            control.update(query_status(folder / "run" / "control.sock", 1.0)["control"])
        except PortError:
            return False
        return condition(control)

    words = [sys.executable, "-m", "edge_agent", "run", "--state-dir", str(folder), *options]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(reached, what, timeout_s=30)
        finally:
            process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    return control, err


def test_run_without_a_configuration_drives_a_simulated_plant_in_real_time(tmp_path: Path) -> None:
    control, err = run_until(
        lambda status: status.get("mode") == "ACTIVE",
        "ACTIVE on simulated hardware",
        tmp_path,
        "--arm",
    )
    assert "simulated hardware" in err
    assert control["world"]["hardware"] == "simulated"
    assert "warming" not in control
    assert control["channels"]["outdoor_temperature"]["quality"] == "GOOD"
    ticks = [tick for path in segments(tmp_path / "recordings") for tick in SegmentReader(path)]
    assert Mode.ACTIVE in {tick.mode for tick in ticks}
    assert [tick.tick for tick in ticks] == list(range(len(ticks)))  # from the very first
    assert ticks[-1].mode == Mode.SAFE


def test_a_run_that_warms_says_so_in_its_status(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text("[loop]\nrate_hz = 20.0\nwarm_before_us = 5000\n", encoding="utf-8")
    control, _ = run_until(
        lambda status: status.get("warming", {}).get("runs", 0) > 10,
        "warming runs",
        tmp_path,
        f"--config={config}",
    )
    assert control["warming"]["lead_us"] == 5000
    assert control["warming"]["takes_us"] > 0
    assert control["ticks"]["missed_deadlines"] <= control["ticks"]["ticks"] // 10
