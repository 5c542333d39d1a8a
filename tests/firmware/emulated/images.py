"""The firmware images: built from the sources, and where their symbols are.

Owns: one call of make per image. Must not: know how an image is run. The rules are in
firmware_bridge/device/targets/Makefile, which `make firmware` uses too.
"""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.firmware.toolchain import DEVICE, compiled

TARGETS = DEVICE / "targets"


class Symbol(NamedTuple):
    """A named piece of the board's memory."""

    address: int
    size: int


class Image(NamedTuple):
    """One built firmware."""

    elf: Path
    symbols: Mapping[str, Symbol]


def program(name: str, package: str) -> str:
    """Where `name` is; a missing one is a failure that says what to install."""
    path = shutil.which(name)
    if path is None:
        raise FileNotFoundError(f"the firmware tests need {name}: sudo apt-get install {package}")
    return path


def make(goal: str, folder: Path, **variables: str) -> None:
    """Build `goal` of the targets' Makefile into `folder`; its words are the error."""
    words = [f"{name}={value}" for name, value in variables.items()]
    done = subprocess.run(
        ["make", "-s", "-C", TARGETS, goal, f"BUILD={folder}", *words],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr + done.stdout


def key_in(folder: Path, digits: str = "0123456789abcdef" * 4) -> Path:
    """A key file."""
    path = folder / "bridge.key"
    path.write_text(digits + "\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def image(elf: Path, nm: str) -> Image:
    """`elf` with its symbols, as the binutils program `nm` prints them."""
    listing = subprocess.run([nm, "-S", elf], capture_output=True, check=True, text=True).stdout
    symbols = {}
    for line in listing.splitlines():
        words = line.split()
        size = int(words[1], 16) if len(words) == 4 else 0  # the linker's own have none
        symbols[words[-1]] = Symbol(int(words[0], 16), size)
    return Image(elf, symbols)


def lm3s_image(folder: Path, name: str = "lm3s", **variables: str) -> Image:
    """The Cortex-M3 firmware `name`."""
    program("arm-none-eabi-gcc", "gcc-arm-none-eabi")
    make(f"{folder}/{name}.elf", folder, **variables)
    return image(folder / f"{name}.elf", "arm-none-eabi-nm")


def avr_firmware(folder: Path) -> Path:
    """The ATmega2560 firmware, its PWM registers written and their clock off."""
    program("avr-gcc", "gcc-avr avr-libc")
    make(f"{folder}/avr_emulated.elf", folder)
    return folder / "avr_emulated.elf"


def arduino_sketch(folder: Path) -> Path:
    """The Arduino sketch with the Arduino core, as its IDE would link them."""
    program("avr-g++", "gcc-avr avr-libc arduino-core-avr")
    make(f"{folder}/arduino.elf", folder)
    return folder / "arduino.elf"


def rp2040_parts(folder: Path) -> Path:
    """Everything of the Pico's firmware that needs no SDK, as one relocatable object."""
    program("arm-none-eabi-gcc", "gcc-arm-none-eabi")
    make(f"{folder}/rp2040.o", folder)
    return folder / "rp2040.o"


def avr_emulator(folder: Path) -> Path:
    """avr_run, built against this machine's simavr. Debian has no libelf.so without its headers,
    so the library is named with its version."""
    made = folder / "avr_run"
    source = Path(__file__).with_name("avr_run.c")
    words = ("-O2", "-Wall", "-Wextra", "-Werror", source, "-o", made)
    compiled(*words, "-lsimavr", "-l:libelf.so.1", folder=folder)
    return made
