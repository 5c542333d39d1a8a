"""Small wrong versions of a Python file: one change each, found in the syntax tree.

Owns: the operators and where they apply. Annotations, docstrings, imports and signatures are
left alone: changing them changes no decision. Only the changed place is written anew; the rest
of the text stays as it is, so that no test can notice a mutant by its layout.
"""

import ast
import copy
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

_COMPARISONS: Mapping[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = MappingProxyType(
    {
        ast.Lt: (ast.LtE, ast.GtE),
        ast.LtE: (ast.Lt, ast.Gt),
        ast.Gt: (ast.GtE, ast.LtE),
        ast.GtE: (ast.Gt, ast.Lt),
        ast.Eq: (ast.NotEq,),
        ast.NotEq: (ast.Eq,),
        ast.Is: (ast.IsNot,),
        ast.IsNot: (ast.Is,),
        ast.In: (ast.NotIn,),
        ast.NotIn: (ast.In,),
    }
)
_ARITHMETIC: Mapping[type[ast.operator], type[ast.operator]] = MappingProxyType(
    {
        ast.Add: ast.Sub,
        ast.Sub: ast.Add,
        ast.Mult: ast.Add,
        ast.FloorDiv: ast.Mult,
        ast.LShift: ast.RShift,
        ast.BitOr: ast.BitAnd,
        ast.BitAnd: ast.BitOr,
    }
)
_LEFT_ALONE = (ast.Import, ast.ImportFrom, ast.arguments)


class Mutant(NamedTuple):
    """One changed file. `key` does not depend on line numbers."""

    path: str
    line: int
    key: str
    source: str


class _Place(NamedTuple):
    """A node that may be changed, and how to reach it."""

    function: str
    parent: ast.AST
    field: tuple[str, int | None]
    node: ast.AST
    text: ast.JoinedStr | None  # the formatted string around it: inside, positions are not known


def mutants(path: str, text: str) -> Iterator[Mutant]:
    """Every mutant of one file, in a fixed order."""
    seen: dict[str, int] = {}
    for place in _places(ast.parse(text), "module", None):
        for operator, old, new in _changes(place.node):
            before = ast.unparse(place.node)
            key = f"{path.rsplit('/', 1)[-1]}:{place.function}: {operator}: {before[:80]}"
            seen[key] = seen.get(key, 0) + 1
            number = f" #{seen[key]}" if seen[key] > 1 else ""
            line = getattr(place.node, "lineno", 0)
            yield Mutant(path, line, key + number, _changed(text, place, old, new))


def _places(node: ast.AST, function: str, text: ast.JoinedStr | None) -> Iterator[_Place]:
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "bases"}:
            continue
        items = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
        for at, item in items:
            if not isinstance(item, ast.AST) or isinstance(item, _LEFT_ALONE):
                continue
            if isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant):
                continue  # a docstring
            inner = item.name if isinstance(item, ast.FunctionDef) else function
            around = text or (item if isinstance(item, ast.JoinedStr) else None)
            yield _Place(inner, node, (name, at), item, text)
            yield from _places(item, inner, around)


def _changed(text: str, place: _Place, old: Any, new: ast.AST) -> str:
    """`text` with the source of `old` replaced by that of `new`."""
    if place.text is None:
        words = ast.unparse(new)
        if isinstance(new, ast.expr):
            words = f"({words})"
    else:
        _put(place.parent, place.field, new)
        old, words = place.text, ast.unparse(place.text)
        _put(place.parent, place.field, place.node)
    lines = text.encode().splitlines(keepends=True)
    start = sum(map(len, lines[: old.lineno - 1])) + old.col_offset
    end = sum(map(len, lines[: old.end_lineno - 1])) + old.end_col_offset
    whole = b"".join(lines)
    return (whole[:start] + words.encode() + whole[end:]).decode()


def _put(parent: ast.AST, field: tuple[str, int | None], node: ast.AST) -> None:
    name, at = field
    if at is None:
        setattr(parent, name, node)
    else:
        getattr(parent, name)[at] = node


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST, ast.AST]]:
    """(operator, what it replaces, by what)."""
    if isinstance(node, ast.If):
        yield "if negated", node.test, ast.UnaryOp(ast.Not(), node.test)
    else:
        for operator, changed in _versions(node):
            yield operator, node, changed


def _versions(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.Compare):
        for k, op in enumerate(node.ops):
            for other in _COMPARISONS[type(op)]:
                changed = copy.deepcopy(node)
                changed.ops[k] = other()
                yield f"comparison {k + 1} {other.__name__}", changed
    elif isinstance(node, ast.BoolOp):
        changed_bool = copy.deepcopy(node)
        changed_bool.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "and/or", changed_bool
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield "sign or not removed", node.operand
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        yield "arithmetic", ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right)
    elif isinstance(node, ast.Constant):
        yield from _constant_changes(node.value)
    else:
        yield from _limit_changes(node)
        yield from _statement_changes(node)


def _limit_changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """A clamp that clamps no more, in either of its two forms."""
    if isinstance(node, ast.IfExp):
        yield "condition always true", node.body
        yield "condition always false", node.orelse
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"min", "max"}:
        for k, argument in enumerate(node.args):
            if not isinstance(argument, ast.Starred):
                yield f"limit removed, argument {k + 1}", argument


def _constant_changes(value: object) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(value, bool):
        yield "boolean", ast.Constant(not value)
    elif isinstance(value, int):
        yield "constant + 1", ast.Constant(value + 1)
        yield "constant - 1", ast.Constant(value - 1)


def _statement_changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.Return) and node.value is not None:
        if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield "returns None", ast.Return(ast.Constant(None))
    elif isinstance(node, ast.AugAssign):
        yield "statement deleted", ast.Pass()
        if type(node.op) in _ARITHMETIC:
            op = _ARITHMETIC[type(node.op)]()
            yield "arithmetic", ast.AugAssign(node.target, op, node.value)
    elif isinstance(node, ast.Expr | ast.Raise | ast.Continue):
        yield "statement deleted", ast.Pass()
