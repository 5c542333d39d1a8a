"""The fuzzed program without the fuzzer: scripts of the corpus, golden frames.

Owns: how it is built (plain, sanitized, measured) and fed.
"""

import subprocess
from pathlib import Path
from typing import Any

from firmware_bridge.frames import FROM_DEVICE
from tests.firmware import fuzz, toolchain


def build(folder: Path, flavour: tuple[str, ...]) -> Path:
    """The program, in `folder`."""
    words = (*fuzz.words(folder), "-Werror", "-pedantic", *flavour, "-DREPLAY")
    toolchain.compiled(*words, "-c", fuzz.SOURCE, "-o", "replay.o", folder=folder)
    toolchain.compiled(*flavour, "replay.o", "-o", "replay", folder=folder)
    return folder / "replay"


def scripts(program: Path) -> int:
    """Run every script; how many there were. A broken claim ends the program with its words."""
    paths = fuzz.load(program.parent / "scripts")
    done = subprocess.run(
        [program, *paths], cwd=program.parent, capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{len(paths)} scripts\n"
    return len(paths)


def causes(program: Path, vectors: Any) -> list[tuple[str, int]]:
    """Name and the first failed check of every golden frame; the number after all: none."""
    rows = [(v["name"], v["kind"] & FROM_DEVICE, v["wire"]) for v in vectors["accept"]]
    for vector in vectors["reject"]:
        expect = 0 if vector.get("receiver") == "device" else FROM_DEVICE
        rows.append((vector["name"], expect, vector["wire"]))
    pieces = [(expect, bytes.fromhex(wire)[1:-1]) for _, expect, wire in rows]
    data = b"".join(bytes((len(piece), expect)) + piece for expect, piece in pieces)
    salt = str(vectors["session"]["salt"])
    done = subprocess.run(
        [program, salt], cwd=program.parent, input=data, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return list(zip((row[0] for row in rows), map(int, done.stdout.split()), strict=True))
