"""The habits of other dialects: what this engine reads, too, and gives another value for.

Each is found only where types show that the value differs, and is written so that the dialect's value comes out here;
what is written so is no habit again. Values of DuckDB and of PostgreSQL are those of the engines
(tests/cli/test_dialects.py, tests/services/test_dialect_postgresql.py), the others' those of their documentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp

from compiler.dialects.exact_division import has_no_fraction, has_no_remainder
from compiler.dialects.extents import fragment, is_primary, same
from compiler.dialects.formats import ours
from compiler.dialects.view import View
from compiler.sql.foreign_calls import exact_match, meanings
from compiler.sql.functions import function_name

_INTEGERS = (exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT, exp.DType.UTINYINT,
             exp.DType.USMALLINT, exp.DType.UINT, exp.DType.UBIGINT)  # fmt: skip
_TEXTS = (exp.DType.VARCHAR, exp.DType.TEXT, exp.DType.CHAR)
_HALVES = "round({x}) - CASE WHEN abs({x} - trunc({x})) = 0.5 AND round({x}) % 2 <> 0 THEN signum({x}) ELSE 0 END"
"""A float rounded to the nearest whole number, halves to the even one."""
_MOMENT = r"regexp_replace(replace(CAST({x} AS VARCHAR), 'T', ' '), '(\.[0-9]*[1-9])0+$', '\1')"
_DUCKDB_FLOAT = (
    r"replace(regexp_replace(regexp_replace(regexp_replace(replace(CAST({x} AS VARCHAR), 'NaN', 'nan'),"
    r" '^(-?)0\.0000([1-9])([0-9]*)$', '\1\2.\3e-5'), 'e([0-9])', 'e+\1'),"
    r" 'e([+-])([0-9])$', 'e${{1}}0${{2}}'), '.e', 'e')"
)


def division(view: View) -> None:
    """7 / 2 is 3 here, and 3.5 in DuckDB."""
    if view.letter in "PR":
        return _decimal_division(view)
    for node in view.every(exp.Div):
        kinds = view.kind(node.this), view.kind(node.expression)
        casts = isinstance(node.this, exp.Cast) and isinstance(node.parent, exp.Cast)
        if view.letter == "S" and casts and (view.settled is None or view.settled("R016", node)):
            continue
        if not set(kinds) <= {"int", "decimal"} or (kinds != ("int", "int") and view.letter not in "DS"):
            continue
        if view.settled is None and has_no_remainder(node):
            continue
        left, right = view.extents.written(node.this), view.extents.operand(node.expression)
        if kinds == ("int", "int"):
            message = f"integer division drops the remainder here, and not in {view.title}"
        else:
            message = f"a quotient of decimals has as many digits as its sides here; {view.title} gives another number"
        if left is None or right is None or (view.letter == "S" and kinds != ("int", "int")):
            view.add("R016", node, message, "cast one side to DOUBLE")
        elif view.letter == "S":
            view.replace("R016", node, message, f"CAST(CAST({left} AS DECIMAL(38, 12)) / {right} AS DECIMAL(38, 6))")
        else:
            other = right if kinds[1] == "int" else f"CAST({view.extents.written(node.expression)} AS DOUBLE)"
            view.replace("R016", node, message, f"CAST({left} AS DOUBLE) / {other}")
    return None


def averages(view: View) -> None:
    """avg(q) of decimals has four digits more than q here, and is a float in DuckDB; of integers it is one here."""
    for node in view.every(exp.Avg):
        argument = node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this
        kind, place = view.kind(argument), view.extents.of(argument)
        if kind == "decimal" and view.letter == "D":
            message = "an average of decimals has few digits here; in DuckDB it is a float"
            written = f"CAST({view.extents.written(argument)} AS DOUBLE)"
            view.add("R016", node, message, f"write avg({written})", *([(*place, written)] if place else []))
        elif kind == "decimal":
            message = (
                f"an average of decimals has four digits more than they have here; {view.title} gives another number"
            )
            view.add("R016", node, message, "cast what is averaged to DOUBLE, or to a decimal of more digits")
        elif kind == "int" and view.letter == "R":
            view.add(
                "R016",
                node,
                "an average of integers is a float here; Redshift drops the fraction",
                "CAST(trunc(avg(n)) AS BIGINT)",
            )
        elif kind == "int" and view.letter == "S":
            message = "an average of integers is a float here; Snowflake gives six digits"
            view.add("R016", node, message, "write CAST(avg(n) AS DECIMAL(38, 6))")


def _decimal_division(view: View) -> None:
    for node in view.every(exp.Div):
        kinds = {view.kind(node.this), view.kind(node.expression)}
        if "decimal" in kinds and kinds <= {"int", "decimal"}:
            message = f"a quotient of decimals has few digits here; {view.title} gives at least 16"
            view.add("R016", node, message, "cast one side to DOUBLE, or both to decimals of more digits")


def tried_integers(view: View) -> None:
    """TRY_CAST('5.7' AS INT) is NULL here, 6 in DuckDB and Snowflake, and 5 in Spark."""
    if view.letter not in "DSK":
        return
    for node in view.every(exp.TryCast):
        if node.args["to"].this not in _INTEGERS or view.kind(node.this) != "text":
            continue
        x, whole = view.extents.written(node.this), view.extents.written(node)
        to, how = node.args["to"].sql(), "trunc" if view.letter == "K" else "round"
        message = (
            f"a text with a fraction is no integer here; {view.title} {'drops it' if how == 'trunc' else 'rounds'}"
        )
        written = x and f"COALESCE({whole}, TRY_CAST({how}(TRY_CAST({x} AS DOUBLE)) AS {to}))"
        view.replace("R030", node, message, written, "round it first")


def rounding(view: View) -> None:
    """CAST(2.5 AS INT) is 2 here, and 3 or the even neighbour elsewhere."""
    if view.letter == "K":
        return
    for node in view.every(exp.Cast):
        kind = view.kind(node.this)
        if node.args["to"].this not in _INTEGERS or kind not in {"float", "decimal"} or _is_rounded(node.this):
            continue
        if has_no_fraction(node.this):
            continue
        if view.is_unsettled(node.this):
            continue
        x = view.extents.written(node.this)
        message = f"a cast to an integer drops the fraction here; {view.title} rounds"
        if x is None or view.letter == "R":
            view.add("R030", node, message, "CAST(round(x) AS BIGINT), if halves go away from zero")
            continue
        exactly = kind == "decimal" or _is_fraction(node.this) or view.letter in "SB"
        if not exactly and view.letter == "P" and _has_decimals(view, node.this):
            if _has_floats(view, node.this) or node.this.find(exp.Div) is not None:
                view.add("R030", node, message, "cast what is rounded to DOUBLE or to a decimal first")
                continue
            exactly = True
        inner = f"round({x})" if exactly else _HALVES.format(x=view.extents.operand(node.this))
        place = view.extents.of(node.this)
        if place is None:
            view.add("R030", node, message, f"write CAST({inner} AS …)")
        else:
            postfix = view.text[place[1] :].lstrip().startswith("::")
            view.add(
                "R030", node, message, "round it first", (*place, f"({inner})" if postfix and not exactly else inner)
            )


def _has_decimals(view: View, node: exp.Expr) -> bool:
    """Whether a part of a float is a decimal in PostgreSQL, which rounds halves of those away from zero."""
    for inner in node.walk():
        name = function_name(inner) or ""
        written = (view.extents.written(inner) or "") if name == "date_part" else ""
        if _is_fraction(inner) or written.lower().startswith("extract"):  # date_part(…) is a float there, too
            return True
        averages = name == "avg" or name.startswith(("stddev", "var"))
        if averages and any(view.kind(one) in {"int", "decimal"} for one in inner.iter_expressions()):
            return True
    return False


def _has_floats(view: View, node: exp.Expr) -> bool:
    return any(isinstance(one, exp.Column | exp.Cast) and view.kind(one) == "float" for one in node.walk())


def _is_rounded(node: exp.Expr) -> bool:
    """Whether a value certainly has no fraction: round(x), floor(x), and what a fix makes."""
    node = node.unnest()
    if function_name(node) in {"round", "floor", "ceil", "trunc", "signum"}:
        return len(node.args.get("expressions") or []) == 1
    return isinstance(node, exp.Sub) and _is_rounded(node.this) and isinstance(node.expression, exp.Case)


def null_order(view: View) -> None:
    """ORDER BY a DESC puts NULLs first here, and last in DuckDB."""
    if view.letter not in "DBK":
        return
    for node in view.every(exp.Ordered):
        place = view.extents.of(node.this)
        if place is None or _is_never_null(node):
            continue
        words = view.extents.words_after(place[1], 2)
        end = place[1]
        if words and words[0][0] in {"ASC", "DESC"}:
            end, words = words[0][1], words[1:]
        if words and words[0][0] == "NULLS":
            continue
        descending = bool(node.args.get("desc"))
        if view.letter == "D" and not descending:
            continue
        here, there = ("first", "LAST") if descending else ("last", "FIRST")
        message = f"NULLs come {here} here, and {there.lower()} in {view.title}"
        view.add("R031", node, message, f"write NULLS {there}", (end, end, f" NULLS {there}"))


def _is_never_null(ordered: exp.Expr) -> bool:
    """Whether an aggregate is ordered by what its FILTER requires not to be NULL."""
    around = ordered.find_ancestor(exp.Filter, exp.Query)
    condition = around.expression if isinstance(around, exp.Filter) else None
    if condition is None or ordered.find_ancestor(exp.Where, exp.Filter) is not around:
        return False
    terms = list(condition.this.flatten()) if isinstance(condition.this, exp.And) else [condition.this]
    return any(
        isinstance(term, exp.Not)
        and isinstance(term.this, exp.Is)
        and isinstance(term.this.expression, exp.Null)
        and same(term.this.this, ordered.this)
        for term in terms
    )


def texts_of_values(view: View) -> None:
    """The text of a timestamp has a T here; that of a float has its exponent in fewer characters."""
    for node in view.every(exp.Cast, exp.DPipe, exp.Func):
        if isinstance(node, exp.Cast):
            parts = [node.this] if node.to.this in _TEXTS else []
        elif isinstance(node, exp.DPipe):
            parts = [node.this, node.expression]
        elif function_name(node) in {"concat", "concat_ws"}:
            parts = list(node.args.get("expressions") or [])
        else:
            continue
        for part in parts:
            _text_of_value(view, node, part)


def _text_of_value(view: View, node: exp.Expr, part: exp.Expr) -> None:
    kind = view.kind(part) if not view.is_unsettled(part) else None
    x = view.extents.written(part)
    where = node if isinstance(node, exp.Cast) else part
    if kind in {"ts", "tz"}:
        message = f"the text of a timestamp has a T between date and time here, and a blank in {view.title}"
        known = kind == "ts" and view.letter in "DPK" and x is not None
        view.replace("R032", where, message, _MOMENT.format(x=x) if known else None, "write it with to_char(…)")
    elif kind == "float" and view.letter in "DPRK":
        message = f"the text of a float is another one in {view.title} where it has an exponent"
        known = view.letter == "D" and x is not None and not (isinstance(part, exp.Cast) and part.to.is_type("float"))
        if view.letter == "P":
            message = "the text of a whole float ends in .0 here, and not in PostgreSQL; exponents differ, too"
        view.replace("R035", where, message, _DUCKDB_FLOAT.format(x=x) if known else None, "cast it to a decimal first")


def date_and_interval(view: View) -> None:
    """A date with an interval is a date here, and a timestamp in DuckDB and PostgreSQL."""
    for node in view.every(exp.Add, exp.Sub):
        sides = [node.this, node.expression]
        kinds = [view.kind(side) for side in sides]
        if kinds == ["date", "date"] and view.letter in "BK" and view.settled is not None:
            message = f"a difference of dates is a number of days here; in {view.title} it is an interval"
            view.add("R033", node, message, "write datediff(a, b), or date_diff(a, b, DAY)")
            continue
        if sorted(str(kind) for kind in kinds) != ["date", "interval"]:
            continue
        date, interval = sides if kinds[0] == "date" else reversed(sides)
        interval = interval.unnest()
        whole_days = isinstance(interval, exp.Interval) and re.fullmatch(
            r"-?\d+ (day|week|month|year)s?", interval.this.name.lower()
        )
        if whole_days and (view.letter in "SK" or _is_cast_to_date(node)):
            continue
        x, place = view.extents.written(date), view.extents.of(date)
        message = f"a date with an interval stays a date here; in {view.title} it is a timestamp"
        if x is None or place is None:
            view.add("R033", node, message, "CAST(d AS TIMESTAMP) + …")
        else:
            view.add("R033", node, message, f"write CAST({x} AS TIMESTAMP(6))", (*place, f"CAST({x} AS TIMESTAMP(6))"))


def _is_cast_to_date(node: exp.Expr) -> bool:
    around = node.parent
    while isinstance(around, exp.Paren):
        around = around.parent
    return isinstance(around, exp.Cast) and around.args["to"].this == exp.DType.DATE


def time_zones(view: View) -> None:
    """The second AT TIME ZONE takes the time zone away elsewhere."""
    if view.letter not in "DPR":
        return
    for node in view.every(exp.AtTimeZone):
        if view.kind(node.this) == "tz":
            written = view.extents.written(node)
            message = f"AT TIME ZONE of a timestamp with a time zone keeps one here; {view.title} gives the local time"
            view.replace("R034", node, message, written and f"to_local_time({written})", "write to_local_time(…)")


def null_arguments(view: View) -> None:
    """greatest(1, NULL) is 1 here, and NULL in Snowflake and BigQuery; concat('a', NULL) likewise."""
    for node in view.every(exp.Func):
        name = function_name(node)
        if name not in {"greatest", "least", "concat", "concat_ws"}:
            continue
        parts = list(node.args.get("expressions") or [])
        texts = [view.extents.operand(part) for part in parts]
        if name == "concat" and view.letter in "SBKR" and len(parts) > 1:
            kinds = ["text" if isinstance(part, exp.Null) else view.kind(part) for part in parts]
            certain = all(kind is not None for kind in kinds) and None not in texts
            pieces = [
                text if kind == "text" else f"CAST({text} AS VARCHAR)" for text, kind in zip(texts, kinds, strict=True)
            ]
            message = f"concat leaves NULLs out here; in {view.title} one makes the whole NULL"
            view.replace("R036", node, message, " || ".join(map(str, pieces)) if certain else None, "write a || b")
        elif name == "concat_ws" and view.letter == "S":
            view.add(
                "R036", node, "concat_ws leaves NULLs out here; in Snowflake one makes the whole NULL", "write a || b"
            )
        elif name in {"greatest", "least"} and view.letter in "SB" and len(parts) > 1:
            whole = view.extents.written(node)
            tests = " OR ".join(f"{text} IS NULL" for text in texts)
            written = f"CASE WHEN {tests} THEN NULL ELSE {whole} END" if None not in texts and whole else None
            message = f"{name} leaves NULLs out here; in {view.title} one makes the whole NULL"
            view.replace("R036", node, message, written, "CASE WHEN a IS NULL OR b IS NULL THEN NULL ELSE … END")


def escape_characters(view: View) -> None:
    """S LIKE 'a!%' ESCAPE '!' is refused here, where only a backslash can be the escape character."""
    for node in view.every(exp.Escape):
        pattern, mark = node.this.expression, node.expression
        place, end = view.extents.of(pattern), view.extents.of(mark)
        if not isinstance(pattern, exp.Literal) or not isinstance(mark, exp.Literal) or mark.name == "\\":
            continue
        message, written = "the escape character can only be a backslash here", in_backslashes(pattern.name, mark.name)
        quoted = "'" + written.replace("'", "''") + "' ESCAPE '\\'"
        view.add("R037", node, message, f"write {quoted}", *([(place[0], end[1], quoted)] if place and end else []))


def in_backslashes(pattern: str, mark: str) -> str:
    """Return a pattern with `mark` as its escape character, "" for none, as one that escapes with a backslash."""
    found, at = [], 0
    while at < len(pattern):
        one = pattern[at]
        if mark and one == mark and at + 1 < len(pattern):
            at += 1
            behind = pattern[at]
            found.append(f"\\{behind}" if behind in "%_\\" else behind)
        else:
            found.append("\\\\" if one == "\\" else one)
        at += 1
    return "".join(found)


def like_escapes(view: View) -> None:
    r"""LIKE 'a\_b': the backslash escapes here, and is a character like others in DuckDB."""
    if view.letter not in "DS":
        return
    for node in view.every(exp.Like, exp.ILike):
        pattern = node.expression
        if isinstance(node.parent, exp.Escape) or not (isinstance(pattern, exp.Literal) and "\\" in pattern.name):
            continue
        if _is_doubled(pattern.name):
            continue
        message = rf"\ in a LIKE pattern escapes here; in {view.title} it is a character like others"
        written = "'" + pattern.name.replace("\\", "\\\\").replace("'", "''") + "'"
        if view.letter == "S":  # a backslash in Snowflake's literals is taken away before the pattern is read
            view.add("R037", pattern, message, r"write \\ for a backslash, and E'…' for the escapes of the literal")
        else:
            view.replace("R037", pattern, message, written)


def _is_doubled(pattern: str) -> bool:
    return re.fullmatch(r"(?:[^\\]|\\\\)*", pattern) is not None


_SUBSTR = "write substr(s, 1, 2)"


def _part_of_text(index: exp.Expr) -> str | None:
    """Return where the part of a text begins that s[1] or s[1:2] is, and how long it is; None where that depends."""
    bounds = [index.this, index.expression] if isinstance(index, exp.Slice) else [index, index]
    if not all(isinstance(one, exp.Literal) and one.is_int and int(one.name) > 0 for one in bounds):
        return None
    first, last = (int(one.name) for one in bounds)
    return f"{first}, {last - first + 1}" if last >= first else None


def index_base(view: View) -> None:
    """l[0] is NULL here, and the first element in BigQuery, Spark and Snowflake."""
    for node in view.every(exp.Bracket):
        index = node.expressions[0] if len(node.expressions) == 1 else None
        if view.letter == "D" and view.kind(node.this) == "text" and index is not None:
            x, part = view.extents.written(node.this), _part_of_text(index)
            message = "a text has no elements here"
            view.replace("R038", node, message, x and part and f"substr({x}, {part})", None if x and part else _SUBSTR)
            continue
        if view.kind(node.this) not in {"list", None} or index is None:
            continue
        negative = isinstance(index, exp.Neg) and isinstance(index.this, exp.Literal)
        if view.letter in "PR" and negative:
            view.add(
                "R038", node, "a negative index counts from the end here; in PostgreSQL it is NULL", "leave it out"
            )
        elif view.letter in "SBK" and isinstance(index, exp.Literal) and index.is_int:
            x = view.extents.written(node.this) if view.kind(node.this) == "list" else None  # else perhaps a map's key
            message = f"the first element has the index 1 here, and 0 in {view.title}"
            written = x and f"array_element({x}, {int(index.name) + 1})"
            view.replace("R038", node, message, written, None if written else "add 1, if it is a list")


def substring_starts(view: View) -> None:
    """substr(s, -2) begins before the first character here, and two before the end in DuckDB."""
    if view.letter in "PR":
        return
    for node in view.every(exp.Func):
        name = function_name(node)
        parts = list(node.args.get("expressions") or [])
        if name not in {"substr", "substring"} or len(parts) not in {2, 3}:
            continue
        start = parts[1].unnest()
        if isinstance(start, exp.Literal) and start.name == "0" and view.letter != "D":
            place = view.extents.of(parts[1])
            message = f"substr from 0 has one character less here; in {view.title} 0 is 1"
            known = place is not None and view.letter != "S"  # Snowflake's documentation does not say it
            view.add("R039", node, message, "begin at 1", *([(*place, "1")] if known and place else []))
        if not (isinstance(start, exp.Neg) and isinstance(start.this, exp.Literal)):
            continue
        s, place = view.extents.operand(parts[0]), view.extents.of(parts[1])
        message = f"a negative start is before the text here; in {view.title} it counts from the end"
        if s is None or place is None or view.letter == "S":
            view.add("R039", node, message, "write right(s, n)")
            continue
        count = int(start.this.name)
        begin = f"length({s}) - {count - 1}"
        begin = f"CASE WHEN length({s}) > {count} THEN {begin} ELSE 1 END" if view.letter == "B" else begin
        view.add("R039", node, message, f"begin at {begin}", (*place, begin))


def similar_to(view: View) -> None:
    """SIMILAR TO 'b' is true of 'abc' here: the pattern is a regular expression, and may match a part."""
    for node in view.every(exp.SimilarTo):
        pattern = node.expression
        message = f"SIMILAR TO is a search with a regular expression here; in {view.title} it is of the whole text"
        left = view.extents.operand(node.this)
        known = _whole_pattern(pattern.name, view.letter) if isinstance(pattern, exp.Literal) else None
        quoted = known.replace("'", "''") if known is not None else None
        written = f"{left} ~ '{quoted}'" if left is not None and quoted is not None else None
        view.replace("R040", node, message, written, "write s ~ '^(?:…)$'")


def _whole_pattern(pattern: str, letter: str) -> str | None:
    """Return the regular expression of the whole text: DuckDB's as it is, others' from the SQL standard's."""
    if letter == "D":
        return f"^(?:{pattern})$"
    if "\\" in pattern or "[" in pattern:
        return None
    words = {"%": "(?s:.*)", "_": "(?s:.)", ".": r"\.", "^": r"\^", "$": r"\$"}
    return "^(?:" + "".join(words.get(letter, letter) for letter in pattern) + ")$"


