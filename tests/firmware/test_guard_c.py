"""The guard in C answers as the law over the Python envelope does, for every history."""

from array import array
from pathlib import Path

import pytest

from edge_agent.app_firmware import limits_header
from edge_agent.safety.margin import guarded
from tests.firmware import guard_law, toolchain
from tests.firmware.twin_devices import ENVELOPES

HISTORIES = {"air-handler": 60, "uneven": 120, "wide": 6, "extreme": 60, "bare": 60}
DRIVER = toolchain.ROOT / "tests/firmware/guard_driver.c"
SOURCES = (DRIVER, toolchain.DEVICE / "guard.c", toolchain.ENVELOPE)


def built(device: str, folder: Path) -> toolchain.Twin:
    """The driver over a guard for a device that measures every sensor itself."""
    envelope = ENVELOPES[device]
    limits = limits_header(envelope, tuple(sensor.name for sensor in envelope.sensors))
    (folder / "limits.h").write_text(limits, encoding="utf-8")
    where = (f"-I{folder}", f"-I{toolchain.DEVICE}", '-DENVELOPE_LIMITS_H="limits.h"')
    twin = toolchain.Twin(folder, folder / "driver", folder / "driver")
    words = (*toolchain.WARNINGS, *toolchain.PLAIN, *where)
    toolchain.compiled(*words, *SOURCES, "-o", twin.driver, folder=folder)
    return twin


@pytest.mark.parametrize("device", ENVELOPES)
def test_both_guards_agree_on_every_number(device: str, tmp_path: Path) -> None:
    envelope = ENVELOPES[device]
    held = guarded(envelope, tuple(sensor.name for sensor in envelope.sensors))
    made = guard_law.history(held, HISTORIES[device], seed=1)
    says = array("q")
    says.frombytes(toolchain.run(built(device, tmp_path), made.rows.tobytes()))
    assert says == made.answers
