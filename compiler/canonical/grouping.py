"""GROUP BY, DISTINCT and aggregates: one spelling for each, and no DISTINCT without effect."""

from __future__ import annotations

from itertools import combinations

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.aggregates import added_up_in_two_steps
from compiler.canonical.facts import Facts
from compiler.canonical.ordering import rows_may_move, sort_key
from compiler.canonical.predicate_facts import is_date, never_fails
from compiler.sql.encode import encode
from compiler.tree.walk import find_all, has

_MOST_CUBE_KEYS = 4
_SETS = (exp.GroupingSets, exp.Rollup, exp.Cube)
_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_EXACT = ("timestamp", "decimal128", "time32", "time64")
_NESTED = ("struct", "list", "map")


def spell_aggregates(query: exp.Query, facts: Facts) -> exp.Query:
    """Write an aggregate in one way.

    COUNT(), COUNT(1) → COUNT(*);  COUNT(*) FILTER (WHERE a IS NOT NULL) → COUNT(a);  MIN(DISTINCT a) → MIN(a)
    COUNT(CASE WHEN p THEN 1 END) → COUNT(*) FILTER (WHERE p);  SUM(CASE WHEN p THEN a END) → SUM(a) FILTER (WHERE p)
    COUNT(DISTINCT CASE WHEN p THEN a END) → COUNT(DISTINCT a) FILTER (WHERE p)

    Not if an aggregate with DISTINCT is beside a sum that is not of integers: whether another one has DISTINCT
    or a FILTER decides in how many steps the engine sums, which affects rounding and the type.
    """
    for count in facts.nodes(query, exp.Count):
        if not count.expressions and (count.this is None or _is_value(count.this)):
            count.set("this", exp.Star())
    if not facts.has(query, exp.AggFunc):
        return query
    types = facts.types(query)
    split = added_up_in_two_steps(query, facts)
    for node in facts.nodes(query, exp.Min, exp.Max):
        inner = node.this
        if not isinstance(inner, exp.Distinct) or inner.args.get("on") or node.expressions:
            continue
        if id(node.find_ancestor(exp.Select)) in split:
            continue
        if len(inner.expressions) == 1 and is_exact(types, inner.expressions[0]):
            node.set("this", inner.expressions[0])
    for node in facts.nodes(query, exp.Count, exp.Sum, exp.Min, exp.Max):
        if isinstance(node.parent, exp.Filter | exp.Window) or node.expressions:
            continue
        if id(node.find_ancestor(exp.Select)) not in split:
            _case_to_filter(node, types)
    for filtered in facts.nodes(query, exp.Filter):
        _filter_to_column(filtered, types)
    return query


def order_group_keys(query: exp.Query, facts: Facts) -> exp.Query:
    """Order the keys, once each and without constants beside a real one; write out ALL, ROLLUP and CUBE.

    GROUP BY b, 'x', 1 + 1, a, b → GROUP BY a, b;  ROLLUP (a, b) → GROUPING SETS ((a, b), (a), ());
    GROUP BY 'x' → GROUP BY TRUE, which has no group where there are no rows

    Groups come in the order of their rows, whatever the order of the keys, but in the order of the grouping sets.
    """
    if not facts.of(query, rows_may_move):
        return query
    for group in facts.nodes(query, exp.Group):
        _write_out_all(group)
        if has(group, *_SETS) and _shows_order_of_groups(query, facts):
            continue
        _write_out_sets(group)
        keys = group.expressions
        if not is_plain_group(group):
            if len(keys) == 1 and isinstance(keys[0], exp.GroupingSets) and _only_expressions(group):
                _order_sets(keys[0])
            continue
        unique = {encode(key): key for key in keys if not (_is_fixed(key) or _is_computed_once(key, query, facts))}
        real = [key for key in unique.values() if has(key, exp.Column)]
        ordered = sorted(unique.values(), key=sort_key)
        if real and [id(key) for key in ordered] != [id(key) for key in keys]:
            group.set("expressions", ordered)
        elif not unique and encode(keys[0]) != encode(one := exp.true()):
            group.set("expressions", [one])
    return query


