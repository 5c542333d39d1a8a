"""What grows is found, as the kernel counts it, and what only wavers is not."""

import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.census import named, of_folder, of_process
from bench.growth import SAMPLES_MIN, Kind, Rule, Sample, judge

# A step of it for each line on its standard input; it answers with a line.
LEAKY = """
import os, sys, threading
kind, folder = sys.argv[1:]
kept, never = [], threading.Event()
for number, _line in enumerate(sys.stdin):
    if kind == "memory":
        kept.append(b"x" * 16_384)
    elif kind == "descriptors" and number == 18:
        os.open(os.devnull, os.O_RDONLY)
    elif kind == "threads" and number == 18:
        threading.Thread(target=never.wait, daemon=True).start()
    elif kind == "files":
        open(os.path.join(folder, str(number)), "w").close()
    elif kind == "bytes":
        with open(os.path.join(folder, "one"), "a") as file:
            file.write("x" * 1000)
    print(flush=True)
"""
STEPS, STEP_S = 24, 150.0  # an hour of injected time
RULES = (
    Rule("process.own_kb", Kind.SLOPE, 256),
    Rule("process.threads", Kind.STEADY, 0),
    Rule("process.descriptors", Kind.STEADY, 0),
    Rule("folder.files", Kind.STEADY, 0),
    Rule("folder.bytes", Kind.CAPPED, 20_000),
)


@pytest.mark.parametrize(
    ("kind", "grown"),
    [
        ("nothing", []),
        ("memory", ["process.own_kb"]),
        ("descriptors", ["process.descriptors"]),
        ("threads", ["process.threads"]),
        ("files", ["folder.files"]),
        ("bytes", ["folder.bytes"]),
    ],
)
def test_a_planted_leak_is_found_and_only_that(kind: str, grown: list[str], tmp_path: Path) -> None:
    samples = []
    command = [sys.executable, "-c", LEAKY, kind, str(tmp_path)]
    pipes = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipes, stdout=pipes, text=True, bufsize=1) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for number in range(STEPS):
            child.stdin.write("\n")
            child.stdout.readline()
            figures = {
                **named("process", of_process(child.pid)),
                **named("folder", of_folder(tmp_path)),
            }
            samples.append(Sample(number * STEP_S, figures))
        child.kill()
    assert [f.rule.name for f in judge(samples, RULES) if f.grew] == grown


def _found(values: Sequence[float], kind: Kind, most: float = 0.0) -> tuple[float, bool]:
    samples = [Sample(i * 360.0, {"it": v}) for i, v in enumerate(values)]  # type: ignore[dict-item] # a float stands for a broken count
    (finding,) = judge(samples, [Rule("it", kind, most)])
    return finding.found, finding.grew


def test_the_slope_is_per_hour() -> None:
    rising = range(1000, 1180, 10)
    assert _found(rising, Kind.SLOPE, 100.0) == (100.0, False)
    assert _found(rising, Kind.SLOPE, 99.9) == (100.0, True)


def test_what_fills_in_the_warm_up_is_no_growth() -> None:
    assert _found([*range(10), *[10] * 10], Kind.STEADY) == (0.0, False)
    assert _found([*range(10), *[10] * 10], Kind.SLOPE) == (0.0, False)


def test_odd_samples_are_no_slope() -> None:
    flat = [1000] * 20
    flat[7] = flat[12] = flat[19] = 9000
    assert _found(flat, Kind.SLOPE) == (0.0, False)


def test_a_count_that_dips_is_steady_and_one_that_stays_up_is_not() -> None:
    dips = [7] * 20
    dips[6] = dips[18] = 3
    assert _found(dips, Kind.STEADY) == (0.0, False)
    assert _found([7] * 14 + [8] * 6, Kind.STEADY) == (1.0, True)


def test_a_cap_holds_in_the_warm_up_too() -> None:
    assert _found([9, *[1] * 19], Kind.CAPPED, 8.0) == (9.0, True)


def test_what_is_no_number_is_growth() -> None:
    assert _found([math.nan] * 20, Kind.SLOPE, 100.0)[1]


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 18"):
        judge([Sample(float(i), {}) for i in range(SAMPLES_MIN - 1)], [])


def test_memory_that_is_not_the_processs_own_is_no_growth(tmp_path: Path) -> None:
    """Pages of a mapped file are the kernel's to take back."""
    file = tmp_path / "large"
    file.write_bytes(b"x" * 8_000_000)
    code = f"import mmap; f = open({str(file)!r}, 'rb'); m = mmap.mmap(f.fileno(), 0, prot=1)"
    code += "; print(flush=True); input(); sum(m[::4096]); print(flush=True); input()"
    pipes = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipes, stdout=pipes) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        before = of_process(child.pid)
        child.stdin.write(b"\n")
        child.stdin.flush()
        child.stdout.readline()
        after = of_process(child.pid)
        child.kill()
    assert after["resident_kb"] - before["resident_kb"] > 7_000
    assert after["own_kb"] - before["own_kb"] < 500
