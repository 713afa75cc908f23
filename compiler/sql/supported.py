"""The nodes, arguments and types that come back from rendering as the author meant them; everything else is an error.

A whitelist, because the engine silently ignores some text (TABLESAMPLE, FOR UPDATE,
`* ILIKE 'x'`), and because SQLGlot knows much that the engine reads differently.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from compiler.errors import SqlError
from compiler.sql.functions import ScalarFunction, WindowFunction, lookup
from compiler.sql.spelling import MADE, usual_spelling
from compiler.sql.strftime_formats import reads_whole_times
from compiler.sql.zoneless import ZONELESS
from compiler.tree.positions import located, position
from compiler.tree.walk import nodes

if TYPE_CHECKING:
    from collections.abc import Callable

TYPE_NAMES: dict[exp.DType, str] = {
    exp.DType.BOOLEAN: "BOOLEAN",
    exp.DType.TINYINT: "TINYINT",
    exp.DType.SMALLINT: "SMALLINT",
    exp.DType.INT: "INT",
    exp.DType.BIGINT: "BIGINT",
    exp.DType.UTINYINT: "TINYINT UNSIGNED",
    exp.DType.USMALLINT: "SMALLINT UNSIGNED",
    exp.DType.UINT: "INT UNSIGNED",
    exp.DType.UBIGINT: "BIGINT UNSIGNED",
    exp.DType.FLOAT: "REAL",
    exp.DType.DOUBLE: "DOUBLE",
    exp.DType.DECIMAL: "DECIMAL",
    exp.DType.VARCHAR: "VARCHAR",
    exp.DType.VARBINARY: "BYTEA",
    exp.DType.DATE: "DATE",
    exp.DType.TIME: "TIME",
    exp.DType.TIMESTAMP: "TIMESTAMP",
    exp.DType.TIMESTAMPTZ: "TIMESTAMPTZ",
    exp.DType.INTERVAL: "INTERVAL",
    exp.DType.ARRAY: "ARRAY",
    exp.DType.STRUCT: "STRUCT",
}
"""The types that the engine casts to. Lengths of strings and widths of integers mean nothing to it."""

_PARAMETERS = {exp.DType.DECIMAL, exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ, exp.DType.ARRAY, exp.DType.STRUCT}
_IGNORED_LENGTH = {exp.DType.VARCHAR, exp.DType.FLOAT}
_SYNONYMS = {exp.DType.CHAR: exp.DType.VARCHAR, exp.DType.TEXT: exp.DType.VARCHAR}

_MODIFIERS = "with_ order limit offset"
_UNARY = "this"
_BINARY = "this expression"
_CALL = "this expressions"

_ALLOWED: dict[type[exp.Expr], frozenset[str]] = {
    node: frozenset(arguments.split())
    for nodes, arguments in (
        ((exp.Select,), f"{_MODIFIERS} distinct expressions from_ joins where group having qualify windows"),
        ((exp.Union, exp.Intersect, exp.Except), f"{_MODIFIERS} this expression distinct by_name"),
        ((exp.Subquery,), f"{_MODIFIERS} this alias joins"),
        ((exp.Table,), "this db catalog alias joins"),
        ((exp.TableAlias,), "this columns"),
        ((exp.Values,), "expressions alias"),
        ((exp.Unnest,), "expressions alias"),
        ((exp.Lateral,), "this alias"),
        ((exp.With,), "expressions recursive"),
        ((exp.CTE,), "this alias"),
        ((exp.Join,), "this on side kind using method"),
        ((exp.From, exp.Where, exp.Having, exp.Qualify, exp.Paren, exp.Exists, exp.Not, exp.Neg), _UNARY),
        ((exp.Any, exp.All, exp.Var, exp.Null, exp.Boolean, exp.Parameter, exp.IgnoreNulls, exp.RespectNulls), _UNARY),
        ((exp.Group,), "expressions grouping_sets cube rollup all"),
        ((exp.GroupingSets, exp.Cube, exp.Rollup, exp.Tuple), "expressions"),
        ((exp.Order,), "this expressions"),
        ((exp.Ordered,), "this desc nulls_first"),
        ((exp.Limit,), "expression offset"),
        ((exp.Offset,), "expression"),
        ((exp.Distinct,), "expressions on"),
        ((exp.Star,), "except_ replace"),
        ((exp.Alias,), "this alias"),
        ((exp.Column,), "this table db catalog"),
        ((exp.Identifier,), "this quoted"),
        ((exp.Dot,), _BINARY),
        ((exp.Literal,), "this is_string"),
        ((exp.HexString,), "this"),
        ((exp.Interval,), "this"),
        ((exp.Bracket,), "this expressions"),
        ((exp.Slice,), "this expression step"),
        ((exp.Kwarg,), _BINARY),
        ((exp.Cast, exp.TryCast), "this to safe"),
        ((exp.DataType,), "this expressions nested values"),
        ((exp.DataTypeParam,), "this"),
        ((exp.ColumnDef,), "this kind"),
        ((exp.Case,), "this ifs default"),
        ((exp.If,), "this true false"),
        ((exp.In,), "this expressions query"),
        ((exp.Between,), "this low high"),
        ((exp.AtTimeZone,), "this zone"),
        ((exp.Window,), "this partition_by order spec alias over"),
        ((exp.WindowSpec,), "kind start start_side end end_side"),
        ((exp.Filter, exp.WithinGroup), _BINARY),
        ((exp.And, exp.Or, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Is), _BINARY),
        ((exp.NullSafeEQ, exp.NullSafeNEQ, exp.ArrayContainsAll, exp.ArrayContainedBy), _BINARY),
        ((exp.Like, exp.ILike, exp.SimilarTo, exp.Escape, exp.RegexpLike, exp.RegexpILike), _BINARY),
        ((exp.Add, exp.Sub, exp.Mul, exp.Mod, exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor), _BINARY),
        ((exp.BitwiseLeftShift, exp.BitwiseRightShift), _BINARY),
        ((exp.Div,), f"{_BINARY} typed safe"),
        ((exp.DPipe,), f"{_BINARY} safe"),
        ((exp.Anonymous, exp.AnonymousAggFunc, ScalarFunction, WindowFunction, exp.Explode, exp.Coalesce), _CALL),
        ((exp.Count,), f"{_CALL} big_int"),
        ((exp.Avg, exp.Max, exp.Min, exp.Sum), _UNARY),
    )
    for node in nodes
}

_HINTS = {
    "FETCH": "write LIMIT",
    "FOR UPDATE": "the engine ignores it; leave it out",
    "TABLESAMPLE": "the engine ignores it; filter with WHERE",
    "* ILIKE": "the engine ignores it; list the columns",
    "* RENAME": "write * EXCEPT (a), a AS b",
    "MATERIALIZED": "leave it out",
}
_FALSE_MEANS = ("all", "materialized")  # arguments whose False the author wrote
_WORDS = {
    "all": "GROUP BY DISTINCT",
    exp.Fetch: "FETCH",
    exp.National: "N'…'",
    exp.Lambda: "a lambda",
    "connect": "CONNECT BY",
    "cluster": "CLUSTER BY",
    "cross_apply": "APPLY",
    "distribute": "DISTRIBUTE BY",
    "exclude": "EXCLUDE in a window frame",
    "ilike": "* ILIKE",
    "into": "SELECT INTO",
    "kind": "SELECT AS",
    "laterals": "LATERAL VIEW",
    "limit_options": "LIMIT with options",
    "locks": "FOR UPDATE",
    "match": "MATCH_RECOGNIZE",
    "materialized": "MATERIALIZED",
    "offset": "WITH ORDINALITY",
    "pivots": "PIVOT",
    "rename": "* RENAME",
    "sample": "TABLESAMPLE",
    "sort": "SORT BY",
}
"""Node or argument that is not allowed → what the author wrote."""


def check(tree: exp.Expr | None) -> exp.Query:
    """Return `tree` as the query to compile. Raises `SqlError` at the first thing that is not supported.

    VALUES (1), (2) → SELECT * FROM (VALUES (1), (2)) AS "values"(column1), so that every query has a SELECT.
    """
    tree = usual_spelling(tree) if tree is not None else None
    if not isinstance(tree, exp.Query):
        raise SqlError("this is not a query", line=1, column=1, hint="start with SELECT or WITH", code="not-a-query")
    for node in nodes(tree):
        allowed = _ALLOWED.get(type(node))
        if allowed is None:
            raise _unsupported(node, _WORDS.get(type(node)) or f"the construct {type(node).__name__}")
        for key, value in node.args.items():
            absent = value is None or value == [] or (value is False and key not in _FALSE_MEANS)
            if not absent and (key not in allowed or value is False):
                what = value[0] if isinstance(value, list) else value
                at = what if isinstance(what, exp.Expr) else node
                raise _unsupported(at, _WORDS.get(key) or f"{type(node).__name__} with {key}")
        rule = _RULES.get(type(node))
        if rule is not None:
            rule(node)
    return tree


def _unsupported(node: exp.Expr, what: str) -> SqlError:
    """Return the error at `node`, or, if nothing in it has a position, at the node around it."""
    around: exp.Expr = node
    while position(around)[0] is None and around.parent is not None:
        around = around.parent
    return located(around, f"{what} is not supported", hint=_HINTS.get(what), code="unsupported")


def _named_values(values: exp.Values) -> exp.Values:
    """VALUES (1, 2) → (VALUES (1, 2)) AS "values"(column1, column2), the names that the engine gives."""
    alias = values.args.get("alias") or exp.TableAlias(this=exp.to_identifier("values", quoted=True))
    if not alias.columns and values.expressions:
        width = len(values.expressions[0].expressions)
        alias.set("columns", [exp.to_identifier(f"column{n}", quoted=True) for n in range(1, width + 1)])
    values.set("alias", alias)
    return values


def _check_select(node: exp.Select) -> None:
    star = node.expressions[0] if node.expressions else None
    # FROM t alone becomes SELECT * in SQLGlot, with a star that has no place in the text; for the engine it has none.
    # It does the same, rightly, to the VALUES of a CTE.
    invented = isinstance(star, exp.Star) and not star.meta.get("start") and not star.meta.get(MADE)
    if star is None or (invented and not isinstance(node.args["from_"].this, exp.Values)):
        raise _unsupported(node, "a query without a SELECT list")


def _check_star(node: exp.Star) -> None:
    """Refuse * EXCEPT (true), in which SQLGlot sees no name and leaves nothing out."""
    if node.args.get("except_") == []:
        raise located(node, "* EXCEPT takes column names", hint="write * EXCEPT (a, b)", code="unsupported")
    for item in node.args.get("except_") or []:
        if not isinstance(item, exp.Identifier) and not (isinstance(item, exp.Column) and not item.table):
            word = item.sql().lower()
            hint = f'if it is a name, write "{word}"' if word.isidentifier() else None
            raise located(node, f"* EXCEPT takes column names, not {word}", hint=hint, code="unsupported")


def _check_column(node: exp.Column) -> None:
    if isinstance(node.this, exp.Star) and not isinstance(node.parent, exp.Select):
        message = f"{node.table}.* can be used only in a SELECT list"
        raise located(node, message, hint="write COUNT(*)", code="unsupported")
    if not isinstance(node.this, exp.Identifier | exp.Star):
        raise located(node, f"expected a column name after {node.table}.", code="syntax")


def _check_alias(node: exp.Alias) -> None:
    if not isinstance(node.args.get("alias"), exp.Identifier):
        raise located(node, "expected a name after AS", code="syntax")


def _check_grouping(node: exp.Rollup | exp.Cube) -> None:
    if not node.expressions:
        name = type(node).__name__.upper()
        error = _unsupported(node, f"WITH {name}")
        error.hint = f"write GROUP BY {name} (…)"
        raise error


def _check_values(node: exp.Values) -> None:
    if node.find_ancestor(exp.From, exp.Join):
        _named_values(node)


def _check_join(node: exp.Join) -> None:
    kind = node.kind
    if kind in {"SEMI", "ANTI"}:
        node.set("side", "LEFT")
    elif kind not in {"", "INNER", "OUTER", "CROSS"}:
        raise located(node, f"{kind} JOIN is not supported", code="unsupported")
    if node.method and node.method != "NATURAL":
        raise located(node, f"{node.method} JOIN is not supported", code="unsupported")


def _check_type(node: exp.DataType) -> None:
    kind = node.this
    if kind in _SYNONYMS:
        kind = _SYNONYMS[kind]
        node.set("this", kind)
    if kind not in TYPE_NAMES:
        name = kind.value if isinstance(kind, exp.DType) else kind.sql()
        hint = "arrow_cast(x, 'Utf8View') takes any type of the engine"
        raise located(node, f"the engine has no type {name}", hint=hint, code="unknown-type")
    if node.expressions and kind not in _PARAMETERS:
        if kind not in _IGNORED_LENGTH:
            raise located(node, f"the type {kind.value} takes no parameters", code="unknown-type")
        node.set("expressions", None)


def _check_window(node: exp.Window) -> None:
    named = node.arg_key == "windows"
    if node.args.get("alias") and (named or any(node.args.get(key) for key in ("partition_by", "order", "spec"))):
        message = "a window that extends another is not supported: the engine drops what it inherits"
        raise located(node, message, hint="write the whole window out", code="unsupported")


def _check_frame(node: exp.WindowSpec) -> None:
    """ROWS 1 PRECEDING → ROWS BETWEEN 1 PRECEDING AND CURRENT ROW."""
    if node.args.get("end") is None:
        node.set("end", "CURRENT ROW")
    node.set("kind", str(node.args["kind"]).upper())


def _check_unnest(node: exp.Unnest) -> None:
    alias = node.args.get("alias")
    if alias is None or len(alias.columns) != len(node.expressions):
        raise located(node, "UNNEST in FROM needs column names", hint="write UNNEST(…) AS u(x)", code="unsupported")
    if node.find(exp.Column):
        hint = "write SELECT unnest(t.list) … FROM t"
        raise located(node, "the engine cannot run UNNEST over a column in FROM", hint=hint, code="unsupported")


def _check_table(node: exp.Table) -> None:
    function = node.this
    if isinstance(function, exp.Identifier):
        return
    name = function.name if isinstance(function, ScalarFunction) else ""
    known = lookup(name)
    if known is None or "table" not in known.kinds:
        raise located(node, "only a table, generate_series(…) or range(…) can be used here", code="unsupported")
    alias = node.args.get("alias") or exp.TableAlias(this=exp.to_identifier(name, quoted=True))
    if not alias.columns:
        alias.set("columns", [exp.to_identifier("value", quoted=True)])
    node.set("alias", alias)


def _check_dot(node: exp.Dot) -> None:
    if not isinstance(node.expression, exp.Identifier):
        raise located(node, "a function with a schema is not supported", code="unsupported")


def _check_limit(node: exp.Limit) -> None:
    if not isinstance(node.parent, exp.Query):
        raise located(node, "LIMIT inside a call is not supported", code="unsupported")


def _check_call(node: ScalarFunction) -> None:
    """Refuse a format by which the engine would read a time of day as midnight, in silence."""
    _, *formats = node.expressions if node.name.lower() in ZONELESS else [None]
    for one in formats:
        if isinstance(one, exp.Literal) and one.is_string and not reads_whole_times(one.name):
            message = f"the engine takes a time without minutes for midnight: the format '{one.name}' has none"
            if "M" in one.name:
                message = f"the engine takes a time for midnight by the format '{one.name}': it has no whole hour"
            hint = "append minutes: to_timestamp(concat(s, ':00'), '%Y-%m-%d %H:%M'); hours are %H, or %I with %p"
            raise located(one, message, hint=hint, code="unsupported")


_RULES: dict[type[exp.Expr], Callable[..., None]] = {
    exp.Select: _check_select,
    exp.Alias: _check_alias,
    exp.Column: _check_column,
    exp.Star: _check_star,
    exp.Rollup: _check_grouping,
    exp.Cube: _check_grouping,
    exp.Values: _check_values,
    exp.Join: _check_join,
    exp.DataType: _check_type,
    exp.Window: _check_window,
    exp.WindowSpec: _check_frame,
    exp.Unnest: _check_unnest,
    exp.Table: _check_table,
    exp.Dot: _check_dot,
    exp.Limit: _check_limit,
    ScalarFunction: _check_call,
}
