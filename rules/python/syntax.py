"""The syntax tree of a project's function: its place, its content without local names, and the names it uses.

Two functions with equal dumps differ only in the names of local variables, annotations, documentation and layout.
"""

from __future__ import annotations

import ast
import linecache
import re
import symtable
import types
from collections import Counter
from collections.abc import Iterator
from typing import Any

from rules.python.faults import Misuse

_RENAMED = ((ast.Name, "id"), (ast.arg, "arg"), (ast.FunctionDef, "name"), (ast.AsyncFunctionDef, "name"))
_LEFT_OUT = frozenset({"annotation", "returns", "type_comment", "ctx", "kind", "type_params"})

_NAME = r"[^\W\d]\w*"
_QUOTED = {
    **dict.fromkeys(("query", "eval"), re.compile(f"@({_NAME})")),
    **dict.fromkeys(("evaluate", "sql", "execute"), re.compile(_NAME)),
}
"""Methods and functions of packages that look up variables of their callers, and the names in the texts they take."""


class Tree:
    """Dumps a syntax tree with local names by order of appearance; literally: with annotations and documentation."""

    def __init__(self, local: set[str], *, literally: bool = False) -> None:
        self._local = local
        self._left_out = _LEFT_OUT - {"annotation", "returns"} if literally else _LEFT_OUT
        self._literally = literally
        self._numbers: dict[str, int] = {}

    def dump(self, node: Any) -> Any:
        """Return a node, a list of nodes or a node's field as lists of texts."""
        if isinstance(node, list):
            return [self.dump(item) for item in node]
        if isinstance(node, ast.AST):
            fields = {
                name: self.dump(self._named(node, name, value))
                for name, value in ast.iter_fields(node)
                if name not in self._left_out and value is not None and value != []
            }
            return [type(node).__name__, fields]
        return [type(node).__name__, repr(node)]

    def _named(self, node: ast.AST, field: str, value: Any) -> Any:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and field == "body" and not self._literally:
            return value[1:] if len(value) > 1 and ast.get_docstring(node) is not None else value
        if (type(node), field) in _RENAMED:
            if value in self._local:
                return self._numbers.setdefault(value, len(self._numbers))
            return "" if field == "name" else value  # the name of the function itself
        return value


def definition(code: types.CodeType) -> tuple[ast.AST, list[str]]:
    """Return the node that a function was made from, and the lines of its file. Raises `Misuse`."""
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename)
    lambdas: list[ast.Lambda] = []
    for node in ast.walk(ast.parse("".join(lines))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first == code.co_firstlineno:
                return node, lines
        if isinstance(node, ast.Lambda) and code.co_name == "<lambda>" and node.lineno == code.co_firstlineno:
            lambdas.append(node)
    if len(lambdas) > 1:
        lambdas = [one for one in lambdas if _holds(one.body, code)]
        lambdas.sort(key=lambda one: (-one.body.lineno, -one.body.col_offset))  # the innermost
    if lambdas:
        return lambdas[0], lines
    raise Misuse(f"the source of '{code.co_name}' cannot be found", "define it with def in a file of the project")


def _holds(body: ast.expr, code: types.CodeType) -> bool:
    """Whether all of a lambda's code is in a body, if several lambdas begin on one line."""
    begin, end = (body.lineno, body.col_offset), (body.end_lineno or 0, body.end_col_offset or 0)
    found = [place for place in code.co_positions() if place[2] or place[3]]  # the first instruction has none
    return bool(found) and all(
        begin <= (first or 0, start or 0) and (last or 0, stop or 0) <= end for first, last, start, stop in found
    )


def undecorated(node: ast.AST) -> ast.AST:
    """Return a function's node without its own decorators, which registered it."""
    if isinstance(node, ast.Lambda):
        return node
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    fields = dict(ast.iter_fields(node)) | {"decorator_list": []}
    return type(node)(**fields)


def local_names(module: symtable.SymbolTable, node: ast.AST) -> set[str]:
    """Return the names that are local to a function or to something inside it, and nowhere in it come from outside.

    In `lambda v, RATE=RATE: v * RATE` the parameter's default is the module's RATE, whose value counts.
    """
    line = node.lineno  # type: ignore[attr-defined] # functions have one
    found, outside = set[str](), set[str]()
    for table in _tables(module):
        if table.get_type() == "module" or table.get_lineno() < line or not _is_within(table, node):
            continue
        symbols = table.get_symbols()
        outside |= {one.get_name() for one in symbols if one.is_global()}
        if table.get_type() == "function":
            found |= {one.get_name() for one in symbols if one.is_local() or one.is_parameter()}
    return found - outside


def fixed_names(node: ast.AST) -> set[str]:
    """Return the names in places where they cannot be told from others: f(x=1), except E as x, global x."""
    found: set[str] = set()
    for inner in ast.walk(node):
        for field, value in ast.iter_fields(inner):
            if (type(inner), field) not in _RENAMED and not isinstance(inner, ast.Attribute | ast.Constant):
                found |= {one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)}
    return found


