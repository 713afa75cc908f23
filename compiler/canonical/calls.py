"""Calls and casts: one name for each function, one spelling for its arguments."""

from __future__ import annotations

import re

from sqlglot import exp

from compiler.analysis.types import INTEGERS, Types
from compiler.canonical.facts import Facts
from compiler.sql.functions import ScalarFunction

ALIASES: dict[str, str] = {
    "array_contains": "array_has", "array_empty": "empty", "array_extract": "array_element",
    "array_indexof": "array_position", "array_join": "array_to_string", "array_cat": "array_concat",
    "array_push_back": "array_append", "array_push_front": "array_prepend", "arrays_overlap": "array_has_any",
    "char_length": "character_length", "covar": "covar_samp", "date_format": "to_char", "datepart": "date_part",
    "datetrunc": "date_trunc", "dot_product": "inner_product", "element_at": "map_extract", "ifnull": "nvl",
    "instr": "strpos", "length": "character_length",
    "list_cat": "array_concat", "list_contains": "array_has", "list_empty": "empty",
    "list_extract": "array_element", "list_has": "array_has", "list_indexof": "array_position",
    "list_join": "array_to_string", "list_push_back": "array_append", "list_push_front": "array_prepend",
    "list_zip": "arrays_zip", "make_list": "make_array", "pow": "power", "quantile_cont": "percentile_cont",
    "stddev_samp": "stddev", "string_to_list": "string_to_array", "substring": "substr",
    "substring_index": "substr_index", "trim": "btrim", "var_population": "var_pop", "var_samp": "var",
    "var_sample": "var",
    **{
        f"list_{name}": f"array_{name}"
        for name in (
            "add", "any_value", "append", "avg", "compact", "concat", "dims", "distance", "distinct", "element",
            "except", "has_all", "has_any", "intersect", "length", "max", "ndims", "normalize", "pop_back",
            "pop_front", "position", "positions", "prepend", "product", "remove", "remove_all", "remove_n", "repeat",
            "replace", "replace_all", "replace_n", "resize", "reverse", "scale", "slice", "sort", "subtract", "sum",
            "to_string", "union",
        )
    },
}  # fmt: skip
"""Alias of a function of the engine → the engine's own name for it."""

_UNIT_FIRST = frozenset({"date_part", "date_trunc"})
_UNIT = re.compile(r"[A-Za-z]+")
_WILDCARDS = re.compile(r"[%_\\]")
_ANY_CASE = re.compile(r"[A-Za-z0-9 %_]*")
_ARROW_TYPES: dict[str, exp.DType] = {
    "Int8": exp.DType.TINYINT,
    "Int16": exp.DType.SMALLINT,
    "Int32": exp.DType.INT,
    "Int64": exp.DType.BIGINT,
    "Float32": exp.DType.FLOAT,
    "Float64": exp.DType.DOUBLE,
}
_OWN_TYPES: dict[str, exp.DType] = {
    "int16": exp.DType.SMALLINT,
    "int32": exp.DType.INT,
    "int64": exp.DType.BIGINT,
    "bool": exp.DType.BOOLEAN,
    "date32": exp.DType.DATE,
}
_NUMBERS = frozenset({*INTEGERS, "float32", "float64"})


def spell_calls(query: exp.Query, facts: Facts) -> exp.Query:
    """Call every function by the engine's own name, and write units of time in lower case.

    pow(x, 2) → power(x, 2);  mean(x) → avg(x);  datetrunc('HOUR', t) → date_trunc('hour', t)
    """
    for node in facts.nodes(query, ScalarFunction, exp.AnonymousAggFunc):
        name = node.name.lower()
        arguments = node.expressions
        if isinstance(node, exp.AnonymousAggFunc) and name == "mean" and len(arguments) == 1:
            if not isinstance(arguments[0], exp.Order):
                node.replace(exp.Avg(this=arguments[0]))
            continue
        if name in ALIASES:
            name = ALIASES[name]
            node.set("this", name)
        unit = arguments[0] if arguments else None
        if name not in _UNIT_FIRST or not isinstance(unit, exp.Literal) or not unit.is_string:
            continue
        if _UNIT.fullmatch(unit.name) and not unit.name.islower():
            unit.set("this", unit.name.lower())
    return query


