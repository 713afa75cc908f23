"""Habits about numbers: division, rounding, decimals, powers, and how wide types are."""

from __future__ import annotations

import re

from sqlglot import exp

from compiler.dialects.exact_division import has_no_fraction, has_no_remainder
from compiler.dialects.extents import is_primary
from compiler.dialects.view import View
from compiler.sql.functions import function_name

_INTEGERS = (exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT, exp.DType.UTINYINT,
             exp.DType.USMALLINT, exp.DType.UINT, exp.DType.UBIGINT)  # fmt: skip
_NARROW = (exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT)
_DIGITS_OF_INT = 10
"""A number of fewer digits is an INT elsewhere."""
_HALVES = "round({x}) - CASE WHEN abs({x} - trunc({x})) = 0.5 AND round({x}) % 2 <> 0 THEN signum({x}) ELSE 0 END"
"""A float rounded to the nearest whole number, halves to the even one."""


def division(view: View) -> None:
    """7 / 2 is 3 here, and 3.5 in DuckDB."""
    if view.letter in "PR":
        return _decimal_division(view)
    for node in view.every(exp.Div):
        kinds = view.kind(node.this), view.kind(node.expression)
        casts = isinstance(node.this, exp.Cast) and isinstance(node.parent, exp.Cast)
        if view.letter == "S" and casts and (view.settled is None or view.settled("R016", node)):
            continue
        if not set(kinds) <= {"int", "decimal"}:
            continue
        if view.settled is None and has_no_remainder(node):
            continue
        left, right = view.extents.written(node.this), view.extents.operand(node.expression)
        if kinds == ("int", "int"):
            message = f"integer division drops the remainder here, and not in {view.title}"
        else:
            message = f"a quotient of decimals has as many digits as its sides here; {view.title} gives another number"
        if left is None or right is None or (view.letter != "D" and kinds != ("int", "int")):
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
        elif kinds == {"int"} and (_extracts(view, node.this) or _extracts(view, node.expression)):
            message = f"a part of a date is an integer here, and none in {view.title}, whose quotient has a fraction"
            view.add("R016", node, message, "cast the part to INT, or to DOUBLE for a fraction")
        elif kinds == {"int"} and (_adds_wide(node.this) or _adds_wide(node.expression)):
            message = (
                f"a sum is a BIGINT here; that of a BIGINT is a decimal in {view.title}, whose quotient has a fraction"
            )
            hint = "cast one side to DOUBLE; where an INT is added, write CAST(sum(n) AS BIGINT)"
            view.add("R016", node, message, hint)


def _extracts(view: View, node: exp.Expr) -> bool:
    """Whether an operand is made of a part of a date: PostgreSQL's extract is a decimal, and date_part a float."""
    apart = (exp.Query, exp.Cast, exp.Predicate, exp.Connector)
    calls = node.walk(prune=lambda one: isinstance(one, apart))
    return any(
        function_name(call) == "date_part" and not (view.settled is not None and view.settled("R016", call))
        for call in calls
        if isinstance(call, exp.Func) and not isinstance(call, apart)
    )


def _adds_wide(node: exp.Expr) -> bool:
    """Whether an operand has a sum of what may be a BIGINT."""
    calls = node.walk(prune=lambda one: isinstance(one, exp.Query | exp.Cast))
    return any(isinstance(call, exp.Sum) and _may_be_wide(call.this) for call in calls)


def _may_be_wide(value: exp.Expr) -> bool:
    if isinstance(value, exp.Case):
        default = value.args.get("default")
        values = [*(branch.args["true"] for branch in value.args["ifs"]), *([] if default is None else [default])]
        return any(map(_may_be_wide, values))
    if isinstance(value, exp.Cast):
        return value.to.this not in _NARROW
    return not (isinstance(value, exp.Null) or (isinstance(value, exp.Literal) and len(value.name) < _DIGITS_OF_INT))


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
        exactly = kind == "decimal" or _is_fraction(_without_sign(node.this)) or view.letter in "SB"
        if not exactly and view.letter == "P" and has_decimals(view, node.this):
            if has_floats(view, node.this) or node.this.find(exp.Div) is not None:
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


