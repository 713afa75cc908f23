"""The engine's planning errors in the rule's own terms: which part of the SQL they are about, in a readable sentence.

The engine knows no places in its input, and not the author's text, so a place is taken from the names in its message
where they leave no doubt. Otherwise the error stands at the statement.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from compiler import functions
from compiler.dialect import render
from compiler.errors import SqlError
from compiler.positions import position
from compiler.tree import output_leaf

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NOISE = (
    r"^(?:Internal error: |type_coercion |caused by |Error during planning: |Optimizer rule '\w+' failed )+",
    r" ?This issue was likely caused by a bug in DataFusion's code\..*?/issues\.?",
    r" No function matches the given name and argument types '.*?'\.",
    r" You might need to add explicit type casts\.",
    r"While expanding wildcard, ",
    r"(?<=is not valid )Substring \{.*\}",
)
_TYPES = (
    (r"\b(?:Large)?Utf8(?:View)?\b", "string"),
    (r"\bDate32\b", "date"),
    (r"\bBoolean\b", "boolean"),
    (r"\b(U?Int(?:8|16|32|64)|Float(?:32|64)|Decimal128|Timestamp)\b", lambda match: match[0].lower()),
)


def explained(error: SqlError, query: exp.Query) -> SqlError:
    """Return the engine's error about `query` (the executed form) as the author is told it."""
    if error.line is not None or error.code not in {"engine", "type"}:
        return error
    if error.code == "type":
        stored = re.search(r"output column '(.*)' of type", error.message)
        leaf = output_leaf(query)
        items = leaf.selects if leaf is not None else []
        return _placed(error, _only(item for item in items if stored and item.alias_or_name == stored[1]))
    message = error.message
    hint = error.hint
    at: exp.Expr | None = None
    if "Aggregate functions are not allowed in the WHERE clause" in message:
        message, hint = "an aggregate cannot stand in WHERE", "filter groups with HAVING"
        at = _only(_own_aggregates(query))
    elif "Aggregate function calls cannot be nested" in message:
        message, hint = "an aggregate cannot stand inside another", "compute the inner one in a CTE"
        at = _only(node for node in query.find_all(exp.AggFunc) if _stands_in(node, exp.AggFunc))
    elif ungrouped := re.search(r'column "(?:([^".]+)\.)?([^".]+)" must appear in the GROUP BY', message):
        message = f"column '{ungrouped[2]}' must stand in GROUP BY or inside an aggregate"
        at = _ungrouped(query, ungrouped[1] or "", ungrouped[2])
    elif filtered := re.search(r"non-boolean predicate '(.*)' returning (\w+)", message):
        message = f"WHERE and HAVING need a condition, and this is of type {filtered[2]}"
        at = _only(clause.this for clause in query.find_all(exp.Where, exp.Having))
    elif misused := re.search(r"Invalid function '(\w+)'", message):
        at = _only(_calls(query, misused[1]))
        known = functions.lookup(misused[1])
        if known is not None and known.kinds == {"window"}:
            message, hint = f"'{misused[1]}' is a window function", f"write {misused[1]}(…) OVER (…)"
    elif missing := re.search(r"No field named (?:\S+\.)?\"?(\w+)\"?\.", message):
        spread = _only(node.this for node in _spread_items(query) if node.alias == missing[1])
        if spread is not None:
            return struct_error(spread)
    else:
        message, hint, at = _argument_error(message, hint, query)
    told = SqlError(_readable(message), hint=hint and _readable(hint), code=error.code)
    return _placed(told, at)


def other_columns_error(query: exp.Query, columns: Sequence[str]) -> SqlError:
    """Return the error for a query (the executed form) that yields other columns than it names."""
    leaf = output_leaf(query)
    items = [item for item in leaf.selects if item.alias not in columns] if leaf is not None else []
    unnested = [item.unalias() for item in items if isinstance(item.unalias(), exp.Explode)]
    if unnested:
        return struct_error(
            unnested[0], [name.rpartition(".")[2] for name in columns if name not in query.named_selects]
        )
    return SqlError(f"the query yields other columns than it names: {', '.join(columns)}")


def struct_error(unnest: exp.Expr, fields: Iterable[str] = ()) -> SqlError:
    """Return the error for an unnest of a struct, whose fields would become columns with names of the engine's."""
    value = render(unnest.this).replace('"', "")
    written = ", ".join(f"{value}['{field}'] AS {field}" for field in fields) or f"{value}['field'] AS field"
    message = "unnest of a struct yields a column for each field, and they cannot be named"
    return _placed(SqlError(message, hint=f"select the fields one by one: {written}", code="unsupported"), unnest)


def _placed(error: SqlError, at: exp.Expr | None) -> SqlError:
    if at is not None:
        error.line, error.column = position(at)
    return error


def _spread_items(query: exp.Query) -> list[exp.Alias]:
    return [node for node in query.find_all(exp.Alias) if isinstance(node.this, exp.Explode)]


def _argument_error(message: str, hint: str | None, query: exp.Query) -> tuple[str, str | None, exp.Expr | None]:
    """Take apart what the engine says of a call with arguments that it does not take."""
    candidates = re.search(r"Candidate functions: (.*)$", message)
    count = re.search(r"Function '(\w+)' expects (\d+) arguments? but received (\d+)", message)
    none = re.search(r"'(\w+)' does not support zero arguments", message)
    named = re.search(r"Function '(\w+)'", message) or re.search(r"argument types '(\w+)\(", message)
    if candidates:
        hint = f"it can be called as {candidates[1].strip()}"
        message = message[: candidates.start()].rstrip()
    if count:
        message = f"'{count[1]}' takes {count[2]} argument{'' if count[2] == '1' else 's'}, not {count[3]}"
    elif none:
        message = f"'{none[1]}' needs an argument"
    found = count or none or named
    return message, hint, _only(_calls(query, found[1])) if found else None


def _only(nodes: Iterable[exp.Expr]) -> exp.Expr | None:
    """Return the one node there is: with several, which of them the engine means cannot be told."""
    found = list(nodes)
    return found[0] if len(found) == 1 else None


def _calls(query: exp.Query, name: str) -> list[exp.Expr]:
    return [
        node
        for node in query.find_all(exp.Func)
        if functions.function_name(node) == name.lower() and not isinstance(node, exp.Window)
    ]


def _own_aggregates(query: exp.Query) -> list[exp.Expr]:
    """Return the aggregates that stand in a WHERE and in no query inside it."""
    return [node for node in query.find_all(exp.AggFunc) if _stands_in(node, exp.Where)]


def _stands_in(node: exp.Expr, kind: type[exp.Expr]) -> bool:
    """Whether a node of that kind is around `node` and within its own query."""
    return isinstance(node.find_ancestor(kind, exp.Select), kind)


def _ungrouped(query: exp.Query, table: str, name: str) -> exp.Expr | None:
    """Return the first use of a column in the outputs of a grouped query, outside its aggregates."""
    for select in query.find_all(exp.Select):
        if not (select.args.get("group") or any(item.find(exp.AggFunc) for item in select.selects)):
            continue
        for item in select.selects:
            for column in item.find_all(exp.Column):
                outside = column.find_ancestor(exp.AggFunc, exp.Select) is select
                if outside and column.name == name and table in {"", column.table}:
                    return column
    return None


def _readable(message: str) -> str:
    for pattern in _NOISE:
        message = re.sub(pattern, "", message)
    for pattern, word in _TYPES:
        message = re.sub(pattern, word, message)
    message = re.sub(r"\s+", " ", message).strip()
    return message[:1].lower() + message[1:] if message[1:2].islower() else message
