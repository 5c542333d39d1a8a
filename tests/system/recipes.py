"""Runs a recipe of the guide from its own text, so that the text cannot rot.

Owns: the few marks that a fenced block may carry, and how its commands are run and compared.
Must not: know any one recipe. What a block says after its language:

    ```toml file=agent.toml    write the block to this file of the recipe's folder
    ```console                 run each line that begins with "$ ", compare what follows it
    ```console until           the same, again and again until it fits: something is on its way

In expected output "..." stands for anything, and the amount of white space is free. A command
without expected output must print none. One that ends in "&" goes on in the background; it is
stopped with Ctrl-C at the end, and must then exit 0. Other blocks are for the reader only.
"""

import doctest
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

ROOT = Path(__file__).parents[2]
_COMMAND_WITHIN_S = 60
_UNTIL_WITHIN_S = 30.0
_STOP_WITHIN_S = 40
_FITS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """One fenced block; `where` is document and line."""

    language: str
    marks: tuple[str, ...]
    text: str
    where: str

    @property
    def file(self) -> str:
        """Where the block is to be written, or nothing."""
        return next((m.removeprefix("file=") for m in self.marks if m.startswith("file=")), "")


class Step(NamedTuple):
    """One command of a console block and what it must print."""

    command: str
    expected: str


def blocks(document: Path, section: str = "") -> Iterator[Block]:
    """The fenced blocks of a document, or of one section of it (the text of its heading)."""
    inside, fence = not section, ""
    head: list[str] = []
    lines: list[str] = []
    start = 0
    found = inside
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), start=1):
        if not fence and line.startswith("## "):
            inside = not section or line.removeprefix("## ") == section
            found = found or inside
        elif not fence and line.startswith("```"):
            fence, head, lines, start = "```", line.removeprefix("```").split(), [], number
        elif fence and line == fence:
            fence = ""
            if inside and head:
                text = "".join(f"{one}\n" for one in lines)
                yield Block(head[0], tuple(head[1:]), text, f"{document.name}:{start}")
        else:
            lines.append(line)
    assert found, f"{document} has no section {section!r}"


def steps(block: Block) -> Sequence[Step]:
    """The commands of a console block; a line that ends in a backslash goes on in the next."""
    found: list[list[str]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append([line.removeprefix("$ ")])
        else:
            assert found, f"{block.where}: output before the first command"
            joined = len(found[-1]) == 1 and found[-1][0].endswith("\\")
            if joined:
                found[-1][0] = found[-1][0].removesuffix("\\") + line.strip()
            else:
                found[-1].append(line)
    return [Step(command, "\n".join(expected)) for command, *expected in found]


class Kitchen:
    """A folder to follow recipes in; a context manager that stops what is still running.

    `edge-agent` and `python` are those of this test run, and `pip install` fills a folder of
    its own. `replace` is applied to every block: the port of the test's broker for 1883.
    """

    def __init__(self, folder: Path, replace: Mapping[str, str]) -> None:
        self._folder = folder
        self._replace = replace
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        programs, packages = folder / ".bin", folder / ".packages"
        programs.mkdir()
        packages.mkdir()
        for name, command in (("python", ""), ("edge-agent", "-m edge_agent ")):
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {command}"$@"\n', "utf-8")
            program.chmod(0o755)
        self._environment = {
            "PATH": os.pathsep.join((str(programs), os.environ["PATH"])),
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(packages))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PIP_TARGET": str(packages),
            "PIP_UPGRADE": "1",
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def follow(self, document: str, section: str = "") -> None:
        """Do all that a document of `docs/`, or one section of it, says."""
        for block in blocks(ROOT / "docs" / document, section):
            if block.file:
                target = self._folder / block.file
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(self._replaced(block.text), encoding="utf-8")
            elif block.language == "console":
                self._run_block(block)

    def _run_block(self, block: Block) -> None:
        deadline = time.monotonic() + (_UNTIL_WITHIN_S if "until" in block.marks else 0)
        while True:
            complaints = [c for step in steps(block) if (c := self._run(step))]
            if not complaints:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"{block.where}\n" + "\n".join(complaints))
            time.sleep(0.1)

    def _run(self, step: Step) -> str:
        """Run one command; what is wrong with its output, or nothing."""
        command = self._replaced(step.command)
        if command.endswith("&"):
            self._start(command.removesuffix("&"))
            return ""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_COMMAND_WITHIN_S,
            check=False,
            text=True,
        )
        printed, expected = done.stdout.strip() + "\n", self._replaced(step.expected).strip() + "\n"
        fits = doctest.OutputChecker().check_output(expected, printed, _FITS)
        if fits and done.returncode == 0:
            return ""
        return f"$ {command}\nexit {done.returncode}\nexpected:\n{expected}printed:\n{printed}"

    def _start(self, command: str) -> None:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._running.append((command, process))

    def _replaced(self, text: str) -> str:
        for old, new in self._replace.items():
            text = text.replace(old, new)
        return text

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        codes = {}
        for command, process in reversed(self._running):
            process.send_signal(signal.SIGINT)
            try:
                codes[command] = process.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                codes[command] = process.wait()
        self._running.clear()
        if exc is None:
            assert not any(codes.values()), f"did not end well: {codes}"
