"""Habits about casts: which texts are values, what has no cast there, and time zones in texts."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sqlglot import exp

from compiler.dialects.view import View
from compiler.sql.functions import function_name

_WORDS: Mapping[str, tuple[str, str]] = {
    "B": ("true", "false"),
    "D": ("true t yes y 1", "false f no n 0"),
    "K": ("true t yes y 1", "false f no n 0"),
    "S": ("true t yes y on 1", "false f no n off 0"),
}
"""Letter of a dialect → the texts that are TRUE there in lower case, and those that are FALSE."""
_NUMBERS = (*exp.DataType.INTEGER_TYPES, *exp.DataType.REAL_TYPES)
_MOMENTS = (exp.DType.DATE, exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ, exp.DType.TIMESTAMPTZ, exp.DType.TIME)
_ZONELESS = (exp.DType.DATE, exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ)
_PLAIN = {
    exp.DType.DATE: re.compile(r"\d{4}-\d\d-\d\d"),
    exp.DType.TIME: re.compile(r"\d\d:\d\d:\d\d(\.\d{1,6})?"),
}
_PLAIN_MOMENT = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d{1,6})?)?")
_ZONE = r"(:[0-9]{2}(?:\.[0-9]+)?) ?(?:Z|UTC|[A-Z][A-Za-z]+/[A-Za-z_/]+|[+-][0-9:]+)$"
"""The end of a text of a moment with a time zone: its seconds, and the zone."""
_DAY = "'^(?:[0-9]{8})$'"


def tried_casts(view: View) -> None:
    """TRY_CAST('on' AS BOOLEAN) is TRUE here, and NULL in DuckDB; TRY_CAST(d AS INT) is NULL there."""
    for node in view.every(exp.TryCast):
        kind, to = view.kind(node.this), node.args["to"].this
        if view.letter == "D" and _has_no_cast(kind, to):
            message = "DuckDB does not cast a value of this type to the other, so that it is NULL there"
            view.add("R046", node, message, "write NULL, or the value that it is to have")
        if kind != "text" or isinstance(node.this.unnest(), exp.Null):
            continue
        if to == exp.DType.BOOLEAN:
            _tried_truth(view, node)
        elif to in _MOMENTS:
            _tried_moment(view, node)


def _has_no_cast(kind: str | None, to: exp.DType) -> bool:
    return (kind in {"date", "ts", "tz"} and to in _NUMBERS) or (
        kind in {"int", "float", "decimal", "bool"} and to in _MOMENTS
    )


def _tried_truth(view: View, node: exp.Expr) -> None:
    x, words = view.extents.operand(node.this), _WORDS.get(view.letter)
    written = None
    if x is not None and words is not None:
        trimmed = f"lower(btrim({x}))" if view.letter == "K" else f"lower({x})"
        true, false = (", ".join(f"'{word}'" for word in one.split()) for one in words)
        written = f"CASE WHEN {trimmed} IN ({true}) THEN TRUE WHEN {trimmed} IN ({false}) THEN FALSE END"
    message = f"other texts are truth values here than in {view.title}"
    view.replace("R046", node, message, written, None if written else "write CASE WHEN s = 'true' THEN TRUE … END")


def _tried_moment(view: View, node: exp.Expr) -> None:
    to, text = node.args["to"].this, node.this.unnest()
    if isinstance(text, exp.Literal) and _PLAIN.get(to, _PLAIN_MOMENT).fullmatch(text.name):
        return
    x = view.extents.operand(node.this)
    message = f"other texts are dates and times here than in {view.title}"
    written = None
    if view.letter == "B" and to == exp.DType.DATE and x is not None:
        written = f"CASE WHEN regexp_like({x}, '^[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}$') THEN TRY_CAST({x} AS DATE) END"
    hint = "write it in a rule of its own in our SQL, where 2024-01-31 and 2024-01-31 10:20:30 are ones"
    view.replace("R046", node, message, written, None if written else hint)


def zones_of_texts(view: View) -> None:
    """CAST('2024-01-31 10:00:00+02' AS TIMESTAMP) is 08:00 here, and 10:00 where a text's time zone is dropped."""
    if view.letter not in "DPSR":
        return
    for node in view.every(exp.Cast):
        text, place = node.this.unnest(), view.extents.of(node.this)
        if isinstance(node, exp.TryCast) or node.args["to"].this not in _ZONELESS or view.kind(text) != "text":
            continue
        message = f"a time zone in a text moves the time here; {view.title} drops it"
        if isinstance(text, exp.Literal):
            plain = re.sub(_ZONE, r"\1", text.name)
            if plain != text.name:
                written = "'" + plain.replace("'", "''") + "'"
                view.add("R034", node, message, f"write {written}", *([(*place, written)] if place else []))
        elif not (function_name(text) == "regexp_replace" or isinstance(text, exp.Null)) and _may_have_zone(text):
            x = view.extents.written(node.this)
            edits = [(*place, f"regexp_replace({x}, '{_ZONE}', '\\1')")] if place and x is not None else []
            view.add("R034", node, message, "write it without the time zone", *edits)