def parameters(node: ast.AST) -> set[str]:
    """Return the names by which a function, and those inside it, can be given arguments."""
    given = [inner for inner in ast.walk(node) if isinstance(inner, ast.arguments)]
    return {one.arg for inner in given for one in (*inner.args, *inner.kwonlyargs)}


def keywords(node: ast.AST) -> set[str | None]:
    """Return the names under which a function gives arguments to others; None among them for **values."""
    return {inner.arg for inner in ast.walk(node) if isinstance(inner, ast.keyword)}


def quoted_names(node: ast.AST) -> set[str]:
    """Return the names in texts that a call may read as code: frame.query("x > @LIMIT"), numexpr.evaluate("a * B")."""
    found = set[str]()
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            called = getattr(call.func, "attr", None) or getattr(call.func, "id", None)
            pattern = _QUOTED.get(str(called))
            for inner in ast.walk(call) if pattern is not None else ():
                if pattern is not None and isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                    found |= set(pattern.findall(inner.value))
    return found


def _is_within(table: symtable.SymbolTable, node: ast.AST) -> bool:
    return table.get_lineno() <= (node.end_lineno or 0)  # type: ignore[attr-defined] # functions have one


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


def paths(node: ast.AST, local: set[str]) -> Iterator[tuple[str, ...]]:
    """Yield the dotted names that a function takes from its surroundings."""
    if isinstance(node, ast.Attribute):
        path: list[str] = []
        inner: ast.AST = node
        while isinstance(inner, ast.Attribute):
            path.insert(0, inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            if inner.id not in local:
                yield (inner.id, *path)
            return
    if isinstance(node, ast.Name) and node.id not in local:
        yield (node.id,)
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from paths(child, local)


def opened_to_write(node: ast.AST) -> set[tuple[str, ...]]:
    """Return the dotted names that end with `open` and are only called with a mode in which nothing is read."""
    writing = [inner.func for inner in ast.walk(node) if isinstance(inner, ast.Call) and _only_writes(inner)]
    found = Counter(path for function in writing for path in paths(function, set()) if path[-1] == "open")
    used = Counter(paths(node, set()))
    return {path for path, count in found.items() if count == used[path]}


def fewest_arguments(node: ast.AST) -> dict[tuple[str, ...], int]:
    """Return the fewest arguments in any call of each dotted name; a None, and *more of them, are not counted."""
    found: dict[tuple[str, ...], int] = {}
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            given = [*call.args, *(one.value for one in call.keywords)]
            spread = any(isinstance(one, ast.Starred) for one in call.args) or any(not one.arg for one in call.keywords)
            count = 99 if spread else sum(not _is_none(one) for one in given)
            if _is_dotted(call.func):
                path = next(paths(call.func, set()))
                found[path] = min(count, found.get(path, count))
    return found


def _is_dotted(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and _is_dotted(node.value))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _only_writes(call: ast.Call) -> bool:
    given = [*call.args[1:2], *(one.value for one in call.keywords if one.arg == "mode")]
    mode = given[0].value if given and isinstance(given[0], ast.Constant) else None
    return isinstance(mode, str) and not {"r", "+"} & set(mode)


def assigned(node: ast.AST) -> set[str]:
    """Return the names that are bound by means other than import in a function or inside it."""
    found = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    found |= {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return found | {one.name for one in ast.walk(node) if isinstance(one, definitions) and one is not node}
