"""Small wrong versions of a C file: one change each, found among its tokens.

Owns: the operators for C and where they apply. Comments (contracts among them), strings and
what stands outside functions is left alone, but for the numbers that `#define` names. Tokens,
not a syntax tree: a change that makes no program is told by the compiler and counted as such.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from tests.mutation.operators import Mutant

_TOKEN = re.compile(
    r"""(?P<skip>/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\s+|\\\n)
    |(?P<line>\#[^\n]*)
    |(?P<number>\d\w*)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<sign><<=|>>=|->|\+\+|--|<=|>=|==|!=|&&|\|\||<<|>>|[-+*/%&|^]=|.)""",
    re.DOTALL | re.VERBOSE,
)
_DEFINED = re.compile(r"#define\s+\w+\s+\(*(?:\w+\()?(?P<number>\d+)\b")
_SWAPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "<": ("<=", ">="),
        "<=": ("<", ">"),
        ">": (">=", "<="),
        ">=": (">", "<"),
        "==": ("!=",),
        "!=": ("==",),
        "&&": ("||",),
        "||": ("&&",),
        "+=": ("-=",),
        "-=": ("+=",),
        "++": ("--",),
        "--": ("++",),
        "<<": (">>",),
        ">>": ("<<",),
        "|=": ("&=",),
        "&=": ("|=",),
        "true": ("false",),
        "false": ("true",),
    }
)
# Only between two values: the same signs also mean a sign, an address or a pointer.
_BETWEEN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"+": ("-",), "-": ("+",), "*": ("+",), "/": ("*",), "%": ("/",), "&": ("|",), "|": ("&",)}
)
_KEYWORDS = frozenset({"return", "if", "else", "for", "while", "switch", "case", "do", "sizeof"})
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")


class _Token(NamedTuple):
    text: str
    start: int
    end: int
    kind: str
    function: str  # empty outside


class _Change(NamedTuple):
    """`text[start:end]` becomes `new`; `told` says what was there."""

    operator: str
    function: str
    start: int
    end: int
    new: str
    told: str


def mutants(path: str, text: str) -> Iterator[Mutant]:
    """Every mutant of one file, in a fixed order."""
    seen: dict[str, int] = {}
    tokens = _tokens(text)
    changes = [*_defines(text), *_token_changes(text, tokens), *_statement_changes(text, tokens)]
    for change in changes:
        told = " ".join(change.told.split())[:80]
        key = f"{path.rsplit('/', 1)[-1]}:{change.function}: {change.operator}: {told}"
        seen[key] = seen.get(key, 0) + 1
        number = f" #{seen[key]}" if seen[key] > 1 else ""
        line = text.count("\n", 0, change.start) + 1
        source = text[: change.start] + change.new + text[change.end :]
        yield Mutant(path, line, key + number, source)


def _tokens(text: str) -> list[_Token]:
    """The tokens of the file; those of a function know its name."""
    tokens: list[_Token] = []
    depth, function = 0, ""
    for match in _TOKEN.finditer(text):
        kind, word = str(match.lastgroup), match.group()
        if kind in {"skip", "line"}:
            continue
        if word == "{" and depth == 0:
            function = _name_before(tokens)
        tokens.append(_Token(word, match.start(), match.end(), kind, function))
        depth += (word == "{") - (word == "}")
        if depth == 0:
            function = ""
    return tokens


def _name_before(tokens: list[_Token]) -> str:
    """The function whose body follows `tokens`; empty when it is a table or a type."""
    if not tokens or tokens[-1].text != ")":
        return ""
    at = _opening(tokens, len(tokens) - 1)
    return tokens[at - 1].text


def _opening(tokens: list[_Token], close: int) -> int:
    """Where the bracket opens that closes at `close`."""
    depth = 0
    for at in range(close, -1, -1):
        depth += (tokens[at].text in _CLOSE) - (tokens[at].text in _OPEN)
        if depth == 0:
            return at
    raise ValueError("a bracket closes that was not opened")


def _defines(text: str) -> Iterator[_Change]:
    for match in _DEFINED.finditer(text):
        start, end = match.span("number")
        for name, by in (("constant + 1", 1), ("constant - 1", -1)):
            new = str(int(match["number"]) + by)
            yield _Change(name, "define", start, end, new, match.group())


def _token_changes(text: str, tokens: list[_Token]) -> Iterator[_Change]:
    for at, token in enumerate(tokens):
        if not token.function:
            continue
        before = tokens[at - 1]
        is_value = before.kind in {"number", "word"} or before.text in {")", "]"}
        between = is_value and before.text not in _KEYWORDS
        line = _line(text, token.start)
        swaps = _SWAPS.get(token.text, _BETWEEN.get(token.text, ()) if between else ())
        for new in swaps:
            yield _of(token, f"{token.text} {new}", new, line)
        if token.text == "!" or (token.text == "-" and not between):
            yield _of(token, "sign or not removed", "", line)
        if token.kind == "number":
            # A suffix stays; what is not decimal is left to the compiler.
            yield _of(token, "constant + 1", f"({token.text} + 1)", line)
            yield _of(token, "constant - 1", f"({token.text} - 1)", line)
        if token.text == "if":
            end = _closing(tokens, at + 1)
            condition = text[tokens[at + 1].start : tokens[end].end]
            new = f"(!{condition})"
            span = (tokens[at + 1].start, tokens[end].end)
            yield _Change("if negated", token.function, *span, new, condition)
        if token.text == "?":
            yield from _chosen(text, tokens, at)


def _of(token: _Token, operator: str, new: str, line: str) -> _Change:
    return _Change(operator, token.function, token.start, token.end, new, line)


def _line(text: str, at: int) -> str:
    return text[text.rfind("\n", 0, at) + 1 : text.find("\n", at)]


def _closing(tokens: list[_Token], opening: int) -> int:
    """Where the bracket closes that opens at `opening`."""
    depth = 0
    for at in range(opening, len(tokens)):
        depth += (tokens[at].text in _OPEN) - (tokens[at].text in _CLOSE)
        if depth == 0:
            return at
    raise ValueError("a bracket opens that is not closed")


def _chosen(text: str, tokens: list[_Token], question: int) -> Iterator[_Change]:
    """A choice that always takes one side."""
    start = question - 1
    while tokens[start].text not in {"=", "return", ",", ";", "("}:
        start = _opening(tokens, start) - 1 if tokens[start].text in _CLOSE else start - 1
    colon = _next(tokens, question + 1, {":"})
    end = _next(tokens, colon + 1, {";", ","})
    span = (tokens[start + 1].start, tokens[end - 1].end)
    whole = text[slice(*span)]
    sides = (text[tokens[question].end : tokens[colon].start], text[tokens[colon].end : span[1]])
    for name, side in zip(("always true", "always false"), sides, strict=True):
        function = tokens[question].function
        yield _Change(f"condition {name}", function, *span, f"({side.strip()})", whole)


def _next(tokens: list[_Token], at: int, ends: set[str]) -> int:
    """The first of `ends` from `at` on, outside inner brackets, or the bracket that closes."""
    while tokens[at].text not in ends and tokens[at].text not in _CLOSE:
        at = _closing(tokens, at) + 1 if tokens[at].text in _OPEN else at + 1
    return at


def _statement_changes(text: str, tokens: list[_Token]) -> Iterator[_Change]:
    """Deleted statements, and functions that return nothing."""
    rounds = 0  # inside the brackets of a loop there are no statements
    for at, token in enumerate(tokens):
        rounds += (token.text == "(") - (token.text == ")")
        if rounds or not token.function or not _begins(tokens, at):
            continue
        end = _next(tokens, at, {";"})
        if tokens[end].text != ";":
            continue
        told = text[token.start : tokens[end].end]
        span = (token.start, tokens[end].end)
        if token.text == "return":
            if told not in {"return;", "return 0;", "return false;"}:
                yield _Change("returns 0", token.function, *span, "return 0;", told)
        elif token.text in {"break", "continue"} or _is_action(tokens, at):
            yield _Change("statement deleted", token.function, *span, ";", told)


def _begins(tokens: list[_Token], at: int) -> bool:
    """Whether a statement begins with this word."""
    before = tokens[at - 1].text
    if before == ")":
        return tokens[_opening(tokens, at - 1) - 1].text in {"if", "for", "while"}
    return tokens[at].kind == "word" and before in {";", "{", "}", "else"}


def _is_action(tokens: list[_Token], at: int) -> bool:
    """A call or an assignment, not a declaration: those begin with two words."""
    first, second = tokens[at], tokens[at + 1]
    return first.text not in _KEYWORDS and first.text != "const" and second.kind != "word"
