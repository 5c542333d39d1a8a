"""The runner cannot report a gate that it did not run, and tells every end of a mutant apart."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT
from tests.mutation import server
from tests.mutation.allowed import ALLOWED, PLANTED
from tests.mutation.mutate import _UNCHANGED, _verdict, planted, summary
from tests.mutation.operators import Mutant
from tests.mutation.server import BROKEN, CRASHED, KILLED, REFUSED, SURVIVED, TIMED_OUT, Answer, Job
from tests.mutation.store import Result, Store, decides, state
from tests.mutation.targets import Target, targets

TARGET = Target("edge_agent/safety/a.py", (), (("tests",),))
MUTANT = Mutant(TARGET.path, 1, "a.py:f: comparison", "")
ALIVE = Result(_UNCHANGED, SURVIVED, "", 1.0)


def verdict(end: str, *more: Result, found: tuple[Mutant, ...] = (MUTANT,)) -> list[str]:
    results = [Result(MUTANT.key, end, "", 1.0), *(more or (ALIVE,))]
    return list(_verdict(TARGET, found, {r.key: r for r in results if r.end}))


# ---- the verdict ----


def test_fewer_evaluated_than_discovered_fails() -> None:
    assert "0 mutants" in verdict(KILLED, found=())[0]
    assert verdict("") == [f"{TARGET.path}: 0 evaluated of 1"]


def test_two_mutants_of_one_name_fail() -> None:
    assert "2 mutants, 1 keys" in verdict(KILLED, found=(MUTANT, MUTANT))[0]


@pytest.mark.parametrize("end", [KILLED, TIMED_OUT, REFUSED, CRASHED])
def test_a_mutant_that_was_noticed_is_no_problem(end: str) -> None:
    assert verdict(end) == []


def test_a_survivor_without_a_reason_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert verdict(SURVIVED) == [f"survived without a reason: {MUTANT.key}"]
    monkeypatch.setattr("tests.mutation.mutate.ALLOWED", {MUTANT.key: "equal"})
    assert verdict(SURVIVED) == []


def test_an_allowed_mutant_that_dies_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.mutation.mutate.ALLOWED", {MUTANT.key: "equal"})
    assert verdict(KILLED) == [f"allowed, and did not survive: {MUTANT.key}"]


def test_a_process_that_tested_nothing_fails() -> None:
    assert "could not be evaluated" in verdict(BROKEN)[0]


@pytest.mark.parametrize("end", [KILLED, BROKEN])
def test_tests_that_fail_on_the_unchanged_file_fail_the_gate(end: str) -> None:
    assert _UNCHANGED in verdict(KILLED, ALIVE._replace(end=end))[0]
    assert "not evaluated" in verdict(KILLED, Result("other", KILLED, "", 1.0))[0]


@pytest.mark.parametrize(("end", "lives"), [(KILLED, True), (SURVIVED, False), (BROKEN, False)])
def test_a_planted_mutant_that_does_not_do_what_it_must_fails(
    end: str, lives: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.mutation.mutate.PLANTED", ((TARGET.path, "old", "new", lives),))
    planted_one = Result("planted: new", end, "", 1.0)
    assert "'planted: new'" in verdict(KILLED, ALIVE, planted_one)[0]
    assert "not evaluated" in verdict(KILLED, ALIVE)[0]


def test_every_class_is_counted() -> None:
    other = MUTANT._replace(key="a.py:f: other")
    results = {MUTANT.key: Result(MUTANT.key, KILLED, "", 60.0), _UNCHANGED: ALIVE}
    results[other.key] = Result(other.key, TIMED_OUT, "", 59.0)
    line = summary(TARGET.path, [MUTANT, other], results)
    assert line == f"{TARGET.path}: 2 discovered: 1 killed, 1 timeout (0 explained), 2.0 min"


# ---- what is mutated ----


def test_every_file_of_the_room_and_the_core_in_c_are_mutated() -> None:
    room = {str(p.relative_to(ROOT)) for p in (ROOT / "edge_agent/safety").rglob("*.py")}
    code = {path for path in room if not path.endswith("__init__.py")}
    core = {str(p.relative_to(ROOT)) for p in (ROOT / "firmware_bridge/device").glob("*.c")}
    core.remove("firmware_bridge/device/eb1.c")  # which only includes the others
    assert {t.path for t in targets(None)} == code | core
    assert [t.path for t in targets(["debt.py"])] == ["edge_agent/safety/debt.py"]


def test_every_named_test_exists() -> None:
    words = [word for t in targets(None) for stage in t.stages for word in stage]
    paths = {w.split("=")[-1].split("::")[0] for w in words if "tests/" in w}
    assert {path for path in paths if not (ROOT / path).exists()} == set()


def test_every_planted_text_stands_once_and_both_kinds_are_planted() -> None:
    assert sum(len(planted(target)) for target in targets(None)) == len(PLANTED)
    for ending in (".py", "envelope.c", "guard.c"):
        kinds = {lives for path, _, _, lives in PLANTED if path.endswith(ending)}
        assert kinds == {True, False}


def test_every_allowed_mutant_exists() -> None:
    known = {m.key for target in targets(None) for m in target.mutants()}
    assert set(ALLOWED) - known == set()


# ---- the store ----


def test_a_run_that_was_cut_goes_on_and_a_stale_result_is_not_used(tmp_path: Path) -> None:
    store = Store("a/b.py", "state", tmp_path)
    store.add(ALIVE)
    store.add(Result("a", KILLED, "test", 1.0))
    (file,) = tmp_path.iterdir()
    with file.open("a") as half:
        half.write('["b", "kil')
    assert set(Store("a/b.py", "state", tmp_path).results) == {_UNCHANGED, "a"}
    assert Store("a/b.py", "other state", tmp_path).results == {}
    assert Store("a/b.py", "state", tmp_path).results == {}


def test_the_state_is_that_of_code_tests_and_stages() -> None:
    assert state(TARGET) == state(TARGET)
    assert state(TARGET) != state(TARGET._replace(stages=(("tests", "-k", "some"),)))
    assert len(state(TARGET)) == 64


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("edge_agent/loop.py", True),
        ("firmware_bridge/device/frame.c", True),
        ("requirements-test.lock", True),
        ("tests/conftest.py", True),
        ("tests/unit/safety/lab.py", True),
        ("tests/unit/safety/test_gate.py", True),
        ("tests/unit/sim/test_mcu.py", True),
        ("tests/unit/firmware_bridge/test_vectors.py", True),
        ("tests/unit/sim/test_view.py", False),
        ("tests/mutation/allowed.py", False),
        ("docs/mutation.md", False),
    ],
)
def test_what_decides_is_all_code_and_the_tests_that_judge(path: str, wanted: bool) -> None:
    stages = (("tests/unit/safety/", "--deselect=x"), ("tests/unit/sim/test_mcu.py::test_a",))
    assert decides(path, TARGET._replace(stages=stages)) is wanted


# ---- the server, with a small project of its own ----

CODE = "def half(a):\n    return a // 2\n"
TEST = "import code_of_it\n\ndef test_half():\n    assert code_of_it.half(4) == 2\n"
STAGE = ["test_of_it.py"]
WAITS = "import time\ntime.sleep(1000)\n"
ENDLESS = """\
import subprocess, sys

