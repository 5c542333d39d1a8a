"""Which envelopes can be named, and what an installed package may provide."""

import dataclasses
from pathlib import Path

import pytest

from edge_agent.core.errors import ConfigError
from edge_agent.safety import devices
from edge_agent.safety.devices.air_handler import ENVELOPE
from tests.unit.safety.lab import envelope

MODULE = """
import dataclasses
from tests.unit.safety.lab import envelope
LAB = envelope()
UNSOUND = dataclasses.replace(envelope(), device="unsound", actuators=())
NOT_ONE = {"device": "not-one"}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installed distribution that provides devices, good and bad."""
    (tmp_path / "lab_devices_for_test.py").write_text(MODULE, encoding="utf-8")
    info = tmp_path / "lab_devices_for_test-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: lab-devices-for-test\nVersion: 1\n", encoding="utf-8"
    )
    points = {
        "lab": "LAB",
        "unsound": "UNSOUND",
        "not-one": "NOT_ONE",
        "misnamed": "LAB",
        "absent": "ABSENT",
        "air-handler": "LAB",
    }
    lines = [f"{name} = lab_devices_for_test:{value}" for name, value in points.items()]
    (tmp_path / "incomplete_for_test.py").write_text(
        "from edge_agent.safety.limits import SafeAction\nLAB = SafeAction(counts=0)\n", "utf-8"
    )
    lines.append("incomplete = incomplete_for_test:LAB")
    lines.append("no-module = no_such_module_for_test:LAB")
    text = "\n".join(["[edge_agent.devices]", *lines, ""])
    (info / "entry_points.txt").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return "lab-devices-for-test"


def test_the_built_in_device_is_found_and_sound() -> None:
    assert devices.find("air-handler") is ENVELOPE
    assert "air-handler" in devices.names()


@pytest.mark.usefixtures("package")
def test_an_installed_package_adds_a_device() -> None:
    assert devices.find("lab") == envelope()
    assert {"lab", "air-handler"} <= set(devices.names())


@pytest.mark.usefixtures("package")
def test_an_installed_package_cannot_replace_a_built_in_device() -> None:
    assert devices.find("air-handler") is ENVELOPE


def test_an_unknown_device_is_refused_with_the_list() -> None:
    with pytest.raises(ConfigError, match=r"use one of: .*air-handler") as caught:
        devices.find("air-handles")
    assert caught.value.where == "device"


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("unsound", "no actuator"),
        ("not-one", "is not an Envelope but dict"),
        ("misnamed", "'misnamed' gives the envelope of 'lab'"),
        ("absent", "cannot be loaded"),
        ("incomplete", "missing 2 required keyword-only arguments"),
        ("no-module", "cannot be loaded: No module named"),
    ],
)
def test_a_bad_installed_device_is_a_configuration_error(device: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        devices.find(device)


def test_the_hash_covers_every_limit() -> None:
    changed = dataclasses.replace(ENVELOPE, version=99)
    assert changed.sha256() != ENVELOPE.sha256()
    assert ENVELOPE.sha256() == dataclasses.replace(ENVELOPE).sha256()