def _without_sign(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Neg | exp.Paren):
        node = node.this
    return node


def has_decimals(view: View, node: exp.Expr) -> bool:
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


def has_floats(view: View, node: exp.Expr) -> bool:
    """Whether a column or a cast within is a float."""
    return any(isinstance(one, exp.Column | exp.Cast) and view.kind(one) == "float" for one in node.walk())


def _is_rounded(node: exp.Expr) -> bool:
    """Whether a value certainly has no fraction: round(x), floor(x), and what a fix makes."""
    node = node.unnest()
    if function_name(node) in {"round", "floor", "ceil", "trunc", "signum"}:
        return len(node.args.get("expressions") or []) == 1
    return isinstance(node, exp.Sub) and _is_rounded(node.this) and isinstance(node.expression, exp.Case)


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
    for node in view.every(exp.Func) if view.settled is None else ():
        values = list(node.args.get("expressions") or []) if function_name(node) in {"ifnull", "nvl"} else []
        fractions = [one.unnest() for one in values if _is_fraction(one.unnest())]
        kinds_beside = {view.kind(one) for one in values if not _is_fraction(one.unnest())}
        for literal in fractions if kinds_beside and kinds_beside <= {"int", "decimal"} else ():
            _as_decimal(view, literal)
    for literal in view.every(exp.Literal) if view.settled is not None else ():
        if _is_fraction(literal) and not isinstance(_around(literal), (*kinds, exp.Cast)) and not _is_share(literal):
            if _is_beside_float(view, literal):
                continue
            _as_decimal(view, literal)


def _around(node: exp.Expr) -> exp.Expr | None:
    around = node.parent
    while isinstance(around, exp.Paren | exp.Neg):
        around = around.parent
    return around


_CHOOSING = frozenset({"coalesce", "greatest", "ifnull", "least", "nullif", "nvl"})


def _is_beside_float(view: View, literal: exp.Expr) -> bool:
    """Whether a fraction is one of several values of which another is a float, so that all of them are."""
    around = _around(literal)
    if isinstance(around, exp.If):
        around = around.parent
    if isinstance(around, exp.Case):
        values = [*(branch.args["true"] for branch in around.args["ifs"]), around.args.get("default")]
    elif isinstance(around, exp.In | exp.Between):
        values = [around.this]
    elif isinstance(around, exp.Func) and function_name(around) in _CHOOSING:
        values = [around.args.get("this"), around.args.get("expression"), *(around.args.get("expressions") or [])]
    else:
        return False
    others = [one for one in values if isinstance(one, exp.Expr) and not _is_fraction(_without_sign(one))]
    return any(view.kind(one) == "float" for one in others)


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


_UNSIGNED = frozenset({
    "row_number", "rank", "dense_rank", "ntile", "array_length", "cardinality", "list_length", "array_position",
    "list_position", "array_indexof", "list_indexof",
})  # fmt: skip
_CALCULATING = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor,
                exp.BitwiseLeftShift, exp.BitwiseRightShift, exp.Array)  # fmt: skip
_ELEMENTWISE = re.compile(r"(array|list)_(append|prepend|has|contains|position|remove|replace)\w*|make_array")


def unsigned_numbers(view: View) -> None:
    """rank() OVER (…) / 2 is a decimal here: ranks and lengths of lists are unsigned, and BIGINTs elsewhere."""
    for call in view.every(exp.Func):
        if function_name(call) not in _UNSIGNED:
            continue
        node = call.parent if isinstance(call.parent, exp.Window) else call
        around = node.parent
        while isinstance(around, exp.Paren):
            around = around.parent
        name = function_name(around) if isinstance(around, exp.Func) else None
        calculates = isinstance(around, _CALCULATING) or isinstance(
            getattr(around, "expression", None), exp.Any | exp.All
        )
        if calculates or (name is not None and _ELEMENTWISE.fullmatch(name)):
            written = view.extents.written(node)
            message = f"'{function_name(call)}' is an unsigned number here, and a BIGINT in {view.title}"
            view.replace("R042", node, message, written and f"CAST({written} AS BIGINT)", "cast it to BIGINT")


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
