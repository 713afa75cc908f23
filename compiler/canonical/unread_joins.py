"""LEFT JOINs of tables that nothing reads: they are dropped where the rows that they repeat make no difference."""

from __future__ import annotations

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.aggregates import is_of_truths
from compiler.canonical.facts import Facts
from compiler.canonical.grouping import is_plain_group
from compiler.canonical.item_keys import Owned, as_list, columns_of_items
from compiler.canonical.joins import conjuncts, is_exactly_grouped, is_left_deep, joined_selects, row_order_is_open
from compiler.canonical.predicate_facts import is_constant, never_fails
from compiler.sql.encode import encode
from compiler.sql.functions import function_name
from compiler.tree.selects import has_only, is_aggregated, own_nodes
from compiler.tree.walk import find_all, has, is_bare_subquery

_GROUPED = {"expressions", "from_", "where", "group"}
_DISTINCT = {"expressions", "from_", "where", "distinct"}
_NUMBERED = {"expressions", "from_", "where", "qualify"}
_TOTAL = {"expressions", "from_", "where"}
_EXTREMES = (exp.Min, exp.Max)
_SETS = (exp.Union, exp.Intersect, exp.Except)
_READ_IN = ("expressions", "having", "order", "qualify")


def drop_unread_joins(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop a LEFT JOIN of which no column is read, if it finds one row at most, or if repeated rows count once.

    SELECT a.x FROM a LEFT JOIN (SELECT b.k AS k FROM b GROUP BY b.k) AS q ON a.k = q.k → SELECT a.x FROM a
    SELECT DISTINCT a.x FROM a LEFT JOIN b ON a.k = b.k → SELECT DISTINCT a.x FROM a
    SELECT a.x, MIN(a.y) FROM a LEFT JOIN b ON a.k = b.k GROUP BY a.x → SELECT a.x, MIN(a.y) FROM a GROUP BY a.x
    EXISTS (SELECT 1 FROM a LEFT JOIN b ON a.k = b.k WHERE a.x > 1) → EXISTS (SELECT 1 FROM a WHERE a.x > 1)
    SELECT a.x FROM a CROSS JOIN (SELECT MAX(b.y) AS y FROM b) AS q → SELECT a.x FROM a
    SELECT a.x FROM a LEFT JOIN (SELECT b.k AS k, ROW_NUMBER() OVER (PARTITION BY b.k ORDER BY b.t) AS n FROM b) AS q
    ON a.k = q.k AND q.n = 1 → SELECT a.x FROM a

    Only if neither its condition nor the filter of a derived table can fail.
    """
    selects = [
        select
        for select in facts.of(query, joined_selects)
        if any(map(_keeps_rows, select.args["joins"])) and is_left_deep(select)
    ]
    if not selects:
        return query
    owned, types = facts.of(query, columns_of_items), facts.types(query)
    if not facts.of(query, row_order_is_open):
        return _without_first_rows(query, selects, owned, types, facts)
    for select in selects:
        kept: list[exp.Join] = []
        read_on: set[int] = set()  # the columns in conditions of joins that stay, which come after those they read
        indifferent: bool | None = None
        for join in reversed(select.args["joins"]):
            inside = _in_condition(join)
            columns = {id(column) for column in owned.get(id(join.this), ())}
            unread = _keeps_rows(join) and not _is_read(select, columns, read_on)
            if unread and _is_certain(join, types):
                if indifferent is None:
                    indifferent = join.side == "LEFT" and (_counts_rows_once(select) or _is_tested(select))
                if (indifferent and join.side == "LEFT") or _finds_one(join, columns, types):
                    continue
            kept.append(join)
            read_on |= inside
        if len(kept) < len(select.args["joins"]):
            select.set("joins", kept[::-1])
    return query


def _without_first_rows(
    query: exp.Query, selects: list[exp.Select], owned: Owned, types: Types, facts: Facts
) -> exp.Query:
    """Drop unread joins with the first row of each group, if nothing but these depends on the order of rows."""
    before: list[tuple[exp.Select, list[exp.Join]]] = []
    for select in selects:
        joins: list[exp.Join] = select.args["joins"]
        read_on: set[int] = set()
        kept: list[exp.Join] = []
        for join in reversed(joins):
            columns = {id(column) for column in owned.get(id(join.this), ())}
            if not (
                _takes_first_rows(join)
                and not _is_read(select, columns, read_on)
                and _is_certain(join, types)
                and _finds_one(join, columns, types)
            ):
                kept.append(join)
                read_on |= _in_condition(join)
        if len(kept) < len(joins):
            before.append((select, joins))
            select.set("joins", kept[::-1])
    if before and not facts.of(query, row_order_is_open):
        for select, joins in before:
            select.set("joins", joins)
    return query


def _takes_first_rows(join: exp.Join) -> bool:
    return join.side == "LEFT" and not join.kind and isinstance(join.this, exp.Subquery) and has(join.this, exp.Window)


def _in_condition(join: exp.Join) -> set[int]:
    on = join.args.get("on")
    return {id(column) for column in on.find_all(exp.Column)} if on is not None else set()


def _keeps_rows(join: exp.Join) -> bool:
    """Whether a join keeps every row of its left side: a LEFT JOIN, or a cross join with a table of one row."""
    if join.side or join.kind != "CROSS":
        return join.side == "LEFT" and not join.kind
    item = join.this
    return isinstance(item, exp.Subquery) and isinstance(item.this, exp.Select) and _is_total(item.this)


def _is_total(inner: exp.Select) -> bool:
    """Whether a SELECT has one row, whatever it reads."""
    return has_only(inner, _TOTAL) and is_aggregated(inner)


def _is_read(select: exp.Select, columns: set[int], read_on: set[int]) -> bool:
    """Whether something reads one of the columns that are no part of a join's own condition."""
    if columns & read_on:
        return True
    parts = [node for part in (*_READ_IN, "where", "group") for node in as_list(select.args.get(part))]
    return any(id(column) in columns for part in parts for column in find_all(part, exp.Column))


def _is_certain(join: exp.Join, types: Types) -> bool:
    """Whether neither the condition of a join nor the filter of a derived table in it fails on some data."""
    on = join.args.get("on")
    if on is not None and not all(_never_fails(term, types) for term in conjuncts(on)):
        return False
    item = join.this
    if isinstance(item, exp.Table):
        return True
    inner = item.this
    if not isinstance(inner, exp.Select) or not any(
        has_only(inner, parts) for parts in (_GROUPED | _DISTINCT, _NUMBERED)
    ):
        return False
    from_ = inner.args.get("from_")
    if from_ is not None and not isinstance(from_.this, exp.Table):
        return False
    where = inner.args.get("where")
    if where is not None and not all(_never_fails(term, types) for term in conjuncts(where.this)):
        return False
    values = [output.unalias() for output in inner.selects]
    qualify = inner.args.get("qualify")
    if qualify is not None and _number_of_first(qualify.this) is None:
        return False
    return all(_is_plain(value) or _numbers_rows(value) or never_fails(types, value) for value in values)


def _never_fails(term: exp.Expr, types: Types) -> bool:
    if isinstance(term, exp.EQ) and isinstance(term.this, exp.Column) and isinstance(term.expression, exp.Column):
        kind = types.of(term.this)
        return kind is not None and kind == types.of(term.expression)
    if isinstance(term, exp.EQ) and any(map(_is_small_number, (term.this, term.expression))):
        return any(isinstance(side, exp.Column) and types.is_integer(side) for side in (term.this, term.expression))
    return never_fails(types, term)


def _is_small_number(node: exp.Expr) -> bool:
    """Whether a node is a number that any type of integers, such as that of ROW_NUMBER, can be compared with."""
    return isinstance(node, exp.Literal) and not node.is_string and node.name in {"0", "1"}


def _is_plain(value: exp.Expr) -> bool:
    """Whether an output is an aggregate of a column, or counts rows: none of these fails."""
    return isinstance(value, exp.Count | exp.Min | exp.Max) and (
        isinstance(value.this, exp.Column | exp.Star) or is_constant(value.this)
    )


def _finds_one(join: exp.Join, columns: set[int], types: Types) -> bool:
    """Whether a join finds one row at most for each row of its left side."""
    inner = join.this.this
    if not isinstance(inner, exp.Select):
        return False
    if inner.args.get("group") is None and inner.args.get("distinct") is None and is_aggregated(inner):
        return _is_total(inner)
    keys = _unique(inner, types)
    found: set[str] = set()
    for term in conjuncts(join.args["on"]) if join.args.get("on") is not None else []:
        if not isinstance(term, exp.EQ):
            continue
        for side, other in ((term.this, term.expression), (term.expression, term.this)):
            if id(side) in columns and not any(id(column) in columns for column in find_all(other, exp.Column)):
                found.add(side.name)
    return bool(keys) and keys <= found


def _unique(inner: exp.Select, types: Types) -> set[str]:
    """Return the outputs of which no two rows have the same values; nothing if that is not certain."""
    group, distinct = inner.args.get("group"), inner.args.get("distinct")
    outputs = [(output.alias_or_name, output.unalias()) for output in inner.selects]
    if group is None and distinct is None and not is_aggregated(inner):
        return _numbered(inner, outputs, types)
    if group is None:
        if distinct is None or distinct.args.get("on") is not None or is_aggregated(inner):
            return set()
        return {name for name, _ in outputs} if _are_exact([value for _, value in outputs], types) else set()
    if distinct is not None or not is_plain_group(group) or not _are_exact(group.expressions, types):
        return set()
    wanted = {encode(key): "" for key in group.expressions}
    for name, value in outputs:
        if encode(value) in wanted:
            wanted[encode(value)] = name
    return set(wanted.values()) if "" not in wanted.values() else set()


def _numbered(inner: exp.Select, outputs: list[tuple[str, exp.Expr]], types: Types) -> set[str]:
    """Return the keys of the groups whose rows a SELECT numbers, with the number unless only first rows pass."""
    qualify = inner.args.get("qualify")
    number: exp.Expr | None
    if qualify is not None:
        found: set[str] = set()
        number = _number_of_first(qualify.this)
    else:
        name, number = next(((name, value) for name, value in outputs if _numbers_rows(value)), ("", None))
        found = {name}
    keys = number.args.get("partition_by") or [] if number is not None else []
    if number is None or not _are_exact(keys, types):
        return set()
    names = {encode(value): name for name, value in outputs}
    return found | {names[encode(key)] for key in keys} if all(encode(key) in names for key in keys) else set()


def _number_of_first(test: exp.Expr) -> exp.Window | None:
    """Return what numbers rows, if a test lets only the first row of each group through."""
    if not isinstance(test, exp.EQ):
        return None
    for number, one in ((test.this, test.expression), (test.expression, test.this)):
        if isinstance(number, exp.Window) and _numbers_rows(number) and is_constant(one) and one.name == "1":
            return number
    return None


def _numbers_rows(value: exp.Expr) -> bool:
    """ROW_NUMBER() by columns: no two rows of a group have one number."""
    if not isinstance(value, exp.Window) or function_name(value.this) != "row_number":
        return False
    order = value.args.get("order")
    keys = [
        *(value.args.get("partition_by") or []),
        *(key.this for key in (order.expressions if order is not None else ())),
    ]
    return value.args.get("alias") is None and all(isinstance(key, exp.Column) for key in keys)


def _are_exact(values: list[exp.Expr], types: Types) -> bool:
    return all(is_exactly_grouped(types.of(value)) for value in values)


def _counts_rows_once(select: exp.Select) -> bool:
    """Whether a row that comes more than once has the effect of one."""
    parts = [node for part in _READ_IN for node in as_list(select.args.get(part))]
    if any(has(part, exp.Window, exp.Query, *exp.SET_RETURNING_FUNCTIONS) for part in parts):
        return False
    calls = [call for part in parts for call in own_nodes(part, exp.AggFunc)]
    if not all(isinstance(call, _EXTREMES) or is_of_truths(call) or _is_of_different(call) for call in calls):
        return False
    if calls or select.args.get("group") is not None:
        return True
    distinct = select.args.get("distinct")
    return distinct is not None and distinct.args.get("on") is None


def _is_of_different(call: exp.Expr) -> bool:
    return isinstance(call.this, exp.Distinct)


def _is_tested(select: exp.Select) -> bool:
    """Whether only the existence of a row counts, or of a value among the rows: EXISTS, IN, a set of rows."""
    if not has_only(select, _TOTAL | {"joins"}) or is_aggregated(select):
        return False
    if any(has(item, exp.Window, exp.Query, *exp.SET_RETURNING_FUNCTIONS) for item in select.selects):
        return False
    node: exp.Expr = select
    while node.parent is not None and is_bare_subquery(node.parent):
        node = node.parent
    holder = node.parent
    if isinstance(holder, exp.Exists):
        return True
    if isinstance(holder, exp.In):
        return node.arg_key == "query"
    return isinstance(holder, _SETS) and bool(holder.args.get("distinct"))