def spell_distinct(query: exp.Query, facts: Facts) -> exp.Query:
    """Write a grouping without aggregates as DISTINCT, and drop a DISTINCT of rows that are distinct anyway.

    SELECT t.a AS a, 'x' AS x FROM t GROUP BY t.a → SELECT DISTINCT t.a AS a, 'x' AS x FROM t
    SELECT DISTINCT t.a AS a, COUNT(*) AS n FROM t GROUP BY t.a → SELECT t.a AS a, COUNT(*) AS n FROM t GROUP BY t.a
    """
    if not facts.of(query, rows_may_move):
        return query
    for select in facts.nodes(query, exp.Select):
        group = select.args.get("group")
        if group is None or not is_plain_group(group) or not _is_simple(select):
            continue
        keys = {encode(key) for key in group.expressions}
        items = {encode(item.unalias()) for item in select.selects if not _is_one_value(item.unalias())}
        real = all(has(key, exp.Column) and not has(key, exp.AggFunc, exp.Query) for key in group.expressions)
        if not real or not keys <= items:
            continue
        if select.args.get("distinct") is not None:
            select.set("distinct", None)
        elif keys == items and not any(select.args.get(key) for key in ("having", "qualify")) and _orders_names(select):
            select.set("group", None)
            select.set("distinct", exp.Distinct())
    return query


