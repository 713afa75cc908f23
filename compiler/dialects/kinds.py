"""Kinds of expressions for the habits of other dialects: more than `Types` is certain of, as no rewrite depends on it.

What is found here decides whether an author is asked to look at a place, and what is proposed; so the engine's usual
result types are good enough, where `compiler.analysis.types` needs proofs.
"""

from __future__ import annotations

from sqlglot import exp

from compiler.analysis.types import INTEGERS, Types
from compiler.sql.foreign_calls import kind_of_type
from compiler.sql.functions import function_name

_RESULTS = {
    "string": """
        array_to_string btrim chr concat concat_ws digest encode initcap left lower lpad ltrim md5 overlay
        regexp_replace         repeat replace reverse right rpad rtrim split_part string_agg substr
        substr_index substring substring_index
        to_char date_format to_hex translate trim upper
    """,
    "int32": "ascii bit_length char_length character_length instr length levenshtein octet_length position strpos",
    "int64": "to_unixtime approx_distinct regexp_count regexp_instr factorial",
    "uint64": "row_number rank dense_rank ntile array_length cardinality array_position list_length list_position",
    "float64": """
        acos asin atan atan2 cbrt corr cos covar_pop covar_samp degrees exp ln log log10 log2 median pi power pow
        radians signum sinh cosh tanh sin sqrt stddev stddev_pop stddev_samp tan var var_pop var_samp percentile_cont
        quantile_cont cume_dist
        percent_rank random
    """,
    "date32": "current_date today to_date make_date",
    "timestamp[ns]": "to_timestamp to_timestamp_seconds to_timestamp_millis to_timestamp_micros to_local_time date_bin",
    "timestamp[ns, tz=UTC]": "now current_timestamp",
    "bool": "starts_with ends_with contains regexp_like isnan iszero bool_and bool_or array_has list_contains",
    "list": """
        make_array array_agg string_to_array regexp_match array_sort array_distinct array_concat generate_series range
        array_append array_prepend array_reverse array_slice array_cat array_compact array_remove array_remove_all
        array_replace array_replace_all array_resize array_pop_back array_pop_front array_union array_intersect
        list_append list_prepend list_reverse list_slice list_cat list_concat list_sort list_distinct list_resize
        list_pop_back list_pop_front make_list
    """,
}
_RESULT = {name: kind for kind, names in _RESULTS.items() for name in names.split()}
_OF_FIRST = frozenset(
    [
        "abs",
        "any_value",
        "coalesce",
        "first_value",
        "greatest",
        "ifnull",
        "lag",
        "last_value",
        "lead",
        "least",
        "nullif",
        "nvl",
        "nth_value",
        "round",
        "trunc",
        "array_any_value",
    ]
)
_ROUNDED = frozenset({"ceil", "floor"})
_CASTS = {
    exp.DType.DECIMAL: "decimal128", exp.DType.TIMESTAMP: "timestamp[ns]",
    exp.DType.TIMESTAMPTZ: "timestamp[ns, tz=UTC]",
    exp.DType.ARRAY: "list",
}  # fmt: skip
_TEXTS = (exp.DType.VARCHAR, exp.DType.TEXT, exp.DType.CHAR)


class Kinds(Types):
    """Kinds of the expressions of one qualified query."""

    def kind(self, node: exp.Expr) -> str | None:
        """Return int, float, decimal, text, bool, date, ts, tz, list or interval; None if not known."""
        if isinstance(node, exp.Paren | exp.Alias):
            return self.kind(node.this)
        if isinstance(node, exp.Interval) or (isinstance(node, exp.Cast) and node.to.is_type(exp.DType.INTERVAL)):
            return "interval"
        return kind_of_type(self.of(node))

    def of(self, node: exp.Expr) -> str | None:
        """Return the Arrow type of an expression as the engine usually has it."""
        if isinstance(node, exp.Literal) and not node.is_string and not node.is_int:
            return "float64"
        if isinstance(node, exp.Cast):
            return "string" if node.to.this in _TEXTS else _CASTS.get(node.to.this) or super().of(node)
        if isinstance(node, exp.AtTimeZone):
            return "timestamp[ns, tz=?]"
        if isinstance(node, exp.DPipe):
            left = self.of(node.this)
            return left if kind_of_type(left) == "list" else "string"
        if isinstance(node, exp.Bracket) and isinstance(node.expressions[0], exp.Slice):
            return self.of(node.this)
        if isinstance(node, exp.Div):
            return self._arithmetic(node)
        if isinstance(node, exp.Neg):
            return self.of(node.this)
        if isinstance(node, exp.Subquery):
            selects = node.this.selects if isinstance(node.this, exp.Select) else []
            return self.of(selects[0]) if len(selects) == 1 else None
        return super().of(node)

    def _arithmetic(self, node: exp.Binary) -> str | None:
        certain = super()._arithmetic(node)
        if certain is not None:
            return certain
        left, right = self.kind(node.this), self.kind(node.expression)
        kinds = {left, right}
        if kinds == {"date"} and isinstance(node, exp.Sub):
            return "int64"
        if left == "date" and right in {"int", "interval"}:
            return "date32"
        if left == "interval" and right == "date":
            return "date32"
        if left in {"ts", "tz"} and right == "interval":
            return self.of(node.this)
        if right in {"ts", "tz"} and left == "interval":
            return self.of(node.expression)
        if not kinds <= {"int", "float", "decimal"}:
            return None
        return "float64" if "float" in kinds else "decimal128" if "decimal" in kinds else "int64"

    def _call(self, node: exp.Expr) -> str | None:
        if isinstance(node, exp.Avg | exp.Sum):
            inner = self.kind(node.this)
            if inner == "decimal":
                return "decimal128"
            summed = {"int": "int64", "float": "float64"}.get(inner or "")
            return "float64" if isinstance(node, exp.Avg) and inner is not None else summed
        if isinstance(node, exp.Coalesce):
            return self._common([node.this, *node.expressions])
        certain = super()._call(node)
        if certain is not None:
            return certain
        if isinstance(node, exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup):
            return self.of(node.this)
        name = function_name(node) or ""
        arguments = list(node.args.get("expressions") or [])
        if name == "date_part" and arguments:
            return "float64" if arguments[0].name == "epoch" else "int32"
        if name == "date_trunc" and len(arguments) > 1:
            found = self.of(arguments[1])
            return found if kind_of_type(found) in {"ts", "tz"} else "timestamp[ns]"
        if name in {"greatest", "least"}:
            return self._common(arguments)
        if name in _OF_FIRST and arguments:
            first = arguments[0]
            return self.of(first.this if isinstance(first, exp.Order) else first)
        if name in _ROUNDED and arguments:
            return "decimal128" if self.kind(arguments[0]) == "decimal" else "float64"
        return _RESULT.get(name)

    def _case(self, node: exp.Case) -> str | None:
        return self._common([*(branch.args["true"] for branch in node.args["ifs"]), node.args.get("default")])

    def _common(self, values: list[exp.Expr | None]) -> str | None:
        found = {self.of(value) for value in values if value is not None and not isinstance(value, exp.Null)}
        if len(found) == 1:
            return found.pop()
        if None in found:
            return None
        kinds = {kind_of_type(one) for one in found}
        if kinds <= {"int"}:
            return INTEGERS[3]
        if kinds <= {"int", "float", "decimal"}:
            return "float64" if "float" in kinds else "decimal128"
        return found.pop() if len(kinds) == 1 else None
