"""Habits about texts: those of values, patterns, escapes, and where a part of a text or a list begins."""

from __future__ import annotations

import re

from sqlglot import exp

from compiler.dialects.extents import fragment
from compiler.dialects.view import View
from compiler.sql.functions import function_name

_TEXTS = (exp.DType.VARCHAR, exp.DType.TEXT, exp.DType.CHAR)
_MOMENT = r"regexp_replace(replace(CAST({x} AS VARCHAR), 'T', ' '), '(\.[0-9]*[1-9])0+$', '\1')"
_DUCKDB_FLOAT = (
    r"replace(regexp_replace(regexp_replace(regexp_replace(replace(CAST({x} AS VARCHAR), 'NaN', 'nan'),"
    r" '^(-?)0\.0000([1-9])([0-9]*)$', '\1\2.\3e-5'), 'e([0-9])', 'e+\1'),"
    r" 'e([+-])([0-9])$', 'e${{1}}0${{2}}'), '.e', 'e')"
)


def texts_of_values(view: View) -> None:
    """The text of a timestamp has a T here; that of a float has its exponent in fewer characters."""
    for node in view.every(exp.Cast, exp.DPipe, exp.Func):
        if isinstance(node, exp.Cast):
            parts = [node.this] if node.to.this in _TEXTS else []
        elif isinstance(node, exp.DPipe):
            parts = [node.this, node.expression]
            if any(view.kind(part) == "list" for part in parts):
                continue  # the lists are joined
        elif function_name(node) in {"concat", "concat_ws"}:
            parts = list(node.args.get("expressions") or [])
        else:
            continue
        for part in parts:
            _text_of_value(view, node, part)
            if isinstance(node, exp.Func) and not isinstance(node, exp.Cast):
                _text_of_truth(view, part)


def _text_of_value(view: View, node: exp.Expr, part: exp.Expr) -> None:
    kind = view.kind(part) if not view.is_unsettled(part) else None
    x = view.extents.written(part)
    where = node if isinstance(node, exp.Cast) else part
    if kind in {"ts", "tz"}:
        message = f"the text of a timestamp has a T between date and time here, and a blank in {view.title}"
        known = kind == "ts" and view.letter in "DPK" and x is not None
        view.replace("R032", where, message, _MOMENT.format(x=x) if known else None, "write it with to_char(…)")
    elif kind == "float":
        message = f"the text of a float is another one in {view.title} where it has an exponent"
        if view.letter in "SB":
            message = f"the text of a float that is whole, or has an exponent, may be another one in {view.title}"
        known = view.letter == "D" and x is not None and not (isinstance(part, exp.Cast) and part.to.is_type("float"))
        if view.letter == "P":
            message = "the text of a whole float ends in .0 here, and not in PostgreSQL; exponents differ, too"
        view.replace("R035", where, message, _DUCKDB_FLOAT.format(x=x) if known else None, "cast it to a decimal first")

    elif kind == "interval":
        message = f"the text of an interval is another one in {view.title}"
        view.replace("R035", where, message, None, "write its number of days or seconds")
    elif kind == "list":
        message = f"the text of a list is another one in {view.title}"
        view.replace("R035", where, message, None, "write array_to_string(l, ',')")
    elif kind == "decimal" and view.letter == "P" and function_name(part.unnest()) == "trunc" and "," in (x or ""):
        message = "trunc keeps the digits behind the point as zeros here, and not in PostgreSQL"
        view.replace("R035", where, message, None, "cast it to a decimal of so many digits")
    elif kind == "decimal" and view.letter == "B":
        message = "the text of a decimal has all its digits here; in BigQuery it ends in no zeros"
        view.replace("R035", where, message, None, "round it and cast it to INT64, or show it as it is")


def _text_of_truth(view: View, part: exp.Expr) -> None:
    """concat(c) of a truth value is 't' in PostgreSQL, where CAST(c AS VARCHAR) and || have 'true' as we do."""
    if view.letter == "P" and view.kind(part) == "bool":
        x = view.extents.operand(part)
        written = f"CASE WHEN {x} THEN 't' WHEN NOT {x} THEN 'f' END" if x is not None else None
        view.replace(
            "R035", part, "the text of a truth value in concat is t or f in PostgreSQL", written, "write a CASE"
        )


