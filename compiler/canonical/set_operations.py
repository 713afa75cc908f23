"""Set operations: one order of the branches, one nesting, and no DISTINCT, filter or projection around them.

The types of each column must be known and the same in every branch: the engine coerces two branches at a time, so with
other types another order could end in another type, or in a value that fails to be converted.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from compiler.analysis.floats import Floats
from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.canonical.grouping import is_exact
from compiler.canonical.merging import has_exact_equalities
from compiler.canonical.names import number_names
from compiler.canonical.ordering import rows_may_move
from compiler.names.lexical import resolve_names
from compiler.sql.encode import blind_key, encode
from compiler.sql.functions import function_name, is_float_sensitive
from compiler.tree.selects import only_read
from compiler.tree.walk import find_all, has, is_bare_subquery

_BRANCH_PARTS = {"expressions", "from_", "joins", "where", "group", "having", "distinct", "qualify"}
_WRAPPER_PARTS = {"expressions", "from_", "where", "distinct", "order"}
_UNION_PARTS = {"this", "expression", "distinct"}
_ROOT_PARTS = {*_UNION_PARTS, "order"}
_MOST_COPIED = 5000
"""The most nodes that a filter may have after it is repeated in every branch."""


@dataclass(frozen=True)
class _Branches:
    """The branches of one tree of unions: all of them plain, each column of one type."""

    selects: list[exp.Select]
    exact: bool


def spell_by_name(query: exp.Query, facts: Facts) -> exp.Query:
    """Put the columns of a branch in the order of their names.

    SELECT a, b … UNION ALL BY NAME SELECT b, a … → SELECT a, b … UNION ALL SELECT a, b …
    """
    for union in facts.nodes(query, exp.Union):
        left, right = union.this, union.expression
        if not union.args.get("by_name") or not _is_branch(left) or not _is_branch(right):
            continue
        if left.args.get("distinct") is not None or right.args.get("distinct") is not None:
            continue
        items = {item.alias: item for item in right.selects}
        names = [item.alias for item in left.selects]
        if set(names) == set(items) and len(names) == len(set(names)) == len(right.selects):
            ordered = [items[name] for name in names]
            types = facts.types(query)
            left_kinds, right_kinds = ([types.of(item) for item in side] for side in (left.selects, ordered))
            if left_kinds == right_kinds and None not in left_kinds:
                right.set("expressions", ordered)
                union.set("by_name", None)
    return query


def dissolve_union_wrappers(query: exp.Query, facts: Facts) -> exp.Query:
    """Move the work of a SELECT over a union into the branches: choose columns, filter, drop duplicates.

    SELECT u.a AS a FROM (SELECT t.a … UNION ALL SELECT s.a …) AS u WHERE u.a > 1
    → SELECT t.a AS a … WHERE t.a > 1 UNION ALL SELECT s.a AS a … WHERE s.a > 1
    SELECT DISTINCT u.a AS a FROM (… UNION ALL …) AS u → … UNION …

    Not a filter with an equality of floats: the engine makes a list of it and one of the branch, which compares bits.
    """
    if not facts.has(query, exp.Union) or _has_recursion(query, facts) or not facts.of(query, _may_reorder):
        return query
    types = facts.types(query)
    for outer in facts.nodes(query, exp.Select):
        inner = _wrapped_union(outer)
        if inner is None:
            continue
        branches = _branches(inner, types)
        if branches is None or not _can_dissolve(outer, inner, branches, types):
            continue
        query = _dissolve(query, outer, inner, branches)
        types = facts.types(query)
    return query


def order_unions(query: exp.Query, facts: Facts) -> exp.Query:
    """Flatten nested unions, order their branches, and drop those that add nothing.

    a UNION (b UNION ALL a) → a UNION b;  a UNION ALL (SELECT … WHERE FALSE) → a;  a UNION a → SELECT DISTINCT …
    """
    if not facts.has(query, exp.Union) or _has_recursion(query, facts) or not facts.of(query, _may_reorder):
        return query
    types = Floats(facts.names(query), facts.schemas)
    absorbed: set[int] = set()
    for union in facts.nodes(query, exp.Union):
        if id(union) in absorbed or any(value and key not in _ROOT_PARTS for key, value in union.args.items()):
            continue
        inside = _absorbed(union)
        branches = _branches(union, types)
        if branches is None or (union.args.get("distinct") and not branches.exact):
            continue
        absorbed |= inside
        query = _rebuild(query, union, branches)
    return query


def order_intersections(query: exp.Query, facts: Facts) -> exp.Query:
    """Order the branches of INTERSECT.

    b INTERSECT a → a INTERSECT b
    """
    if not facts.has(query, exp.Intersect) or not facts.of(query, rows_may_move):
        return query
    types = facts.types(query)
    for operation in facts.nodes(query, exp.Intersect):
        left, right = operation.this, operation.expression
        if not operation.args.get("distinct") or operation.args.get("by_name"):
            continue
        if not _is_branch(left) or not _is_branch(right) or _kinds([left, right], types) is None:
            continue
        if not all(is_exact(types, item) for item in left.selects):
            continue  # either of two equal values may be kept
        names, others = ([item.args["alias"].copy() for item in branch.selects] for branch in (left, right))
        keys = [blind_key(number_names(_named(one.copy(), names), Facts({}))) for one in (left, right)]
        if keys[1] < keys[0]:
            operation.set("this", _named(right.copy(), names))
            operation.set("expression", _named(left.copy(), others))
    return query


def drop_branch_distinct(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop DISTINCT in the branches of EXCEPT and INTERSECT, which compare distinct rows.

    SELECT DISTINCT a … EXCEPT SELECT DISTINCT b … → SELECT a … EXCEPT SELECT b …
    """
    if not facts.has(query, exp.Except, exp.Intersect) or not facts.of(query, rows_may_move):
        return query
    types = facts.types(query)
    for operation in facts.nodes(query, exp.Except, exp.Intersect):
        left, right = operation.this, operation.expression
        if not operation.args.get("distinct") or operation.args.get("by_name"):
            continue
        if not _is_branch(left) or not _is_branch(right) or _kinds([left, right], types) is None:
            continue
        if all(is_exact(types, item) for item in left.selects):
            for branch in (left, right):
                if branch.args.get("distinct") is not None:
                    branch.set("distinct", None)
    return query


