"""Files stay small, stateless and honest about what they catch."""

from collections.abc import Callable, Mapping
from statistics import median
from types import MappingProxyType

import pytest

from tests.architecture import shape
from tests.architecture.source import Source, planted, python_sources

PACKAGES = ("edge_agent", "firmware_bridge")

# (file, function) -> why it must survive even our own mistakes.
BROAD_EXCEPTS: Mapping[tuple[str, str], str] = MappingProxyType({})

# (file, function) -> what ends it, since its condition does not.
UNBOUNDED_LOOPS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("edge_agent/loop.py", "run"): "the operator's stop: the one loop of the runtime",
        ("edge_agent/gateway/feed.py", "_send"): "the broker took the message, or a signal",
        ("edge_agent/sim/mcu_process.py", "run"): "a signal: it stands for a machine",
    }
)

# Where floats become counts and where a person reads counts as floats again.
FLOAT_BORDER = frozenset({"edge_agent/safety/gate.py", "edge_agent/safety/table.py"})


def _violations(check: Callable[[Source], list[str]], *folders: str) -> list[str]:
    return [v for source in python_sources(*folders) for v in check(source)]


def test_no_file_or_function_is_too_long() -> None:
    assert _violations(shape.size_violations) == []


def test_the_median_file_is_short() -> None:
    sizes = [s.lines for s in python_sources(*PACKAGES) if not s.path.endswith("__init__.py")]
    assert median(sizes) <= shape.FILE_LINES_MEDIAN_MAX


def test_no_function_has_too_many_parameters() -> None:
    assert _violations(shape.parameter_violations, *PACKAGES, "bench", "models") == []


def test_every_module_says_what_it_is_for() -> None:
    assert _violations(shape.docstring_violations) == []


def test_no_module_keeps_state() -> None:
    assert _violations(shape.state_violations, *PACKAGES) == []


def test_only_listed_places_catch_everything() -> None:
    found = {
        (source.path, function)
        for source in python_sources(*PACKAGES, "bench", "models")
        for function, _ in shape.broad_excepts(source)
    }
    assert found == set(BROAD_EXCEPTS)


def test_only_listed_loops_have_no_end() -> None:
    found = {
        (source.path, function)
        for source in python_sources(*PACKAGES)
        for function, _ in shape.unbounded_loops(source)
    }
    assert found == set(UNBOUNDED_LOOPS)


def test_safety_decides_in_integers() -> None:
    found = [
        use
        for source in python_sources("edge_agent")
        if source.path.startswith("edge_agent/safety/") and source.path not in FLOAT_BORDER
        for use in shape.float_uses(source)
    ]
    assert found == []


LONG_FUNCTION = "def f() -> None:\n" + "    pass\n" * shape.FUNCTION_LINES_MAX


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (shape.size_violations, "x = 1\n" * (shape.FILE_LINES_MAX + 1)),
        (shape.size_violations, LONG_FUNCTION),
        (shape.parameter_violations, "def f(a, b, c, *, d, e, f): ..."),
        (shape.parameter_violations, "class A:\n    def f(self, a, b, c, d, e, f): ..."),
        (
            shape.parameter_violations,
            "class A:\n    @staticmethod\n    def f(a, b, c, d, e, f): ...",
        ),
        (shape.docstring_violations, "x = 1"),
        (shape.docstring_violations, '"""  """'),
        (shape.state_violations, "TABLE = {}"),
        (shape.state_violations, "SEEN: set[str] = set()"),
        (shape.state_violations, "NAMES = [n for n in 'ab']"),
        (shape.state_violations, "class A:\n    seen = []"),
        (shape.state_violations, "Q = collections.deque(maxlen=2)"),
        (shape.state_violations, "def f():\n    global X\n    X = 1"),
        (shape.state_violations, "@functools.lru_cache(maxsize=1)\ndef f(): ..."),
        (shape.state_violations, "@cache\ndef f(): ..."),
        (shape.broad_excepts, "try:\n    f()\nexcept:\n    pass"),
        (
            shape.broad_excepts,
            "def f():\n    try:\n        g()\n    except Exception as e:\n        h()",
        ),
        (shape.broad_excepts, "try:\n    f()\nexcept (OSError, BaseException):\n    pass"),
        (shape.unbounded_loops, "while True:\n    f()"),
        (shape.unbounded_loops, "def f():\n    while 1:\n        g()"),
        (shape.float_uses, "x = 0.5"),
        (shape.float_uses, "x = a / b"),
        (shape.float_uses, "x /= 2"),
        (shape.float_uses, "x = float(a)"),
    ],
)
def test_a_planted_violation_is_found(check: Callable[[Source], list[object]], text: str) -> None:
    assert len(check(planted(text))) == 1


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (shape.size_violations, "x = 1\n" * shape.FILE_LINES_MAX),
        (shape.parameter_violations, "class A:\n    def f(self, a, b, c, d, e): ..."),
        (shape.state_violations, "TABLE: Mapping[str, int] = {'a': 1}"),
        (shape.state_violations, "TABLE = MappingProxyType({'a': 1})"),
        (shape.state_violations, "__all__ = ['f']\nLIMITS = (1, 2)"),
        (shape.state_violations, "def f():\n    seen = set()"),
        (shape.state_violations, "class A(msgspec.Struct):\n    seen: dict[str, int] = {}"),
        (shape.broad_excepts, "try:\n    f()\nexcept OSError:\n    pass"),
        (shape.unbounded_loops, "while not stop:\n    f()"),
        (shape.float_uses, "x = a // b * 2"),
    ],
)
def test_a_sound_file_passes(check: Callable[[Source], list[object]], text: str) -> None:
    assert check(planted(text)) == []
