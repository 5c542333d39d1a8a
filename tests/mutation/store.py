"""Keeps what became of every mutant, so that a run that was cut goes on where it stopped.

Owns: one file of JSON lines for each mutated file, in a folder that git ignores. Its first line
is the state of the project that the results belong to: results of another state are not used.
"""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from tests.architecture.source import ROOT, repository_files
from tests.mutation.targets import Target

FOLDER = ROOT / "build/mutation"
# What may decide how a mutant ends; tests are asked one by one, see `decides`.
_DECIDES = (
    "edge_agent/",
    "firmware_bridge/",
    "models/",
    "pyproject.toml",
    "requirements-test.lock",
    "tests/",
)
_DECIDES_NOTHING = (
    "firmware_bridge/device/prove/",
    "tests/architecture/",
    "tests/firmware/emulated/",
    "tests/mutation/allowed.py",
    "tests/mutation/targets.py",  # what it says of a file is hashed with the file
    "tests/system/",
)
# Test files whose data others use.
_USED_BY_OTHERS = ("tests/unit/firmware_bridge/test_vectors.py",)


class Result(NamedTuple):
    """How one mutant ended; the words are those of server.py."""

    key: str
    end: str
    by: str
    seconds: float


def decides(path: str, target: Target) -> bool:
    """Whether a file may decide how the mutants of `target` end.

    All code does, and everything beside the tests that they may use; a test does where a stage
    names it or its folder.
    """
    if not path.startswith(_DECIDES) or path.startswith(_DECIDES_NOTHING):
        return False
    if not path.rsplit("/", 1)[-1].startswith("test_") or path in _USED_BY_OTHERS:
        return True
    named = [word.split("::")[0] for stage in target.stages for word in stage]
    return path.startswith(tuple(word for word in named if word.startswith("tests/")))


def state(target: Target) -> str:
    """Hex digest over how the mutants of `target` are judged, and every file that decides."""
    digest = hashlib.sha256(repr(target.stages).encode())
    for path in repository_files():
        if decides(path, target):
            content = (ROOT / path).read_bytes()
            digest.update(f"{path} {len(content)}\n".encode() + content)
    return digest.hexdigest()


class Store:
    """The results of one mutated file."""

    def __init__(self, path: str, state_of_project: str, folder: Path = FOLDER) -> None:
        self._file = folder / f"{path.replace('/', '.')}.jsonl"
        self._state = state_of_project
        self.results: dict[str, Result] = {}
        lines = self._file.read_text(encoding="utf-8").splitlines() if self._file.exists() else []
        if lines and json.loads(lines[0]) == state_of_project:
            # A run that was killed may have left half a line.
            whole = [line for line in lines[1:] if line.endswith("]")]
            self.results = {r.key: r for r in (Result(*json.loads(line)) for line in whole)}
        else:
            folder.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps(state_of_project) + "\n", encoding="utf-8")

    def add(self, result: Result) -> None:
        """Keep one more; on the disk when this returns."""
        self.results[result.key] = result
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
