"""The C core is clean under the sanitizers, fully covered, and needs nothing around it."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edge_agent.safety.header import render
from tests.firmware import differential, histories, toolchain
from tests.firmware.twin_devices import ENVELOPES


def symbols(path: Path, *words: str) -> str:
    return subprocess.run(
        [toolchain.program("nm"), *words, path], capture_output=True, check=True, text=True
    ).stdout


def test_the_core_includes_no_library_and_calls_nothing(tmp_path: Path) -> None:
    twin = toolchain.build(tmp_path, render(ENVELOPES["wide"]))
    assert symbols(twin.folder / "envelope.o", "-u") == ""
    includes = [
        name
        for path in (toolchain.ENVELOPE, toolchain.DEVICE / "envelope.h")
        for name in re.findall(r"#include (\S+)", path.read_text(encoding="utf-8"))
    ]
    assert includes == ['"envelope.h"', "<stdbool.h>", "<stdint.h>", "ENVELOPE_LIMITS_H"]


def test_the_core_keeps_no_memory_of_its_own(tmp_path: Path) -> None:
    twin = toolchain.build(tmp_path, render(ENVELOPES["wide"]))
    kinds = {line.split()[-2] for line in symbols(twin.folder / "envelope.o").splitlines()}
    assert kinds <= {"t", "T", "r"}  # code and constants


def test_limits_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="name the limits of the device"):
        toolchain.compiled("-c", toolchain.ENVELOPE, folder=tmp_path)


@pytest.mark.parametrize("device", ENVELOPES)
def test_no_sanitizer_finds_anything(device: str, tmp_path: Path) -> None:
    envelope = ENVELOPES[device]
    twin = toolchain.build(tmp_path, render(envelope), toolchain.SANITIZED)
    found = symbols(twin.library, "-D")
    assert "__asan_report" in found
    assert "__ubsan_handle" in found
    rows = histories.rows(envelope, 20, seed=6)
    assert differential.difference(envelope, twin, rows) == ""


@pytest.mark.parametrize(
    ("word", "message"),
    [("overflow", "signed integer overflow"), ("access", "out of bounds")],
)
def test_a_planted_fault_stops_the_program(word: str, message: str, tmp_path: Path) -> None:
    source = toolchain.ROOT / "tests/firmware/planted_fault.c"
    words = (*toolchain.WARNINGS, *toolchain.SANITIZED)
    toolchain.compiled(*words, source, "-o", "planted", folder=tmp_path)
    done = subprocess.run([tmp_path / "planted", word], capture_output=True, check=False, text=True)
    assert done.returncode != 0
    assert message in done.stderr


def measured(folder: Path) -> list[dict[str, Any]]:
    """What gcov counted for every line of envelope.c."""
    done = subprocess.run(
        [toolchain.program("gcov"), "-b", "-t", "--json-format", "envelope.o"],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    files = {Path(f["file"]).name: f["lines"] for f in json.loads(done.stdout)["files"]}
    lines: list[dict[str, Any]] = files["envelope.c"]
    return lines


def test_every_line_and_branch_of_the_core_is_covered(tmp_path: Path) -> None:
    envelope = ENVELOPES["uneven"]
    twin = toolchain.build(tmp_path, render(envelope), toolchain.COVERED)
    rows = histories.rows(envelope, 60, seed=7)
    assert differential.difference(envelope, twin, rows) == ""
    lines = measured(tmp_path)
    branches = [(line["line_number"], b["count"]) for line in lines for b in line["branches"]]
    assert len(lines) > 100
    assert len(branches) > 100
    assert [line["line_number"] for line in lines if not line["count"]] == []
    assert [number for number, count in branches if not count] == []


def test_a_machine_without_the_compiler_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="apt-get install gcc libc6-dev"):
        toolchain.program("gcc")