def _has_recursion(query: exp.Query, facts: Facts) -> bool:
    return any(with_.recursive for with_ in facts.nodes(query, exp.With))


def _may_reorder(query: exp.Query, facts: Facts) -> bool:
    """Whether rows may move, and no sum of floats depends in its last bits on their order."""
    if not facts.of(query, rows_may_move):
        return False
    types: Types | None = None
    for node in facts.nodes(query, exp.Func):
        if is_float_sensitive(function_name(node) or ""):
            types = types or facts.types(query)
            if not isinstance(node, exp.Sum) or not types.is_integer(node.this):
                return False
    return True


def _is_branch(node: exp.Expr) -> bool:
    """Whether a branch is a SELECT that cuts nothing off, every item of which can be renamed."""
    if not isinstance(node, exp.Select) or any(value and key not in _BRANCH_PARTS for key, value in node.args.items()):
        return False
    distinct = node.args.get("distinct")
    if distinct is not None and distinct.args.get("on") is not None:
        return False
    if not all(isinstance(item, exp.Alias) for item in node.selects):
        return False
    parts = (node.args.get(key) for key in ("group", "having", "qualify"))
    return all(column.table for part in parts if part is not None for column in find_all(part, exp.Column))


def _is_inner_union(node: exp.Expr) -> bool:
    return isinstance(node, exp.Union) and all(not value for key, value in node.args.items() if key not in _UNION_PARTS)


