"""The engine's functions: kind, volatility, and whether row order or rounding can affect a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from sqlglot import exp

from compiler.sql.catalogue import FUNCTIONS


class ScalarFunction(exp.Expression, exp.Func):
    """A call of a scalar function of the engine: one value a row, so it may be dropped if nothing reads it.

    `exp.Anonymous` would say less: SQLGlot takes it for a function that may return any number of rows.
    """

    arg_types = {"this": True, "expressions": False}  # noqa: RUF012 — SQLGlot's own declaration
    is_var_len_args = True
    _hash_raw_args = True


class WindowFunction(exp.Expression, exp.Func):
    """A call of a function that exists only with OVER (rank, lag, …)."""

    arg_types = {"this": True, "expressions": False}  # noqa: RUF012 — SQLGlot's own declaration
    is_var_len_args = True
    _hash_raw_args = True


@dataclass(frozen=True)
class Function:
    """A function of the engine."""

    name: str
    kinds: frozenset[str]
    """Any of scalar, aggregate, window, table."""
    volatility: str
    """immutable; stable (one value within a query, another in the next run); volatile."""
    any_order: bool = True
    """Of an aggregate of the project: whether its value is the same for every order of rows."""


# Typed nodes that the dialect makes because SQLGlot's own passes make them too. Everything else keeps its name.
TYPED: dict[str, type[exp.Func]] = {
    "avg": exp.Avg,
    "coalesce": exp.Coalesce,
    "count": exp.Count,
    "max": exp.Max,
    "min": exp.Min,
    "sum": exp.Sum,
    "unnest": exp.Explode,
}
_TYPED_NAMES: dict[type[exp.Expr], str] = {**{node: name for name, node in TYPED.items()}, exp.Unnest: "unnest"}

# SQLGlot derives these from Func although they are operators and syntax.
_SYNTAX = (exp.And, exp.Or, exp.Case, exp.If, exp.Cast, exp.Exists, exp.RegexpLike, exp.RegexpILike,
           exp.ArrayContainsAll, exp.ArrayContainedBy)  # fmt: skip

_ORDER_DEPENDENT_AGGREGATES = frozenset({
    "any_value", "approx_median", "approx_percentile_cont", "approx_percentile_cont_with_weight", "array_agg",
    "first_value", "last_value", "nth_value", "string_agg",
})  # fmt: skip
# approx_*: the t-digest merges centroids in the order in which values arrive.
_ORDER_DEPENDENT_WINDOWS = frozenset({
    "first_value", "lag", "last_value", "lead", "nth_value", "ntile", "row_number",
})  # fmt: skip
_FLOAT_SENSITIVE = frozenset({
    "approx_median", "approx_percentile_cont", "approx_percentile_cont_with_weight", "avg", "corr", "covar",
    "covar_pop", "covar_samp", "mean", "median", "percentile_cont", "quantile_cont", "regr_avgx", "regr_avgy",
    "regr_intercept", "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "stddev", "stddev_pop",
    "stddev_samp", "sum", "var", "var_pop", "var_population", "var_samp", "var_sample",
})  # fmt: skip

_declared: dict[str, Function] = {}


@cache
def functions() -> dict[str, Function]:
    """Return the catalogue: lower-case name → function."""
    kinds: dict[str, set[str]] = {}
    volatilities: dict[str, set[str]] = {}
    for (kind, volatility), names in FUNCTIONS.items():
        for name in names.split():
            kinds.setdefault(name, set()).add(kind)
            volatilities.setdefault(name, set()).add(volatility)
    return {
        name: Function(name, frozenset(kinds[name]), max(volatilities[name], key=_strength)) for name in sorted(kinds)
    }


def _strength(volatility: str) -> int:
    return ("immutable", "stable", "volatile").index(volatility)


@contextmanager
def declared(own: Mapping[str, Function]) -> Iterator[None]:
    """Let `lookup` find a project's own functions inside; only one thread compiles at a time."""
    before = dict(_declared)
    _declared.clear()
    _declared.update(own)
    try:
        yield
    finally:
        _declared.clear()
        _declared.update(before)


