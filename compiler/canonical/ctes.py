"""CTEs: a CTE used once becomes a derived table; the others are ordered by their first use in the query."""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.tree.walk import find_all, has

MOST_COPIES = 400
"""The most nodes that the copies of one CTE may add to the query."""
_SEVERAL = 2


def inline_single_use_ctes(query: exp.Query, facts: Facts) -> exp.Query:
    """Replace the reference to each plain CTE that is referenced exactly once by the CTE.

    WITH c AS (SELECT t.a FROM t) SELECT x.a FROM c AS x → SELECT x.a FROM (SELECT t.a FROM t) AS x
    """
    if not facts.has(query, exp.CTE):
        return query
    for cte, tables in _references(query, facts):
        if len(tables) != 1 or _is_recursive(cte) or not _is_plain(tables[0]):
            continue
        with_ = cte.parent
        assert isinstance(with_, exp.With)
        cte.pop()
        if not with_.expressions:
            with_.pop()
        tables[0].replace(exp.Subquery(this=cte.this, alias=exp.TableAlias(this=tables[0].args["alias"].this)))
    return query


def inline_small_ctes(query: exp.Query, facts: Facts) -> exp.Query:
    """Replace every reference to a small plain CTE by a copy of it, as the engine does with all CTEs.

    WITH c AS (SELECT t.a FROM t) SELECT x.a FROM c AS x, c AS y
    → SELECT x.a FROM (SELECT t.a FROM t) AS x, (SELECT t.a FROM t) AS y

    The copies of one CTE may add so many nodes: each of a chain of CTEs that join the one before with itself doubles.
    Not if a row's position affects the result: the copies agree about it only as long as the engine plans them alike.
    """
    if not facts.has(query, exp.CTE) or any(with_.recursive for with_ in facts.nodes(query, exp.With)):
        return query
    if facts.is_order_dependent(query):
        return query
    for cte, tables in _references(query, facts):
        size = sum(1 for _ in cte.this.walk())
        # A body of CTEs, and a reference in one that was already copied, wait for the next round.
        if has(cte.this, exp.With) or size * (len(tables) - 1) > MOST_COPIES or len(tables) < _SEVERAL:
            continue
        if all(_is_plain(table) and _is_in(table, query) for table in tables):
            for table in tables:
                alias = exp.TableAlias(this=table.args["alias"].this)
                table.replace(exp.Subquery(this=cte.this.copy(), alias=alias))
            with_ = cte.parent
            cte.pop()
            if isinstance(with_, exp.With) and not with_.expressions:
                with_.pop()
            return inline_small_ctes(query, facts)
    return query


def order_ctes(query: exp.Query, facts: Facts) -> exp.Query:
    """Order the CTEs of each WITH by first use, each after those it reads itself.

    WITH b AS (…), a AS (…) SELECT … FROM a JOIN b … → WITH a AS (…), b AS (…) SELECT … FROM a JOIN b …
    """
    withs = [with_ for with_ in facts.nodes(query, exp.With) if len(with_.expressions) > 1]
    if not withs:
        return query
    uses = {id(table): cte for cte, tables in _references(query, facts) for table in tables}
    for with_ in withs:
        if with_.recursive or with_.parent is None:
            continue
        members = {id(cte) for cte in with_.expressions}
        ordered: list[exp.Expr] = []

        def visit(node: exp.Expr, members: set[int] = members, ordered: list[exp.Expr] = ordered) -> None:
            for table in find_all(node, exp.Table, depth_first=True):
                cte = uses.get(id(table))
                if cte is not None and id(cte) in members and all(cte is not seen for seen in ordered):
                    members.discard(id(cte))
                    visit(cte)
                    ordered.append(cte)

        owner = with_.parent
        for key, value in owner.args.items():
            if key != "with_":
                for child in value if isinstance(value, list) else (value,):
                    if isinstance(child, exp.Expr):
                        visit(child)
        unused = [cte for cte in with_.expressions if all(cte is not seen for seen in ordered)]
        with_.set("expressions", ordered + unused)
    return query


def _references(query: exp.Query, facts: Facts) -> list[tuple[exp.CTE, list[exp.Table]]]:
    """Every CTE of the query, innermost first, with the tables that refer to it."""
    tables: dict[int, list[exp.Table]] = {}
    for table, cte in facts.names(query).tables:
        tables.setdefault(id(cte), []).append(table)
    return [(cte, tables.get(id(cte), [])) for cte in reversed(facts.nodes(query, exp.CTE))]


def _is_recursive(cte: exp.CTE) -> bool:
    with_ = cte.parent
    return isinstance(with_, exp.With) and bool(with_.recursive)


def _is_in(table: exp.Table, query: exp.Query) -> bool:
    return table.root() is query


def _is_plain(table: exp.Table) -> bool:
    """Whether the reference is a bare name with an alias: no sample, pivot, column list or nested join on it."""
    alias = table.args.get("alias")
    if alias is None or alias.args.get("columns"):
        return False
    return all(not value for key, value in table.args.items() if key not in {"this", "alias"})
