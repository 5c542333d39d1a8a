"""Seeks scripts that break the device core, with libFuzzer, ASan and UBSan.

    python -m tests.firmware.fuzz --seconds 600

Owns: the device that is fuzzed (every part of a guard: dwell, interlocks, exclusives, a lease
shorter than the dead man), the build, and the corpus in tests/data/device_scripts: the smallest
set of scripts that reaches what was ever reached, and those written by hand. Exit 1 when a script breaks a claim of
fuzz_device.c; it is then printed as hex.
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from edge_agent.app_firmware import limits_header
from tests.firmware import toolchain
from tests.firmware.twin_devices import ENVELOPES

SOURCE: Final = toolchain.ROOT / "tests/firmware/fuzz_device.c"
CORPUS: Final = toolchain.ROOT / "tests/data/device_scripts"
SCRIPT_MAX: Final = 512  # bytes
BY_HAND: Final = "seed-"  # names of scripts that stay
_SHORT_LEASE_NS: Final = 200_000_000


def header() -> str:
    """Limits of the fuzzed device. Its sensors are all its own."""
    base = ENVELOPES["uneven"]
    short = replace(base.actuators[1], lease_ns=_SHORT_LEASE_NS)
    envelope = replace(base, actuators=(base.actuators[0], short, *base.actuators[2:]))
    return limits_header(envelope, tuple(sensor.name for sensor in envelope.sensors))


def words(folder: Path) -> tuple[str, ...]:
    """What any compiler is told; writes limits.h into `folder`."""
    (folder / "limits.h").write_text(header(), encoding="utf-8")
    where = (f"-I{folder}", f"-I{toolchain.DEVICE}", '-DENVELOPE_LIMITS_H="limits.h"')
    return ("-std=c99", "-Wall", "-Wextra", "-Wconversion", *where, "-DEB1_DEADMAN_MS=500")


def fuzz(seconds: int, folder: Path) -> int:
    """Fuzz, then keep the smallest corpus; libFuzzer's exit status."""
    fuzzer = folder / "fuzzer"
    sanitizers = ("-g", "-O1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
    subprocess.run(
        ["clang", *words(folder), *sanitizers, SOURCE, "-o", fuzzer], cwd=folder, check=True
    )
    found, small = folder / "found", folder / "small"
    for made in (found, small):
        made.mkdir()
    CORPUS.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_len={SCRIPT_MAX}", f"-artifact_prefix={folder}/"]
    status = subprocess.run(
        [fuzzer, *limits, f"-max_total_time={seconds}", "-print_final_stats=1", found, CORPUS],
        cwd=folder,
        check=False,
    ).returncode
    for crash in folder.glob("crash-*"):
        print("breaks:", crash.read_bytes().hex())
    if status == 0:
        subprocess.run(
            [fuzzer, *limits, "-merge=1", small, CORPUS, found],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        for old in CORPUS.iterdir():
            if not old.name.startswith(BY_HAND):
                old.unlink()
        for script in small.iterdir():
            (CORPUS / script.name[:12]).write_bytes(script.read_bytes())
        print(f"corpus: {len(list(CORPUS.iterdir()))} scripts")
    return 1 if status else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.firmware.fuzz")
    parser.add_argument("--seconds", type=int, default=600)
    with tempfile.TemporaryDirectory() as folder:
        return fuzz(parser.parse_args().seconds, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
