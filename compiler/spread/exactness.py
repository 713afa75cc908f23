"""Whether the rows of a query are the same bag on any number of the engine's partitions, and whether it fails.

An engine with several partitions deals rows out among them and takes them as they come. So whatever follows from the
order of rows is refused, what adds floats, and what could show one of several equal values that differ in their bits.
Anything that is not known here is refused, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlglot import exp

from compiler.analysis.floats import Floats
from compiler.names.lexical import resolve_names
from compiler.parts.rule import DECIMAL, is_exact
from compiler.schema import Schema
from compiler.sql.functions import ScalarFunction, function_name
from compiler.tree.walk import has, nodes

_AGGREGATES = frozenset({
    "avg", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "count", "grouping", "max", "min", "sum",
})  # fmt: skip
_SCALARS = frozenset({
    "abs", "ascii", "bit_length", "btrim", "cbrt", "ceil", "char_length", "character_length", "chr", "coalesce",
    "concat", "concat_ws", "contains", "date_bin", "date_part", "date_trunc", "datepart", "datetrunc", "encode",
    "ends_with", "exp", "factorial", "find_in_set", "floor", "from_unixtime", "gcd", "greatest", "ifnull", "initcap",
    "instr", "isnan", "iszero", "lcm", "least", "left", "length", "levenshtein", "ln", "log", "log10", "log2", "lower",
    "lpad", "ltrim", "make_date", "md5", "nanvl", "nullif", "nvl", "nvl2", "octet_length", "overlay", "pi", "position",
    "pow", "power", "regexp_count", "regexp_instr", "regexp_like", "regexp_replace", "repeat", "replace", "reverse",
    "right", "round", "rpad", "rtrim", "sha224", "sha256", "sha384", "sha512", "signum", "split_part", "sqrt",
    "starts_with", "strpos", "substr", "substr_index", "substring", "substring_index", "to_char", "to_date", "to_hex",
    "to_timestamp", "to_timestamp_micros", "to_timestamp_millis", "to_timestamp_nanos", "to_timestamp_seconds",
    "to_unixtime", "translate", "trim", "trunc", "upper",
})  # fmt: skip
"""Functions of one row that yield nothing nested. Of nested values equal ones may differ in their bits."""
_SURE = frozenset({
    "ascii", "bit_length", "btrim", "char_length", "character_length", "coalesce", "concat", "concat_ws", "contains",
    "date_part", "date_trunc", "datepart", "datetrunc", "ends_with", "greatest", "ifnull", "initcap", "instr", "isnan",
    "iszero", "least", "left", "length", "lower", "ltrim", "md5", "nanvl", "nullif", "nvl", "nvl2", "octet_length",
    "reverse", "right", "rtrim", "signum", "starts_with", "strpos", "substr", "substring", "trim", "upper",
})  # fmt: skip
"""Those of them that fail on no row."""
_CLAUSES = (
    exp.Select, exp.Subquery, exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.With, exp.CTE, exp.Union,
    exp.Rollup, exp.Cube, exp.GroupingSets, exp.Distinct, exp.Order, exp.Ordered, exp.Limit, exp.Offset,
)  # fmt: skip
_NAMES = (
    exp.Table, exp.TableAlias, exp.Column, exp.Identifier, exp.Alias, exp.Star, exp.Literal, exp.Boolean, exp.Null,
    exp.Paren, exp.Tuple, exp.Var, exp.DataType, exp.DataTypeParam, exp.Interval, exp.IntervalSpan,
)  # fmt: skip
_OPERATORS = (
    exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ,
    exp.Is, exp.In, exp.Between, exp.Like, exp.ILike, exp.Exists, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg,
    exp.DPipe, exp.Case, exp.If, exp.Cast, exp.TryCast, exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor,
)  # fmt: skip
_KNOWN = frozenset({*_CLAUSES, *_NAMES, *_OPERATORS, exp.Filter})
_SCALAR_TYPES = frozenset({
    *exp.DataType.NUMERIC_TYPES, *exp.DataType.TEXT_TYPES, *exp.DataType.TEMPORAL_TYPES, exp.DType.BOOLEAN,
    exp.DType.INTERVAL, exp.DType.TIME, exp.DType.VARBINARY,
})  # fmt: skip
_JOINS = frozenset({"", "INNER", "CROSS", "OUTER", "SEMI", "ANTI"})
_NO_LIMIT = str((1 << 63) - 1)
"""The limit that drops nothing, see `compiler.engine_sql.workarounds.totals`."""


class RefusedError(Exception):
    """Why a query is not proved to be the same on any number of partitions: a clause whose subject is the rule."""


def require_same_bag(tree: exp.Query, scans: Mapping[str, Sequence[str]], schemas: Mapping[str, Schema]) -> None:
    """Raise `RefusedError` unless a query, as the engine runs it, yields one bag of rows on any number of partitions.

    scans: the columns that it is shown of each input; schemas: of the inputs. A LIMIT at its end, and the order that it
    is by, are left to the caller.
    """
    for name, columns in scans.items():
        for column in schemas[name].columns:
            if column.name in columns and not (is_exact(column.type) or column.type.startswith("float")):
                raise RefusedError("reads nested values, of which equal ones may differ in their bits")
    proof = _Proof(tree, {name: schemas[name] for name in scans})
    for node in nodes(tree):
        proof.require(node)


def may_fail_by_chance(tree: exp.Query) -> bool:
    """Whether it may follow from the rows that the engine skips if a query fails.

    With a LIMIT, or an extreme, it skips rows that cannot matter, as it finds out while it runs; which these are is
    another thing on several partitions. That decimals have too many digits is left out of account.
    """
    if not any(isinstance(node, exp.Limit | exp.Min | exp.Max) for node in nodes(tree)):
        return False
    return not all(map(_is_sure, nodes(tree)))


def meant(select: exp.Expr | None, term: exp.Expr) -> exp.Expr:
    """Return the output that a term of GROUP BY or ORDER BY names, by its name or place, else the term."""
    if not isinstance(select, exp.Select):
        return term
    if isinstance(term, exp.Column) and not term.table:
        named = [item.unalias() for item in select.selects if item.alias_or_name == term.name]
        return named[0] if len(named) == 1 else term
    if isinstance(term, exp.Literal) and term.is_int:
        place = int(term.name) - 1
        return select.selects[place].unalias() if place in range(len(select.selects)) else term
    return term


class _Exactness(Floats):
    """`Floats`, which knows that the parts of a date are integers. It is asked where nothing is nested."""

    def _operation_may_be(self, node: exp.Expr) -> bool:
        if isinstance(node, ScalarFunction) and function_name(node) in {"date_part", "datepart"}:
            unit = node.expressions[0]
            return not isinstance(unit, exp.Literal) or unit.name.lower() == "epoch"
        return super()._operation_may_be(node)

    def of(self, node: exp.Expr) -> str | None:
        """Return the type from `Floats.of`, and that of a sum of decimals, and of a cast to one."""
        if isinstance(node, exp.Cast) and node.to.this == exp.DType.DECIMAL and len(node.to.expressions) == 2:  # noqa: PLR2004
            precision, scale = (one.name for one in node.to.expressions)
            return f"decimal128<{precision}, {scale}>"
        if isinstance(node, exp.Sum):
            found = DECIMAL.fullmatch(self.of(node.this) or "")
            if found:
                return f"decimal128<{min(38, int(found[1]) + 10)}, {found[2]}>"
        return super().of(node)


class _Proof:
    """What of a query is proved, node by node."""

    def __init__(self, tree: exp.Query, schemas: Mapping[str, Schema]) -> None:
        self._tree = tree
        self._types = _Exactness(resolve_names(tree), schemas)
        self._checks: Mapping[type[exp.Expr], Callable[..., None]] = {
            exp.Order: self._require_at_end,
            exp.Ordered: self._require_exact_order,
            exp.EQ: self._require_exact_match,
            exp.NullSafeEQ: self._require_exact_match,
            exp.In: self._require_exact_match,
            exp.Limit: self._require_at_end,
            exp.Offset: self._require_at_end,
            exp.Group: self._require_exact_keys,
            exp.Distinct: self._require_exact_rows,
            exp.Union: self._require_exact_union,
            exp.With: self._require_flat,
            exp.Join: self._require_known_join,
            exp.Cast: self._require_scalar,
            exp.TryCast: self._require_scalar,
        }

    def require(self, node: exp.Expr) -> None:
        """Raise `RefusedError` if the effect of a node itself is not known to be the same."""
        kind = type(node)
        if isinstance(node, exp.AggFunc):
            self._require_exact_aggregate(node)
        elif kind is exp.Window:
            raise RefusedError("has a window")
        elif kind is ScalarFunction or kind is exp.Coalesce:
            if function_name(node) not in _SCALARS:
                raise RefusedError(f"calls {function_name(node)}(…), of which it is not known")
        elif kind in self._checks:
            self._checks[kind](node)
        elif kind not in _KNOWN:
            raise RefusedError(f"has {node.key.upper()}, of which it is not known")

    def _require_exact_aggregate(self, node: exp.Expr) -> None:
        name = function_name(node)
        if name not in _AGGREGATES:
            raise RefusedError(f"has {name}(…), which depends on the order of rows or is not known not to")
        if name == "grouping":
            return
        is_count = name == "count"
        for value in [node.this, *node.expressions]:
            if isinstance(value, exp.Distinct):
                is_count = False
                values = value.expressions
                if name == "avg":
                    raise RefusedError("averages distinct values")
            else:
                values = [value]
            if not isinstance(value, exp.Expr) or isinstance(value, exp.Star) or is_count:
                continue
            if name == "avg" and not all((self._types.of(one) or "").startswith("decimal") for one in values):
                raise RefusedError("averages values that are not known to be decimals, as floats")
            if any(map(self._types.may_be, values)):
                raise RefusedError(f"has {name}(…) of values that may be floats")

    def _require_exact_keys(self, group: exp.Group) -> None:
        if {key for key, value in group.args.items() if value} != {"expressions"}:
            raise RefusedError("groups in a way of which it is not known")
        pending = list(group.expressions)
        while pending:
            key = pending.pop()
            if isinstance(key, exp.Rollup | exp.Cube | exp.GroupingSets | exp.Tuple | exp.Paren):
                pending += [key.this] if isinstance(key, exp.Paren) else key.expressions
            elif self._types.may_be(meant(group.parent, key)):
                raise RefusedError("groups by values that may be floats, of which equal ones may differ in their bits")

    def _require_exact_rows(self, distinct: exp.Distinct) -> None:
        if distinct.args.get("on") is not None:
            raise RefusedError("takes the first row of each group by DISTINCT ON")
        if isinstance(distinct.parent, exp.Select) and any(map(self._types.may_be, distinct.parent.selects)):
            raise RefusedError("takes distinct rows that may hold floats, of which equal ones may differ in their bits")

    def _require_exact_union(self, union: exp.Union) -> None:
        if union.args.get("by_name"):
            raise RefusedError("has UNION BY NAME")
        if not union.args.get("distinct"):
            return
        pending: list[exp.Expr] = [union.this, union.expression]
        while pending:
            node = pending.pop()
            if isinstance(node, exp.Select):
                if any(map(self._types.may_be, node.selects)):
                    raise RefusedError("takes distinct rows that may hold floats")
            else:
                pending += [side for side in (node.this, node.args.get("expression")) if isinstance(side, exp.Expr)]

    def _require_exact_order(self, ordered: exp.Ordered) -> None:
        order = ordered.parent
        if self._types.may_be(meant(order.parent if order is not None else None, ordered.this)):
            raise RefusedError("sorts by values that may be floats, of which equal ones may differ in their bits")

    def _require_exact_match(self, node: exp.Expr) -> None:
        """Refuse to look floats up in one another: those that are equal may be dealt out to two partitions."""
        sides = [node.this, *(node.expressions or [node.args.get("query") or node.expression])]
        of_columns = [has(side, exp.Column) for side in sides]
        if of_columns.count(True) > 1 and any(map(self._types.may_be, sides)):
            raise RefusedError("looks up values that may be floats, of which equal ones may differ in their bits")

    def _require_at_end(self, node: exp.Expr) -> None:
        if node.parent is self._tree:
            return
        if isinstance(node, exp.Limit) and node.expression.name == _NO_LIMIT:
            return
        around = node.parent
        if not isinstance(node, exp.Order):
            raise RefusedError("takes some of the rows by LIMIT within its query")
        if not isinstance(around, exp.Query) or around.args.get("limit") or around.args.get("offset"):
            raise RefusedError("has ORDER BY within its query")

    @staticmethod
    def _require_flat(with_: exp.With) -> None:
        if with_.args.get("recursive"):
            raise RefusedError("has a recursive CTE")

    @staticmethod
    def _require_known_join(join: exp.Join) -> None:
        known = {"this", "on", "side", "kind"}
        if join.kind not in _JOINS or any(value for key, value in join.args.items() if key not in known):
            raise RefusedError("joins in a way of which it is not known")

    @staticmethod
    def _require_scalar(cast: exp.Cast) -> None:
        if cast.to.this not in _SCALAR_TYPES:
            raise RefusedError("makes nested values")


def _is_sure(node: exp.Expr) -> bool:
    """Whether an operation fails on no row; that decimals have too many digits is left out."""
    if isinstance(node, exp.Cast) and not isinstance(node, exp.TryCast):
        return isinstance(node.this, exp.Literal | exp.Null) or node.to.this in exp.DataType.TEXT_TYPES
    if isinstance(node, exp.Div | exp.Mod):
        divisor = node.expression
        return isinstance(divisor, exp.Literal) and not divisor.is_string and float(divisor.name) != 0
    return not isinstance(node, ScalarFunction) or function_name(node) in _SURE
