"""The first row of each key by row_number(): the engine takes a microsecond for each value of PARTITION BY.

DataFusion 55 keeps a state for each of them. Where copies of rows are dropped, most keys have one row, and that state
takes four times as long as all the rest. Sorted by the key, the first row is the one whose neighbour has another key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from compiler.analysis.types import INTEGERS
from compiler.canonical.facts import Facts
from compiler.names.lexical import Names
from compiler.sql.encode import encode
from compiler.sql.functions import WindowFunction, function_name, is_volatile
from compiler.tree.conditions import conjuncts
from compiler.tree.selects import has_only, own_nodes
from compiler.tree.walk import find_all, stands_in

_PLAIN = frozenset({*INTEGERS, "bool", "string", "date32"})
"""Types whose values the engine compares as it sorts them, unlike floats, and can compare at all, unlike lists."""
_MOMENTS = ("timestamp<", "decimal128<")
_READS = frozenset({"expressions", "from_", "joins", "laterals", "where", "group", "having", "with_"})
"""Parts of a SELECT that give the rows of which a window numbers all."""
_FILTERS = ("joins", "laterals", "where", "having", "qualify")
"""Parts of a SELECT from which the engine may bring a predicate to the rows below it, past PARTITION BY of its key."""


def compare_neighbours(query: exp.Query, facts: Facts) -> exp.Query:
    """QUALIFY row_number() OVER (PARTITION BY k ORDER BY o) = 1
    → QUALIFY row_number() OVER (ORDER BY k, o) = 1 OR lag(k) OVER (ORDER BY k, o) IS DISTINCT FROM k, in place.

    SELECT t.a FROM (SELECT …, row_number() OVER (…) AS n FROM u) AS t WHERE t.n = 1 likewise: n is
    CASE WHEN … THEN 1 ELSE 2 END then, if it is read nowhere but by the filter and where that has let the row pass.

    Both are sorted by the same keys, so the same row is first, also of equal ones. It is left where the engine could
    use a predicate of the key below the window.
    """  # noqa: D205 — two lines of SQL
    for first in [*_by_qualify(query, facts), *_by_where(query, facts)]:
        first.rewrite()
    return query


def numbers_rows_of_keys(query: exp.Query, facts: Facts) -> bool:
    """Whether a query numbers the rows of keys. If its input is sorted already, they may come in another order now."""
    windows = facts.nodes(query, exp.Window)
    return any(function_name(one) == "row_number" and one.args.get("partition_by") for one in windows)


@dataclass(frozen=True)
class _First:
    """A condition that only first rows meet, and the window that it compares. same: in outputs, which are 1 then."""

    condition: exp.Expr
    window: exp.Window
    same: tuple[exp.Expr, ...] = ()

    def rewrite(self) -> None:
        """Let neighbours be compared."""
        keys = self.window.args["partition_by"]
        order = self.window.args.get("order")
        by = [exp.Ordered(this=key.copy(), desc=False, nulls_first=False) for key in keys]
        by += [one.copy() for one in (order.expressions if order is not None else ())]

        def over(call: str, *values: exp.Expr) -> exp.Window:
            function = WindowFunction(this=call, expressions=[value.copy() for value in values])
            return exp.Window(this=function, order=exp.Order(expressions=[one.copy() for one in by]), over="OVER")

        starts: list[exp.Expr] = [exp.EQ(this=over("row_number"), expression=exp.Literal.number(1))]
        starts += [exp.NullSafeNEQ(this=over("lag", key), expression=key.copy()) for key in keys]
        is_first = exp.paren(exp.or_(*starts, copy=False), copy=False)
        if stands_in(self.window, self.condition):  # it is in QUALIFY
            self.condition.replace(is_first)
            for one in self.same:
                one.replace(_number(1))
        else:
            self.window.replace(exp.Case(ifs=[exp.If(this=is_first, true=_number(1))], default=_number(2)))


def _by_qualify(query: exp.Query, facts: Facts) -> Iterator[_First]:
    for select in facts.nodes(query, exp.Select):
        qualify = select.args.get("qualify")
        terms = conjuncts(qualify.this if qualify is not None else None)
        found = next(((term, one) for term in terms if isinstance(one := _compared(term), exp.Window)), None)
        if found is None:
            continue
        term, window = found
        others = [one for one in terms if one is not term]
        if not _numbers_rows(window, query, facts) or _reads_any(others, window.args["partition_by"]):
            continue
        if _may_be_filtered(select, facts.names(query)):
            continue
        shown = [one for item in select.selects for one in own_nodes(item, exp.Window)]
        yield _First(term, window, tuple(one for one in shown if encode(one) == encode(window)))


def _by_where(query: exp.Query, facts: Facts) -> Iterator[_First]:
    for select in facts.nodes(query, exp.Select):
        where = select.args.get("where")
        if where is None or any(select.args.get(part) for part in _FILTERS if part != "where"):
            continue
        terms, names = conjuncts(where.this), facts.names(query)
        for term in terms:
            column = _compared(term)
            inner = _inner(select, names) if isinstance(column, exp.Column) else None
            if not isinstance(column, exp.Column) or inner is None:
                continue
            item = next((one for one in inner.selects if one.alias_or_name == column.name), None)
            window = item.this if isinstance(item, exp.Alias) else None
            if not isinstance(window, exp.Window) or not _numbers_rows(window, query, facts):
                continue
            keys = {encode(key) for key in window.args["partition_by"]}
            shown = {one.alias_or_name for one in inner.selects if encode(one.unalias()) in keys}
            others = [one for other in terms if other is not term for one in find_all(other, exp.Column)]
            if any(one.name in shown for one in others) or not _is_read_after(select, column, names):
                continue
            if not _may_be_filtered(select, names):
                yield _First(term, window)
                break


def _compared(term: exp.Expr) -> exp.Expr | None:
    """Return what is 1 if a condition is true of a number from 1 on; None for a condition of another kind."""
    if not isinstance(term, exp.EQ | exp.LT | exp.LTE | exp.GT | exp.GTE):
        return None
    value, bound = term.this, term.expression
    if isinstance(value, exp.Literal):
        value, bound = bound, value
        kinds: tuple[type[exp.Expr], type[exp.Expr]] = exp.GTE, exp.GT
    else:
        kinds = exp.LTE, exp.LT
    if not isinstance(bound, exp.Literal) or bound.is_string:
        return None
    is_one = bound.name == "1" and isinstance(term, exp.EQ | kinds[0])
    found: exp.Expr = value
    return found if is_one or (bound.name == "2" and isinstance(term, kinds[1])) else None


def _numbers_rows(window: exp.Window, query: exp.Query, facts: Facts) -> bool:
    """Whether a window is row_number() of keys by which neighbours can be compared."""
    keys = window.args.get("partition_by") or []
    if function_name(window) != "row_number" or not isinstance(window.this, WindowFunction) or not keys:
        return False
    types = facts.types(query)
    kinds = [types.of(key) if isinstance(key, exp.Column) else None for key in keys]
    if any(map(is_volatile, find_all(window, exp.Func))):  # what is written again would be another order
        return False
    comparable = all(kind is not None and (kind in _PLAIN or kind.startswith(_MOMENTS)) for kind in kinds)
    return comparable and has_only(window, {"this", "partition_by", "order", "over"})


def _inner(select: exp.Select, names: Names) -> exp.Select | None:
    """Return the SELECT that is all that another one reads, and that nothing else reads."""
    from_ = select.args.get("from_")
    item = from_.this if from_ is not None else None
    alias = item.args.get("alias") if item is not None else None
    if item is None or not has_only(item, {"this", "alias"}) or alias is None or alias.args.get("columns"):
        return None
    body = item.this
    if isinstance(item, exp.Table):
        cte = next((cte for table, cte in names.tables if table is item), None)
        if cte is None or sum(one is cte for _, one in names.tables) > 1:
            return None
        given = cte.args.get("alias")
        with_ = cte.parent
        if (given is not None and given.args.get("columns")) or (isinstance(with_, exp.With) and with_.recursive):
            return None
        body = cte.this
    return body if isinstance(body, exp.Select) and has_only(body, _READS) else None


def _is_read_after(select: exp.Select, column: exp.Column, names: Names) -> bool:
    """Whether an output of what a SELECT reads is read only by this column of its filter, and by its own outputs."""
    item = select.args["from_"].this
    read = [one.column for one in names.references if one.item is item and one.column.name == column.name]
    return all(
        one is column or any(stands_in(one, output) for output in select.selects if not output.find(exp.Query))
        for one in read
    )


def _may_be_filtered(select: exp.Select, names: Names) -> bool:
    """Whether the engine may have a predicate for the rows of a SELECT, from a query that reads them."""
    pending: list[tuple[exp.Expr, exp.Expr | None]] = [(select, None)]
    while pending:
        node, below = pending.pop()
        if isinstance(node, exp.CTE):  # what matters is who reads it, not where it is written
            pending += [(table, None) for table, cte in names.tables if cte is node]
            continue
        if node is not select and any(node.args.get(part) for part in _FILTERS) and not _keeps_rows(node, below):
            return True
        if node.parent is not None:
            pending.append((node.parent, node))
    return False


def _keeps_rows(query: exp.Expr, item: exp.Expr | None) -> bool:
    """Whether a query only joins the rows of what it reads first with others, and has each of them."""
    joins = query.args.get("joins") or []
    others = any(query.args.get(part) for part in _FILTERS if part != "joins")
    return (
        isinstance(item, exp.From)
        and not others
        and all(one.side == "LEFT" and one.kind in {"", "OUTER"} for one in joins)
    )


def _reads_any(terms: list[exp.Expr], columns: list[exp.Expr]) -> bool:
    known = {encode(column) for column in columns}
    return any(encode(node) in known for term in terms for node in find_all(term, exp.Column))


def _number(value: int) -> exp.Cast:
    """Return a number of the type that row_number() has."""
    return exp.Cast(this=exp.Literal.number(value), to=exp.DataType(this=exp.DType.UBIGINT))
