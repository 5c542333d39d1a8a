"""The device core is small, clean under the sanitizers, fully covered, and needs nothing."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edge_agent.app_firmware import limits_header
from edge_agent.core.errors import ConfigError
from edge_agent.safety.devices.air_handler import ENVELOPE
from firmware_bridge.frames import BadFrames
from tests.firmware import fuzz, replay, toolchain
from tests.unit.firmware_bridge.test_vectors import VECTORS

FEEDBACK = ("fan_current", "damper_position")
HEADER = toolchain.DEVICE / "limits_air_handler_mcu.h"
CORE = ("frame.c", "guard.c", "device.c")
KEYED_CORE = ("blake2s.c", "keyed.c")
# What no script reaches: the device takes no longer piece, no frame of the fuzzed one has sixteen
# values, and only the RFC's own tests hash without a key.
ELSEWHERE = {
    "frame.c: if (size > EB1_PIECE_MAX) {",
    "frame.c: return EB1_TOO_LONG;",
    "frame.c: if (count < 16) {",
    "frame.c: put_high_first(writer, count, 0xdc, 2);",
    "blake2s.c: if (key_size > 0) {",
}
CAUSES = (*BadFrames.__struct_fields__, "")
LIMITS = '-DENVELOPE_LIMITS_H="limits_air_handler_mcu.h"'
ARM = "-mcpu=cortex-m3 -mthumb -Os -fno-schedule-insns2 -fno-inline-functions-called-once".split()
FLASH_MAX = 4096
RAM_MAX = 2048
WITH_AND_WITHOUT_KEY = pytest.mark.parametrize(
    "more", [(), fuzz.KEYED], ids=["without a key", "with a key"]
)
# One variable each, as long as what it measures.
SIZES = """
#include "device.h"
uint8_t device_bytes[sizeof(eb1_device)];
uint8_t verdict_bytes[sizeof(envelope_verdict)];
uint8_t wire_bytes[EB1_TRANSMIT_MAX];
"""


def symbols(path: Path, tool: str = "nm") -> dict[str, int]:
    """Size of every symbol; an undefined one has none."""
    text = subprocess.run(
        [toolchain.program(tool), "-S", path], capture_output=True, check=True, text=True
    ).stdout
    rows = [line.split() for line in text.splitlines()]
    return {row[-1]: int(row[1], 16) if len(row) == 4 else 0 for row in rows}


def for_cortex_m3(folder: Path, source: Path, *more: str) -> Path:
    made = folder / "core.o"
    words = ["arm-none-eabi-gcc", *toolchain.WARNINGS, *ARM, "-ffreestanding"]
    words += [f"-I{toolchain.DEVICE}", LIMITS, *more, "-c", str(source), "-o", str(made)]
    done = subprocess.run(words, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    return made


def test_the_committed_limits_are_those_of_the_envelope() -> None:
    assert HEADER.read_text(encoding="utf-8") == limits_header(ENVELOPE, FEEDBACK), (
        "stale limits; write them anew: .venv/bin/edge-agent envelope header air-handler"
        f" --mcu {','.join(FEEDBACK)} > {HEADER.relative_to(toolchain.ROOT)}"
    )


def test_a_header_for_a_sensor_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="no sensor absent"):
        limits_header(ENVELOPE, ("absent",))


def test_flash_and_memory_are_within_the_budget_on_a_cortex_m3(tmp_path: Path) -> None:
    sizes = symbols(for_cortex_m3(tmp_path, toolchain.DEVICE / "eb1.c"), "arm-none-eabi-nm")
    flash = sum(sizes.values()) - sizes["envelope_restart"]  # not called: the linker drops it
    assert 3000 < flash <= FLASH_MAX
    source = tmp_path / "sizes.c"
    source.write_text(SIZES, encoding="utf-8")
    sizes = symbols(for_cortex_m3(tmp_path, source), "arm-none-eabi-nm")
    ram = sum(size for name, size in sizes.items() if name.endswith("_bytes"))
    assert 400 < ram <= RAM_MAX


@WITH_AND_WITHOUT_KEY
def test_the_core_calls_nothing_but_its_board(more: tuple[str, ...], tmp_path: Path) -> None:
    core = for_cortex_m3(tmp_path, toolchain.DEVICE / "eb1.c", *more)
    sizes = symbols(core, "arm-none-eabi-nm")
    missing = {name for name, size in sizes.items() if size == 0 and not name.startswith("$")}
    board = {"board_write_outputs", "board_lock", "board_unlock", "board_kick_watchdog"}
    assert missing == board | {"__aeabi_ldivmod"}  # the processor has no 64-bit division


@pytest.mark.parametrize("deadman_ms", [0, 501])
def test_a_dead_man_out_of_range_does_not_compile(deadman_ms: int, tmp_path: Path) -> None:
    words = (f"-I{toolchain.DEVICE}", LIMITS, f"-DEB1_DEADMAN_MS={deadman_ms}")
    with pytest.raises(AssertionError, match="the dead man must be 1 to 500 ms"):
        toolchain.compiled(*words, "-c", toolchain.DEVICE / "device.c", folder=tmp_path)


@WITH_AND_WITHOUT_KEY
def test_no_script_that_a_fuzzer_found_breaks_a_claim_or_wakes_a_sanitizer(
    more: tuple[str, ...], tmp_path: Path
) -> None:
    program = replay.build(tmp_path, (*toolchain.SANITIZED, *more))
    assert replay.scripts(program) > 100


def test_the_c_codec_judges_every_golden_frame_as_the_document_says(tmp_path: Path) -> None:
    program = replay.build(tmp_path, toolchain.SANITIZED)
    wanted = [(v["name"], "") for v in VECTORS["accept"]]
    wanted += [(v["name"], v["cause"]) for v in VECTORS["reject"]]
    judged = [(name, CAUSES[cause]) for name, cause in replay.causes(program, VECTORS)]
    assert judged == wanted


def measured(folder: Path, names: tuple[str, ...]) -> dict[str, list[dict[str, Any]]]:
    """What gcov counted, by file of the core."""
    done = subprocess.run(
        [toolchain.program("gcov"), "-b", "-t", "--json-format", "replay.o"],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    files = {Path(f["file"]).name: f["lines"] for f in json.loads(done.stdout)["files"]}
    return {name: files[name] for name in names}


def not_run(found: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Texts of lines that never ran, or of which a branch never did."""
    texts = {name: (toolchain.DEVICE / name).read_text("utf-8").splitlines() for name in found}
    return [
        f"{name}: {texts[name][line['line_number'] - 1].strip()}"
        for name, lines in found.items()
        for line in lines
        for count in (line["count"], *(branch["count"] for branch in line["branches"]))
        if not count
    ]


