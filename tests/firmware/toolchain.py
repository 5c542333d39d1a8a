"""Builds the device's C for this machine or an emulated one: a shared library, and the driver
that feeds it.

Owns: compiler, warnings and flavours. A machine without the compiler fails with the fix.
"""

import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DEVICE = ROOT / "firmware_bridge/device"
ENVELOPE = DEVICE / "envelope.c"
DRIVER = ROOT / "tests/firmware/envelope_driver.c"
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-pedantic")
PLAIN = ("-O2",)
SANITIZED = (
    "-O1",
    "-g",
    "-fsanitize=undefined,address,bounds-strict",
    "-fno-sanitize-recover=all",
)
COVERED = ("-O0", "--coverage")


class Machine(NamedTuple):
    """What the C is built for."""

    compiler: str
    emulator: tuple[str, ...]  # the words that run its programs; none: this machine does


HERE = Machine("gcc", ())
ARM64 = Machine("aarch64-linux-gnu-gcc", ("qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"))


class Twin(NamedTuple):
    """One built device."""

    folder: Path
    library: Path
    driver: Path
    emulator: tuple[str, ...] = ()


def program(name: str) -> str:
    """Where `name` is; a missing one is a failure that says what to install."""
    path = shutil.which(name)
    if path is None:
        message = f"the firmware tests need {name}: sudo apt-get install gcc libc6-dev"
        raise FileNotFoundError(message)
    return path


def compiled(*words: str | Path, folder: Path, compiler: str = HERE.compiler) -> None:
    """Run the C compiler in `folder`; its words are the error."""
    done = subprocess.run(
        [program(compiler), *words], cwd=folder, capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr


def build(
    folder: Path,
    limits: str,
    flavour: tuple[str, ...] = PLAIN,
    source: Path = ENVELOPE,
    machine: Machine = HERE,
) -> Twin:
    """The envelope for the device whose generated header is `limits`."""
    compiler, emulator = machine
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "limits.h").write_text(limits, encoding="utf-8")
    where = (f"-I{folder}", f"-I{DEVICE}", '-DENVELOPE_LIMITS_H="limits.h"')
    words = (*WARNINGS, *flavour, *where)
    twin = Twin(folder, folder / "libenvelope.so", folder / "driver", emulator)
    make = partial(compiled, folder=folder, compiler=compiler)
    make(*words, "-fPIC", "-c", source, "-o", "envelope.o")
    make(*flavour, "-shared", "envelope.o", "-o", twin.library)
    linked = (f"-L{folder}", "-lenvelope", f"-Wl,-rpath,{folder}")
    make(*words, DRIVER, "-o", twin.driver, *linked)
    return twin


def run(twin: Twin, rows: bytes) -> bytes:
    """What the driver answers to `rows`; a program that dies shows its words."""
    command = [*twin.emulator, str(twin.driver)]
    done = subprocess.run(command, input=rows, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
