"""Small wrong versions of a source file: one change each, by syntax tree.

Owns: the operators and where they apply. Annotations, docstrings, imports and signatures are
left alone: changing them changes no decision.
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


def mutants(path: str, text: str) -> Iterator[Mutant]:
    """Every mutant of one file, in a fixed order."""
    tree = ast.parse(text)
    seen: dict[str, int] = {}
    for function, parent, field, node in _places(tree, "module"):
        for operator, changed in _changes(node):
            before = ast.unparse(node)
            _put(parent, field, changed)
            source = ast.unparse(tree)
            _put(parent, field, node)
            key = f"{path.rsplit('/', 1)[-1]}:{function}: {operator}: {before[:80]}"
            seen[key] = seen.get(key, 0) + 1
            number = f" #{seen[key]}" if seen[key] > 1 else ""
            yield Mutant(path, getattr(node, "lineno", 0), key + number, source + "\n")


def _places(node: ast.AST, function: str) -> Iterator[tuple[str, ast.AST, Any, ast.AST]]:
    """(enclosing function, parent, (field, index), node) of what may be changed."""
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
            yield inner, node, (name, at), item
            yield from _places(item, inner)


def _put(parent: ast.AST, field: tuple[str, int | None], node: ast.AST) -> None:
    name, at = field
    if at is None:
        setattr(parent, name, node)
    else:
        getattr(parent, name)[at] = node


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
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
    if isinstance(node, ast.If):
        changed = copy.copy(node)
        changed.test = ast.UnaryOp(ast.Not(), node.test)
        yield "if negated", changed
    elif isinstance(node, ast.Return) and node.value is not None:
        if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield "returns None", ast.Return(ast.Constant(None))
    elif isinstance(node, ast.AugAssign):
        yield "statement deleted", ast.Pass()
        if type(node.op) in _ARITHMETIC:
            op = _ARITHMETIC[type(node.op)]()
            yield "arithmetic", ast.AugAssign(node.target, op, node.value)
    elif isinstance(node, ast.Expr | ast.Raise | ast.Continue):
        yield "statement deleted", ast.Pass()