def test_scripts_and_golden_frames_run_every_line_and_branch_of_the_core(tmp_path: Path) -> None:
    program = replay.build(tmp_path, toolchain.COVERED)
    replay.scripts(program)
    replay.causes(program, VECTORS)
    found = measured(tmp_path, CORE)
    assert all(sum(len(line["branches"]) for line in lines) > 10 for lines in found.values())
    assert not_run(found) == []


def test_scripts_run_every_line_and_branch_of_the_core_with_a_key(tmp_path: Path) -> None:
    program = replay.build(tmp_path, (*toolchain.COVERED, *fuzz.KEYED))
    replay.scripts(program)
    assert set(not_run(measured(tmp_path, (*CORE, *KEYED_CORE)))) == ELSEWHERE


# One wrong character each, where the corpus and its claims must notice.
MUTANTS = (
    ("device.c", "shared->unfed_ms >= EB1_DEADMAN_MS", "shared->unfed_ms > EB1_DEADMAN_MS"),
    ("device.c", "shared->unfed_ms == EB1_LEASES_MS[i]", "shared->unfed_ms == 0"),
    ("device.c", "fresh = shared->state != EB1_SAFE &&", "fresh = true ||"),
    ("device.c", "fresh && shared->outputs[i] == seen->outputs[i]", "fresh"),
    ("device.c", "seen.state == EB1_ARMING && !enough", "seen.state == EB1_SAFE && !enough"),
    ("guard.c", "return wish > high ? high : wish;", "return wish;"),
    ("frame.c", "wire[code] = (uint8_t)(writer->at - code);", "wire[code] = 1;"),
)


@pytest.mark.xdist_group("mutants")
@pytest.mark.parametrize("mutant", range(len(MUTANTS)))
def test_a_wrong_core_is_noticed(mutant: int, tmp_path: Path) -> None:
    name, right, wrong = MUTANTS[mutant]
    for path in (*toolchain.DEVICE.glob("*.[ch]"), fuzz.SOURCE):
        text = path.read_text(encoding="utf-8")
        text = text.replace("../../firmware_bridge/device/", "")
        if path.name == name:
            assert text.count(right) == 1
            text = text.replace(right, wrong)
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    words = (*fuzz.words(tmp_path), "-O1", "-w", "-DREPLAY", f"-I{tmp_path}")
    toolchain.compiled(*words, "fuzz_device.c", "-o", "replay", folder=tmp_path)
    with pytest.raises(AssertionError, match="does not hold"):
        replay.scripts(tmp_path / "replay")
