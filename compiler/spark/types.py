"""Types of expressions that both engines compute alike: those of `compiler.analysis.types`, decimals, functions."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.schema import INPUT_DB
from compiler.sql.functions import function_name

MOST_DIGITS = 38
EXACT_DIGITS = 15
"""A decimal of so many digits and a float are converted to one another without a loss."""
QUOTIENT_DIGITS = 4
"""Digits behind the point that a quotient or average of decimals has more than what is divided."""
_KEPT_SCALE = 6
"""Digits behind the point that Spark keeps of a product which has more digits than there can be."""
_DIGITS = {"int8": 3, "int16": 5, "int32": 10, "int64": 20}
"""As decimals, integers have so many digits: as many as both engines give them in arithmetic with decimals."""
_DECIMAL = re.compile(r"decimal128<(\d+), (-?\d+)>")
TIMESTAMP = "timestamp<us>"
ZONED = 'timestamp<us, "UTC">'
MOMENTS = frozenset({TIMESTAMP, ZONED})
"""Of timestamps those of microseconds, without a time zone or in that of the session, UTC: Spark has no others."""
COUNTED = "uint64"
"""What ROW_NUMBER and the like yield: a BIGINT of Spark's, which has no integers without a sign."""
_COUNTED_DIGITS = 20
_TIMESTAMPS = {None: "timestamp<ns>", 0: "timestamp<s>", 3: "timestamp<ms>", 6: TIMESTAMP, 9: "timestamp<ns>"}
_FUNCTIONS = {
    **dict.fromkeys(
        (
            "substr", "substring", "upper", "lower", "reverse", "replace", "concat", "split_part", "left", "right",
            "repeat", "lpad", "rpad", "trim", "btrim", "ltrim", "rtrim",
        ),
        "string",
    ),
    **dict.fromkeys(("char_length", "character_length", "length", "octet_length", "strpos", "grouping"), "int32"),
    **dict.fromkeys(("starts_with", "ends_with", "contains"), "bool"),
    "make_date": "date32",
}  # fmt: skip
_LIKE_ARGUMENT = {"lag": 0, "lead": 0, "abs": 0, "date_trunc": 1}
"""Functions with the type of an argument, and which."""
INTEGERS = frozenset(_DIGITS)
EXACT = INTEGERS | {COUNTED, "string", "bool", "date32", *MOMENTS}
"""Types of which equal values have equal bits, besides decimals. Floats are not: NaN and the zeros have several."""


def decimal_of(kind: str | None) -> tuple[int, int] | None:
    """Return precision and scale of a decimal type, or None."""
    found = _DECIMAL.fullmatch(kind or "")
    return (int(found[1]), int(found[2])) if found else None


def decimal_type(precision: int, scale: int) -> str:
    """Return a decimal type as schemas spell it."""
    return f"decimal128<{precision}, {scale}>"


def as_decimal(kind: str | None) -> tuple[int, int] | None:
    """Return precision and scale of a decimal, or of an integer as a decimal; None for other types."""
    return (_DIGITS[kind], 0) if kind in _DIGITS else decimal_of(kind)


def is_exact(kind: str | None) -> bool:
    """Whether rows may be compared, grouped and sorted by values of a type."""
    return kind in EXACT or decimal_of(kind) is not None


def is_number(kind: str | None) -> bool:
    """Whether arithmetic with floats is known of a type."""
    return kind == "float64" or as_decimal(kind) is not None


def values_of(node: exp.Expr) -> list[exp.Expr]:
    """Return the values that CASE or COALESCE may have."""
    if isinstance(node, exp.Coalesce):
        return [node.this, *node.expressions]
    default = node.args.get("default")
    return [branch.args["true"] for branch in node.args["ifs"]] + ([default] if default is not None else [])


def sum_type(kind: str) -> str:
    """Return the type of SUM of a decimal type."""
    precision, scale = decimal_of(kind) or (0, 0)
    return decimal_type(min(precision + 10, MOST_DIGITS), scale)


def _average(precision: int, scale: int) -> str | None:
    scale += QUOTIENT_DIGITS
    return decimal_type(min(precision + QUOTIENT_DIGITS, MOST_DIGITS), scale) if scale <= MOST_DIGITS else None


def is_known(kind: str | None) -> bool:
    """Whether values of a type can be read from a table and written to one by both engines."""
    return kind == "float64" or is_exact(kind)


Write = Callable[[exp.Expr], exp.Expr]
"""Writes an expression for Spark."""
Entry = Callable[[exp.Expr, "SparkTypes", Write], exp.Expr]
"""Writes one kind of expression. Raises `RefusedError`."""


