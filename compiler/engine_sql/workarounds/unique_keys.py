"""A fault of the engine in its knowledge of unique columns: it keeps it above joins that repeat the rows.

DataFusion 55 knows that the keys of GROUP BY and DISTINCT determine the rest of a row. A join may repeat such a row. An
aggregate above the join forgets that, and takes its own rows to be determined by the keys from below: GROUP BY and
DISTINCT above it then leave out its other keys.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.engine_sql.workarounds.hiding import hide
from compiler.names.set_outputs import output_names
from compiler.tree.walk import find_all, stands_in

_INNER = "~unique"


def hide_unique_keys(query: exp.Query, facts: Facts) -> exp.Query:
    """Hide from the engine which columns are unique, in place, where a join and two aggregates are above them.

    SELECT q.b, COUNT(*) FROM (SELECT DISTINCT d.b, p.k FROM p JOIN (SELECT u.b FROM u GROUP BY u.b) AS d …) AS q …
    → … JOIN (SELECT greatest(u.b) AS b FROM u GROUP BY u.b) AS d …

    SELECT DISTINCT u.b FROM u, or a UNION, in that place → SELECT greatest(q.b) AS b FROM (SELECT DISTINCT …) AS q
    """
    for keyed in _misleading(query, facts):
        if isinstance(keyed, exp.Select) and not keyed.args.get("distinct"):
            _hide_keys(keyed)
        else:
            _hide_outputs(keyed)
    return query


def may_have_left_out_keys(tree: exp.Query, facts: Facts) -> bool:
    """Whether a rule has an aggregate above one above a join of an aggregate; see `compiler.engine_sql.corrections`."""
    return bool(_misleading(tree, facts))


def _misleading(query: exp.Query, facts: Facts) -> list[exp.Query]:
    """Return the queries whose keys the engine takes for unique where they no longer are, inner ones last."""
    if not facts.nodes(query, exp.Join):
        return []
    keyed = [node for node in facts.nodes(query, exp.Select, exp.SetOperation) if _is_keyed(node)]
    if not any(node is not query for node in keyed):
        return []
    readers: dict[int, list[exp.Table]] = {}
    recursive: set[int] = set()  # the engine knows no keys of these, and takes them for recursive only as they are
    for table, cte in facts.names(query).tables:
        readers.setdefault(id(cte), []).append(table)
        if stands_in(table, cte):
            recursive.add(id(cte.this))
    return [node for node in keyed if node is not query and id(node) not in recursive and _misleads(node, readers)]


def _misleads(keyed: exp.Query, readers: dict[int, list[exp.Table]]) -> bool:
    """Whether there is a join above, and above that one aggregate and a second, or one that aggregates DISTINCT."""
    pending: list[tuple[exp.Query, bool, bool]] = [(keyed, False, False)]
    seen: set[tuple[int, bool, bool]] = set()
    while pending:
        node, joined, forgotten = pending.pop()
        for reader in _readers(node, readers):
            repeats = joined or bool(reader.args.get("joins"))
            if _is_keyed(reader) and forgotten:
                return True
            if _is_keyed(reader) and repeats and _aggregates_twice(reader):
                return True
            state = (id(reader), repeats, forgotten or (repeats and _is_keyed(reader)))
            if state not in seen:
                seen.add(state)
                pending.append((reader, *state[1:]))
    return False


def _readers(query: exp.Query, readers: dict[int, list[exp.Table]]) -> Iterator[exp.Query]:
    """Yield the queries whose rows are made of those of one: they have it as a FROM item, or as an operand."""
    holder = query.parent
    while isinstance(holder, exp.Subquery) and isinstance(holder.parent, exp.Subquery):
        holder = holder.parent
    places: list[exp.Expr] = [holder] if holder is not None else []
    if isinstance(holder, exp.CTE):
        places = list(readers.get(id(holder), ()))
    for place in places:
        around = place if isinstance(place, exp.SetOperation) else place.parent
        if isinstance(around, exp.SetOperation):
            yield around
        elif isinstance(around, exp.From | exp.Join) and isinstance(around.parent, exp.Select):
            yield around.parent


def _is_keyed(query: exp.Query) -> bool:
    """Whether the rows of a query are unique in some columns."""
    if isinstance(query, exp.SetOperation):
        return not isinstance(query, exp.Union) or bool(query.args.get("distinct"))
    return bool(query.args.get("distinct") or query.args.get("group"))


def _aggregates_twice(query: exp.Query) -> bool:
    """Whether the engine makes two aggregates of one query: where it aggregates DISTINCT, or is DISTINCT itself."""
    if not isinstance(query, exp.Select):
        return False
    distinct = [node for node in find_all(query, exp.Distinct) if node.arg_key != "distinct"]
    return bool(distinct) or bool(query.args.get("distinct") and query.args.get("group"))


def _hide_keys(select: exp.Select) -> None:
    keys = select.args["group"].expressions
    for item in select.selects:
        value = item.unalias()
        if isinstance(item, exp.Alias) and (isinstance(value, exp.Column) or value in keys):
            hide(value)


def _hide_outputs(query: exp.Query) -> None:
    items = []
    for name in output_names(query):
        item = exp.alias_(exp.column(name, table=_INNER, quoted=True), name, quoted=True)
        hide(item.this)
        items.append(item)
    around = exp.Select(expressions=items)
    query.replace(around)
    inner = exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier(_INNER, quoted=True)))
    around.set("from_", exp.From(this=inner))
