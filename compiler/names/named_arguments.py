"""Arguments by name → arguments by position: the one form that everything after it sees.

    substr(start_pos => 2, str => s) → substr(s, 2)

So the order of named arguments is never part of a meaning, and the project's functions take them, which the engine
does not offer. As in the engine, arguments by position come first, and none may be left out before another.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from sqlglot import exp

from compiler.errors import SqlError
from compiler.names.user_functions import OwnFunction
from compiler.sql.functions import function_name, lookup
from compiler.sql.parameters import PARAMETERS
from compiler.tree.positions import located
from compiler.tree.walk import find_all


def by_position(query: exp.Query, own: Mapping[str, OwnFunction]) -> exp.Query:
    """Put the arguments of all calls in order, in place. own: the project's functions. Raises `SqlError`."""
    for argument in list(find_all(query, exp.Kwarg)):
        call = argument.parent
        if call is None or argument.parent is not call:
            continue
        name = str(function_name(call) or call.name).lower()
        parameters = _parameters(call, name, own)
        if parameters is None:
            if isinstance(call, exp.Anonymous) and lookup(name) is None:
                continue  # there is no such function, which is said elsewhere
            message = f"'{name}' takes its arguments by position, not by name"
            raise _error(argument, message, f"leave out {argument.name} =>")
        call.set("expressions", _in_order(call, name, parameters))
    return query


def _parameters(call: exp.Expr, name: str, own: Mapping[str, OwnFunction]) -> Sequence[str] | None:
    if not isinstance(call.args.get("expressions"), list):
        return None
    function = own.get(name)
    if function is not None:
        return function.names
    parameters = PARAMETERS.get(name)
    # WITHIN GROUP (ORDER BY x) is the first argument.
    return parameters[1:] if parameters is not None and isinstance(call.parent, exp.WithinGroup) else parameters


def _in_order(call: exp.Expr, name: str, parameters: Sequence[str]) -> list[exp.Expr]:
    """Return the arguments of a call by position. Raises `SqlError`."""
    found: dict[str, exp.Expr] = {}
    first: exp.Kwarg | None = None
    for place, argument in enumerate(call.expressions):
        if not isinstance(argument, exp.Kwarg):
            if first is not None:
                raise _error(argument, f"an argument of '{name}' by position follows one by name", "put it first")
            if place >= len(parameters):
                raise _error(argument, f"'{name}' takes {len(parameters)} arguments: {', '.join(parameters)}")
            found[parameters[place]] = argument
            continue
        first = first or argument
        written = argument.name
        parameter = written if written in parameters else _alike(written, parameters)
        if parameter is None:
            close = difflib.get_close_matches(written.lower(), parameters, n=1, cutoff=0.5)
            hint = f"did you mean '{close[0]}'?" if close else f"its parameters: {', '.join(parameters)}"
            raise _error(argument, f"'{name}' has no parameter '{written}'", hint)
        if parameter in found:
            raise _error(argument, f"'{name}' is given '{parameter}' twice")
        found[parameter] = argument.expression
    missing = [one for place, one in enumerate(parameters) if one not in found and found.keys() & parameters[place:]]
    if missing:
        raise located(call, f"'{name}' needs its parameter '{missing[0]}'", code="arguments")
    return [found[one] for one in parameters if one in found]


def _alike(written: str, parameters: Sequence[str]) -> str | None:
    """Return the one parameter that the name is if case does not count."""
    alike = [one for one in parameters if one.lower() == written.lower()]
    return alike[0] if len(alike) == 1 else None


def _error(node: exp.Expr, message: str, hint: str | None = None) -> SqlError:
    return located(node, message, hint=hint, code="arguments")
