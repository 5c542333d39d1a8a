"""Seeks scripts that break the device core, with libFuzzer, ASan and UBSan.

    python -m tests.firmware.fuzz --seconds 600

Half of the time is for the device without a key, half for the one with. Owns: the device that is
fuzzed (every part of a guard: dwell, interlocks, exclusives, leases shorter than the dead man),
the builds, and the corpus in tests/data/device_scripts.json.xz: the smallest set of scripts that
reaches what was ever reached in each, and those written by hand. Exit 1
when a script breaks a claim of fuzz_device.c; it is then printed as hex.
"""

import argparse
import json
import lzma
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from edge_agent.app_firmware import limits_header
from tests.firmware import toolchain
from tests.firmware.twin_devices import ENVELOPES

SOURCE: Final = toolchain.ROOT / "tests/firmware/fuzz_device.c"
CORPUS: Final = toolchain.ROOT / "tests/data/device_scripts.json.xz"
SCRIPT_MAX: Final = 512  # bytes
# Written by hand: what each shows would otherwise leave the corpus when others reach as much.
BY_HAND: Final[Mapping[str, str]] = MappingProxyType(
    {
        # an output stays away from safe until its lease ends, then the dead man
        "lease": (
            "06060000000100000906030000000000000906000014009cff0000000906000014009cff00000009"
            "06000014009cff0000003106000014002c010300003106000014002c010300003106000014002c01"
            "0300003106000014002c01030000bd0004000900f90063"
        ),
        # a lease ends between the judging of a command and its way to the pins
        "lease while judging": (
            "06060000000100000906030000000000000906000014009cff0000000906000014009cff00000009"
            "06000014009cff0000003106000014002c010300003106000014002c010300003106000014002c01"
            "030000bd041406000014002c010300"
        ),
        # the dead man acts there, while every output is at its safe value
        "dead man while judging": (
            "06060000000100000906030000000000000906000014009cff0000000906000014009cff00000009"
            "00fa04ff06000014009cff0000"
        ),
        # a wish far away, at once
        "jump": (
            "06060000000100000906030000000000000906000014009cff0000000906000014009cff00000009"
            "06000014009cff0000000902050000000a050000000600002c012c010300"
        ),
        # a sensor of 32 bits
        "int32": ("0606000000010000130290eefeff0b0b00130b"),
        # intact frames with a wrong body
        "bodies": (
            "0606000000010007131000dc00100101010101010101010101010101010107081000dc0005010101"
            "010107011000dc0702100091c1070a100091cf01010101010101010706100091d280000000070410"
            "0091d180000703100091d0100703100091cc100703100091ce010702100092010703100091010107"
            "01100001"
        ),
        # with a key: sessions of another number, or of none, do not begin
        "session number": ("070442009307050907044200930705ff0704420093070500"),
    }
)
KEYED: Final = ("-DEB1_KEYED=1", f"-DEB1_KEY={{{','.join(map(str, range(32)))}}}")
_SHORT_LEASE_NS: Final = 200_000_000


def header() -> str:
    """Limits of the fuzzed device. Its sensors are all its own."""
    base = ENVELOPES["uneven"]
    short = tuple(replace(a, lease_ns=_SHORT_LEASE_NS) for a in base.actuators[:2])
    envelope = replace(base, actuators=(*short, *base.actuators[2:]))
    return limits_header(envelope, tuple(sensor.name for sensor in envelope.sensors))


def words(folder: Path) -> tuple[str, ...]:
    """What any compiler is told; writes limits.h into `folder`."""
    (folder / "limits.h").write_text(header(), encoding="utf-8")
    where = (f"-I{folder}", f"-I{toolchain.DEVICE}", '-DENVELOPE_LIMITS_H="limits.h"')
    return ("-std=c99", "-Wall", "-Wextra", "-Wconversion", *where, "-DEB1_DEADMAN_MS=500")


def load(folder: Path) -> list[Path]:
    """The corpus as files in `folder`; those written by hand first."""
    stored = json.loads(lzma.decompress(CORPUS.read_bytes()))
    folder.mkdir()
    paths = []
    for name, text in (*BY_HAND.items(), *enumerate(stored)):
        paths.append(folder / str(name))
        paths[-1].write_bytes(bytes.fromhex(text))
    return paths


def store(scripts: Iterable[bytes]) -> int:
    """The corpus anew; how many scripts it has. Equal scripts give equal bytes."""
    texts = sorted(script.hex() for script in scripts)
    lines = json.dumps(texts, indent=0) + "\n"
    CORPUS.write_bytes(lzma.compress(lines.encode(), preset=9 | lzma.PRESET_EXTREME))
    return len(texts)


def fuzz(seconds: int, folder: Path) -> int:
    """Fuzz both builds, then keep the smallest corpus of each; 1 when a claim broke."""
    kept: set[bytes] = set()
    for name, flavour in (("plain", ()), ("keyed", KEYED)):
        place = folder / name
        place.mkdir()
        scripts = _fuzz(flavour, max(1, seconds // 2), place)  # 0: for ever
        if scripts is None:
            return 1
        print(f"{name}: {len(scripts)} scripts")
        kept |= scripts
    print(f"corpus: {store(kept)} scripts")
    return 0


def _fuzz(flavour: tuple[str, ...], seconds: int, folder: Path) -> set[bytes] | None:
    """The smallest corpus of one build after so long; None when a claim broke."""
    fuzzer = folder / "fuzzer"
    sanitizers = ("-g", "-O1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
    subprocess.run(
        ["clang", *words(folder), *flavour, *sanitizers, SOURCE, "-o", fuzzer],
        cwd=folder,
        check=True,
    )
    known, found, small = folder / "known", folder / "found", folder / "small"
    load(known)
    for made in (found, small):
        made.mkdir()
    limits = [f"-max_len={SCRIPT_MAX}", f"-artifact_prefix={folder}/"]
    done = subprocess.run(
        [fuzzer, *limits, f"-max_total_time={seconds}", "-print_final_stats=1", found, known],
        cwd=folder,
        check=False,
    )
    for crash in folder.glob("crash-*"):
        print("breaks:", crash.read_bytes().hex())
    if done.returncode:
        return None
    subprocess.run(
        [fuzzer, *limits, "-merge=1", small, known, found],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return {path.read_bytes() for path in small.iterdir()}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.firmware.fuzz")
    parser.add_argument("--seconds", type=int, default=600)
    with tempfile.TemporaryDirectory() as folder:
        return fuzz(parser.parse_args().seconds, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