def _may_have_zone(text: exp.Expr) -> bool:
    """Whether a text may end in a time zone: not one of which the first characters are taken, or that is written."""
    return function_name(text) not in {"left", "to_char", "strftime", "date_format"}


def numbered_days(view: View) -> None:
    """'20240131' is a date here, and a number of seconds since 1970 in Snowflake."""
    for node in view.every(exp.Cast, exp.Func) if view.letter == "S" else ():
        text = node.this if isinstance(node, exp.Cast) else _only_argument(node)
        to_date = node.to.this == exp.DType.DATE if isinstance(node, exp.Cast) else text is not None
        if text is None or not to_date or isinstance(node, exp.TryCast) or view.kind(text) != "text":
            continue
        literal, x = text.unnest(), view.extents.operand(text)
        if isinstance(literal, exp.Null) or (isinstance(literal, exp.Literal) and not literal.name.strip().isdigit()):
            continue
        message = "eight digits are a date here; in Snowflake they are a number of seconds since 1970"
        written = None
        if x is not None and not isinstance(literal, exp.Literal):
            whole = view.extents.written(node)
            seconds = f"CAST(to_timestamp(CAST({x} AS BIGINT)) AS DATE)"
            written = whole and f"CASE WHEN regexp_like({x}, {_DAY}) THEN {seconds} ELSE {whole} END"
        view.replace("R044", node, message, written, None if written else "write to_date(s, '%Y%m%d') in our SQL")
    for node in view.every(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE) if view.letter == "S" else ():
        sides = [node.this.unnest(), node.expression.unnest()]
        kinds = {view.kind(side) for side in sides}
        if kinds & {"date", "ts", "tz"} and any(
            isinstance(one, exp.Literal) and one.is_string and one.name.strip().isdigit() for one in sides
        ):
            message = "eight digits are a date here; in Snowflake they are a number of seconds since 1970"
            view.add("R044", node, message, "write DATE '2024-01-31'")


def _only_argument(node: exp.Expr) -> exp.Expr | None:
    """Return the text that to_date is called with, None for any other call, and where a format says how to read it."""
    arguments = list(node.args.get("expressions") or [])
    return arguments[0] if function_name(node) == "to_date" and len(arguments) == 1 else None


_TYPES = {"int": "BIGINT", "float": "DOUBLE", "bool": "BOOLEAN", "date": "DATE", "ts": "TIMESTAMP"}


def mixed_values(view: View) -> None:
    """CASE WHEN c THEN 1 ELSE '2' END is a text here, and a number where a constant takes the type of the others."""
    for node in view.every(exp.Case) if view.letter in "DPRSK" else ():
        values = [*(branch.args["true"] for branch in node.args["ifs"]), node.args.get("default")]
        written = [one for one in values if one is not None and not isinstance(one.unnest(), exp.Null)]
        texts = [one for one in written if view.kind(one) == "text"]
        kinds = {view.kind(one) for one in written} - {"text"}
        if not texts or not kinds - {None}:
            continue
        constants = all(isinstance(one.unnest(), exp.Literal) for one in texts)
        if not constants and view.letter in "DPR":
            continue  # texts there, too, or an error
        kind = _TYPES.get(str(*kinds)) if constants and len(kinds) == 1 and view.letter != "K" else None
        message = f"values of several types are texts here, and not in {view.title}"
        for one in texts:
            place, text = view.extents.of(one), view.extents.written(one)
            edits = [(*place, f"CAST({text} AS {kind})")] if kind and place is not None else []
            view.add("R046", one, message, f"write CAST({text} AS {kind})" if edits else "cast it to one type", *edits)


def chosen_texts(view: View) -> None:
    """coalesce(s, n) is a number here, and a text in DuckDB, or an error of its newer versions."""
    for node in view.every(exp.Func) if view.letter == "D" else ():
        if function_name(node) not in {"coalesce", "greatest", "ifnull", "least"}:
            continue
        parts = [node.args.get("this"), *(node.args.get("expressions") or [])]
        values = [one for one in parts if isinstance(one, exp.Expr)]
        texts = [one for one in values if view.kind(one) == "text" and not isinstance(one.unnest(), exp.Literal)]
        if texts and {"int", "float", "decimal"} & {view.kind(one) for one in values}:
            message = "of texts and numbers, all are numbers here, and not in DuckDB"
            view.add("R046", node, message, "write CAST(n AS VARCHAR)")
