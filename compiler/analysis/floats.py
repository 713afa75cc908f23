"""Expressions that may be floats: all except those that certainly are not.

Floats have values that compare in several ways (NaN, signed zeros) and sums that depend on order, so the answers here
may be yes too often, never too seldom. `compiler.analysis.types` knows the certain types.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from compiler.analysis.types import INTEGERS, Types
from compiler.names.lexical import Names
from compiler.schema import INPUT_DB, Schema
from compiler.sql.functions import function_name

_OTHER_CASTS = frozenset({
    exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT, exp.DType.UTINYINT, exp.DType.USMALLINT,
    exp.DType.UINT, exp.DType.UBIGINT, exp.DType.DECIMAL, exp.DType.BOOLEAN, exp.DType.CHAR, exp.DType.VARCHAR,
    exp.DType.TEXT, exp.DType.DATE, exp.DType.TIME, exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ, exp.DType.INTERVAL,
    exp.DType.VARBINARY,
})  # fmt: skip

_PASSING = frozenset({
    "abs", "any_value", "coalesce", "first_value", "greatest", "ifnull", "lag", "last_value", "lead", "least", "max",
    "min", "nth_value", "nullif", "nvl", "sum",
})  # fmt: skip
"""Functions whose value is a float only if an argument is."""

_OF_FLOATS = frozenset({"abs", "cbrt", "ceil", "floor", "round", "signum", "sqrt", "sum", "trunc"})
"""Functions that yield a float of a float."""

_OTHER_FUNCTIONS = frozenset({
    "array_agg", "arrow_typeof", "ascii", "bit_and", "bit_length", "bit_or", "bit_xor", "bool_and", "bool_or", "btrim",
    "cardinality", "char_length", "character_length", "chr", "concat", "concat_ws", "contains", "count",
    "current_date", "current_time", "current_timestamp", "date_bin", "date_format", "date_trunc", "datetrunc",
    "dense_rank", "encode", "ends_with", "from_unixtime", "grouping", "initcap", "instr", "isnan", "iszero", "left",
    "length", "levenshtein", "lower", "lpad", "ltrim", "make_array", "make_date", "make_list", "make_time", "map",
    "md5", "named_struct", "now", "ntile", "octet_length", "rank", "regexp_count", "regexp_instr", "regexp_like",
    "regexp_match", "regexp_replace", "regr_count", "repeat", "replace", "reverse", "right", "row", "row_number",
    "rpad", "rtrim", "sha224", "sha256", "sha384", "sha512", "split_part", "starts_with", "string_agg",
    "string_to_array", "strpos", "struct", "substr", "substr_index", "substring", "substring_index", "to_char",
    "to_date", "to_hex", "to_local_time", "to_time", "to_timestamp", "to_timestamp_micros", "to_timestamp_millis",
    "to_timestamp_nanos", "to_timestamp_seconds", "to_unixtime", "today", "translate", "trim", "upper", "uuid",
})  # fmt: skip
"""Functions that never yield a float; a list or struct of floats does not count as one."""

_OPERATORS = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.Paren, exp.Alias, exp.Distinct, exp.Filter,
              exp.Window, exp.IgnoreNulls, exp.RespectNulls, exp.WithinGroup)  # fmt: skip
_NO_FLOATS = (exp.DPipe, exp.Interval, exp.Null, exp.Star, exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor,
              exp.BitwiseLeftShift, exp.BitwiseRightShift)  # fmt: skip


class Floats(Types):
    """Types of the expressions of one qualified query, as far as they distinguish floats from the rest."""

    def __init__(self, names: Names, schemas: Mapping[str, Schema]) -> None:
        super().__init__(names, schemas)
        self._may_be: dict[tuple[int, str], bool] = {}

    def of(self, node: exp.Expr) -> str | None:
        """Return the type from `Types.of`, and "float64" for an expression that is certainly made from one."""
        found = super().of(node)
        if found is not None:
            return found
        if isinstance(node, exp.Literal):
            return None if node.is_string or node.is_int else "float64"
        if isinstance(node, exp.Neg):
            return "float64" if self.of(node.this) == "float64" else None
        if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Div | exp.Mod):
            kinds = {self.of(node.this), self.of(node.expression)}
            return "float64" if "float64" in kinds and kinds <= {"float64", *INTEGERS} else None
        return None

    def may_be(self, node: exp.Expr) -> bool:
        """Whether an expression may be of a type of floats; a list or struct of floats is not."""
        certain = self.of(node)
        if certain is not None and not isinstance(node, exp.Column):
            return certain.startswith("float")
        if isinstance(node, exp.Literal):
            return not node.is_string  # integers are of a certain type
        if isinstance(node, exp.Column):
            return self._column_may_be(node)
        if isinstance(node, _NO_FLOATS):
            return False
        if isinstance(node, exp.Cast):
            return node.to.this not in _OTHER_CASTS
        if isinstance(node, exp.Bracket | exp.Dot):
            return self._part_may_be(node)
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select) and len(node.this.selects) == 1:
            return self.may_be(node.this.selects[0])
        return self._operation_may_be(node)

    def is_float(self, node: exp.Expr) -> bool:
        """Whether an expression is certainly of a type of floats."""
        if (self.of(node) or "").startswith("float"):
            return True
        if isinstance(node, exp.Literal):
            return not node.is_string and not node.is_int
        if isinstance(node, exp.Paren | exp.Alias | exp.Neg | exp.Min | exp.Max | exp.Filter | exp.Window):
            return self.is_float(node.this)
        if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Div | exp.Mod):
            sides = (node.this, node.expression)
            return any(map(self.is_float, sides)) and all(map(self.is_number, sides))
        if isinstance(node, exp.Avg):
            return self.is_float(node.this) or self.is_integer(node.this)
        if isinstance(node, exp.Coalesce):
            values = (node.this, *node.expressions)
            return any(map(self.is_float, values)) and all(map(self.is_number, values))
        return function_name(node) in _OF_FLOATS and self.is_float(_first(node))

    def is_number(self, node: exp.Expr) -> bool:
        """Whether an expression is certainly a number or NULL."""
        kind = self.of(node) or ""
        if kind in INTEGERS or kind.startswith("decimal") or isinstance(node, exp.Null) or self.is_float(node):
            return True
        if isinstance(node, exp.Paren | exp.Neg | exp.Sum | exp.Avg):
            return self.is_number(node.this)
        return isinstance(node, exp.Literal) and not node.is_string

    def _operation_may_be(self, node: exp.Expr) -> bool:
        if isinstance(node, exp.Case):
            values = [*(branch.args["true"] for branch in node.args["ifs"]), node.args.get("default")]
            return any(self.may_be(value) for value in values if value is not None)
        if isinstance(node, _OPERATORS):
            values = [node.this, node.args.get("expression"), *node.expressions]
            if isinstance(node, exp.Filter | exp.Window | exp.WithinGroup):
                values = [node.this]
            numbers = isinstance(node, exp.Binary)  # '1.5' * 2 is read as a number
            return any(
                self.may_be(value) or (numbers and self.of(value) == "string")
                for value in values
                if isinstance(value, exp.Expr)
            )
        name = function_name(node)
        if name == "avg":
            return not (self.of(node.this) or "").startswith("decimal")
        if name in _PASSING:
            values = [node.this, *node.expressions]
            return any(self.may_be(value) for value in values if isinstance(value, exp.Expr))
        return name not in _OTHER_FUNCTIONS

    def _part_may_be(self, node: exp.Expr) -> bool:
        """Whether an item of a list or a field of a struct may be a float."""
        while isinstance(node, exp.Bracket | exp.Dot):
            node = node.this
        found = self.of(node)
        return found is None or "float" in found

    def _column_may_be(self, column: exp.Column) -> bool:
        item = self._owners.get(id(column))
        if item is None:
            return True
        if column.args.get("db"):  # a field of a column
            return True
        if id(item) in self._sources:
            return self._output_may_be(self._sources[id(item)], column.name)
        if isinstance(item, exp.Table) and item.db == INPUT_DB:
            return self._input(item.name).get(column.name, "float").startswith("float")
        return True

    def _output_may_be(self, source: exp.Expr, name: str) -> bool:
        key = (id(source), name)
        if key not in self._may_be:
            self._may_be[key] = False  # a recursive CTE yields the rows of its static term, and those that it adds
            self._may_be[key] = self._any_branch_may_be(source, name)
        return self._may_be[key]

    def _any_branch_may_be(self, source: exp.Expr, name: str) -> bool:
        pending, place, found = [source], None, []
        while pending:
            node = pending.pop()
            if isinstance(node, exp.Subquery):
                pending.append(node.this)
            elif isinstance(node, exp.SetOperation):
                if node.args.get("by_name"):
                    return True
                pending += [node.expression, node.this]
            elif isinstance(node, exp.Select):
                found.append(node)
            else:
                return True
        for select in found:
            if place is None:
                names = [item.alias_or_name for item in select.selects]
                if names.count(name) != 1:
                    return True
                place = names.index(name)
            if place >= len(select.selects) or self.may_be(select.selects[place]):
                return True
        return False


def _first(call: exp.Expr) -> exp.Expr:
    """Return the first argument of a call, whichever way its node holds it."""
    found = call.this if isinstance(call.this, exp.Expr) else next(iter(call.expressions), exp.Null())
    assert isinstance(found, exp.Expr)
    return found
