"""The form of a source file: sizes, docstrings, state, what it catches, how it loops."""

import ast
from collections.abc import Iterator

from tests.architecture.source import Source

FILE_LINES_MAX = 400
FILE_LINES_MEDIAN_MAX = 150
FUNCTION_LINES_MAX = 60
PARAMETERS_MAX = 5

Function = ast.FunctionDef | ast.AsyncFunctionDef

MUTABLE_CALLS = frozenset({"list", "dict", "set", "bytearray", "deque", "defaultdict", "Counter"})
CACHES = frozenset({"cache", "lru_cache"})
# A value that its type forbids to change is not state, whatever built it.
READ_ONLY_TYPES = frozenset({"Mapping", "Sequence", "Collection"})
MUTABLE_DISPLAYS = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)


def functions(source: Source) -> Iterator[tuple[Function, bool]]:
    """Every function, and whether it is a method."""
    for parent in ast.walk(source.tree):
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, Function):
                yield node, isinstance(parent, ast.ClassDef)


def size_violations(source: Source) -> list[str]:
    """Files and functions longer than a reader can hold."""
    found = []
    if source.lines > FILE_LINES_MAX:
        found.append(f"{source.path}: {source.lines} lines, {FILE_LINES_MAX} allowed")
    for node, _ in functions(source):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            place = f"{source.path}:{node.lineno}"
            found.append(f"{place}: {node.name} has {lines} lines, {FUNCTION_LINES_MAX} allowed")
    return found


def parameter_violations(source: Source) -> list[str]:
    """Functions with more parameters than a caller can order (self not counted)."""
    found = []
    for node, is_method in functions(source):
        static = any("staticmethod" in ast.unparse(d) for d in node.decorator_list)
        a = node.args
        count = len(a.posonlyargs) + len(a.args) + len(a.kwonlyargs) - (is_method and not static)
        if count > PARAMETERS_MAX:
            place = f"{source.path}:{node.lineno}"
            found.append(f"{place}: {node.name} has {count} parameters, {PARAMETERS_MAX} allowed")
    return found


def docstring_violations(source: Source) -> list[str]:
    """Modules that do not say what they are for."""
    if (ast.get_docstring(source.tree) or "").strip():
        return []
    return [f"{source.path}: no module docstring"]


def state_violations(source: Source) -> list[str]:
    """Objects that live as long as the module and can change: hidden inputs of every call."""
    found = [_state_at(node) for node in _static_statements(source.tree)]
    found += [_hidden_state(node) for node in ast.walk(source.tree)]
    return [f"{source.path}:{item}" for item in found if item]


def _static_statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run once, at import: the module's and its classes'.

    Not the fields of a msgspec Struct: it copies an empty default for each instance, and
    refuses any other mutable one by itself.
    """
    yield from tree.body
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            is_struct = any(ast.unparse(base).endswith("Struct") for base in node.bases)
            yield from () if is_struct else node.body


def _state_at(node: ast.stmt) -> str | None:
    if isinstance(node, ast.AnnAssign):
        kinds = {n.id for n in ast.walk(node.annotation) if isinstance(n, ast.Name)}
        if kinds & READ_ONLY_TYPES or node.value is None:
            return None
        target, value = ast.unparse(node.target), node.value
    elif isinstance(node, ast.Assign):
        target, value = ast.unparse(node.targets[0]), node.value
    else:
        return None
    if target == "__all__":
        return None
    made = isinstance(value, ast.Call) and ast.unparse(value.func).split(".")[-1] in MUTABLE_CALLS
    if made or isinstance(value, MUTABLE_DISPLAYS):
        return f"{node.lineno}: {target} is mutable and shared; annotate it as Mapping or Sequence"
    return None


def _hidden_state(node: ast.AST) -> str | None:
    if isinstance(node, ast.Global):
        return f"{node.lineno}: global {', '.join(node.names)}"
    if isinstance(node, Function):
        for decorator in node.decorator_list:
            call = decorator.func if isinstance(decorator, ast.Call) else decorator
            if ast.unparse(call).split(".")[-1] in CACHES:
                return f"{node.lineno}: {node.name} is cached, which is state nobody owns"
    return None


def broad_excepts(source: Source) -> list[tuple[str, int]]:
    """(function, line) of each handler that would also catch a mistake of ours."""
    return [
        (name, node.lineno)
        for name, node in _with_function(source.tree, "<module>")
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type)
    ]


def unbounded_loops(source: Source) -> list[tuple[str, int]]:
    """(function, line) of each `while` whose condition can never be false."""
    return [
        (name, node.lineno)
        for name, node in _with_function(source.tree, "<module>")
        if isinstance(node, ast.While) and isinstance(node.test, ast.Constant) and node.test.value
    ]


def _is_broad(caught: ast.expr | None) -> bool:
    if caught is None:
        return True
    kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(ast.unparse(kind) in {"Exception", "BaseException"} for kind in kinds)


def _with_function(node: ast.AST, name: str) -> Iterator[tuple[str, ast.AST]]:
    """Every node below, with the function it stands in."""
    for child in ast.iter_child_nodes(node):
        inner = child.name if isinstance(child, Function) else name
        yield inner, child
        yield from _with_function(child, inner)


def float_uses(source: Source) -> list[str]:
    """Places where arithmetic could leave the integers."""
    found = []
    for node in ast.walk(source.tree):
        is_float = isinstance(node, ast.Constant) and isinstance(node.value, float)
        is_name = isinstance(node, ast.Name) and node.id == "float"
        divides = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
        if isinstance(node, ast.expr | ast.stmt) and (is_float or is_name or divides):
            found.append(f"{source.path}:{node.lineno}: {ast.unparse(node)}")
    return found