def lookup(name: str) -> Function | None:
    """Return the function called `name`, in any case of letters: the engine's, or a declared one, or None."""
    return functions().get(name.lower()) or _declared.get(name.lower())


def function_name(node: exp.Expr) -> str | None:
    """Return the lower-case name of the function that `node` calls, None for operators, CASE, CAST and other syntax."""
    if isinstance(node, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup | exp.Window):
        return function_name(node.this)
    if isinstance(node, ScalarFunction | WindowFunction | exp.Anonymous | exp.AnonymousAggFunc):
        return str(node.name).lower()
    return _TYPED_NAMES.get(type(node))


def is_volatile(node: exp.Expr) -> bool:
    """Whether a call can give another value in the next run. A function missing in the catalogue counts as such."""
    name = function_name(node)
    if name is None:
        return isinstance(node, exp.Func) and not isinstance(node, _SYNTAX)
    found = lookup(name)
    return found is None or found.volatility != "immutable"


def suggest(name: str) -> str | None:
    """Return the built-in function that `name` is a misspelling of: one slip of the hand away, two in a long name.

    Names that merely look alike (len and ln, date_add and date_part) belong to functions of other meanings. Of several
    the one with the same first letter, which slips least: rount is round, not count.
    """
    slips = 1 if len(name) <= _SHORT else 2
    digits = [letter for letter in name if letter.isdigit()]
    close = [
        (_distance(name.lower(), known), known[0] != name[0].lower(), -len(known), known)
        for known in functions()
        if abs(len(known) - len(name)) <= slips and [letter for letter in known if letter.isdigit()] == digits
    ]
    distance, _, _, found = min(close, default=(slips + 1, False, 0, ""))
    return found if distance <= slips and len(name) > _TINY else None


_TINY, _SHORT = 3, 7
"""The longest name of which no misspelling can be known, and the longest in which one slip is all that is likely."""


def _distance(one: str, other: str) -> int:
    """Return how many letters to add, drop, replace or swap with their neighbour turn a name into another."""
    before: list[int] = []
    above = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        row = [at]
        for place, wanted in enumerate(other, 1):
            least = min(above[place] + 1, row[-1] + 1, above[place - 1] + (letter != wanted))
            if at > 1 and place > 1 and letter == other[place - 2] and one[at - 2] == wanted:
                least = min(least, before[place - 2] + 1)
            row.append(least)
        before, above = above, row
    return above[-1]


def is_order_dependent(node: exp.Expr) -> bool:
    """Whether the value of a call can depend on the order of its input rows, ties of its own ORDER BY included.

    Takes the bare call or any of its wrappers. False for `array_agg(x ORDER BY x)`: tied rows have equal values. An
    aggregate that is not in the catalogue depends on it.
    """
    if isinstance(node, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup | exp.Window):
        return is_order_dependent(node.this)
    name = function_name(node)
    if name is None:
        return False
    if isinstance(node, exp.AggFunc):
        known = lookup(name)
        if known is not None and known.any_order and name not in _ORDER_DEPENDENT_AGGREGATES:
            return False
        return not _orders_by_its_arguments(node)
    return name in _ORDER_DEPENDENT_WINDOWS


def _orders_by_its_arguments(node: exp.Expr) -> bool:
    arguments = list(node.args.get("expressions") or [])
    if not arguments or not isinstance(arguments[-1], exp.Order):
        return False
    order = arguments[-1]
    values = [*arguments[:-1], order.this]
    values = [value for each in values for value in (each.expressions if isinstance(each, exp.Distinct) else [each])]
    # An integer key is a constant here, not a position, so only the very same expression counts.
    keys = [ordered.this for ordered in order.expressions]
    return all(isinstance(value, exp.Literal) or value in keys for value in values)


def is_float_sensitive(name: str) -> bool:
    """Whether, over floats, the last bits of the function's result depend on the order and batching of its input."""
    return name.lower() in _FLOAT_SENSITIVE
