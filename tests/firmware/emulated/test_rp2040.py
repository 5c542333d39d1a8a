"""The Pico's firmware, as far as it goes without the Pico SDK."""

import subprocess
from pathlib import Path

from tests.firmware.emulated.images import TARGETS, rp2040_parts


def test_core_and_board_compile_and_need_nothing_but_the_port_and_the_compiler(
    tmp_path: Path,
) -> None:
    parts = rp2040_parts(tmp_path)
    words = ["arm-none-eabi-nm", "--undefined-only", str(parts)]
    listing = subprocess.run(words, capture_output=True, check=True, text=True).stdout
    needed = {line.split()[-1] for line in listing.splitlines()}
    ported = {name for name in needed if name.startswith("port_")}
    assert {n for n in needed - ported if not n.startswith("__")} <= {"memcpy", "memset"}
    sdk = (TARGETS / "rp2040/port_sdk.c").read_text(encoding="utf-8")
    assert all(f" {name}(" in sdk for name in ported)
