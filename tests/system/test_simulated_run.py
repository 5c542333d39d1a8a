"""`edge-agent run` without a configuration: the whole service on a laptop."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from edge_agent.core.errors import PortError
from edge_agent.core.records import Mode
from edge_agent.gateway.control_socket import query_status
from edge_agent.recording.reader import SegmentReader, segments
from tests.system.mqtt_peer import wait_until


def test_run_without_a_configuration_drives_a_simulated_plant_in_real_time(tmp_path: Path) -> None:
    control: dict[str, Any] = {}

    def active() -> bool:
        try:
            control.update(query_status(tmp_path / "run" / "control.sock", 1.0)["control"])
        except PortError:
            return False
        return control.get("mode") == "ACTIVE"

    words = [sys.executable, "-m", "edge_agent", "run", "--arm", "--state-dir", str(tmp_path)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(active, "ACTIVE on simulated hardware", timeout_s=30)
        finally:
            process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "simulated hardware" in err
    assert control["world"]["hardware"] == "simulated"
    assert control["channels"]["outdoor_temperature"]["quality"] == "GOOD"
    ticks = [tick for path in segments(tmp_path / "recordings") for tick in SegmentReader(path)]
    assert Mode.ACTIVE in {tick.mode for tick in ticks}
    assert [tick.tick for tick in ticks] == list(range(len(ticks)))  # from the very first
    assert ticks[-1].mode == Mode.SAFE
