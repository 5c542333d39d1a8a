"""The mutants of Python and of C are the ones that are promised, and change nothing else."""

import ast

import pytest

from tests.architecture.source import ROOT
from tests.mutation import c_operators
from tests.mutation.operators import mutants


def bodies(text: str) -> set[str]:
    """What `def f` may become, in one line each, as Python would write it."""
    found = mutants("planted.py", f"def f(a, b):\n    {text}\n")
    return {" ".join(ast.unparse(ast.parse(m.source)).split("\n", 1)[1].split()) for m in found}


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
        ("a = f'{b + c}'", {"a = f'{b - c}'"}),
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


def test_all_but_the_changed_place_stays_as_it_was_written() -> None:
    text = "def f(a):\n    # why\n    b = (a\n         < 2)  # é\n    return  b\n"
    sources = {m.key: m.source for m in mutants("planted.py", text)}
    changed = sources["planted.py:f: comparison 1 LtE: a < 2"]
    assert changed == "def f(a):\n    # why\n    b = ((a <= 2))  # é\n    return  b\n"


def test_equal_places_have_keys_of_their_own_and_every_mutant_compiles() -> None:
    text = (ROOT / "edge_agent/safety/envelope.py").read_text(encoding="utf-8")
    found = list(mutants("edge_agent/safety/envelope.py", text))
    assert len({m.key for m in found}) == len(found) > 200
    same = ast.dump(ast.parse(text))
    assert all(ast.dump(ast.parse(m.source)) != same for m in found)


def c_bodies(text: str) -> list[str]:
    """What `f` may become, in one line each."""
    before, after = "int f(int a, int *b)\n{\n", "\n}\n"
    found = list(c_operators.mutants("planted.c", f"{before}{text}{after}"))
    assert all(m.source.startswith(before) and m.source.endswith(after) for m in found)
    return sorted(m.source.removeprefix(before).removesuffix(after) for m in found)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("return a < g();", ["return a <= g();", "return a >= g();", "return 0;"]),
        ("return a;", ["return 0;"]),
        ("return 0;", ["return (0 + 1);", "return (0 - 1);"]),
        ("return false;", ["return true;"]),
        ("return -a;", ["return 0;", "return a;"]),
        ("return a - g();", ["return 0;", "return a + g();"]),
        ("return !a && g();", ["return !a || g();", "return 0;", "return a && g();"]),
        ("if (a) g();", ["if (!(a)) g();", "if (a) ;"]),
        ("g(&a, *b);", [";"]),
        ("a += 7;", [";", "a += (7 + 1);", "a += (7 - 1);", "a -= 7;"]),
        ("*b = a ? g(a, a) : h();", ["*b = (g(a, a));", "*b = (h());"]),
        ("const int c = g();", []),
        ("int32_t c;", []),
        ("/* a + 1 */ // a + 1\n#if 1\n#endif", []),
        ('g("a + 1");', [";"]),
        ("for (c = g(); a < c; c++) g();",
         ["for (c = g(); a < c; c++) ;", "for (c = g(); a < c; c--) g();",
          "for (c = g(); a <= c; c++) g();", "for (c = g(); a >= c; c++) g();"]),
    ],
)  # fmt: skip
def test_every_operator_for_c_makes_its_mutants(text: str, wrong: list[str]) -> None:
    assert c_bodies(text) == sorted(wrong)


def test_in_c_only_functions_and_the_numbers_that_have_names_are_changed() -> None:
    text = (
        "#define LIMIT INT64_C(10) /* of 1 */\nstatic const int TABLE[] = {1, 2};\nint f(void);\n"
    )
    found = [m.source for m in c_operators.mutants("planted.c", text)]
    assert found == [text.replace("(10)", "(11)"), text.replace("(10)", "(9)")]


def test_equal_places_in_c_have_keys_of_their_own() -> None:
    path = "firmware_bridge/device/envelope.c"
    text = (ROOT / path).read_text(encoding="utf-8")
    found = list(c_operators.mutants(path, text))
    assert len({m.key for m in found}) == len(found) > 300
    assert {m.key.split(":")[1] for m in found} >= {"follow", "exclude", "book", "envelope_step"}
    assert all(m.source != text for m in found)
