"""Refusal of calls of unknown functions, and of functions whose value changes from run to run."""

from __future__ import annotations

from sqlglot import exp

from compiler.errors import SqlError
from compiler.sql import functions
from compiler.sql.other_engines import function_hint
from compiler.tree.positions import located
from compiler.tree.walk import find_all


def require_known_functions(query: exp.Expr) -> None:
    """Refuse a call of a function that neither the engine nor the project has. Raises `SqlError`."""
    for node in find_all(query, exp.Anonymous, exp.AnonymousAggFunc):
        name = functions.function_name(node) or ""
        if functions.lookup(name) is None:
            raise located(node, f"unknown function '{name}'", hint=function_hint(name), code="unknown-function")


def volatile_error(query: exp.Expr) -> SqlError:
    """Return the error of a query that calls a volatile function, at the first call."""
    node = next(node for node in query.find_all(exp.Func) if functions.is_volatile(node))
    name = functions.function_name(node) or node.sql()
    return located(
        node,
        f"'{name}' is volatile: its result changes from run to run",
        hint="declare volatile = true in the rule's options (it then runs in every build), or pass the value as a $var",
        code="undeclared-volatile",
    )
