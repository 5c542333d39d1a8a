"""The comparison of two machines can fail."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.arm64 import compare

HERE: dict[str, Any] = {"machine": ["x86_64"], "answers": {"frames": "a", "envelope": "b"}}
THERE = HERE | {"machine": ["aarch64"]}


def _exit_code(monkeypatch: pytest.MonkeyPatch, folder: Path, *documents: dict[str, Any]) -> int:
    paths = [folder / f"{number}.json" for number in range(len(documents))]
    for path, document in zip(paths, documents, strict=True):
        path.write_text(json.dumps(document), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["compare", *map(str, paths)])
    return compare.main()


def test_equal_answers_of_two_processors_are_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert _exit_code(monkeypatch, tmp_path, HERE, THERE, THERE) == 0


@pytest.mark.parametrize(
    ("others", "named"),
    [
        ([THERE | {"answers": {"frames": "a", "envelope": "c"}}], "envelope: b and c"),
        ([THERE, THERE | {"answers": {"frames": "a"}}], "envelope: b and None"),
        ([THERE | {"answers": {**THERE["answers"], "more": "d"}}], "more: None and d"),
        ([HERE], "it is the same one"),
        ([], ""),
    ],
)
def test_a_difference_is_named_and_fails(
    others: list[dict[str, Any]],
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _exit_code(monkeypatch, tmp_path, HERE, *others) == 1
    assert named in capsys.readouterr().out
