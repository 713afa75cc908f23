"""The FROM clause of a SELECT: commas, copies of it, and what of it a domain has to read."""

from __future__ import annotations

from sqlglot import exp

from compiler.analysis.traits import shows_row_order
from compiler.engine_sql.workarounds.subqueries.naming import CODE, PREFIX, conjunction
from compiler.names.lexical import from_items, is_semi_joined, item_name
from compiler.sql.encode import encode
from compiler.sql.functions import is_volatile
from compiler.tree.positions import located
from compiler.tree.walk import nodes


def cross_commas(select: exp.Select) -> None:
    """FROM a, b LEFT JOIN c ON p → FROM a CROSS JOIN b LEFT JOIN c ON p, in place: ON then sees all that is before it.

    A comma binds more loosely, so b gets parentheses with what a RIGHT or FULL JOIN joins to it.
    """
    joins = list(select.args.get("joins") or [])
    starts = [number for number, join in enumerate(joins) if is_comma(join)]
    if not starts:
        return
    kept = joins[: starts[0]]
    for start, end in zip(starts, [*starts[1:], len(joins)], strict=True):
        comma, segment = joins[start], joins[start + 1 : end]
        comma.set("kind", "CROSS")
        if any(join.side in {"RIGHT", "FULL"} for join in segment):
            item = comma.this
            item.set("joins", [*(item.args.get("joins") or []), *segment])
            comma.set("this", exp.Subquery(this=item))
            kept.append(comma)
        else:
            kept += [comma, *segment]
    select.set("joins", kept)


def mirror_right_joins(select: exp.Select) -> None:
    """FROM a JOIN b ON p RIGHT JOIN c ON q → FROM c LEFT JOIN (a JOIN b ON p) ON q, in place; no comma is left.

    Only the last of them: those before it are then in parentheses, where they do what they did.
    """
    cross_commas(select)
    joins: list[exp.Join] = list(select.args.get("joins") or [])
    number = max((number for number, join in enumerate(joins) if join.side == "RIGHT"), default=None)
    if number is None or isinstance(joins[number].this, exp.Lateral):
        return
    from_, join, before = select.args["from_"], joins[number], joins[:number]
    left = from_.this
    from_.set("this", join.this)
    if before:
        left.set("joins", [*(left.args.get("joins") or []), *before])
        left = exp.Subquery(this=left)
    join.set("this", left)
    join.set("side", "LEFT")
    select.set("joins", joins[number:])


def is_comma(join: exp.Join) -> bool:
    """Whether a join is written as a comma."""
    constrained = join.args.get("on") is not None or join.args.get("using")
    return not (join.kind or join.side or join.method or constrained or isinstance(join.this, exp.Lateral))


def copied_sources(select: exp.Select, aliases: set[str], terms: list[exp.Expr]) -> exp.Select:
    """Return SELECT … FROM what yields the columns of some aliases as a SELECT sees them, still without a list.

    terms: of WHERE, which may filter it. The LEFT JOINs that `marks` made are left out where nobody asks for them.
    """
    from_ = select.args["from_"]
    joins = list(select.args.get("joins") or [])
    alone = _lone_item(select, joins, aliases) if len(aliases) == 1 else None
    copied = exp.Select()
    if alone is not None:
        item = alone.copy()
        item.set("joins", None)
        copied.set("from_", exp.From(this=item))
    else:
        needed = set(aliases)
        for term in terms:
            needed |= {one.parts[0].name for one in term.find_all(exp.Column)}
        kept: list[exp.Join] = []
        for join in reversed(joins):
            idle = (
                join.side == "LEFT" and join.alias_or_name.startswith(PREFIX) and not isinstance(join.this, exp.Lateral)
            )
            if idle and join.alias_or_name not in needed:
                continue
            on = join.args.get("on")
            needed |= {one.parts[0].name for one in on.find_all(exp.Column)} if on is not None else set()
            kept.append(join)
        copied.set("from_", from_.copy())
        copied.set("joins", [join.copy() for join in reversed(kept)])
        cross_commas(copied)
    seen = {item_name(item) for item in from_items(copied)[0] if not is_semi_joined(item)}
    filtering = [term.copy() for term in terms if {one.parts[0].name for one in term.find_all(exp.Column)} <= seen]
    if filtering:
        copied.set("where", exp.Where(this=conjunction(filtering)))
    return copied


def _lone_item(select: exp.Select, joins: list[exp.Join], aliases: set[str]) -> exp.Expr | None:
    """Return the one FROM item that yields all values of an alias, NULLs for rows without a match aside."""
    if any(join.side in {"RIGHT", "FULL"} for join in joins):
        return None
    first: exp.Expr = select.args["from_"].this
    for item in (first, *(join.this for join in joins if join.side != "LEFT" and join.kind not in {"SEMI", "ANTI"})):
        if not isinstance(item, exp.Table | exp.Subquery) or item.args.get("joins"):
            continue
        if isinstance(item.this, exp.Query | exp.Identifier) and item.alias_or_name in aliases:
            return item
    return None


def require_repeatable(tree: exp.Expr, at: exp.Expr) -> None:
    """Refuse to read twice what may be another table when it is read again. Raises `SqlError`."""
    for node in nodes(tree):
        if isinstance(node, exp.Func) and is_volatile(node):
            hint = "compute the volatile value in a separate rule"
            raise located(at, "the engine cannot run a subquery beside a volatile call", hint=hint, code=CODE)
        if shows_row_order(node) and not _is_settled(node):
            hint = "order what is limited or numbered by all of its columns, or compute it in a separate rule"
            raise located(
                at, "the engine cannot run this subquery over rows that depend on their order", hint=hint, code=CODE
            )


def _is_settled(node: exp.Expr) -> bool:
    """Whether a LIMIT follows an ORDER BY that leaves no two different rows in either order."""
    query = node.parent
    if not isinstance(node, exp.Limit | exp.Offset) or not isinstance(query, exp.Query):
        return False
    order = query.args.get("order")
    keys = {encode(ordered.this) for ordered in order.expressions} if order is not None else set()
    written = [ordered.this for ordered in order.expressions] if order is not None else []
    names = {
        key.name for key in written if isinstance(key, exp.Literal) or not (isinstance(key, exp.Column) and key.table)
    }
    return all(
        names & {str(number), item.alias_or_name}
        or encode(item.unalias()) in keys
        or isinstance(item.unalias(), exp.Literal)
        for number, item in enumerate(query.selects, 1)
    )


def derived(query: exp.Query, alias: str) -> exp.Subquery:
    """Return a query as a FROM item."""
    return exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
