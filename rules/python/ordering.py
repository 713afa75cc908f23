"""The same order of iteration in a project's Python code in every process.

Only sets lack it: the order of a set of strings depends on the hash seed, and a rule built by iterating over one would
have another fingerprint on another machine. The code of a project is compiled with every visible iteration in
it going through `ordered`.
"""

from __future__ import annotations

import ast
from types import CodeType
from typing import Any

HELPER = "__rules_ordered__"
"""The name of `ordered` among a project module's built-ins."""

_CONSUMERS = frozenset({"list", "tuple", "enumerate", "zip", "map", "filter", "iter", "dict", "reversed", "next"})


def ordered(values: Any) -> Any:
    """Return a set sorted, anything else as it is. Raises `TypeError` for a set that has no order of its own."""
    if not isinstance(values, set | frozenset):
        return values
    try:
        return sorted(values)
    except TypeError:
        message = "this set has no order that is the same in every process: use a list, or sort it by a key"
        raise TypeError(message) from None


def compile_ordered(source: bytes, path: str) -> CodeType:
    """Compile a module of the project. Raises `SyntaxError`, `ValueError`."""
    tree = _Ordering().visit(ast.parse(source, path))
    code: CodeType = compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)
    return code


class _Ordering(ast.NodeTransformer):
    """`for x in E` → `for x in ordered(E)`, and the same for comprehensions, *E, list(E), ", ".join(E), a, b = E."""

    def visit_For(self, node: ast.For) -> ast.AST:
        self.generic_visit(node)
        node.iter = _led(node.iter)
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        self.generic_visit(node)
        node.iter = _led(node.iter)
        return node

    def visit_Starred(self, node: ast.Starred) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load):
            node.value = _led(node.value)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self.generic_visit(node)
        if any(isinstance(target, ast.Tuple | ast.List) for target in node.targets):
            node.value = _led(node.value)
        return node

    def visit_YieldFrom(self, node: ast.YieldFrom) -> ast.AST:
        self.generic_visit(node)
        node.value = _led(node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        function = node.func
        consumes = isinstance(function, ast.Name) and function.id in _CONSUMERS
        if consumes or (isinstance(function, ast.Attribute) and function.attr in {"join", "isin", "extend"}):
            node.args = [one if isinstance(one, ast.Starred) else _led(one) for one in node.args]
        return node


def _led(value: ast.expr) -> ast.expr:
    if isinstance(value, ast.Constant | ast.List | ast.Tuple | ast.Dict | ast.Lambda):
        return value
    call = ast.Call(func=ast.Name(id=HELPER, ctx=ast.Load()), args=[value], keywords=[])
    return ast.copy_location(call, value)