def spell_beginnings(query: exp.Query, facts: Facts) -> exp.Query:
    """Take the beginning of a text in one way: substr(s, 1, 3) → left(s, 3)."""
    types: Types | None = None
    for node in facts.nodes(query, ScalarFunction):
        if node.name.lower() != "substr" or len(node.expressions) != 3:  # noqa: PLR2004 — a text, a start, a length
            continue
        text, start, length = node.expressions
        if _whole(start) == 1 and _whole(length) is not None:
            types = types or facts.types(query)
            if types.of(text) == "string":
                node.set("this", "left")
                node.set("expressions", [text, length])
    return query


def _whole(node: exp.Expr) -> int | None:
    """Return the value of a literal that is a number from 0."""
    return int(node.name) if isinstance(node, exp.Literal) and not node.is_string and node.is_int else None


def spell_casts(query: exp.Query, facts: Facts) -> exp.Query:
    """Write a cast of a number to a plain numeric type as CAST, a decimal with its scale; drop casts without effect.

    arrow_cast(n, 'Int64') → CAST(n AS BIGINT);  CAST(x AS DECIMAL(12)) → CAST(x AS DECIMAL(12, 0));
    CAST(n AS BIGINT) → n, for a column that is a bigint
    """
    for kind in facts.nodes(query, exp.DataType):
        if kind.this is exp.DType.DECIMAL and len(kind.expressions) == 1:
            kind.append("expressions", exp.DataTypeParam(this=exp.Literal.number("0")))
    calls = [node for node in facts.nodes(query, ScalarFunction) if node.name == "arrow_cast"]
    types = facts.types(query) if calls else None
    for node in reversed(calls):
        if types is None or len(node.expressions) != 2:  # noqa: PLR2004 — a value and a type
            continue
        value, target = node.expressions
        known = _ARROW_TYPES.get(target.name) if isinstance(target, exp.Literal) and target.is_string else None
        if known is not None and types.of(value) in _NUMBERS:
            node.replace(exp.Cast(this=value, to=exp.DataType(this=known, nested=False)))
    _drop_idle_casts(query, facts)
    return query


def _drop_idle_casts(query: exp.Query, facts: Facts) -> None:
    """Floats keep theirs: a cast column beside a bare one keeps the engine from making a list of their equalities."""
    casts = [node for node in facts.nodes(query, exp.Cast) if type(node) is exp.Cast and _is_qualified(node.this)]
    types = facts.types(query) if casts else None
    for node in casts:
        if (
            types is not None
            and _OWN_TYPES.get(types.of(node.this) or "") == node.to.this
            and not node.args.get("format")
        ):
            node.replace(node.this)


def _is_qualified(node: exp.Expr) -> bool:
    return isinstance(node, exp.Column) and bool(node.table)


def spell_plain_patterns(query: exp.Query, facts: Facts) -> exp.Query:
    """Write LIKE with a pattern without wildcards as =, and with nothing but one as what holds for every text.

    name LIKE 'abc' → name = 'abc';  name LIKE '%' → name = name
    """
    types: Types | None = None
    for node in facts.nodes(query, exp.Like)[::-1]:
        pattern, value = node.expression, node.this
        if not isinstance(pattern, exp.Literal) or not pattern.is_string or isinstance(node.parent, exp.Escape):
            continue
        types = types or facts.types(query)
        if types.of(value) != "string":
            continue
        if not _WILDCARDS.search(pattern.name):
            node.replace(exp.EQ(this=value.pop(), expression=pattern.pop()))
        elif pattern.name == "%" and isinstance(value, exp.Column):
            node.replace(exp.EQ(this=value.copy(), expression=value.pop()))
    return query


def spell_patterns(query: exp.Query, facts: Facts) -> exp.Query:
    """Write the pattern of ILIKE in lower case if it has only ASCII letters, digits, blanks and wildcards.

    name ILIKE 'A%' → name ILIKE 'a%'
    """
    for node in facts.nodes(query, exp.ILike):
        pattern = node.expression
        plain = isinstance(pattern, exp.Literal) and pattern.is_string and _ANY_CASE.fullmatch(pattern.name)
        if plain and not isinstance(node.parent, exp.Escape):
            pattern.set("this", pattern.name.lower())
    return query