def drop_distinct_under_distinct(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop DISTINCT from the derived table of a SELECT DISTINCT, which takes each row once anyway.

    SELECT DISTINCT q.a FROM (SELECT DISTINCT t.a, t.b FROM t) AS q
    → SELECT DISTINCT q.a FROM (SELECT t.a, t.b FROM t) AS q
    """
    if not facts.of(query, rows_may_move):
        return query
    types: Types | None = None
    for outer in facts.nodes(query, exp.Select):
        source = _only_source(outer)
        if source is None or not _is_simple(outer) or outer.args.get("distinct") is None:
            continue
        if any(outer.args.get(key) is not None for key in ("group", "having", "qualify")):
            continue
        if any(has(item, exp.AggFunc, exp.Window) for item in outer.selects):
            continue
        inner = source.this
        if not isinstance(inner, exp.Select) or not _is_simple(inner) or inner.args.get("distinct") is None:
            continue
        types = types or facts.types(query)
        if all(is_exact(types, item) for item in inner.selects):
            inner.set("distinct", None)
    return query


def having_to_where(query: exp.Query, facts: Facts) -> exp.Query:
    """Move terms of HAVING that read only the keys to WHERE.

    SELECT t.a, COUNT(*) FROM t GROUP BY t.a HAVING t.a = 'x' AND COUNT(*) > 1
    → SELECT t.a, COUNT(*) FROM t WHERE t.a = 'x' GROUP BY t.a HAVING COUNT(*) > 1

    Only comparisons of columns and literals, which cannot fail, and of types whose groups have one value each: a group
    of floats can hold 0.0 and -0.0. Not under grouping sets, whose keys can be NULL by themselves.
    """
    types: Types | None = None
    for select in facts.nodes(query, exp.Select):
        group, having = select.args.get("group"), select.args.get("having")
        if group is None or having is None or not is_plain_group(group):
            continue
        types = types or facts.types(query)
        keys = {encode(key) for key in group.expressions if isinstance(key, exp.Column) and is_exact(types, key)}
        terms = list(having.this.flatten()) if isinstance(having.this, exp.And) else [having.this]
        moved = [term for term in terms if _is_safe_on(term, keys, types)]
        if not moved:
            continue
        gone = {id(term) for term in moved}
        rest = [term for term in terms if id(term) not in gone]
        where = select.args.get("where")
        before = [where.this] if where is not None else []
        select.set("where", exp.Where(this=_all_of([*before, *moved])))
        select.set("having", exp.Having(this=_all_of(rest)) if rest else None)
    return query


def is_exact(types: Types, node: exp.Expr) -> bool:
    """Whether equal values of the expression are the same to the bit."""
    found = types.of(node)
    return types.is_exact(node) or (found is not None and found.startswith(_EXACT))


def is_plain_group(group: exp.Expr) -> bool:
    """Whether GROUP BY lists only expressions: no ALL, no sets, no position that is still a number."""
    special = (*_SETS, exp.Tuple)
    return _only_expressions(group) and not any(
        isinstance(key, special) or (isinstance(key, exp.Literal) and not key.is_string) for key in group.expressions
    )


def has_sets_of_constants(query: exp.Query, facts: Facts) -> bool:
    """Whether a constant is a key of grouping sets: its outputs are NULL in the sets without it, and no constants.

    SELECT 'x' AS a, t.b AS b FROM t GROUP BY ROLLUP ('x', t.b)
    """
    return any(
        not has(key, exp.Column, exp.Query)
        for group in facts.nodes(query, exp.Group)
        for sets in find_all(group, *_SETS)
        for listed in sets.expressions
        for key in (listed.expressions if isinstance(listed, exp.Tuple) else [listed])
        if not isinstance(key, _SETS)
    )


def _only_expressions(group: exp.Expr) -> bool:
    return bool(group.expressions) and all(not value for key, value in group.args.items() if key != "expressions")


def _is_fixed(node: exp.Expr) -> bool:
    """Whether a key has one value: a text, a truth value, NULL, a date; a number is a position."""
    is_text = isinstance(node, exp.Literal) and node.is_string
    return is_text or isinstance(node, exp.Boolean | exp.Null) or is_date(node)


def _is_one_value(node: exp.Expr) -> bool:
    """Whether an expression is a literal of any kind: it has one value in all rows, and does not fail."""
    return isinstance(node, exp.Literal | exp.Boolean | exp.Null) or is_date(node)


def _is_computed_once(node: exp.Expr, query: exp.Query, facts: Facts) -> bool:
    """Whether a key is made of literals alone, without fail: 1 + 1, which is no position."""
    if isinstance(node, exp.Literal) or has(node, exp.Column, exp.Query, exp.AggFunc):
        return False
    return never_fails(facts.types(query), node)


def _is_value(node: exp.Expr) -> bool:
    """Whether an expression is a literal, which is never NULL."""
    return isinstance(node, exp.Literal | exp.Boolean)


def _case_to_filter(node: exp.Expr, types: Types) -> None:
    distinct = node.this if isinstance(node.this, exp.Distinct) else None
    if distinct is not None and (distinct.args.get("on") is not None or len(distinct.expressions) != 1):
        return
    case = node.this if distinct is None else distinct.expressions[0]
    if not isinstance(case, exp.Case) or case.this is not None or case.args.get("default") is not None:
        return
    if len(case.args["ifs"]) != 1:
        return
    branch = case.args["ifs"][0]
    condition, value = branch.this, branch.args["true"]
    if types.of(condition) != "bool" or has(condition, exp.Query):
        return
    if isinstance(node, exp.Count) and distinct is None and _is_value(value):
        argument: exp.Expr = exp.Star()
    elif isinstance(value, exp.Column) and _is_taken_alike(node, value, types):
        argument = value if distinct is None else exp.Distinct(expressions=[value])
    else:
        return
    filtered = exp.Filter()
    node.replace(filtered)
    node.set("this", argument)
    filtered.set("this", node)
    filtered.set("expression", exp.Where(this=condition))


def _is_taken_alike(call: exp.Expr, column: exp.Column, types: Types) -> bool:
    """Whether an aggregate of a column does with NULL what it does with a row that is left out, to the last bit."""
    kind = types.of(column)
    if isinstance(call, exp.Count) and not isinstance(call.this, exp.Distinct):
        return kind is not None and not kind.startswith(_NESTED)
    if isinstance(call, exp.Sum):
        return types.is_integer(column) or (kind or "").startswith("decimal128")
    return is_exact(types, column)


def _filter_to_column(filtered: exp.Filter, types: Types) -> None:
    count, where = filtered.this, filtered.expression
    if not isinstance(count, exp.Count) or not isinstance(count.this, exp.Star):
        return
    if isinstance(filtered.parent, exp.Window):
        return
    terms = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
    counted = [term for term in terms if _counts_values(term, types)]
    rest = [term for term in terms if term is not counted[0]] if counted else terms
    if len(counted) != 1 or not all(never_fails(types, term) for term in rest):
        return
    count.set("this", counted[0].this.this)
    if rest:
        where.set("this", _all_of(rest))
    else:
        filtered.replace(count)


def _counts_values(term: exp.Expr, types: Types) -> bool:
    """Whether a test lets through what is not NULL in one column."""
    test = term.this if isinstance(term, exp.Not) else None
    if not isinstance(test, exp.Is) or not isinstance(test.expression, exp.Null):
        return False
    return isinstance(test.this, exp.Column) and types.of(test.this) not in {None, "null"}


def _write_out_all(group: exp.Group) -> None:
    select = group.parent
    if not group.args.get("all") or not isinstance(select, exp.Select) or group.expressions:
        return
    if any(value for key, value in group.args.items() if key not in {"all", "expressions"}):
        return
    values = [item.unalias() for item in select.selects]
    free = [value for value in values if not has(value, exp.AggFunc, exp.Window, exp.Query)]
    mixed = [value for value in values if has(value, exp.AggFunc, exp.Window, exp.Query)]
    if not free or not all(isinstance(value, exp.Column) for value in free):
        return
    if not all(isinstance(value, exp.AggFunc) for value in mixed):
        return
    group.set("all", None)
    group.set("expressions", [value.copy() for value in free])


def _write_out_sets(group: exp.Group) -> None:
    keys = group.expressions
    if len(keys) != 1 or not isinstance(keys[0], exp.Rollup | exp.Cube) or not _only_expressions(group):
        return
    members = keys[0].expressions
    if not all(isinstance(member, exp.Column) for member in members):
        return
    if len({encode(member) for member in members}) < len(members):
        return
    if isinstance(keys[0], exp.Rollup):
        sets = [list(members[:size]) for size in range(len(members), -1, -1)]
    elif len(members) <= _MOST_CUBE_KEYS:
        sets = [list(chosen) for size in range(len(members), -1, -1) for chosen in combinations(members, size)]
    else:
        return
    tuples = [exp.Tuple(expressions=[member.copy() for member in one]) for one in sets]
    group.set("expressions", [exp.GroupingSets(expressions=tuples)])


def _order_sets(sets: exp.GroupingSets) -> None:
    """GROUPING SETS ((b), (b, a), ()) → GROUPING SETS ((), (a, b), b): a set may come twice, and then counts twice."""
    members: list[exp.Expr] = []
    for one in sets.expressions:
        keys = one.expressions if isinstance(one, exp.Tuple) else [one]
        if not all(isinstance(key, exp.Column) for key in keys):
            return
        ordered = sorted(keys, key=sort_key)
        same = isinstance(one, exp.Tuple) and len(keys) != 1 and list(map(id, ordered)) == list(map(id, keys))
        members.append(one if same else ordered[0] if len(ordered) == 1 else exp.Tuple(expressions=ordered))
    members.sort(key=sort_key)
    if list(map(id, members)) != list(map(id, sets.expressions)):
        sets.set("expressions", members)


def _orders_names(select: exp.Select) -> bool:
    """Whether a SELECT is ordered, if at all, by names of its outputs, the only keys that DISTINCT allows."""
    order = select.args.get("order")
    return order is None or all(isinstance(key.this, exp.Column) and not key.this.table for key in order.expressions)


def _shows_order_of_groups(query: exp.Query, facts: Facts) -> bool:
    """Whether something reads the groups and may depend on their order: a sum of floats, or a set of them."""
    if not has(query, exp.Window) and len(find_all(query, exp.Select)) == 1:
        return False
    if has(query, exp.SetOperation, exp.Distinct):
        return True
    types = facts.types(query)
    keys = [key for group in find_all(query, exp.Group) for key in find_all(group, exp.Column)]
    for call in find_all(query, exp.AggFunc):
        if not isinstance(call, exp.Count | exp.Sum | exp.Min | exp.Max):
            return True
        keys += [] if isinstance(call, exp.Count) else [call.this]
    return not all(is_exact(types, key) for key in keys)


def _is_simple(select: exp.Select) -> bool:
    """Whether a SELECT keeps all its rows, yields one a row or group, and its DISTINCT has no ON."""
    if any(select.args.get(key) is not None for key in ("limit", "offset", "fetch", "with_")):
        return False
    distinct = select.args.get("distinct")
    if distinct is not None and distinct.args.get("on") is not None:
        return False
    return not any(has(item, exp.Query, *exp.SET_RETURNING_FUNCTIONS) for item in select.selects)


def _only_source(select: exp.Select) -> exp.Subquery | None:
    from_ = select.args.get("from_")
    if from_ is None or select.args.get("joins") or select.args.get("laterals"):
        return None
    source = from_.this
    return source if isinstance(source, exp.Subquery) and not source.args.get("joins") else None


def _is_safe_on(term: exp.Expr, keys: set[bytes], types: Types) -> bool:
    """Whether a term is a comparison of keys and literals that fails for no row: no text is read as a number."""
    inner = term.this if isinstance(term, exp.Not) else term
    if isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null):
        operands = [inner.this]
    elif isinstance(inner, _COMPARISONS):
        operands = [inner.this, inner.expression]
    elif isinstance(inner, exp.In) and not inner.args.get("query") and not inner.args.get("unnest"):
        operands = [inner.this, *inner.expressions]
    else:
        return False
    columns = [operand for operand in operands if isinstance(operand, exp.Column)]
    others = [operand for operand in operands if not isinstance(operand, exp.Column)]
    kinds = {types.of(column) for column in columns}
    return (
        len(kinds) == 1
        and all(encode(column) in keys for column in columns)
        and all(isinstance(other, exp.Literal) and (other.is_string or kinds != {"string"}) for other in others)
    )


def _all_of(terms: list[exp.Expr]) -> exp.Expr:
    result = terms[0]
    for term in terms[1:]:
        result = exp.And(this=result, expression=term)
    return result
