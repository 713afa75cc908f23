"""The engine's errors about types in operators, CASE, IN, BETWEEN and conditions, in SQL's terms."""

from __future__ import annotations

import re

from sqlglot import exp

from compiler.engine_errors.advice import Advice, Adviser, Refusal, of_kind
from compiler.sql.engine_types import in_sql, split

_SYMBOLS: dict[str, tuple[type[exp.Expr], ...]] = {
    "+": (exp.Add,), "-": (exp.Sub,), "*": (exp.Mul,), "/": (exp.Div,), "%": (exp.Mod,), "=": (exp.EQ,),
    "!=": (exp.NEQ,), "<": (exp.LT,), "<=": (exp.LTE,), ">": (exp.GT,), ">=": (exp.GTE,), "AND": (exp.And,),
    "OR": (exp.Or,), "||": (exp.DPipe,), "LIKE": (exp.Like, exp.ILike), "SIMILAR TO": (exp.SimilarTo,),
    "IS DISTINCT FROM": (exp.NullSafeNEQ, exp.Is), "IS NOT DISTINCT FROM": (exp.NullSafeEQ, exp.Is),
}  # fmt: skip


_INTERVAL_HINT = "n days as an interval: CAST(concat(n, ' days') AS INTERVAL)"
_NUMBERS = re.compile(r"\b(?:TINYINT|SMALLINT|INT|BIGINT|REAL|DOUBLE|DECIMAL)\b")


