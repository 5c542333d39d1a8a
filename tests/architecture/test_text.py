"""The project speaks of itself alone, and leaves nothing half done."""

import re
from collections.abc import Mapping
from types import MappingProxyType

import pytest

from tests.architecture.source import ROOT, repository_files

# fmt: off
TEXT_ENDINGS = (
    ".c", ".cfg", ".conf", ".css", ".h", ".html", ".js", ".json", ".lock", ".md", ".py",
    ".rules", ".service", ".sh", ".svg", ".toml", ".txt",
)
# fmt: on
TEXT_NAMES = frozenset({"Makefile", "LICENSE", ".gitignore", ".editorconfig"})
# One letter of each word stands in brackets, so that this file does not match itself.
REFUSED: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "a path of one machine": re.compile(r"(?<![\w.<>{}])/(?:w[o]rk|r[o]ot|h[o]me|Us[e]rs)/"),
        "a package registry": re.compile(r"pypi[.]org|pythonh[o]sted|debian[.]org", re.IGNORECASE),
        "unfinished work": re.compile(r"\b(?:T[O]DO|F[I]XME|X[X]X)\b"),
        "how it was written": re.compile(r"\bs[u]b-?agents?\b|\bass[i]stants?\b", re.IGNORECASE),
    }
)


def _is_text(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return name.endswith(TEXT_ENDINGS) or name in TEXT_NAMES or path.startswith(".ci/")


def refused_in(path: str, text: str) -> list[str]:
    """What a file says that the project does not say."""
    return [
        f"{path}:{number}: {kind}: {match.group()}"
        for number, line in enumerate(text.splitlines(), start=1)
        for kind, pattern in REFUSED.items()
        for match in pattern.finditer(line)
    ]


def test_every_text_file_speaks_of_the_project_alone() -> None:
    found = [
        v
        for path in repository_files()
        if _is_text(path)
        for v in refused_in(path, (ROOT / path).read_text(encoding="utf-8"))
    ]
    assert found == []


def test_no_file_is_larger_than_two_megabytes() -> None:
    large = [p for p in repository_files() if (ROOT / p).stat().st_size > 2_000_000]
    assert large == []


def test_every_path_is_plain_ascii_without_spaces() -> None:
    odd = [p for p in repository_files() if not re.fullmatch(r"[\w./+@-]+", p, re.ASCII)]
    assert odd == []


@pytest.mark.parametrize(
    "text",
    [
        "see /w_rk/shared",
        "'/h_me/pi/agent.toml'",
        "get it from pypi.-rg".replace("-", "o"),
        "# T_DO later".replace("_", "O"),
        "a note by an ass_stant".replace("_", "i"),
    ],
)
def test_a_planted_word_is_found(text: str) -> None:
    assert len(refused_in("planted.md", text.replace("_", "o"))) == 1


@pytest.mark.parametrize("text", ["/etc/edge-agent", "the ONNX model", "a session present flag"])
def test_ordinary_words_pass(text: str) -> None:
    assert refused_in("planted.md", text) == []
