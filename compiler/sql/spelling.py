"""Rarer spellings → the usual ones of the same meaning, in a freshly parsed tree, before names are resolved."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from compiler.tree.positions import located
from compiler.tree.walk import find_all, is_bare_subquery, is_comma

_CLAUSES = ("with_", "order", "limit", "offset")
_SEMI = frozenset({"SEMI", "ANTI"})
MADE = "made"
"""In the `meta` of a star that the author did not write, but whose query is not one without a SELECT list either."""
_NESTED = "nested~"
"""The prefix of the names of CTEs made from derived tables; no alias is likely to have it."""


def usual_spelling(tree: exp.Expr) -> exp.Expr:
    """Return the tree, which is consumed. Raises `SqlError`."""
    tree = _spell_values(tree)
    for holder, items in list(_lists_of_joins(tree)):
        _turn_right_semi_joins(holder, items)
    _drop_parentheses(tree)
    return tree


def _spell_values(tree: exp.Expr) -> exp.Expr:
    """VALUES (1) ORDER BY column1 → SELECT * FROM (VALUES (1)) AS "values" ORDER BY column1, if it is a query."""
    for values in find_all(tree, exp.Values):
        parent = values.parent
        if parent is None:
            tree = _selected(values)
        elif isinstance(parent, exp.Subquery) and not isinstance(parent.parent, exp.From | exp.Join):
            parent.set("this", _selected(values))
        elif isinstance(parent, exp.Anonymous) and str(parent.this).upper() == "EXISTS":
            parent.replace(exp.Exists(this=_selected(values)))
        elif isinstance(parent, exp.In) and len(parent.expressions) == 1:
            parent.set("expressions", None)
            parent.set("query", _selected(values).subquery(copy=False))
    return tree


def _selected(values: exp.Values) -> exp.Select:
    clauses = {key: values.args[key] for key in _CLAUSES if values.args.get(key)}
    for key in clauses:
        values.set(key, None)
    if not values.args.get("alias"):
        values.set("alias", exp.TableAlias(this=exp.to_identifier("values", quoted=True)))
    select = exp.select(exp.Star()).from_(values.copy(), copy=False)
    for key, clause in clauses.items():
        select.set(key, clause)
    return select


def _lists_of_joins(tree: exp.Expr) -> Iterator[tuple[exp.Expr, exp.Expr]]:
    """Yield each node with a list of joins, and the first FROM item of the list: SELECTs, and parentheses."""
    for node in find_all(tree, exp.Select, exp.Subquery):
        if isinstance(node, exp.Select) and node.args.get("from_") is not None:
            yield node, node.args["from_"].this
        elif _is_group(node):
            yield node.this, node.this


def _turn_right_semi_joins(holder: exp.Expr, first: exp.Expr) -> None:
    """FROM a RIGHT SEMI JOIN b ON p → FROM b LEFT SEMI JOIN a ON p, in place.

    FROM a JOIN c ON q RIGHT SEMI JOIN b ON p
    → FROM (SELECT * FROM b WHERE EXISTS (SELECT 1 FROM a JOIN c ON q WHERE p)) AS b
    """
    joins: list[exp.Join] = holder.args.get("joins") or []
    if not any(_is_right_semi(join) for join in joins):
        return
    around = holder.parent
    segments: list[tuple[exp.Join | None, exp.Expr, list[exp.Join]]] = [(None, first, [])]
    for join in joins:
        if is_comma(join):
            segments.append((join, join.this, []))
        elif _is_right_semi(join):
            comma, head, before = segments.pop()
            segments.append((comma, *_turned(join, head, before)))
        else:
            segments[-1][2].append(join)
    kept: list[exp.Join] = []
    for comma, head, rest in segments:
        if comma is None:
            first = head
        else:
            comma.set("this", head)
            kept.append(comma)
        kept += rest
    if isinstance(holder, exp.Select):
        holder.args["from_"].set("this", first)
        holder.set("joins", kept)
    else:  # the first item contains the others
        assert around is not None
        holder.args.pop("joins", None)
        first.set("joins", kept)
        around.set("this", first)


def _is_right_semi(join: exp.Join) -> bool:
    return join.side == "RIGHT" and join.kind in _SEMI


def _turned(join: exp.Join, head: exp.Expr, before: list[exp.Join]) -> tuple[exp.Expr, list[exp.Join]]:
    """Return the first item and the joins that `head before… join` becomes."""
    kept = join.this
    if not before and not _is_group(head):
        within: list[exp.Join] = []
        if _is_group(kept) and not kept.args.get("alias"):
            kept = kept.this
            within = kept.args.get("joins") or []
            kept.set("joins", None)
        join.set("this", head)
        join.set("side", "LEFT")
        return kept, [*within, join]
    if join.method:
        hint = "write its condition as ON"
        raise located(join, f"a {join.method} RIGHT {join.kind} JOIN after a join is not supported", hint=hint)
    kept_alias = kept.args.get("alias")
    name = kept_alias.this if isinstance(kept_alias, exp.TableAlias) else None
    name = name or (kept.this if isinstance(kept, exp.Table) else None)
    if not isinstance(name, exp.Identifier):
        hint = "give it an alias"
        raise located(join, f"the right side of a RIGHT {join.kind} JOIN after a join needs a name", hint=hint)
    condition = join.args.get("on")
    for column in join.args.get("using") or []:
        own = exp.Column(this=column.copy(), table=name.copy())
        equal = exp.EQ(this=exp.Column(this=column.copy()), expression=own)
        condition = equal if condition is None else exp.And(this=condition, expression=equal)
    matches = exp.Select(
        expressions=[exp.Literal.number(1)], from_=exp.From(this=head), joins=before, where=exp.Where(this=condition)
    )
    test: exp.Expr = exp.Exists(this=matches)
    test = exp.Not(this=test) if join.kind == "ANTI" else test
    star = exp.Star()
    star.meta[MADE] = True
    inner = exp.Select(expressions=[star], from_=exp.From(this=kept), where=exp.Where(this=test))
    return exp.Subquery(this=inner, alias=exp.TableAlias(this=name.copy())), []


def _given(node: exp.Expr) -> list[str]:
    return [key for key, value in node.args.items() if value]


def _is_group(item: exp.Expr) -> bool:
    """Whether a FROM item is parentheses around other FROM items."""
    return isinstance(item, exp.Subquery) and not isinstance(item.this, exp.Query)


def _drop_parentheses(tree: exp.Expr) -> None:
    """FROM (t) → FROM t; FROM ((t JOIN u ON p) JOIN v ON q) → FROM (t JOIN u ON p JOIN v ON q), in place.

    To SQLGlot's scopes neither parentheses in parentheses nor a derived table in parentheses is a FROM item.
    """
    for around in reversed(find_all(tree, exp.Subquery)):  # inner ones first
        item, parent = around.this, around.parent
        if isinstance(item, exp.Query) and not isinstance(item, exp.Subquery):
            continue
        alias = around.args.get("alias")
        if alias is not None and isinstance(item, exp.Table) and _given(item) == ["this"] and not alias.columns:
            item.set("alias", alias)
            around.set("alias", None)
            alias = None
        if is_bare_subquery(item) or alias is not None or not isinstance(parent, exp.From | exp.Join | exp.Subquery):
            continue
        if any(around.args.get(key) for key in _CLAUSES):
            continue
        joins = [*(item.args.get("joins") or []), *(around.args.get("joins") or [])]
        if not joins or isinstance(parent, exp.Subquery):
            item.set("joins", joins or None)
            around.replace(item)
        elif (
            isinstance(parent, exp.From) and isinstance(select := parent.parent, exp.Select) and _joins_by_names(select)
        ):
            item.set("joins", None)
            around.replace(item)
            select.set("joins", [*joins, *select.args["joins"]])
        elif isinstance(item, exp.Subquery) and isinstance(item.this, exp.Query):
            _name_as_cte(item)


def _joins_by_names(select: exp.Select) -> bool:
    """Whether a SELECT has a join for which SQLGlot needs the name of the first FROM item."""
    joins = select.args.get("joins") or []
    return any(join.kind in _SEMI or join.method or join.args.get("using") for join in joins)


def _name_as_cte(derived: exp.Subquery) -> None:
    """FROM a LEFT JOIN ((SELECT …) AS q JOIN c ON p) ON r → WITH n AS (SELECT …) … (n AS q JOIN c ON p) …, in place."""
    select = derived.find_ancestor(exp.Select)
    if select is None:
        return
    with_ = select.args.get("with_")
    if with_ is None:
        with_ = exp.With(expressions=[])
        select.set("with_", with_)
    name = f"{_NESTED}{len(with_.expressions)}"
    alias, joins = derived.args.get("alias"), derived.args.get("joins")
    table = exp.Table(this=exp.to_identifier(name, quoted=True), alias=alias, joins=joins)
    derived.replace(table)
    cte = exp.CTE(this=derived.this, alias=exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
    with_.append("expressions", cte)
