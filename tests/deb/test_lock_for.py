"""The lock of another Python: its own lines, with their hashes, and no other's."""

from pathlib import Path

import pytest

from deploy.deb.lock_for import lines_for

LOCK = (Path(__file__).parents[2] / "requirements.lock").read_text("utf-8")


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_every_package_is_there_once_with_its_hashes(version: str) -> None:
    lines = lines_for(version, LOCK)
    names = [line.split("==")[0] for line in lines if "==" in line]
    assert len(names) == len(set(names))
    assert {"numpy", "onnxruntime", "msgspec"} <= set(names)
    assert not any(";" in line for line in lines)
    for number, line in enumerate(lines):
        if "==" in line:
            assert line.endswith(" \\")
            assert lines[number + 1].strip().startswith("--hash=sha256:")


def test_the_marker_chooses_by_the_version_that_is_asked_for() -> None:
    first = "a==1 ; python_full_version < '3.12' \\\n    --hash=x\n"
    second = "a==2 ; python_full_version >= '3.12' \\\n    --hash=y\n"
    lock = first + second
    assert lines_for("3.11", lock) == ["a==1 \\", "    --hash=x"]
    assert lines_for("3.13", lock) == ["a==2 \\", "    --hash=y"]
