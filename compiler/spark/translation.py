"""A rule's query → Spark SQL whose table both engines make alike, or the reason why it is not known to.

The rows come in one order, by all columns, so that the table is the same on any number of executors. Nothing on the
list depends on how rows are divided among these: no sum of floats, no window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlglot import exp

from compiler.names.lexical import resolve_names
from compiler.schema import INPUT_DB, Schema
from compiler.spark.aggregates import is_wider_sum
from compiler.spark.conditions import require_conditions
from compiler.spark.expressions import written
from compiler.spark.numbers import cast_to, is_certain, sql_type
from compiler.spark.refusal import LOCALLY, RefusedError
from compiler.spark.rollups import is_rolled, or_locally_without_rows, require_totals
from compiler.spark.scalar_queries import with_numbers_within
from compiler.spark.top_rows import TIED, key_name, top_rows
from compiler.spark.types import SparkTypes, is_known
from compiler.sql.dialect import parse
from compiler.tree.big_stack import with_deep_stack

TRANSLATION = 6
"""Raised when a query of the list is written otherwise, or its inputs are read so, and its table may be another."""
_JOINS = {("", ""), ("", "INNER"), ("", "CROSS"), ("LEFT", ""), ("LEFT", "OUTER"), ("RIGHT", ""), ("RIGHT", "OUTER"),
          ("FULL", ""), ("FULL", "OUTER"), ("LEFT", "SEMI"), ("LEFT", "ANTI")}  # fmt: skip
_SELECT = {"expressions", "from_", "joins", "where", "group", "having", "order", "distinct", "with_"}
_NAME = "product"
_MOST_ROWS = (1 << 31) - 1
"""Spark counts the rows of a LIMIT in 32 bits."""


def view_name(position: int) -> str:
    """Return how a query for Spark names an input. position: of its name among the sorted names of the inputs."""
    return f"rules_input_{position}"


def view_columns(schema: Schema, columns: Sequence[str]) -> str:
    """Return some columns of an input with their types, as Spark SQL declares them.

    Others may be of types that it cannot even read: a query of the list has none of those.
    """
    types = {column.name: column.type for column in schema.columns}
    return ", ".join(f"{exp.to_identifier(name, quoted=True).sql('spark')} {sql_type(types[name])}" for name in columns)


def for_spark(meaning: str, inputs: Mapping[str, Schema], product: Schema, order: Sequence[str] = ()) -> str:
    """Return a query in Spark SQL. Raises `RefusedError`.

    meaning: as in `Compiled`. inputs: the schemas of what it scans. order: the columns that come first in the order of
    its rows.
    """
    return with_deep_stack(lambda: _Query(meaning, inputs, product).text(order))


def may_run_here(query: str) -> bool:
    """Whether a query for Spark may fail because the local engine has to compute its table."""
    return TIED in query or LOCALLY in query


class _Query:
    """One query. Its tree is read, and a new one is made from it."""

    def __init__(self, meaning: str, inputs: Mapping[str, Schema], product: Schema) -> None:
        self._tree = with_numbers_within(parse(meaning))
        require_conditions(self._tree)
        self._types = SparkTypes(resolve_names(self._tree), inputs)
        self._views = {name: view_name(place) for place, name in enumerate(sorted(inputs))}
        self._product = product

    def text(self, order: Sequence[str]) -> str:
        limit = self._tree.args.get("limit")
        if limit is not None:
            self._tree.set("limit", None)
        found = self._query(self._tree)
        self._require_types(found)
        if limit is not None:
            found = self._top(found, limit)
        found = _with_totals(found)
        columns = [exp.column(name, quoted=True) for name in self._product.names]
        own = found.args.get("order")
        keys = list(own.expressions) if own is not None and not order else []
        first = [exp.column(name, quoted=True) for name in order]
        keys += [exp.Ordered(this=one, desc=False, nulls_first=False) for one in (*first, *columns) if one not in keys]
        if own is not None and not order:
            found.set("order", exp.Order(expressions=_once(keys)))
            wrapped = found
        else:
            wrapped = exp.select(*columns).from_(found.subquery(_NAME)).order_by(*_once(keys))
        return wrapped.sql(dialect="spark", identify=True)

    def _require_types(self, found: exp.Query) -> None:
        """Let the columns of a written query have the types of the product. Raises `RefusedError`."""
        for select in self._outermost(self._tree):
            for place, (item, column) in enumerate(zip(select.selects, self._product.columns, strict=True)):
                if is_known(column.type) and self._types.of(item) == column.type:
                    continue
                if not (isinstance(found, exp.Select) and is_wider_sum(item, column.type, self._types)):
                    raise RefusedError(
                        f"the type of its column {column.name}, {column.type}, is not known to be that there"
                    )
                total = found.selects[place]
                wide = cast_to(total.unalias().copy(), column.type)
                total.replace(exp.alias_(wide, total.alias_or_name, quoted=True))

    def _top(self, found: exp.Query, limit: exp.Expr) -> exp.Query:
        """Return the first rows of a query, in its ORDER BY if it has one."""
        count, order = limit.expression, found.args.get("order")
        if not (isinstance(count, exp.Literal) and count.is_int and 0 < int(count.name) < _MOST_ROWS):
            raise RefusedError("of LIMIT only one with a number that is written out is known to mean the same")
        found.set("order", None)
        keys = []
        for place, key in enumerate(order.expressions if order is not None else ()):
            this = exp.column(self._key(found, key.this, place), quoted=True)
            keys.append(exp.Ordered(this=this, desc=key.args.get("desc"), nulls_first=key.args.get("nulls_first")))
        return top_rows(found, keys, int(count.name), self._product)

    def _key(self, found: exp.Query, key: exp.Expr, place: int) -> str:
        """Return the output that a key of ORDER BY is; one that the query has not yet is added to it."""
        if isinstance(key, exp.Column) and not key.table and key.name in self._product.names:
            return key.name
        outputs = found.selects if isinstance(found, exp.Select) else []
        for item in outputs:
            if item.unalias().sql(dialect="spark") == key.sql(dialect="spark"):
                return item.alias_or_name
        is_of_outputs = any(not one.table for one in key.find_all(exp.Column))
        if not isinstance(found, exp.Select) or found.args.get("distinct") is not None or is_of_outputs:
            raise RefusedError("LIMIT after ORDER BY what is no column of the result is not known to mean the same")
        name = key_name(place)
        found.select(exp.alias_(key.copy(), name, quoted=True), copy=False)
        return name

    def _outermost(self, query: exp.Expr) -> list[exp.Select]:
        if isinstance(query, exp.SetOperation):
            return [*self._outermost(query.this), *self._outermost(query.expression)]
        if isinstance(query, exp.Subquery):
            return self._outermost(query.this)
        if not isinstance(query, exp.Select):
            raise RefusedError(f"{type(query).__name__.upper()} is not known to mean the same there")
        return [query]

    def _query(self, query: exp.Expr) -> exp.Query:
        if isinstance(query, exp.Union | exp.Intersect | exp.Except):
            return self._set_operation(query)
        if isinstance(query, exp.Subquery) and not query.args.get("alias"):
            return exp.Subquery(this=self._query(query.this))
        if not isinstance(query, exp.Select):
            raise RefusedError(f"{type(query).__name__.upper()} is not known to mean the same there")
        _require_only(query, _SELECT)
        found: dict[str, Any] = {"expressions": [self._output(item) for item in query.expressions]}
        if query.args.get("with_") is not None:
            found["with_"] = self._with(query.args["with_"])
        if query.args.get("from_") is not None:
            found["from_"] = exp.From(this=self._item(query.args["from_"].this))
        found["joins"] = [self._join(join) for join in query.args.get("joins") or ()]
        if query.args.get("where") is not None:
            found["where"] = exp.Where(this=self._expression(query.args["where"].this))
        if query.args.get("group") is not None:
            found["group"] = self._group(query.args["group"])
        if query.args.get("having") is not None:
            require_totals(query)
            found["having"] = exp.Having(this=self._expression(query.args["having"].this))
        if query.args.get("distinct") is not None:
            if query.args["distinct"].args.get("on") is not None:
                raise RefusedError("DISTINCT ON is not known there")
            self._require_certain(query.expressions, "DISTINCT")
            found["distinct"] = exp.Distinct()
        return exp.Select(**found, **self._tail(query))

    def _tail(self, query: exp.Expr) -> dict[str, Any]:
        """Return ORDER BY. LIMIT is known of the whole query only, see `compiler.spark.top_rows`."""
        found: dict[str, Any] = {}
        outputs = {item.alias_or_name: item for item in self._outermost(query)[0].selects}
        if query.args.get("order") is not None:
            keys = []
            for key in query.args["order"].expressions:
                column = key.this
                is_output = isinstance(column, exp.Column) and not column.table and column.name in outputs
                self._require_certain([outputs[column.name] if is_output else column], "ORDER BY")
                first = bool(key.args.get("nulls_first"))
                this = column.copy() if is_output else self._expression(column)
                keys.append(exp.Ordered(this=this, desc=bool(key.args.get("desc")), nulls_first=first))
            found["order"] = exp.Order(expressions=keys)
        return found

    def _set_operation(self, query: exp.SetOperation) -> exp.Query:
        _require_only(query, {"this", "expression", "distinct", "order", "with_"})
        branches, name = self._outermost(query), type(query).__name__.upper()
        for items in zip(*(branch.selects for branch in branches), strict=True):
            kinds = {self._types.of(item) for item in items}
            if len(kinds) > 1 or not is_known(next(iter(kinds))):
                raise RefusedError(f"{name} of several types is not known to mean the same there")
        if query.args.get("distinct"):
            self._require_certain([item for branch in branches for item in branch.selects], name)
        elif not isinstance(query, exp.Union):
            raise RefusedError(f"{name} ALL is not known to mean the same there")
        found: dict[str, Any] = {"distinct": bool(query.args.get("distinct"))}
        if query.args.get("with_") is not None:
            found["with_"] = self._with(query.args["with_"])
        for key in ("this", "expression"):
            side = self._query(query.args[key])
            # INTERSECT binds more closely than the others.
            found[key] = exp.Subquery(this=side) if isinstance(side, exp.SetOperation) else side
        return type(query)(**found, **self._tail(query))

    def _with(self, clause: exp.With) -> exp.With:
        if clause.args.get("recursive"):
            raise RefusedError("WITH RECURSIVE is not known to mean the same there")
        return exp.With(
            expressions=[
                exp.CTE(this=self._query(one.this), alias=one.args["alias"].copy()) for one in clause.expressions
            ]
        )

    def _output(self, item: exp.Expr) -> exp.Expr:
        if isinstance(item, exp.Alias):
            return exp.Alias(this=self._expression(item.this), alias=item.args["alias"].copy())
        return self._expression(item)

    def _item(self, item: exp.Expr) -> exp.Expr:
        alias = item.args.get("alias")
        if isinstance(item, exp.Table):
            _require_only(item, {"this", "db", "alias"})
            name = alias.copy() if alias is not None else exp.TableAlias(this=exp.to_identifier(item.name, quoted=True))
            if item.db != INPUT_DB:
                return exp.Table(this=item.this.copy(), alias=name)
            if item.name not in self._views:
                raise RefusedError(f"it reads {item.name} without a column of it")
            return exp.Table(this=exp.to_identifier(self._views[item.name], quoted=True), alias=name)
        if isinstance(item, exp.Subquery):
            _require_only(item, {"this", "alias"})
            return exp.Subquery(this=self._query(item.this), alias=alias.copy() if alias is not None else None)
        raise RefusedError(f"{type(item).__name__.upper()} in FROM is not known to mean the same there")

    def _join(self, join: exp.Join) -> exp.Join:
        _require_only(join, {"this", "side", "kind", "on"})
        kind = (join.side or "").upper(), (join.kind or "").upper()
        if kind not in _JOINS:
            raise RefusedError(f"{' '.join(filter(None, kind))} JOIN is not known to mean the same there")
        on = join.args.get("on")
        given = {"on": self._expression(on)} if on is not None else {}
        return exp.Join(this=self._item(join.this), side=join.side or None, kind=join.kind or None, **given)

    def _group(self, group: exp.Group) -> exp.Group:
        _require_only(group, {"expressions", "rollup", "cube"})
        given = [one for key in ("expressions", "rollup", "cube") for one in group.args.get(key) or ()]
        sets = [one for one in given if isinstance(one, exp.Rollup | exp.Cube)]
        if sets and len(given) > 1:
            raise RefusedError("GROUP BY of several kinds is not known to mean the same there")
        keys = sets[0].expressions if sets else given
        if any(isinstance(one, exp.Literal | exp.Tuple) for one in keys):
            raise RefusedError("GROUP BY of a constant, or of columns in brackets, is not known to mean the same there")
        self._require_certain(keys, "GROUP BY")
        written_keys = [self._expression(one) for one in keys]
        if not sets:
            return exp.Group(expressions=written_keys)
        return exp.Group(expressions=[type(sets[0])(expressions=written_keys)])

    def _require_certain(self, items: Sequence[exp.Expr], what: str) -> None:
        for item in items:
            if not is_certain(item, self._types):
                kind = self._types.of(item) or "an uncertain type"
                raise RefusedError(f"{what} of {kind} is not known to mean the same there")

    def _expression(self, node: exp.Expr) -> exp.Expr:
        return written(node, self._types, self._query)


def _with_totals(query: exp.Query) -> exp.Query:
    """Return a written query, changed in place, none of whose ROLLUPs is one of no rows."""
    for select in reversed(list(query.find_all(exp.Select))):  # those within come first
        if is_rolled(select):
            whole = or_locally_without_rows(select.copy())
            if select is query:
                return whole
            select.replace(whole)
    return query


def _require_only(node: exp.Expr, known: set[str]) -> None:
    """Raise `RefusedError` for a clause that is not known."""
    for key, value in node.args.items():
        if key not in known and value not in (None, False, [], ""):
            raise RefusedError(
                f"{key.strip('_').upper()} of {type(node).__name__.upper()} is not known to mean the same there"
            )


def _once(keys: Sequence[exp.Ordered]) -> list[exp.Ordered]:
    """Return the first key of each column."""
    found: dict[str, exp.Ordered] = {}
    for key in keys:
        found.setdefault(key.this.sql(dialect="spark"), key)
    return list(found.values())
