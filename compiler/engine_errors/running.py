"""The engine's errors when a query fails on its data, in the rule's own terms: the value, and the cast that met it.

The place is the one cast, division or call in the author's text that can be the cause; with several or none, it is
the statement. The row is unknown: the engine knows no rows when it computes a column.
"""

from __future__ import annotations

import re

from sqlglot import exp

from compiler.engine_errors.planning import INTERNALS, readable, take_apart
from compiler.errors import SqlError
from compiler.sql.dialect import parse
from compiler.sql.engine_types import in_sql
from compiler.sql.functions import function_name
from compiler.tree.big_stack import with_deep_stack
from compiler.tree.positions import position

_KINDS = {
    "TINYINT": "TINYINT", "SMALLINT": "SMALLINT", "INT": "INT", "BIGINT": "BIGINT", "FLOAT": "REAL",
    "DOUBLE": "DOUBLE", "DECIMAL": "DECIMAL", "DATE": "DATE", "TIME": "TIME", "TIMESTAMP": "TIMESTAMP",
    "TIMESTAMPTZ": "TIMESTAMP", "INTERVAL": "INTERVAL", "BOOLEAN": "BOOLEAN", "VARBINARY": "BYTEA",
}  # fmt: skip
"""SQLGlot's names of types → the names that messages use."""
_VALUES = (
    r"Cannot cast (?:string|value) '(?P<value>.*)' to value of (?P<type>.+) type",
    r"Can't cast value (?P<value>\S+) to type (?P<type>.+)$",
    r"Cannot cast to (?P<type>.+)\. Overflowing on (?P<value>.+)$",
    r"Error parsing (?P<type>timestamp) from '(?P<value>.*?)'",
    r"Error parsing '(?P<value>.*?)' as (?P<type>time|date|timestamp)",
    r'Invalid input syntax for type (?P<type>interval): "(?P<value>.*)"',
    r"(?P<value>\S+) is too large to store in a (?P<type>Decimal)\d+ of precision",
)
_PARSERS = ("to_timestamp", "to_date", "to_time", "to_unixtime")


_SLIDING = re.compile(
    r"can not be used as a sliding accumulator because `retract_batch` is not implemented: (?P<name>\w+)"
)


def failed(message: str, text: str | None) -> SqlError:
    """Return the engine's error of a run, worded for the author; text: of the rule, None if the rule is not SQL."""
    query = _parsed(text)
    refusal = take_apart(message, query if query is not None else exp.select("1"))
    for pattern in _VALUES:
        match = re.search(pattern, refusal.text, re.DOTALL)
        if match is not None:
            return _at(*_value(match, query))
    if "Divide by zero" in refusal.text:
        hint = "write the divisor as NULLIF(…, 0) to get NULL instead"
        return _at("division by zero", hint, _find(query, exp.Div, exp.Mod))
    if "Scalar subquery returned more than one row" in refusal.text:
        found = [one for one in _find(query, exp.Subquery) if not isinstance(one.parent, exp.From | exp.Join)]
        return _at("a scalar subquery returns several rows", "aggregate inside it: MIN(…), MAX(…)", found)
    sliding = _SLIDING.search(refusal.text)
    if sliding is not None:
        return _at(*_sliding(sliding["name"], query))
    advice = readable(refusal)
    if INTERNALS.search(advice):
        return _at("the engine cannot run this query", None, [])
    return _at(advice, None, [])


def _sliding(name: str, query: exp.Query | None) -> tuple[str, str, list[exp.Expr]]:
    """Word the error for an aggregate from which no row can be taken away again, where the frame begins further on."""
    windows = [
        one
        for one in _find(query, exp.Window)
        if (spec := one.args.get("spec")) is not None and spec.args.get("start") != "UNBOUNDED"
    ]
    calls = [one for one in windows if function_name(one.find(exp.Func) or one) == name]
    message = f"'{name}' cannot be computed over a frame whose first row moves"
    return message, "write ROWS BETWEEN UNBOUNDED PRECEDING AND …, or collect the rows by a self-join", calls or windows


def _value(match: re.Match[str], query: exp.Query | None) -> tuple[str, str, list[exp.Expr]]:
    kind = in_sql(match["type"])
    kind = kind.upper() if kind in {"timestamp", "time", "date", "interval"} else kind
    base = kind.partition("(")[0]
    casts = [
        one
        for one in _find(query, exp.Cast)
        if not isinstance(one, exp.TryCast)
        and not (isinstance(one.this, exp.Literal) and one.this.name != match["value"])
    ]
    alike = [one for one in casts if _KINDS.get(one.args["to"].this.name) == base]
    parsers = [one for one in _find(query, exp.Func) if (function_name(one) or "").startswith(_PARSERS)]
    nodes = [*alike, *(parsers if base in {"TIMESTAMP", "DATE", "TIME"} else ())]
    message = f"'{match['value']}' is not a value of {kind}"
    if nodes:
        return message, f"write TRY_CAST(… AS {kind}) to get NULL instead", nodes
    return message, f"if types differ, one side is cast; TRY_CAST(… AS {kind}) gives NULL if the cast fails", []


def _at(message: str, hint: str | None, nodes: list[exp.Expr]) -> SqlError:
    error = SqlError(message, hint=hint, code="execution")
    if len(nodes) == 1:
        error.line, error.column = position(nodes[0])
    return error


def _find(query: exp.Query | None, *kinds: type[exp.Expr]) -> list[exp.Expr]:
    return [] if query is None else list(query.find_all(*kinds))


def _parsed(text: str | None) -> exp.Query | None:
    if text is None:
        return None
    try:
        return with_deep_stack(lambda: parse(text))
    except (SqlError, RecursionError):  # it was compiled, so its file has changed since
        return None