def decimal_literals(view: View) -> None:
    """0.1 is a float here, and an exact decimal in DuckDB, PostgreSQL, Snowflake, Redshift and Spark."""
    if view.letter == "B":
        return
    kinds = (exp.Add, exp.Sub, exp.Mul, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
    for node in view.every(*kinds):
        sides = [node.this.unnest(), node.expression.unnest()]
        literals = [side for side in sides if _is_fraction(side)]
        others = [view.kind(side) for side in sides if not _is_fraction(side)]
        if not literals or not set(others) <= {"int", "decimal"}:
            continue
        for literal in literals:
            _as_decimal(view, literal)
    for literal in view.every(exp.Literal) if view.settled is not None else ():
        if _is_fraction(literal) and not isinstance(_around(literal), (*kinds, exp.Cast)) and not _is_share(literal):
            _as_decimal(view, literal)


def _around(node: exp.Expr) -> exp.Expr | None:
    around = node.parent
    while isinstance(around, exp.Paren | exp.Neg):
        around = around.parent
    return around


def _is_share(literal: exp.Expr) -> bool:
    """Whether a fraction is the argument of a call that takes a float: percentile_cont(0.5)."""
    return isinstance(literal.parent, exp.Func) and "_cont" in (function_name(literal.parent) or "")


def _as_decimal(view: View, literal: exp.Expr) -> None:
    place = view.extents.of(literal)
    digits = literal.name.replace(".", "").lstrip("0") or "0"
    scale = len(literal.name.partition(".")[2])
    written = f"CAST({literal.name} AS DECIMAL({max(len(digits), scale + 1, 1)}, {scale}))"
    message = f"{literal.name} is a float here, and an exact decimal in {view.title}"
    view.add("R041", literal, message, f"write {written}", *([(*place, written)] if place else []))


def _is_fraction(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string and re.fullmatch(r"\d*\.\d+", node.name) is not None


def type_widths(view: View) -> None:
    """FLOAT has 32 bits here, and 64 in PostgreSQL, Snowflake and Redshift; INT has 64 in BigQuery."""
    names = {"P": ("FLOAT",), "R": ("FLOAT",), "S": ("FLOAT", "REAL", "INT", "INTEGER", "SMALLINT", "TINYINT")}
    names["B"] = ("INT", "INTEGER", "SMALLINT", "TINYINT")
    for node in view.every(exp.DataType):
        start = node.meta.get("start") if node._meta else None  # noqa: SLF001 — `.meta` would make one
        word = re.match(r"\w*", view.text[start:])[0] if start is not None else ""  # type: ignore[index]
        if start is None or word.upper() not in names.get(view.letter, ()) or node.expressions:
            continue
        wide = "DOUBLE" if word.upper() in {"FLOAT", "REAL"} else "BIGINT"
        message = f"{word.upper()} has fewer bits here than in {view.title}"
        view.add("R042", node, message, f"write {wide}", (start, start + len(word), wide))


def string_escapes(view: View) -> None:
    r"""'a\n' is four characters here, and three with a line break in Snowflake, BigQuery and Spark."""
    if view.letter not in "SBKR":
        return
    for node in view.every(exp.Literal):
        start = node.meta.get("start") if node.is_string and node._meta else None  # noqa: SLF001 — `.meta` would make one
        if start is None or "\\" not in node.name or view.text[start : start + 1] != "'":
            continue
        place = (start, node.meta["end"] + 1)
        message = f"\\ in a text is a character like others here; in {view.title} it escapes the next one"
        written = f"E{view.text[slice(*place)]}"
        in_pattern = view.letter == "S" and isinstance(node.parent, exp.Like | exp.ILike)
        good = fragment(written) is not None and not in_pattern
        view.add("R043", node, message, "write E'…'", *([(*place, written)] if good else []))


def formats(view: View) -> None:
    """to_char(d, 'YYYY') is 'YYYY' here, where formats are those of strftime."""
    for node in view.every(exp.Func):
        if function_name(node) not in {"to_char", "to_date", "to_timestamp", "date_format"}:
            continue
        parts = list(node.args.get("expressions") or [])
        if len(parts) != 2 or not (isinstance(parts[1], exp.Literal) and parts[1].is_string):  # noqa: PLR2004 — value, format
            continue
        format_ = parts[1].name
        if "%" in format_ or not re.search("[A-Za-z]", format_) or view.letter in "DB":
            continue
        written = ours(format_, view.letter)
        message = f"formats are those of strftime here; in {view.title} they are written otherwise"
        quoted = written.replace("'", "''") if written is not None else None
        view.replace("R044", parts[1], message, f"'{quoted}'" if quoted is not None else None, "write '%Y-%m-%d'")


def powers(view: View) -> None:
    """2 ^ 3 is 1 here, and 8 in DuckDB, PostgreSQL and Redshift."""
    if view.letter not in "DPR":
        return
    for node in view.every(exp.BitwiseXor):
        left, right = view.extents.written(node.this), view.extents.written(node.expression)
        message = f"^ is bitwise exclusive or here; in {view.title} it is a power"
        known = left is not None and right is not None and _is_tight(node.this) and _is_tight(node.expression)
        written = f"power(CAST({left} AS DOUBLE), {right})" if known else None
        view.replace("R018", node, message, written, None if known else "write power(a, b) of what ^ is right beside")


def _is_tight(node: exp.Expr) -> bool:
    """Whether an operand of ^ is the same one there, where ^ binds more tightly than * and +, and here more loosely."""
    return is_primary(node.this if isinstance(node, exp.Neg) else node) or isinstance(node, exp.BitwiseXor)


def other_meanings(view: View) -> None:
    """Functions of the same name with another meaning, by the table."""
    for node in view.every(exp.Func):
        name = function_name(node)
        rows = [row for row in meanings().get(name or "", ()) if row.speaks(view.dialect)]
        if not rows:
            continue
        arguments = list(node.args.get("expressions") or [])
        if node.args.get("this") is not None and isinstance(node.this, exp.Expr):
            arguments.insert(0, node.this)
        match = exact_match(rows, arguments, view.kind, view.dialect)
        loose = next((row for row in rows if not row.exact and row.matches(arguments, view.kind) is not None), None)
        if match is None and loose is None:
            continue
        row = match.row if match is not None else loose
        assert row is not None
        if match is not None and row.code == "R047" and "#" in row.text and match.captured.startswith("^(?:"):
            continue
        known_there = not (row.code == "R030" and any(_has_decimals(view, one) for one in arguments))
        if not known_there and not any(_has_floats(view, one) for one in arguments):
            continue
        if name == "regexp_replace" and _has_reference(arguments, view.letter):
            message = f"groups are written in a replacement in another way than in {view.title}"
            view.add("R047", node, message, r"write '\1' for the first group, and no $")
            continue
        texts = {id(one): view.extents.operand(one) for one in arguments}
        known = known_there and match is not None and all(text is not None for text in texts.values())
        written = match.written(view.extents.argument) if match is not None and known else None
        message = f"'{name}' means something else in {view.title}"
        view.replace(
            row.code, node, message, written, None if written else f"write {row.text.replace('{', '').replace('}', '')}"
        )


def _has_reference(arguments: list[exp.Expr], letter: str) -> bool:
    """Whether a replacement may name a group as others do: $1 in Java."""
    text = arguments[2] if len(arguments) > 2 else None  # noqa: PLR2004 — text, pattern, replacement
    return isinstance(text, exp.Literal) and ("$" in text.name or (letter == "K" and "\\" in text.name))


HABITS: tuple[Callable[[View], None], ...] = (
    decimal_literals,  # first: the kinds of what is around them depend on it
    division, averages, tried_integers, rounding, null_order, texts_of_values, date_and_interval, time_zones,
    null_arguments, escape_characters, like_escapes, index_base, substring_starts, similar_to, type_widths,
    string_escapes, formats, powers, other_meanings,
)  # fmt: skip