def bytes_of_texts(view: View) -> None:
    r"""'\x41'::BYTEA has four bytes here, and is an A in DuckDB and PostgreSQL, where X'41' is a string of bits."""
    if view.letter not in "DP":
        return
    for node in view.every(exp.Cast):
        text = node.this
        to = node.args["to"]
        binary = to.is_type("varbinary", "binary") or to.this is exp.DType.BLOB
        if not binary or not isinstance(text, exp.Literal) or not text.is_string or "\\" not in text.name:
            continue
        digits = text.name.removeprefix("\\x") if view.letter == "P" else text.name.replace("\\x", "")
        plain = text.name == "\\x" + digits if view.letter == "P" else len(text.name) == len(digits) * 2
        known = plain and re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", digits) is not None
        message = f"\\ in a text is a byte like others here; in {view.title} it begins the number of a byte"
        view.replace("R043", node, message, f"X'{digits}'" if known else None, None if known else "write X'41'")
    for node in view.every(exp.HexString) if view.letter == "P" else ():
        view.add("R043", node, "X'…' is bytes here, and a string of bits in PostgreSQL", "write the number or the text")


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
        if name in {"substr", "substring"} and len(parts) in {2, 3}:
            _substring_start(view, node, *parts[:2])


def _substring_start(view: View, node: exp.Expr, text: exp.Expr, start: exp.Expr) -> None:
    plain, place, s = start.unnest(), view.extents.of(start), view.extents.operand(text)
    backwards = f"a negative start is before the text here; in {view.title} it counts from the end"
    if isinstance(plain, exp.Literal) and plain.name == "0" and view.letter != "D":
        message = f"substr from 0 has one character less here; in {view.title} 0 is 1"
        known = place is not None and view.letter != "S"  # Snowflake's documentation does not say it
        view.add("R039", node, message, "begin at 1", *([(*place, "1")] if known and place else []))
    elif isinstance(plain, exp.Neg) and isinstance(plain.this, exp.Literal):
        if s is None or place is None or view.letter == "S":
            view.add("R039", node, backwards, "write right(s, n)")
            return
        count = int(plain.this.name)
        begin = f"length({s}) - {count - 1}"
        begin = f"CASE WHEN length({s}) > {count} THEN {begin} ELSE 1 END" if view.letter == "B" else begin
        view.add("R039", node, backwards, f"begin at {begin}", (*place, begin))
    elif not (
        _is_from(0 if view.letter == "D" else 1, plain) or _tells_negative(plain) or _is_settled(view, node, plain)
    ):
        n = view.extents.operand(start)
        if view.letter == "D" and None not in (n, s, place):
            begin = f"CASE WHEN {n} < 0 THEN length({s}) + {n} + 1 ELSE {n} END"
            view.add("R039", node, backwards, f"begin at {begin}", (*place, begin))  # type: ignore[misc]
        else:
            view.add("R039", node, backwards, "begin at greatest(n, 1), if it is never negative")


def _is_settled(view: View, node: exp.Expr, start: exp.Expr) -> bool:
    """Whether a start was written here; where that is not noted, one that counts from the end of a text."""
    if view.settled is not None:
        return view.settled("R039", node)
    return isinstance(start, exp.Sub) and function_name(start.this.unnest()) == "length"


def _tells_negative(start: exp.Expr) -> bool:
    """Whether a start is CASE WHEN n < 0 THEN …, which says itself what a negative one is."""
    test = start.args["ifs"][0].this if isinstance(start, exp.Case) and start.this is None else None
    return isinstance(test, exp.LT) and isinstance(test.expression, exp.Literal) and test.expression.name == "0"


_POSITIONS = frozenset({"strpos", "position", "instr", "length", "char_length", "character_length", "octet_length"})


def _is_from(least: int, node: exp.Expr) -> bool:
    """Whether a number is certainly not less than one: strpos(s, ',') + 1 is from 1 on."""
    node = node.unnest()
    if isinstance(node, exp.Literal):
        return node.is_int and int(node.name) >= least
    if isinstance(node, exp.Add):
        return (
            any(
                isinstance(one.unnest(), exp.Literal)
                and one.unnest().is_int
                and _is_from(least - int(one.unnest().name), other)
                for one, other in ((node.this, node.expression), (node.expression, node.this))
            )
            or (_is_from(least, node.this) and _is_from(0, node.expression))
            or (_is_from(0, node.this) and _is_from(least, node.expression))
        )
    if function_name(node) == "greatest":
        return any(_is_from(least, one) for one in node.args.get("expressions") or [])
    return least <= 0 and function_name(node) in _POSITIONS


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
