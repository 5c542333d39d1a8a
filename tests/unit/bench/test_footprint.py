"""The footprint is measured on the real processes, and every figure is a plausible one."""

import pytest

from bench.footprint import DEVICE, RATES_HZ, disk, measure, table
from bench.processes import ROOT, Subject
from edge_agent.inference.manifest import load_manifest
from edge_agent.safety import devices


@pytest.mark.xdist_group("bench")
def test_a_short_run_fills_every_row() -> None:
    envelope = devices.find(DEVICE)
    folder = ROOT / "models" / DEVICE
    found = measure(
        Subject(envelope, folder, folder / load_manifest(folder, envelope).file, 0), 0.3
    )
    assert [row["rate_hz"] for row in found["rates"]] == list(RATES_HZ)
    for row in found["rates"]:
        assert row["ticks"] > 0
        assert 20 < row["gateway_rss_mb"] < row["control_rss_mb"] < 200
        assert row["control_cpu_percent"] > 0
        assert row["both_pss_mb"] < row["control_rss_mb"] + row["gateway_rss_mb"]
    text = table(found)
    assert text.count("\n| ") == 7
    assert "start to first command on the wire" in text


def test_disk_counts_what_is_needed_at_run_time_and_nothing_else() -> None:
    sizes = disk()
    assert {"edge-autonomy", "onnxruntime", "numpy", "paho-mqtt", "protobuf"} < sizes.keys()
    assert not {"pytest", "ruff", "scipy"} & sizes.keys()
    assert sizes["all"] == sum(size for name, size in sizes.items() if name != "all")
    assert sizes["edge-autonomy"] > 500_000
