"""The engine's errors about FROM, VALUES, LIMIT, UNNEST and recursion, in SQL's terms."""

from __future__ import annotations

import re

from sqlglot import exp

from compiler.engine_errors.advice import Advice, Adviser, Refusal, calls, plain
from compiler.sql import functions
from compiler.sql.engine_types import in_sql


def _values(match: re.Match[str], refusal: Refusal) -> Advice:
    one, other = in_sql(match["one"]), in_sql(match["other"])
    nodes = tuple(refusal.query.find_all(exp.Values))
    message = f"VALUES has {one} and {other} in column {int(match['column']) + 1}, which have no common type"
    return Advice(message, "cast them to one type", _row(nodes, int(match["row"]), int(match["column"])))


def _row(values: tuple[exp.Expr, ...], row: int, column: int) -> tuple[exp.Expr, ...]:
    if len(values) != 1:
        return values
    rows = values[0].expressions
    cells = rows[row].expressions if row < len(rows) else []
    return (cells[column],) if column < len(cells) else values


def _values_length(match: re.Match[str], refusal: Refusal) -> Advice:
    message = f"a row of VALUES has {match['given']} columns, but the first has {match['wanted']}"
    nodes = tuple(refusal.query.find_all(exp.Values))
    return Advice(message, None, _row(nodes, int(match["row"]), 0))


def _alias_length(match: re.Match[str], refusal: Refusal) -> Advice:
    message = f"a table with {match['has']} columns is given {match['named']} names"
    nodes = [
        one
        for one in refusal.query.find_all(exp.TableAlias)
        if len(one.args.get("columns") or ()) == int(match["named"])
    ]
    return Advice(message, "name each column once", tuple(nodes))


def _limit(match: re.Match[str], refusal: Refusal) -> Advice:
    word = match["word"]
    nodes = tuple(refusal.query.find_all(exp.Offset if word == "OFFSET" else exp.Limit))
    return Advice(f"{word} needs a non-negative whole number", None, nodes[:1])


def _series(match: re.Match[str], refusal: Refusal) -> Advice:
    message = f"argument {match['number']} of generate_series and range must be a constant whole number"
    return Advice(message, "join to a series up to a constant, and filter it", _series_calls(refusal.query))


def _series_calls(query: exp.Query) -> tuple[exp.Expr, ...]:
    return tuple(
        one for one in query.find_all(exp.Func) if functions.function_name(one) in {"generate_series", "range"}
    )


def _unknown_relation(match: re.Match[str], refusal: Refusal) -> Advice:
    name = match["name"]
    nodes = tuple(one for one in refusal.query.find_all(exp.Table) if one.name == name)
    recursive = any(one.args.get("recursive") for one in refusal.query.find_all(exp.With))
    if recursive:
        hint = "write WITH RECURSIVE name AS (start UNION ALL step), where only the step reads name"
        return Advice(f"'{name}' cannot be read here: it is not yet defined", hint, nodes[:1])
    return Advice(f"unknown table '{name}'", None, nodes[:1])


def _recursive(message: str, hint: str) -> Adviser:
    def advise(_: re.Match[str], refusal: Refusal) -> Advice:
        found = [one for one in refusal.query.find_all(exp.With) if one.args.get("recursive")]
        return Advice(message, hint, tuple(cte for one in found[:1] for cte in one.expressions[:1]))

    return advise


def _empty_in(_: re.Match[str], refusal: Refusal) -> Advice:
    found = tuple(one for one in refusal.query.find_all(exp.In) if not one.args.get("query") and not one.expressions)
    message = "IN needs at least one value" if found else "an expression is missing"
    return Advice(message, "for an empty list, write FALSE" if found else None, found)


def _unnest(_: re.Match[str], refusal: Refusal) -> Advice:
    found = [*refusal.query.find_all(exp.Explode, exp.Unnest)]
    return Advice(
        "unnest can be used only as a column of SELECT or in FROM",
        "unnest in a CTE, and refer to its column",
        tuple(found[:1]),
    )


def _unnest_type(_: re.Match[str], refusal: Refusal) -> Advice:
    found = tuple(refusal.query.find_all(exp.Explode, exp.Unnest))
    return Advice("unnest takes an array or a struct", "make_array(…) makes an array", found)


ADVISERS: tuple[tuple[str, Adviser], ...] = (
    (r"Empty tuple not supported", plain("() cannot be used here", None, exp.Group, exp.Tuple)),
    (
        (
            r"Inconsistent data type across values list at row (?P<row>\d+) column (?P<column>\d+)\. Was (?P<"
            r"one>.+) but found (?P<other>.+)$"
        ),
        _values,
    ),
    (
        (
            r"Inconsistent data length across values list: got (?P<given>\d+) values in row (?P<row>\d+) but "
            r"expected (?P<wanted>\d+)"
        ),
        _values_length,
    ),
    (r"Source table contains (?P<has>\d+) columns but only (?P<named>\d+) names", _alias_length),
    (r"Expected (?P<word>LIMIT|OFFSET) to be an integer", _limit),
    (r"(?P<word>LIMIT|OFFSET) must be >= ?0", _limit),
    (r"Argument #(?P<number>\d+) must be an? [\w, ]+ or NULL", _series),
    (
        r"LATERAL syntax is not supported for",
        plain("LATERAL can follow only JOIN, CROSS JOIN and LEFT JOIN", "swap the sides of the join", exp.Lateral),
    ),
    (
        r"Multiple recursive references to the same CTE",
        _recursive("a recursive CTE can read itself only once", "read it once, and join that to other tables"),
    ),
    (
        r"Recursive queries? with a distinct UNION|recursive.*UNION",
        _recursive("a recursive CTE needs UNION ALL", "write UNION ALL, and end the recursion with WHERE"),
    ),
    (r"table 'datafusion\.public\.(?P<name>\w+)' not found", _unknown_relation),
    (r"Unnest should be rewritten", _unnest),
    (r"unnest\(\) (?:can only be applied|does not support)", _unnest_type),
    (
        r"Unsupported ast node in sqltorel",
        plain("the zone of AT TIME ZONE must be a text constant", "write AT TIME ZONE 'UTC'", exp.AtTimeZone),
    ),
    (r"Expected: an expression, found: \)", _empty_in),
    (
        r"Substring without for/from",
        plain(
            "'substr' needs at least 2 arguments, not 1",
            "write substr(text, start) or substr(text, start, length)",
            exp.Func,
        ),
    ),
    (r"Invalid escape character in LIKE", plain("ESCAPE takes a single character", "write ESCAPE '\\'", exp.Escape)),
    (
        r"Unsupported type '(?P<type>.+?)'\. Must be",
        lambda match, refusal: Advice(
            f"unknown type '{match['type']}'",
            "write CAST(… AS BIGINT), or a type such as 'Int32' for arrow_cast",
            calls(refusal.query, "arrow_cast"),
        ),
    ),
)
"""Pattern of the engine's error → the function that words it; the first match counts."""
