"""The mutation runner makes the mutants it promises, and cannot report a gate it did not run."""

import ast

import pytest

from tests.architecture.source import ROOT
from tests.mutation.allowed import ALLOWED, PLANTED
from tests.mutation.mutate import Outcome, _verdict
from tests.mutation.operators import Mutant, mutants


def bodies(text: str) -> set[str]:
    """What `def f` may become, in one line each."""
    found = mutants("planted.py", f"def f(a, b):\n    {text}\n")
    return {" ".join(m.source.split("\n", 1)[1].split()) for m in found}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("return a < b", {"return a <= b", "return a >= b", "return None"}),
        ("return a == b", {"return a != b", "return None"}),
        ("return a and b", {"return a or b", "return None"}),
        ("return not a", {"return a", "return None"}),
        ("return a + 1", {"return a - 1", "return a + 2", "return a + 0", "return None"}),
        ("return True", {"return False", "return None"}),
        ("return min(a, b)", {"return a", "return b", "return None"}),
        ("return a if b else 5", {"return a", "return 5", "return a if b else 6",
                                  "return a if b else 4", "return None"}),
        ("a -= b", {"pass", "a += b"}),
        ("g(a)", {"pass"}),
        ("raise a", {"pass"}),
        ("return a << b", {"return a >> b", "return None"}),
    ],
)  # fmt: skip
def test_every_operator_makes_its_mutants(text: str, wrong: set[str]) -> None:
    assert bodies(text) == wrong


def test_an_if_is_negated_and_its_condition_changed() -> None:
    assert bodies("if a > b: return a") == {
        "if not a > b: return a",
        "if a >= b: return a",
        "if a <= b: return a",
        "if a > b: return None",
    }


def test_docstrings_annotations_and_imports_are_left_alone() -> None:
    text = "import a\n\ndef f(b: int = 1) -> int:\n    'words 1'\n    return b\n"
    assert [m.key for m in mutants("planted.py", text)] == ["planted.py:f: returns None: return b"]


def test_equal_places_have_keys_of_their_own_and_every_mutant_compiles() -> None:
    text = (ROOT / "edge_agent/safety/envelope.py").read_text(encoding="utf-8")
    found = list(mutants("edge_agent/safety/envelope.py", text))
    assert len({m.key for m in found}) == len(found) > 200
    for mutant in found[::16]:
        ast.parse(mutant.source)
        assert mutant.source != ast.unparse(ast.parse(text)) + "\n"


MUTANT = Mutant("a.py", 1, "a.py:f: comparison", "")


def test_fewer_evaluated_than_chosen_fails() -> None:
    assert _verdict([], []) == ["0 evaluated of 0"]
    assert _verdict([], [MUTANT]) == ["0 evaluated of 1"]


def test_a_survivor_without_a_reason_fails_and_a_dead_one_does_not() -> None:
    assert _verdict([Outcome(MUTANT, survived=False)], [MUTANT]) == []
    assert "without a reason" in _verdict([Outcome(MUTANT, survived=True)], [MUTANT])[0]


def test_an_allowed_mutant_that_dies_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.mutation.mutate.ALLOWED", {MUTANT.key: "equal"})
    assert _verdict([Outcome(MUTANT, survived=True)], [MUTANT]) == []
    assert "did not survive" in _verdict([Outcome(MUTANT, survived=False)], [MUTANT])[0]


def test_every_planted_text_stands_once_and_both_kinds_are_planted() -> None:
    for path, old, _, _ in PLANTED:
        assert (ROOT / path).read_text(encoding="utf-8").count(old) == 1
    assert {must_survive for *_, must_survive in PLANTED} == {True, False}


def test_every_allowed_mutant_exists() -> None:
    files = {key.split(":")[0] for key in ALLOWED}
    known = {
        m.key
        for path in (ROOT / "edge_agent/safety").rglob("*.py")
        if path.name in files
        for m in mutants(path.name, path.read_text(encoding="utf-8"))
    }
    assert set(ALLOWED) - known == set()
