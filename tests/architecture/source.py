"""The files of the repository, as text and as syntax trees.

Owns: which files the rules look at. Files that git ignores are not part of the project; new
files not yet added are, so a rule speaks before the commit.
"""

import ast
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Source:
    """One Python file; `path` is relative to the repository."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())


def repository_files() -> list[str]:
    """Every path of the project, sorted."""
    # safe.directory: the clone may belong to another user than the one who tests it.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    paths = {path for path in listed.stdout.split("\0") if path}
    return sorted(path for path in paths if (ROOT / path).is_file())


def python_sources(*folders: str) -> list[Source]:
    """The Python files below `folders`, or all of them when none is named."""
    return [
        Source(path, (ROOT / path).read_text(encoding="utf-8"))
        for path in repository_files()
        if path.endswith(".py") and (not folders or path.split("/")[0] in folders)
    ]


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    """Whether `path` is one of `patterns`: a file, or a folder ending in "/"."""
    return any(
        path.startswith(pattern) if pattern.endswith("/") else PurePosixPath(path).match(pattern)
        for pattern in patterns
    )


def planted(text: str, path: str = "edge_agent/safety/planted.py") -> Source:
    """A file that exists only in a test of a rule."""
    return Source(path, text)
