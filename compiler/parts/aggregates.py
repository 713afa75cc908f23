"""The aggregates of one SELECT: their partial results, how these are merged, and their values made from them.

A partial result has a row for each combination of the group keys and of what is counted DISTINCT, with a state for
each aggregate. Merging aggregates the states by the same columns. The SELECT over partial results groups them as it is
written, so that GROUPING SETS, HAVING and windows over groups remain what they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sqlglot import exp

from compiler.analysis.types import INTEGERS
from compiler.names.lexical import from_items
from compiler.parts.rows import NotProvedError
from compiler.parts.rule import Rule, free_name, named, partials_table
from compiler.sql.encode import encode
from compiler.sql.functions import function_name
from compiler.tree.selects import own_nodes

_SAME = frozenset({"min", "max", "bool_and", "bool_or", "bit_and", "bit_or", "bit_xor"})
"""Aggregates that merge their own values."""
_GROUPINGS = (exp.Rollup, exp.Cube, exp.GroupingSets, exp.Tuple, exp.Paren)
_WRAPPERS = (exp.Filter, exp.IgnoreNulls, exp.RespectNulls, exp.WithinGroup)
_NARROW = frozenset({"int8", "int16", "int32", "uint8", "uint16", "uint32"})

_WIDEST_AVERAGED = 24
"""Precision and scale of a decimal whose sum, of 10 more digits, the engine can divide: it multiplies it by 10 to the
power of scale + 4 first, in 38 digits."""
_DECIMAL = re.compile(r"decimal128<(\d+), (-?\d+)>")


class Aggregates:
    """The aggregates of a SELECT that yields a row for each group, or one for all of its rows."""

    def __init__(self, rule: Rule, select: exp.Select) -> None:
        """Raise `NotProvedError` if there is one that is not proved to merge."""
        self._rule, self._select = rule, select
        self._items = {id(item) for item in from_items(select)[0]}
        self._alias = free_name(rule.tree)
        self.keys: dict[str, exp.Expr] = {}
        self._key_of: dict[bytes, str] = {}
        self._states: dict[str, tuple[exp.Expr, str]] = {}
        self._state_of: dict[bytes, str] = {}
        self._types: Mapping[str, str] = {}
        self._averaged: Mapping[bytes, str] = {}
        self._ungrouped = select.args.get("group") is None
        self._group = self._grouped()
        self._averaged = self._types_of_averaged()
        self.finish()  # finds the states

    def partial(self) -> exp.Select:
        """Return the query of the partial result; the CTEs that it sees are left to the caller."""
        values = {**self.keys, **{name: value for name, (value, _) in self._states.items()}}
        if not values:
            raise NotProvedError("aggregates no rows")
        select = self._rows([named(value.copy(), name) for name, value in values.items()])
        if self.keys:
            select.set("group", exp.Group(expressions=[value.copy() for value in self.keys.values()]))
        return select

    def know(self, types: Mapping[str, str]) -> None:
        """Take the types of the columns of the partial result."""
        self._types = types

    def merge(self) -> exp.Select:
        """Return the query that merges partial results."""
        items = [named(self._column(name), name) for name in self.keys]
        items += [named(self._merged(name), name) for name in self._states]
        select = exp.select(*items, copy=False).from_(partials_table(self._alias), copy=False)
        if self.keys:
            select.set("group", exp.Group(expressions=[self._column(name) for name in self.keys]))
        return select

    def finish(self) -> exp.Select:
        """Return the SELECT over partial results."""
        arguments = {key: value for key, value in self._select.args.items() if value}
        made = exp.Select(
            expressions=[named(self._over(item.unalias()), item.alias_or_name) for item in self._select.selects],
            from_=exp.From(this=partials_table(self._alias)),
        )
        if self._group is not None:
            made.set("group", self._group.copy())
        for key in ("having", "qualify", "order", "limit", "offset", "distinct", "with_"):
            if key in arguments:
                made.set(key, self._over(arguments[key]))
        if "windows" in arguments:
            made.set("windows", [self._over(window) for window in arguments["windows"]])
        return made

    def _rows(self, items: list[exp.Expr]) -> exp.Select:
        select = exp.Select(expressions=items)
        for key in ("from_", "where"):
            if self._select.args.get(key) is not None:
                select.set(key, self._select.args[key].copy())
        for key in ("joins", "laterals"):
            if self._select.args.get(key):
                select.set(key, [one.copy() for one in self._select.args[key]])
        return select

    def _grouped(self) -> exp.Group | None:
        """Return GROUP BY over partial results; its keys become columns of them."""
        group = self._select.args.get("group")
        if group is None:
            return None
        if {key for key, value in group.args.items() if value} != {"expressions"}:
            raise NotProvedError("groups by ALL")

        def over(node: exp.Expr) -> exp.Expr:
            if isinstance(node, _GROUPINGS):
                made = type(node)()
                for key, value in node.args.items():
                    made.set(key, [over(one) for one in value] if isinstance(value, list) else over(value))
                return made
            if isinstance(node, exp.Literal) or (isinstance(node, exp.Column) and not node.table):
                raise NotProvedError("groups by a constant or by a name of its own outputs")
            return self._column(self._key(node))

        return exp.Group(expressions=[over(key) for key in group.expressions])

    def _key(self, value: exp.Expr) -> str:
        code = encode(value)
        if code not in self._key_of:
            name = f"k{len(self.keys)}"
            self._key_of[code], self.keys[name] = name, value
        return self._key_of[code]

    def _state(self, value: exp.Expr, how: str, condition: exp.Expr | None) -> str:
        if condition is not None:
            value = exp.Filter(this=value, expression=condition.copy())
        code = encode(value)
        if code not in self._state_of:
            name = f"s{len(self._states)}"
            self._state_of[code], self._states[name] = name, (value, how)
        return self._state_of[code]

    def _over(self, node: exp.Expr, *, nested: bool = False) -> exp.Expr:
        """Return an expression of the SELECT as one over partial results."""
        if isinstance(node, exp.Column) or not nested:
            key = self._key_of.get(encode(node)) if not isinstance(node, exp.Literal) else None
            if key is not None:
                return self._column(key)
        if isinstance(node, exp.Column):
            owner = self._rule.reader.owner(node)
            if owner is not None and id(owner) in self._items:
                raise NotProvedError("shows a column that it does not group by")
            return node.copy()
        if not nested:
            if isinstance(node, exp.Window):
                return self._window(node)
            if isinstance(node, (*_WRAPPERS, exp.AggFunc)):
                return self._value(node)
        return self._mapped(node, nested=nested or isinstance(node, exp.Query))

    def _mapped(self, node: exp.Expr, *, nested: bool = False) -> exp.Expr:
        made = type(node)()
        for key, value in node.args.items():
            if isinstance(value, exp.Expr):
                made.set(key, self._over(value, nested=nested))
            elif isinstance(value, list):
                made.set(key, [self._over(one, nested=nested) if isinstance(one, exp.Expr) else one for one in value])
            else:
                made.args[key] = value
        return made

    def _window(self, window: exp.Window) -> exp.Expr:
        """Return a window over the groups: its own function is no aggregate of the SELECT."""
        inner = window.this
        chain = []
        while isinstance(inner, _WRAPPERS):
            chain.append(inner)
            inner = inner.this
        function = self._mapped(inner) if isinstance(inner, exp.Expr) else inner
        for wrapper in reversed(chain):
            made = type(wrapper)()
            for key, value in wrapper.args.items():
                made.set(
                    key, function if key == "this" else self._over(value) if isinstance(value, exp.Expr) else value
                )
            function = made
        made_window = exp.Window()
        for key, value in window.args.items():
            if key == "this":
                made_window.set(key, function)
            elif isinstance(value, exp.Expr):
                made_window.set(key, self._over(value))
            elif isinstance(value, list):
                made_window.set(key, [self._over(one) for one in value])
            else:
                made_window.args[key] = value
        return made_window

    def _value(self, node: exp.Expr) -> exp.Expr:
        """Return the value of an aggregate from its states."""
        condition = None
        call = node
        if isinstance(call, exp.Filter):
            condition, call = call.expression, call.this
        name = function_name(call)
        if not isinstance(call, exp.AggFunc) or name is None:
            raise NotProvedError("has an aggregate that is not merged from partial results")
        if name == "grouping":
            return self._mapped(call)
        arguments = (
            [call.this, *call.expressions]
            if isinstance(call, exp.Count | exp.Sum | exp.Avg | exp.Min | exp.Max)
            else call.expressions
        )
        if len(arguments) == 1 and isinstance(arguments[0], exp.Distinct) and name == "count":
            return self._count_distinct(arguments[0], condition)
        if any(isinstance(one, exp.Distinct | exp.Order) for one in arguments):
            raise NotProvedError(
                f"has {name}(…) of distinct or ordered values, which is not merged from partial results"
            )
        if name == "count":
            return self._count(self._state(call.copy(), "count", condition))
        if name == "sum":
            return self._merged(self._state(call.copy(), "sum", condition))
        if name == "avg":
            return self._average(call, condition)
        if name in _SAME:
            return self._merged(self._state(call.copy(), name, condition))
        raise NotProvedError(f"has {name}(…), which is not merged from partial results")

    def _count(self, state: str) -> exp.Expr:
        total = self._merged(state)
        if self._group is None or any(isinstance(one, _GROUPINGS) for one in self._group.expressions):
            return exp.Coalesce(this=total, expressions=[exp.Literal.number(0)])  # of no partial results at all
        return total

    def _count_distinct(self, distinct: exp.Distinct, condition: exp.Expr | None) -> exp.Expr:
        if len(distinct.expressions) != 1 or isinstance(distinct.expressions[0], exp.Star | exp.Literal):
            raise NotProvedError("counts distinct combinations of several values")
        value = distinct.expressions[0].copy()
        if condition is not None:
            value = exp.Case(ifs=[exp.If(this=condition.this.copy(), true=value)])
        return exp.Count(this=exp.Distinct(expressions=[self._column(self._key(value))]))

    def _average(self, call: exp.Expr, condition: exp.Expr | None) -> exp.Expr:
        """AVG(x) → SUM / COUNT, as the engine computes it: decimals with four more digits, integers as doubles."""
        kind = self._averaged.get(encode(call.this), "")
        count = self._merged(self._state(exp.Count(this=call.this.copy()), "count", condition))
        decimal = _DECIMAL.fullmatch(kind)
        if decimal:
            precision, scale = int(decimal[1]), int(decimal[2])
            if precision + scale > _WIDEST_AVERAGED or scale < 0:
                raise NotProvedError("averages decimals so wide that the engine may not divide their sum")
            total = self._merged(self._state(exp.Sum(this=call.this.copy()), "sum", condition))
            target = exp.DataType(
                this=exp.DType.DECIMAL,
                expressions=[
                    exp.DataTypeParam(this=exp.Literal.number(min(38, precision + 4))),
                    exp.DataTypeParam(this=exp.Literal.number(min(38, scale + 4))),
                ],
            )
            return exp.Cast(this=exp.Div(this=total, expression=count), to=target)
        if kind in _NARROW:
            total = self._merged(self._state(exp.Sum(this=call.this.copy()), "sum", condition))
        elif kind in INTEGERS:
            wide = exp.cast(call.this.copy(), "DECIMAL(20, 0)")
            total = self._merged(self._state(exp.Sum(this=wide), "sum", condition))
        elif kind in {"float32", "float64"}:
            wide = exp.cast(call.this.copy(), "DOUBLE")
            total = self._merged(self._state(exp.Sum(this=wide), "sum", condition))
        else:
            raise NotProvedError("averages values of a type whose partial sums are not known")
        return exp.Div(this=exp.cast(total, "DOUBLE"), expression=exp.cast(count, "DOUBLE"))

    def _merged(self, state: str) -> exp.Expr:
        """Return the aggregate of a state over partial results, of the state's own type."""
        _, how = self._states[state]
        column = self._column(state)
        if how == "count":
            return exp.Sum(this=column)
        if how == "sum":
            kind = self._types.get(state)
            decimal = _DECIMAL.fullmatch(kind or "")
            if kind is not None and not decimal and kind not in {"int64", "uint64", "float64"}:
                raise NotProvedError("adds up values of a type whose partial sums are not known")
            total: exp.Expr = exp.Sum(this=column)
            if decimal:
                total = exp.Cast(
                    this=total,
                    to=exp.DataType(
                        this=exp.DType.DECIMAL,
                        expressions=[
                            exp.DataTypeParam(this=exp.Literal.number(int(part))) for part in decimal.groups()
                        ],
                    ),
                )
            return total
        if how in {"min", "max"}:
            return (exp.Min if how == "min" else exp.Max)(this=column)
        return exp.AnonymousAggFunc(this=how, expressions=[column])

    def _types_of_averaged(self) -> Mapping[bytes, str]:
        """Ask the engine for the types of what is averaged."""
        parts = [*self._select.selects, *(self._select.args.get(key) for key in ("having", "order", "qualify"))]
        calls = [call for part in parts if isinstance(part, exp.Expr) for call in own_nodes(part, exp.Avg)]
        values = {encode(call.this): call.this for call in calls if not isinstance(call.this, exp.Distinct)}
        if not values:
            return {}
        names = {code: f"x{number}" for number, code in enumerate(values)}
        select = self._rows([named(value.copy(), names[code]) for code, value in values.items()])
        select.set("with_", self._rule.visible_ctes(self._select))
        schema = self._rule.query(select).schema
        kinds = {column.name: column.type for column in schema.columns}
        return {code: kinds[name] for code, name in names.items()}

    def _column(self, name: str) -> exp.Column:
        return exp.column(name, table=self._alias, quoted=True)