def half(a):
    subprocess.run([sys.executable, "-c", "while True: pass"], check=True)
"""


def job(
    source: str,
    stage: list[str] = STAGE,
    limit_s: float = 60.0,
    patience_s: float = 60.0,
    compiler: str = "",
    path: str = "code_of_it.py",
) -> Job:
    """A job that runs the test twice."""
    words = [compiler] if compiler else []
    return Job(path, source, words, [stage, stage], [limit_s] * 2, patience_s, False)


def c_job(source: str) -> Job:
    """One for the C, which the test sees only by way of the library."""
    return job(source, ["test_of_library.py"], compiler="true", path="core.c")


# Stands for the compiler: what a library says is what the C said when it was built.
LIBRARIES = [str(server.LIBRARIES / name) for name in ("a.so", "b.so")]
BUILDER = f"""\
import pathlib
text = pathlib.Path("core.c").read_text()
assert text != "no C"
for path in {LIBRARIES}:
    pathlib.Path(path).write_text(text)
"""
LIBRARY_TEST = f"""\
import pathlib

def test_library():
    assert [int(pathlib.Path(path).read_text()) for path in {LIBRARIES}] == [2, 2]
"""

ENDS = {
    "the same": (job(CODE + "# the same\n"), SURVIVED, ""),
    "wrong": (job(CODE.replace("//", "*")), KILLED, "test_of_it.py::test_half"),
    "no such name": (job("def other(): pass\n"), KILLED, "test_of_it.py::test_half"),
    "not Python": (job("def half(:\n"), KILLED, "test_of_it.py (not importable)"),
    "does not end": (job("while True: pass\n", limit_s=2.0), TIMED_OUT, "stage 1, signal 27"),
    "waits": (job(WAITS, limit_s=1.0, patience_s=1.0), TIMED_OUT, "stage 1, signal 14"),
    "starts what does not end": (job(ENDLESS, limit_s=0.4), KILLED, "test_of_it.py::test_half"),
    "crashes": (job("import os\nos.abort()\n"), CRASHED, "stage 1, signal 6"),
    "leaves as if all were well": (job("import os\nos._exit(0)\n"), BROKEN, "stage 1"),
    "no test selected": (job(CODE, ["test_of_it.py", "-k", "nothing"]), BROKEN, "stage 1"),
    "no such file": (job(CODE, ["no_such_file.py"]), BROKEN, "stage 1"),
    "refused": (job(CODE, compiler="false"), REFUSED, "false"),
    "accepted": (job(CODE, compiler="true"), SURVIVED, ""),
    "the same in C": (c_job("2 "), SURVIVED, ""),
    "wrong in C": (c_job("3"), KILLED, "test_of_library.py::test_library"),
    "the library is as before": (job(CODE, ["test_of_library.py"]), SURVIVED, ""),
    "not C": (c_job("no C"), REFUSED, "true"),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """What one server says to all of `ENDS`, one after the other."""
    project = tmp_path_factory.mktemp("project")
    (project / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (project / "code_of_it.py").write_text(CODE)
    (project / "test_of_it.py").write_text(TEST)
    (project / "core.c").write_text("2")
    (project / "test_of_library.py").write_text(LIBRARY_TEST)
    (project / server.LIBRARIES).mkdir(parents=True)
    for path in LIBRARIES:
        (project / path).write_text("2")
    (project / server.BUILD[0]).write_text(BUILDER)
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutation.server"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": f"{project}:{ROOT}"},
        input="".join(json.dumps(one) + "\n" for one, _, _ in ENDS.values()),
        capture_output=True,
        check=True,
        text=True,
    )
    assert (project / "code_of_it.py").read_text() == CODE, "the file is as it was"
    lines = done.stdout.splitlines()
    return {name: Answer(*json.loads(line)) for name, line in zip(ENDS, lines, strict=True)}


@pytest.mark.parametrize("name", ENDS)
def test_every_end_is_told_from_the_others(name: str, answers: dict[str, Answer]) -> None:
    _, end, by = ENDS[name]
    assert answers[name].end == end
    assert by in answers[name].by
    assert len(answers[name].seconds) == {SURVIVED: 2, KILLED: 1}.get(end, 0) or end == BROKEN


def test_a_server_that_knows_the_project_already_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"imported before the fork.*edge_agent"):
        server.refuse_early_imports({"edge_agent.safety", "numpy"})
    server.refuse_early_imports({"numpy", "tests"})
