"""Mutation testing of the code that keeps the machine safe: `make mutate`.

Every mutant is a small wrong version of one file of `edge_agent/safety`. For each, a fresh
process runs the tests of that room; tests that still pass have missed it. The run fails on a
survivor that `allowed.py` does not explain, on an entry there that does not survive, on a planted
mutant that does not do what it must, when a process tests nothing, and when fewer mutants were
evaluated than discovered: a gate that can skip reports what it likes.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.architecture.source import ROOT, repository_files
from tests.mutation.allowed import ALLOWED, PLANTED
from tests.mutation.operators import Mutant, mutants

ROOM = "edge_agent/safety/"
# Quick and near first, so that most mutants die in a second; a survivor meets all of them.
STAGES = (
    ("tests/unit/safety", "--deselect", "tests/unit/safety/test_cells.py"),
    (
        "tests/unit/safety/test_cells.py",
        "tests/properties/test_envelope_sweep.py",
        "tests/properties/test_agent.py",
        "tests/unit/decision",
        "tests/unit/sim/test_inspector.py",
    ),
    ("tests/properties/test_proofs.py", "tests/properties/test_proofs_bounds.py"),
    ("tests/unit/sim/test_attack.py", "tests/firmware/test_envelope_c.py"),
)
_TIMEOUT_S = 300
_NOTHING_COLLECTED = 5


class Outcome(NamedTuple):
    """What became of one mutant."""

    mutant: Mutant
    survived: bool


def main() -> int:
    """Exit 0 only if every mutant was evaluated and every survivor is explained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", action="append", metavar="NAME", help="only this file")
    parser.add_argument("--sample", type=int, metavar="N", help="so many, drawn by --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="count them and stop")
    arguments = parser.parse_args()
    os.nice(10)
    found = [m for path in _files(arguments.file) for m in mutants(path, _text(path))]
    print(f"{len(found)} mutants discovered in {len({m.path for m in found})} files")
    if arguments.list:
        return 0
    chosen = found
    if arguments.sample is not None and arguments.sample < len(found):
        chosen = random.Random(arguments.seed).sample(found, arguments.sample)
        print(f"a sample of {len(chosen)}, seed {arguments.seed}: not the whole gate")
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        _copy(room)
        if not _passes(room):
            print("the tests fail without any mutant")
            return 1
        start_s = time.monotonic()
        problems = _planted_problems(room)
        outcomes = []
        for count, mutant in enumerate(chosen, start=1):
            outcomes.append(_evaluated(room, mutant))
            if count % 50 == 0:
                print(f"{count} of {len(chosen)}", flush=True)
        problems += _verdict(outcomes, chosen)
        survived = sum(o.survived for o in outcomes)
        minutes = (time.monotonic() - start_s) / 60
        print(f"{len(outcomes)} evaluated, {survived} survived, {minutes:.1f} min")
    for words in problems:
        print(f"PROBLEM {words}")
    return 1 if problems else 0


def _files(names: list[str] | None) -> list[str]:
    paths = [p for p in repository_files() if p.startswith(ROOM) and p.endswith(".py")]
    return [p for p in paths if not names or p.rsplit("/", 1)[-1] in names]


def _text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def _copy(room: Path) -> None:
    """The project as it stands; the tests import it from there, not from the installation."""
    for path in repository_files():
        target = room / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, target)


def _passes(room: Path) -> bool:
    """Whether every stage passes; a stage that collects nothing is an error, not a pass."""
    for stage in STAGES:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *stage]
        environment = {**os.environ, "PYTHONPATH": str(room), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                command,
                cwd=room,
                env=environment,
                timeout=_TIMEOUT_S,
                capture_output=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        if done.returncode == _NOTHING_COLLECTED:
            raise SystemExit(f"no test was selected by {stage}")
        if done.returncode:
            return False
    return True


def _evaluated(room: Path, mutant: Mutant) -> Outcome:
    target = room / mutant.path
    target.write_text(mutant.source, encoding="utf-8")
    try:
        survived = _passes(room)
    finally:
        shutil.copyfile(ROOT / mutant.path, target)
    if survived:
        print(f"survived: line {mutant.line} {mutant.key}", flush=True)
    return Outcome(mutant, survived)


def _planted_problems(room: Path) -> list[str]:
    """Two kinds of control: changes that change nothing, and changes that nobody may miss."""
    problems = []
    for path, old, new, must_survive in PLANTED:
        text = _text(path)
        if text.count(old) != 1:
            problems.append(f"planted: {text.count(old)} places of {path} read {old!r}")
            continue
        outcome = _evaluated(room, Mutant(path, 0, f"planted: {new}", text.replace(old, new)))
        if outcome.survived != must_survive:
            problems.append(f"planted: {new!r} {'survived' if outcome.survived else 'died'}")
    return problems


def _verdict(outcomes: list[Outcome], chosen: list[Mutant]) -> list[str]:
    problems = []
    if len(outcomes) != len(chosen) or not chosen:
        problems.append(f"{len(outcomes)} evaluated of {len(chosen)}")
    for outcome in outcomes:
        key = outcome.mutant.key
        if outcome.survived and key not in ALLOWED:
            problems.append(f"survived without a reason: {key}")
        if not outcome.survived and key in ALLOWED:
            problems.append(f"allowed, and did not survive: {key}")
    return problems


if __name__ == "__main__":
    sys.exit(main())
