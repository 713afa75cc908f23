"""Look at the functions that a rule calls: those of the project become the engine's, unknown ones are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from compiler import functions
from compiler.errors import SqlError
from compiler.positions import located
from compiler.tree import find_all


@dataclass(frozen=True)
class OwnFunction:
    """A scalar function of the project. parameters: their number; digest: of all that decides what it computes."""

    name: str
    parameters: int
    volatility: str
    digest: str


def with_own_calls(query: exp.Query, own: Mapping[str, OwnFunction]) -> exp.Query:
    """Make calls of the project's functions what calls of the engine's are. Raises `SqlError`."""

    def own_call(node: exp.Expr) -> exp.Expr:
        function = own.get(str(node.name).lower()) if isinstance(node, exp.Anonymous) else None
        if function is None:
            return node
        if len(node.expressions) != function.parameters:
            takes, given = function.parameters, len(node.expressions)
            message = f"'{function.name}' takes {takes} argument{'' if takes == 1 else 's'}, not {given}"
            raise located(node, message, code="arguments")
        call = functions.ScalarFunction(this=function.name, expressions=node.expressions)
        call.meta.update(node.meta)
        return call

    result = query.transform(own_call, copy=False) if own else query
    assert isinstance(result, exp.Query)
    return result


def require_known_functions(query: exp.Expr) -> None:
    """Refuse a call of what neither the engine nor the project has. Raises `SqlError`."""
    for node in find_all(query, exp.Anonymous, exp.AnonymousAggFunc):
        name = functions.function_name(node) or ""
        if functions.lookup(name) is None:
            hint = functions.suggest(name)
            raise located(
                node,
                f"unknown function '{name}'",
                hint=f"did you mean '{hint}'?" if hint else None,
                code="unknown-function",
            )


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
