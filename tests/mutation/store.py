"""Keeps what became of every mutant, so that a run that was cut goes on where it stopped.

Owns: one file of JSON lines for each mutated file, in a folder that git ignores. Its first line
is the state of the project that the results belong to: results of another state are not used.
"""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from tests.architecture.source import ROOT, repository_files

FOLDER = ROOT / "build/mutation"
# What decides how a mutant ends. The list of explained survivors does not.
_DECIDES = (
    "edge_agent/core/",
    "edge_agent/decision/",
    "edge_agent/safety/",
    "edge_agent/sim/attack",
    "edge_agent/sim/hostile",
    "edge_agent/sim/inspector",
    "firmware_bridge/device/",
    "tests/conftest.py",
    "tests/data/envelope_vectors",
    "tests/firmware/",
    "tests/mutation/",
    "tests/properties/",
    "tests/unit/decision/",
    "tests/unit/safety/",
    "tests/unit/sim/test_attack",
    "tests/unit/sim/test_inspector",
    "tests/unit/test_cli_envelope",
)
_DECIDES_NOTHING = (
    "tests/mutation/allowed.py",
    "tests/mutation/test_",
    "firmware_bridge/device/prove/",
)


class Result(NamedTuple):
    """How one mutant ended; the words are those of server.py."""

    key: str
    end: str
    by: str
    seconds: float


def state() -> str:
    """Hex digest over every file that decides a result."""
    digest = hashlib.sha256()
    for path in repository_files():
        if path.startswith(_DECIDES) and not path.startswith(_DECIDES_NOTHING):
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