def _peeled(node: exp.Expr) -> exp.Expr:
    while is_bare_subquery(node) and isinstance(node.this, exp.Query):
        node = node.this
    return node


def _collect(union: exp.Expr, found: list[exp.Expr], inside: set[int], *, distinct: bool) -> None:
    for side in (union.this, union.expression):
        branch = _peeled(side)
        if _is_inner_union(branch) and (distinct or not branch.args.get("distinct")):
            inside.add(id(branch))
            _collect(branch, found, inside, distinct=distinct)
        else:
            found.append(branch)


def _absorbed(union: exp.Union) -> set[int]:
    inside: set[int] = set()
    _collect(union, [], inside, distinct=bool(union.args.get("distinct")))
    return inside


def _branches(union: exp.Expr, types: Types) -> _Branches | None:
    if union.args.get("by_name"):
        return None
    found: list[exp.Expr] = []
    _collect(union, found, set(), distinct=bool(union.args.get("distinct")))
    selects = [branch for branch in found if isinstance(branch, exp.Select) and _is_branch(branch)]
    if len(selects) < len(found) or _kinds(selects, types) is None:
        return None
    exact = all(is_exact(types, item) for item in selects[0].selects)
    return _Branches(selects, exact)


def _kinds(selects: list[exp.Select], types: Types) -> list[str] | None:
    """Return the type of each column, None unless every branch has it."""
    kinds = [types.of(item) for item in selects[0].selects]
    for select in selects:
        if [types.of(item) for item in select.selects] != kinds:
            return None
    known = [kind for kind in kinds if kind is not None and kind != "null"]
    return known if len(known) == len(kinds) else None


def _rebuild(query: exp.Query, union: exp.Union, branches: _Branches) -> exp.Query:
    distinct = bool(union.args.get("distinct"))
    names = [item.args["alias"].copy() for item in branches.selects[0].selects]
    full = [select for select in branches.selects if not _is_empty(select)] or branches.selects[:1]
    keyed: list[tuple[str, exp.Select]] = []
    seen: set[bytes] = set()
    for select in full:
        if distinct:
            select.set("distinct", None)
        own = number_names(_named(select.copy(), names), Facts({}))
        # Numbered separately, a name of an outer query could look like one of its own.
        if distinct and not resolve_names(select).free:
            key = encode(own)
            if key in seen:
                continue
            seen.add(key)
        keyed.append((blind_key(own), select))
    # Nothing breaks a tie: only the names of inputs tell which comes first, and they must not count.
    ordered = [select for _, select in sorted(keyed, key=lambda one: one[0])]
    _named(ordered[0], names)  # the others' names are internal, and stay as number_names makes them
    if len(ordered) == 1:
        only = ordered[0]
        if distinct:
            only.set("distinct", exp.Distinct())
        if union.args.get("order") is not None:
            only.set("order", union.args["order"])
        return _replaced(query, union, only)
    tree: exp.Expr = ordered[0]
    for select in ordered[1:-1]:
        tree = exp.Union(this=tree, expression=select, distinct=distinct)
    union.set("this", tree)
    union.set("expression", ordered[-1])
    return query


def _named(select: exp.Select, names: list[exp.Expr]) -> exp.Select:
    """Give the columns of a branch these names."""
    for item, name in zip(select.selects, names, strict=True):
        item.set("alias", name.copy())
    return select


def _replaced(query: exp.Query, old: exp.Expr, new: exp.Query) -> exp.Query:
    if old is query:
        new.pop()
        return new
    old.replace(new)
    return query


def _is_empty(select: exp.Select) -> bool:
    where = select.args.get("where")
    if where is None or not isinstance(where.this, exp.Boolean) or where.this.this:
        return False
    return not any(select.args.get(key) for key in ("group", "having", "qualify")) and all(
        isinstance(item.unalias(), exp.Column | exp.Literal) for item in select.selects
    )


