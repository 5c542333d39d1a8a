"""Mutation testing of the code that keeps the machine safe: `make mutate`.

Every mutant is a small wrong version of one file, in Python or in C. For each, a process of its
own runs the tests that judge that file; tests that still pass have missed it. The run fails on a
survivor that `allowed.py` does not explain, on an entry there that does not survive, on a planted
mutant that does not do what it must, when a process tests nothing, and when fewer mutants were
evaluated than discovered: a gate that can skip reports what it likes.

Results are kept as they come (see `store.py`); a run that was cut goes on where it stopped.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from tests.mutation import store
from tests.mutation.allowed import ALLOWED, PLANTED
from tests.mutation.farm import Farm
from tests.mutation.operators import Mutant
from tests.mutation.server import BROKEN, SURVIVED, Job
from tests.mutation.store import Result, Store
from tests.mutation.targets import Target, targets

_UNCHANGED = "planted: nothing but a comment"
_BASE_LIMIT_S = 300.0  # a stage of the unchanged file
# A mutant's stage may use so much more processor time than the unchanged one took by the clock,
_LIMIT_FACTOR, _LIMIT_EXTRA_S = 8, 10
# and stand still so long, for a machine shared with others.
_PATIENCE_S = 600.0


def main() -> int:
    """Exit 0 only if every mutant was evaluated and every survivor is explained."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--file", action="append", metavar="NAME", help="only this file")
    parser.add_argument("--only", metavar="TEXT", help="mutants with TEXT in their key; not kept")
    parser.add_argument("--workers", type=int, default=1, metavar="N")
    parser.add_argument("--list", action="store_true", help="count the mutants and stop")
    arguments = parser.parse_args()
    os.nice(10)
    chosen = list(targets(arguments.file))
    found = {target: target.mutants() for target in chosen}
    print(f"{sum(map(len, found.values()))} mutants discovered in {len(chosen)} files")
    if arguments.list:
        return 0
    problems: list[str] = []
    with Farm(arguments.workers) as farm:
        for target in chosen:
            if arguments.only:
                problems += _part(farm, target, found[target], arguments.only)
                continue
            kept = Store(target.path, store.state(target))
            _evaluate(farm, target, found[target], kept)
            problems += _verdict(target, found[target], kept.results)
            print(summary(target.path, found[target], kept.results), flush=True)
    for words in problems:
        print(f"PROBLEM {words}")
    return 1 if problems else 0


def _evaluate(farm: Farm, target: Target, found: Sequence[Mutant], kept: Store) -> None:
    """Evaluate and keep what is not kept yet, first what shows that the tests can judge."""
    versions = [*planted(target), *found]
    todo = [mutant for mutant in versions if mutant.key not in kept.results]
    if not todo:
        return
    limits_s = _limits_s(farm, target, kept)
    jobs = [_job(target, mutant.source, limits_s) for mutant in todo]
    for count, (mutant, answer) in enumerate(zip(todo, farm.answers(jobs), strict=True), start=1):
        kept.add(Result(mutant.key, answer.end, answer.by, round(sum(answer.seconds), 2)))
        if answer.end == SURVIVED:
            print(f"survived: {target.path}:{mutant.line} {mutant.key}", flush=True)
        if count % 50 == 0:
            print(f"{target.path}: {count} of {len(todo)}", flush=True)


def _limits_s(farm: Farm, target: Target, kept: Store) -> list[float]:
    """How long each stage may take; the tests must pass on the file with a comment more."""
    mark = "/* the same */" if target.path.endswith(".c") else "# the same"
    job = _job(target, f"{target.text()}{mark}\n", [_BASE_LIMIT_S] * len(target.stages))
    (answer,) = farm.answers([job._replace(keep_bytecode=True)])
    if answer.end != SURVIVED:
        raise SystemExit(f"{target.path}: the tests fail without a mutant: {answer}")
    kept.add(Result(_UNCHANGED, answer.end, answer.by, round(sum(answer.seconds), 2)))
    return [_LIMIT_EXTRA_S + _LIMIT_FACTOR * seconds for seconds in answer.seconds]


def _job(target: Target, source: str, limits_s: list[float]) -> Job:
    stages = [list(stage) for stage in target.stages]
    compiler = list(target.compiler)
    return Job(target.path, source, compiler, stages, limits_s, _PATIENCE_S, keep_bytecode=False)


def _part(farm: Farm, target: Target, found: Sequence[Mutant], text: str) -> Iterator[str]:
    """Some mutants, told one by one; a survivor is a problem, explained or not."""
    some = [mutant for mutant in found if text in mutant.key]
    limits_s = [_BASE_LIMIT_S] * len(target.stages)
    jobs = (_job(target, mutant.source, limits_s) for mutant in some)
    for mutant, answer in zip(some, farm.answers(jobs), strict=True):
        print(f"{answer.end}: line {mutant.line} {mutant.key}: {answer.by}", flush=True)
        if answer.end in {SURVIVED, BROKEN}:
            yield f"{answer.end}: {mutant.key}"


def planted(target: Target) -> list[Mutant]:
    """The controls of one file: changes that change nothing, and changes that nobody may miss."""
    text = target.text()
    versions = []
    for path, old, new, _ in PLANTED:
        if path == target.path:
            if text.count(old) != 1:
                raise SystemExit(f"{path}: {text.count(old)} places read {old!r}")
            versions.append(Mutant(path, 0, f"planted: {new}", text.replace(old, new)))
    return versions


def _verdict(target: Target, found: Sequence[Mutant], results: dict[str, Result]) -> Iterator[str]:
    """What is wrong with the results of one file."""
    keys = {mutant.key for mutant in found}
    if not keys or len(keys) != len(found):
        yield f"{target.path}: {len(found)} mutants, {len(keys)} keys"
    if missing := keys - set(results):
        yield f"{target.path}: {len(keys) - len(missing)} evaluated of {len(keys)}"
    for key in sorted(keys & set(results)):
        end = results[key].end
        if end == BROKEN:
            yield f"{key}: could not be evaluated: {results[key].by}"
        if end == SURVIVED and key not in ALLOWED:
            yield f"survived without a reason: {key}"
        if end != SURVIVED and key in ALLOWED:
            yield f"allowed, and did not survive: {key}"
    yield from _planted_problems(target, results)


def _planted_problems(target: Target, results: dict[str, Result]) -> Iterator[str]:
    must = {f"planted: {new}": lives for path, _, new, lives in PLANTED if path == target.path}
    for key, lives in {_UNCHANGED: True, **must}.items():
        end = results[key].end if key in results else "not evaluated"
        if key not in results or end == BROKEN or (end == SURVIVED) != lives:
            yield f"{target.path}: {key!r}: {end}"


def summary(path: str, found: Sequence[Mutant], results: dict[str, Result]) -> str:
    """One line: how the mutants of one file ended."""
    ends = Counter(results[m.key].end for m in found if m.key in results)
    explained = sum(m.key in ALLOWED for m in found)
    minutes = sum(result.seconds for result in results.values()) / 60
    classes = ", ".join(f"{ends[end]} {end}" for end in sorted(ends))
    return f"{path}: {len(found)} discovered: {classes} ({explained} explained), {minutes:.1f} min"


if __name__ == "__main__":
    sys.exit(main())