class SparkTypes(Types):
    """The types of one qualified query; None where they are not certain."""

    def of(self, node: exp.Expr) -> str | None:
        """See `Types`."""
        if isinstance(node, exp.Literal) and not node.is_string and not node.is_int:
            return "float64"
        if isinstance(node, exp.Cast) and node.to.this is exp.DType.DECIMAL:
            digits = [int(one.name) for one in node.to.expressions]
            return decimal_type(*digits) if len(digits) == 2 else None  # noqa: PLR2004
        if isinstance(node, exp.Cast) and node.to.this is exp.DType.TIMESTAMP:
            digits = [int(one.name) for one in node.to.expressions]
            return _TIMESTAMPS.get(digits[0] if digits else None)
        if isinstance(node, exp.DPipe):
            return "string" if self.of(node.this) == self.of(node.expression) == "string" else None
        if isinstance(node, exp.Div):
            return self._quotient(node)
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select) and len(node.this.selects) == 1:
            return self.of(node.this.selects[0])
        if isinstance(node, exp.Neg):
            kind = self.of(node.this)
            return kind if kind in INTEGERS or decimal_of(kind) or kind == "float64" else None
        if isinstance(node, exp.Sum | exp.Avg):
            decimal = decimal_of(self.of(node.this))
            if decimal is not None:
                return sum_type(decimal_type(*decimal)) if isinstance(node, exp.Sum) else _average(*decimal)
            if isinstance(node, exp.Avg):
                return "float64" if self.of(node.this) in INTEGERS else None
        if isinstance(node, exp.Case | exp.Coalesce):
            return self._widest(values_of(node))
        return super().of(node) or self._function(node)

    def is_input(self, node: exp.Expr) -> bool:
        """Whether a column is one of an input, and not of a query within."""
        item = self._owners.get(id(node))
        return isinstance(item, exp.Table) and item.db == INPUT_DB and id(item) not in self._sources

    def _function(self, node: exp.Expr) -> str | None:
        name, arguments = function_name(node) or "", node.expressions
        if name in _LIKE_ARGUMENT:
            place = _LIKE_ARGUMENT[name]
            kind = self.of(arguments[place]) if len(arguments) > place else None
            return None if name == "date_trunc" and kind not in MOMENTS else kind
        if name == "nullif":
            return self._widest(arguments)
        if name == "date_part":
            is_epoch = arguments[0].name.lower() == "epoch"
            return "float64" if is_epoch else "int32"
        return _FUNCTIONS.get(name)

    def _arithmetic(self, node: exp.Binary) -> str | None:
        kinds = self.of(node.this), self.of(node.expression)
        if COUNTED in kinds:
            is_sum = isinstance(node, exp.Add | exp.Sub) and "int64" in kinds
            return decimal_type(_COUNTED_DIGITS + 1, 0) if is_sum else None
        if isinstance(node, exp.Sub) and kinds == ("date32", "date32"):
            return "int64"
        if isinstance(node, exp.Add | exp.Sub) and isinstance(node.expression, exp.Interval):
            return kinds[0] if kinds[0] in {"date32", *MOMENTS} else None
        if isinstance(node, exp.Mod):
            return super()._arithmetic(node)
        if "float64" in kinds:
            return "float64" if all(map(is_number, kinds)) else None
        return self._decimal(node) if any(map(decimal_of, kinds)) else super()._arithmetic(node)

    def _quotient(self, node: exp.Div) -> str | None:
        left, right = self.of(node.this), self.of(node.expression)
        if left in INTEGERS and right in INTEGERS:
            return left if _DIGITS[left] >= _DIGITS[right] else right
        if "float64" in {left, right}:
            return "float64" if is_number(left) and is_number(right) else None
        one, other = as_decimal(left), as_decimal(right)
        if one is None or other is None:
            return None
        scale = one[1] + QUOTIENT_DIGITS
        precision = one[0] - one[1] + other[1] + scale
        return decimal_type(min(precision, MOST_DIGITS), scale) if scale <= MOST_DIGITS else None

    def _widest(self, values: list[exp.Expr]) -> str | None:
        """Return the type of CASE and COALESCE: of values of one type, of integers, or of decimals and integers."""
        kinds = [self.of(value) for value in values if not isinstance(value, exp.Null)]
        if len(set(kinds)) == 1:
            return kinds[0]
        if kinds and all(kind in INTEGERS for kind in kinds):
            return max((str(kind) for kind in kinds), key=lambda kind: _DIGITS[kind])
        digits = [as_decimal(kind) for kind in kinds]
        exact = [one for one in digits if one is not None]
        if not exact or len(exact) < len(kinds):
            return None
        scale = max(one[1] for one in exact)
        precision = max(one[0] - one[1] for one in exact) + scale
        return decimal_type(precision, scale) if precision <= MOST_DIGITS else None

    def _decimal(self, node: exp.Binary) -> str | None:
        """Return the type of a sum, difference or product of decimals: both engines have the rules of Hive."""
        left, right = as_decimal(self.of(node.this)), as_decimal(self.of(node.expression))
        if left is None or right is None:
            return None
        if isinstance(node, exp.Mul):
            precision, scale = left[0] + right[0] + 1, left[1] + right[1]
        else:
            scale = max(left[1], right[1])
            precision = max(left[0] - left[1], right[0] - right[1]) + scale + 1
        if precision > MOST_DIGITS and scale > _KEPT_SCALE:  # Spark would cut off digits behind the point
            return None
        return decimal_type(min(precision, MOST_DIGITS), scale)