def _wrapped_union(outer: exp.Select) -> exp.Union | None:
    """Return the union that is all a SELECT reads, where the SELECT only chooses columns, filters and deduplicates."""
    union = only_read(outer, _WRAPPER_PARTS)
    holder = outer.parent
    if not isinstance(union, exp.Union) or not _is_inner_union(union):
        return None
    if isinstance(holder, exp.Subquery):
        holder = holder.parent
        return union if isinstance(holder, exp.From | exp.Join | exp.SetOperation) else None
    return union if holder is None or isinstance(holder, exp.CTE | exp.SetOperation) else None


def _can_dissolve(outer: exp.Select, union: exp.Union, branches: _Branches, types: Types) -> bool:
    where, order, distinct = (outer.args.get(key) for key in ("where", "order", "distinct"))
    alias = outer.args["from_"].this.alias
    names = union.named_selects
    items = outer.selects
    if len(set(names)) < len(names) or (distinct is not None and distinct.args.get("on") is not None):
        return False
    if not all(isinstance(item, exp.Alias) and _is_of(item.this, alias, names) for item in items):
        return False
    if len({item.alias for item in items}) < len(items):
        return False
    if order is not None and not all(
        isinstance(key.this, exp.Column) and not key.this.table and key.this.name in outer.named_selects
        for key in order.expressions
    ):
        return False
    values = [item.unalias() for one in branches.selects for item in one.selects]
    keeps_all = where is None and {item.this.name for item in items} == set(names)
    if not keeps_all and not all(isinstance(value, exp.Column | exp.Literal) for value in values):
        return False
    deduplicates = bool(union.args.get("distinct"))
    if not (keeps_all or deduplicates or distinct is not None) and any(
        one.args.get("distinct") for one in branches.selects
    ):
        return False
    if deduplicates and distinct is None and sorted(item.this.name for item in items) != sorted(names):
        return False
    if (deduplicates or distinct is not None) and not branches.exact:
        return False
    if where is None:
        return True
    if has(where, exp.Query) or not all(_is_of(column, alias, names) for column in find_all(where, exp.Column)):
        return False
    if not has_exact_equalities(where, types):
        return False
    plain = not any(one.args.get(key) for one in branches.selects for key in ("group", "having", "qualify", "distinct"))
    return plain and sum(1 for _ in where.walk()) * len(branches.selects) <= _MOST_COPIED


def _is_of(node: exp.Expr, alias: str, names: list[str]) -> bool:
    return isinstance(node, exp.Column) and node.table == alias and node.name in names


def _dissolve(query: exp.Query, outer: exp.Select, union: exp.Union, branches: _Branches) -> exp.Query:
    names = union.named_selects
    distinct = outer.args.get("distinct") is not None or bool(union.args.get("distinct"))
    where = outer.args.get("where")
    for select in branches.selects:
        values = {name: item.this for name, item in zip(names, select.selects, strict=True)}
        if where is not None:
            condition = exp.Paren(this=where.this.copy())
            for column in find_all(condition, exp.Column):
                column.replace(values[column.name].copy())
            own = select.args.get("where")
            both = condition.this if own is None else exp.And(this=own.this, expression=condition.this)
            select.set("where", exp.Where(this=both))
        if distinct:
            select.set("distinct", None)
        items = [
            exp.Alias(this=values[item.this.name].copy(), alias=item.args["alias"].copy()) for item in outer.selects
        ]
        select.set("expressions", items)
    tree: exp.Expr = branches.selects[0]
    for select in branches.selects[1:]:
        tree = exp.Union(this=tree, expression=select, distinct=distinct)
    order = outer.args.get("order")
    if order is not None:
        tree.set("order", order)
    assert isinstance(tree, exp.Query)
    if isinstance(outer.parent, exp.SetOperation):
        holder = exp.Subquery()
        outer.replace(holder)
        holder.set("this", tree)
        return query
    return _replaced(query, outer, tree)