def _operation(match: re.Match[str], refusal: Refusal) -> Advice:
    left, right, symbol = in_sql(match["left"]), in_sql(match["right"]), match["symbol"].strip()
    kinds = _SYMBOLS.get(symbol, ())
    nodes = of_kind(refusal.query, *kinds, *((exp.Case, exp.In, exp.Between) if symbol == "=" else ())) if kinds else ()
    nodes = nodes or (_compared_columns(refusal.query) if symbol == "=" else ())
    nodes = nodes or of_kind(refusal.query, exp.Binary, exp.In, exp.Between, exp.Case)
    if symbol in {"=", "!=", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"}:
        if "BOOLEAN" in {left, right} and left != right and any(isinstance(one, exp.Is) for one in nodes):
            other = left if right == "BOOLEAN" else right
            return Advice(f"IS TRUE and IS FALSE need a condition, not {other}", "write a comparison", nodes)
        return Advice(f"{left} and {right} cannot be compared", _cast_hint(left, right), nodes)
    if symbol in {"AND", "OR"}:
        message = f"{symbol} needs conditions on both sides, not {left} and {right}"
        return Advice(message, "write a comparison, such as x <> 0", nodes)
    if symbol in {"LIKE", "SIMILAR TO"} or "~" in symbol or "REGEX" in symbol:
        return Advice(
            f"{symbol} needs text on both sides, not {left} and {right}", "cast both sides: CAST(… AS TEXT)", nodes
        )
    return Advice(f"{left} {symbol} {right} cannot be computed", _cast_hint(left, right), nodes)


def _compared_columns(query: exp.Query) -> tuple[exp.Expr, ...]:
    """Return what EXCEPT and INTERSECT compare: the outputs of their second sides."""
    found = query.find_all(exp.Except, exp.Intersect)
    return tuple(item for operation in found for item in operation.expression.selects)


def _cast_hint(left: str, right: str) -> str:
    if "TEXT" in (left, right):
        other = right if left == "TEXT" else left
        if other != "TEXT" and re.fullmatch(r"[A-Z]+(\(.*\))?", other) and other != "NULL":
            return f"cast the text: CAST(… AS {other})"
        return "cast the texts to numbers: CAST(… AS DOUBLE)"
    if "DATE" in (left, right) and any(_NUMBERS.search(side) for side in (left, right)):
        return "add days as an interval: … + INTERVAL '1 day'"
    if _is_time_with_number(left, right):
        return _INTERVAL_HINT
    return "cast one side to the type of the other: CAST(… AS …)"


def _is_time_with_number(left: str, right: str) -> bool:
    times = [side for side in (left, right) if side.startswith(("INTERVAL", "TIMESTAMP"))]
    return len(times) == 1 and any(_NUMBERS.search(side) for side in (left, right))


def _unary(match: re.Match[str], refusal: Refusal) -> Advice:
    if match["symbol"] == "NOT":
        kind = in_sql(match["type"] or "") or "this"
        return Advice(f"NOT needs a condition, not {kind}", "write a comparison", of_kind(refusal.query, exp.Not))
    return Advice(
        "- needs a number, an interval or a timestamp", "cast it: -CAST(… AS DOUBLE)", of_kind(refusal.query, exp.Neg)
    )


def _case(match: re.Match[str], refusal: Refusal) -> Advice:
    one, other = in_sql(match["one"]), in_sql(match["other"])
    if match["what"] == "case":
        message = f"CASE compares {one} with {other}, which cannot be compared"
    else:
        message = f"the branches of CASE are {one} and {other}, which have no common type"
    return Advice(message, "cast them to one type", of_kind(refusal.query, exp.Case))


def _when(match: re.Match[str], refusal: Refusal) -> Advice:
    kind = in_sql(match["type"])
    return Advice(f"WHEN needs a condition, not {kind}", "write a comparison", of_kind(refusal.query, exp.Case))


def _between(match: re.Match[str], refusal: Refusal) -> Advice:
    left, right = in_sql(match["left"]), in_sql(match["right"])
    return Advice(f"BETWEEN compares {left} with {right}, which cannot be compared", "cast them to one type",
                of_kind(refusal.query, exp.Between))  # fmt: skip


def _in_list(match: re.Match[str], refusal: Refusal) -> Advice:
    left, listed = in_sql(match["left"]), ", ".join(dict.fromkeys(map(in_sql, split(match["listed"]))))
    message = f"IN compares {left} with {listed}, which cannot be compared"
    return Advice(message, "write values of one type", of_kind(refusal.query, exp.In))


def _in_query(match: re.Match[str], refusal: Refusal) -> Advice:
    left, right = in_sql(match["left"]), in_sql(match["right"])
    nodes = tuple(one for one in of_kind(refusal.query, exp.In) if one.args.get("query"))
    message = f"IN compares {left} with a subquery's {right}, which cannot be compared"
    return Advice(message, "cast one of them", nodes or of_kind(refusal.query, exp.In, exp.Any, exp.All))


def _convert(match: re.Match[str], refusal: Refusal) -> Advice:
    message = f"{in_sql(match['source'])} and {in_sql(match['target'])} have no common type"
    nodes = of_kind(refusal.query, exp.Func, exp.Binary, exp.Case, exp.In, exp.Between) or tuple(
        item for operation in of_kind(refusal.query, exp.SetOperation) for item in operation.expression.selects
    )
    kinds = in_sql(match["source"]), in_sql(match["target"])
    hint = _INTERVAL_HINT if _is_time_with_number(*kinds) else "cast one of them: CAST(… AS …)"
    return Advice(message, hint, nodes)


def _union(match: re.Match[str], refusal: Refusal) -> Advice:
    kinds = f"{in_sql(match['one'])} and {in_sql(match['other'])}"
    message = f"column '{match['column']}' is {kinds} in the branches of a set operation"
    items = [
        item
        for operation in refusal.query.find_all(exp.SetOperation)
        for side in (operation.expression,)
        for item in side.selects
        if item.alias_or_name == match["column"]
    ]
    return Advice(message, "cast them to one type", tuple(items[:1]) or of_kind(refusal.query, exp.SetOperation)[:1])


def _condition(match: re.Match[str], refusal: Refusal) -> Advice:
    kind = in_sql(match["type"])
    nodes = tuple(clause.this for clause in refusal.query.find_all(exp.Where, exp.Having, exp.Qualify, exp.Filter))
    message = f"WHERE and HAVING need a condition, but this is of type {kind}"
    return Advice(message, "write a comparison", nodes)


def _join_condition(match: re.Match[str], refusal: Refusal) -> Advice:
    nodes = tuple(join.args["on"] for join in refusal.query.find_all(exp.Join) if join.args.get("on") is not None)
    return Advice(f"ON needs a condition, but this is of type {in_sql(match['type'])}", "write a comparison", nodes)


def _scale(match: re.Match[str], refusal: Refusal) -> Advice:
    kinds = f"{in_sql(match['left'])} {match['symbol']} {in_sql(match['right'])}"
    return Advice(f"{kinds} would have more than 38 digits after the point", "cast the sides to fewer digits first",
                of_kind(refusal.query, *_SYMBOLS.get(match["symbol"], (exp.Binary,))))  # fmt: skip


ADVISERS: tuple[tuple[str, Adviser], ...] = (
    (
        (
            r"Cannot get result type for decimal operation (?P<left>.+?) (?P<symbol>[-+*/%]) (?P<right>\S+\(["
            r"^)]*\)|\S+): .*exceed max scale"
        ),
        _scale,
    ),
    (r"Cannot coerce arithmetic expression (?P<left>.+?) (?P<symbol>[-+*/%]) (?P<right>.+) to valid types", _operation),
    (r"Cannot get result type for \w+ operation (?P<left>.+?) (?P<symbol>[-+*/%]) (?P<right>.+?): Invalid", _operation),
    (
        (
            r"Cannot infer common (?:\w+ )*type for (?:\w+ )*operation (?P<left>.+?) (?P<symbol>[-+*/%=<>!~|&"
            r"^@#]+|AND|OR|IS DISTINCT FROM|IS NOT DISTINCT FROM|[A-Z]{2,}[A-Z_ ]*) (?P<right>.+)$"
        ),
        _operation,
    ),
    (r"There isn't a common type to coerce (?P<left>.+) and (?P<right>.+) in (?P<symbol>.+) expression", _operation),
    (r"Unary operator '(?P<symbol>\S+)' (?:requires a boolean expression, got (?P<type>.+)|only supports)", _unary),
    (
        r"Failed to coerce (?P<what>case|then) \((?P<one>.+)\) and (?:when|else) \((?P<other>.+)\) to common types",
        _case,
    ),
    (
        r"WHEN expressions in CASE couldn't be converted to common type \(Boolean\).*convert (?P<type>.+) to Boolean",
        _when,
    ),
    (r"Failed to coerce types (?P<left>.+) and (?P<right>.+) in BETWEEN", _between),
    (r"Can not find compatible types to compare (?P<left>.+?) with \[(?P<listed>.+)\]", _in_list),
    (r"expr type (?P<left>.+) can't cast to (?P<right>.+) in (?:InSubquery|SetComparison)", _in_query),
    (
        (
            r"Incompatible inputs for Union: Previous inputs were of type (?P<one>.+), but got incompatible t"
            r"ype (?P<other>.+) on column '(?P<column>.+)'"
        ),
        _union,
    ),
    (r"Cannot create filter with non-boolean predicate '(?P<what>.*)' returning (?P<type>.+)$", _condition),
    (r"Join condition must be boolean type, but got (?P<type>.+)$", _join_condition),
    (r"Cannot automatically convert (?P<source>.+) to (?P<target>.+)$", _convert),
)
"""Pattern of the engine's error → the function that words it; the first match counts."""
