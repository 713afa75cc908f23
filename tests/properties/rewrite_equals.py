"""Rewrites of what a filter implies, of literals, and of groups of groups, all of which keep the meaning."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from compiler.canonical.predicate_facts import is_constant, never_fails
from properties.drafts import (
    Draft,
    column,
    filters,
    is_plain,
    items_of,
    joined,
    joins_plainly,
    name,
    own,
    set_where,
    table_alias,
    where_terms,
)

_ORDERS = (exp.LT, exp.LTE, exp.GT, exp.GTE)
_NEXT: dict[type[exp.Expr], tuple[type[exp.Expr], int]] = {
    exp.GT: (exp.GTE, 1), exp.GTE: (exp.GT, -1), exp.LT: (exp.LTE, -1), exp.LTE: (exp.LT, 1),
}  # fmt: skip
_COMPOSED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.Count: exp.Sum,
    exp.Sum: exp.Sum,
    exp.Min: exp.Min,
    exp.Max: exp.Max,
}


def _quotient(dividend: str) -> exp.Div:
    """A number divided by two, as the engine divides."""
    return exp.Div(this=exp.Literal.number(dividend), expression=exp.Literal.number(2), typed=True, safe=False)


def _number(node: exp.Expr) -> int | None:
    return int(node.name) if isinstance(node, exp.Literal) and node.is_int and not node.is_string else None


def _whole_bounds(draft: Draft) -> list[exp.Expr]:
    return [
        node for node in draft.find(*_ORDERS)
        if _number(node.expression) is not None and draft.kind(node.this) == "int" and not is_constant(node.this)
    ]  # fmt: skip


def weaker_bound(draft: Draft) -> None:
    """a > 5 → a > 5 AND a >= 3; a <> 5 for a < 5."""
    node = draft.pick(_whole_bounds(draft))
    if node is None or not draft.exact(node):
        return
    value = _number(node.expression)
    assert value is not None
    if isinstance(node, exp.GT | exp.GTE):
        if value < 2:
            return
        weaker: exp.Expr = exp.GTE(this=node.this.copy(), expression=exp.Literal.number(value - 2))
    else:
        weaker = draft.rng.choice((exp.LT, exp.NEQ))(this=node.this.copy(), expression=exp.Literal.number(value + 2))
    draft.put(node, joined(exp.And, draft.rng.sample([node.copy(), weaker], 2)))


def stronger_alternative(draft: Draft) -> None:
    """a > 5 → a > 5 OR a = 9."""
    node = draft.pick([one for one in _whole_bounds(draft) if isinstance(one, exp.GT | exp.GTE)])
    if node is not None:
        value = _number(node.expression)
        assert value is not None
        other = exp.EQ(this=node.this.copy(), expression=exp.Literal.number(value + 4))
        draft.put(node, joined(exp.Or, [node.copy(), other]))


def next_whole_number(draft: Draft) -> None:
    """a > 5 → a >= 6; a <= 5 → a < 6."""
    node = draft.pick(_whole_bounds(draft))
    if node is not None:
        value = _number(node.expression)
        assert value is not None
        kind, step = _NEXT[type(node)]
        if value + step >= 0:
            draft.put(node, kind(this=node.this.copy(), expression=exp.Literal.number(value + step)))


def _equal_columns(draft: Draft) -> list[tuple[exp.Select, exp.Expr]]:
    return [
        (select, term)
        for select in draft.selects(is_plain)
        for term in where_terms(select)
        if isinstance(term, exp.EQ) and isinstance(term.this, exp.Column) and isinstance(term.expression, exp.Column)
        and draft.one_type(term.this, term.expression) and draft.kind(term.this) is not None
        and term.this.sql() != term.expression.sql()
    ]  # fmt: skip


def say_of_the_equal_column(draft: Draft) -> None:
    """WHERE a = b AND a > 5 → WHERE a = b AND b > 5."""
    found = draft.pick(_equal_columns(draft))
    if found is None:
        return
    select, equality = found
    for side, other in ((equality.this, equality.expression), (equality.expression, equality.this)):
        for term in where_terms(select):
            columns = list(term.find_all(exp.Column))
            if term is equality or not columns or any(one != side for one in columns):
                continue
            if term.find(exp.Query, exp.Is) or not never_fails(draft.types, term):
                continue
            copy = exp.Paren(this=term.copy())
            for one in copy.find_all(exp.Column):
                one.replace(other.copy())
            draft.put(term, copy.this)
            return


def third_equality(draft: Draft) -> None:
    """WHERE a = b AND b = c → WHERE a = b AND b = c AND a = c."""
    pairs = _equal_columns(draft)
    for select, first in pairs:
        for again, second in pairs:
            if again is not select or first is second or first.expression != second.this:
                continue
            if first.this != second.expression:
                third = exp.EQ(this=first.this.copy(), expression=second.expression.copy())
                set_where(select, [*where_terms(select), third])
                draft.changed = True
                return


def constant_for_its_column(draft: Draft) -> None:
    """WHERE a = 3 AND b > a → WHERE a = 3 AND b > 3."""
    for select in draft.selects():
        terms = where_terms(select)
        for term in terms:
            if (
                not isinstance(term, exp.EQ)
                or not isinstance(term.this, exp.Column)
                or not is_constant(term.expression)
            ):
                continue
            if isinstance(term.expression, exp.Null) or not draft.one_kind(term.this, term.expression):
                continue
            for other in terms:
                if other is term or not isinstance(other, (exp.EQ, exp.NEQ, *_ORDERS)) or other.find(exp.Query):
                    continue
                for side, rest in ((other.this, other.expression), (other.expression, other.this)):
                    if side == term.this and not is_constant(rest) and rest != side and draft.one_kind(side, rest):
                        draft.put(side, term.expression.copy())
                        return


def constant_output(draft: Draft) -> None:
    """SELECT a … WHERE a = 'x' → SELECT 'x' AS a … WHERE a = 'x'."""
    select = draft.tree
    if not isinstance(select, exp.Select) or select.args.get("order") is not None:
        return
    group = select.args.get("group")
    if group is not None and any(key != "expressions" and value for key, value in group.args.items()):
        return
    for term in where_terms(select):
        if isinstance(term, exp.EQ) and isinstance(term.this, exp.Column) and is_constant(term.expression):
            for item in select.selects:
                exact = draft.kind(term.this) is not None and draft.one_type(term.this, term.expression)
                if item.unalias() == term.this and exact:
                    draft.put(item.unalias(), term.expression.copy())
                    return


def sum_for_a_literal(draft: Draft) -> None:
    """a > 3 → a > 1 + 2; 'ab' → 'a' || 'b'; 1.5 → 3.0 / 2."""
    found = draft.find(exp.Literal, where=lambda n: isinstance(n.parent, (*_ORDERS, exp.EQ, exp.NEQ, exp.Add, exp.Mul)))
    node = draft.pick(found)
    if node is None:
        return
    if node.is_string:
        if len(node.name) > 1:
            first, rest = exp.Literal.string(node.name[:1]), exp.Literal.string(node.name[1:])
            draft.put(node, exp.DPipe(this=first, expression=rest))
    elif node.is_int:
        if 0 < int(node.name) < 1000:
            half = _quotient(str(int(node.name) * 2 + 1))
            less = exp.Add(this=exp.Literal.number(int(node.name) - 1), expression=exp.Literal.number(1))
            draft.put(node, draft.rng.choice((half, less)))
    elif float(node.name):
        draft.put(node, _quotient(repr(float(node.name) * 2)))


def true_of_literals(draft: Draft) -> None:
    """p → p AND 1 < 2; p → p OR 'a' = 'b'."""
    node = draft.pick([term for term in filters(draft) if draft.exact(term)])
    if node is not None:
        true = exp.LT(this=exp.Literal.number(1), expression=exp.Literal.number(2))
        false = exp.EQ(this=exp.Literal.string("a"), expression=exp.Literal.string("b"))
        if draft.rng.random() < 0.5:
            draft.put(node, joined(exp.And, [node, true]))
        elif not node.find(exp.Query):
            draft.put(node, joined(exp.Or, [node, false]))


def _simple_filters(draft: Draft) -> list[exp.Expr]:
    return [
        term for term in filters(draft)
        if draft.types.of(term) == "bool" and not term.find(exp.Query) and draft.exact(term)
        and never_fails(draft.types, term)
    ]  # fmt: skip


def test_of_a_case(draft: Draft) -> None:
    """WHERE p → WHERE CASE WHEN p THEN 1 ELSE 0 END = 1."""
    node = draft.pick(_simple_filters(draft))
    if node is not None and not isinstance(node, exp.Case):
        yes, no = draft.rng.choice(
            [(exp.Literal.number(1), exp.Literal.number(0)), (exp.Literal.string("yes"), exp.Literal.string("no"))]
        )
        case = exp.Case(ifs=[exp.If(this=node.copy(), true=yes)], default=no)
        draft.put(node, exp.EQ(this=case, expression=yes.copy()))


def filter_or_false(draft: Draft) -> None:
    """WHERE p → WHERE COALESCE(p, FALSE)."""
    node = draft.pick(_simple_filters(draft))
    if node is not None:
        draft.put(node, exp.Coalesce(this=node.copy(), expressions=[exp.false()]))


def not_distinct_from_a_literal(draft: Draft) -> None:
    """WHERE a = 3 → WHERE a IS NOT DISTINCT FROM 3."""
    node = draft.pick([
        term for term in filters(draft)
        if isinstance(term, exp.EQ) and is_constant(term.expression) and not isinstance(term.expression, exp.Null)
        and not is_constant(term.this) and draft.one_kind(term.this, term.expression) and not term.find(exp.Query)
    ])  # fmt: skip
    if node is not None:
        draft.put(node, exp.NullSafeEQ(this=node.this.copy(), expression=node.expression.copy()))


def equal_to_itself_too(draft: Draft) -> None:
    """WHERE a IS NOT NULL → WHERE a = a."""
    node = draft.pick([
        term for term in filters(draft)
        if isinstance(term, exp.Not) and isinstance(term.this, exp.Is) and isinstance(term.this.expression, exp.Null)
        and isinstance(term.this.this, exp.Column) and draft.kind(term.this.this) is not None
    ])  # fmt: skip
    if node is not None:
        kind = draft.rng.choice((exp.EQ, exp.LTE))
        draft.put(node, kind(this=node.this.this.copy(), expression=node.this.this.copy()))


def unread_join(draft: Draft) -> None:
    """FROM a → FROM a LEFT JOIN (SELECT DISTINCT b.k FROM b) AS q ON q.k = a.k."""
    if not draft.row_order:
        return
    parts = ("group", "having", "distinct")
    select = draft.pick(draft.selects(lambda one: is_plain(one, parts) and joins_plainly(one)))
    if select is None or _sums_floats(draft):
        return
    columns = [one for one in own(select, exp.Column) if one.table and draft.kind(one) == "int"
               and one.table in {item.alias for item in items_of(select)}]  # fmt: skip
    key = draft.pick(columns)
    if key is None:
        return
    kind = draft.types.of(key)
    found = [(table, one) for table, schema in draft.schemas.items() for one in schema.columns if one.type == kind]
    table, other = draft.rng.choice(found)
    body = exp.Select(
        expressions=[exp.Alias(this=column(other.name, "fresh_t"), alias=name("k"))],
        from_=exp.From(this=exp.Table(this=name(table), db=name("input"), alias=table_alias("fresh_t"))),
        distinct=exp.Distinct(),
    )
    join = exp.Join(
        this=exp.Subquery(this=body, alias=table_alias("fresh_q")),
        side="LEFT",
        on=exp.EQ(this=column("k", "fresh_q"), expression=key.copy()),
    )
    select.append("joins", join)
    draft.changed = True


def _sums_floats(draft: Draft) -> bool:
    return any(
        not isinstance(call, exp.Count) and draft.kind(call.this) is None
        for call in draft.tree.find_all(exp.AggFunc)
        if isinstance(call.this, exp.Expr)
    )


def groups_of_groups(draft: Draft) -> None:
    """SELECT a, COUNT(*) … GROUP BY a → SELECT q.a, SUM(q.n) FROM (SELECT a, b, COUNT(*) … GROUP BY a, b) AS q …."""
    select = draft.tree
    if not isinstance(select, exp.Select) or not draft.row_order or select.args.get("group") is None:
        return
    if any(
        value and key not in {"expressions", "from_", "joins", "where", "group"} for key, value in select.args.items()
    ):
        return
    group = select.args["group"]
    keys = group.expressions
    if not keys or any(value and key != "expressions" for key, value in group.args.items()):
        return
    if not all(isinstance(key, exp.Column) and key.table and draft.kind(key) is not None for key in keys):
        return
    finer = draft.pick([one for one in select.find_all(exp.Column) if one.table and draft.kind(one) is not None
                        and one.table in {item.alias for item in items_of(select)} and one not in keys])  # fmt: skip
    if finer is None:
        return
    inner: list[exp.Expr] = []
    outer: list[exp.Expr] = []
    for item in select.selects:
        value, label = item.unalias(), item.alias_or_name
        inner.append(exp.Alias(this=value.copy(), alias=name(label)))
        new: exp.Expr = column(label, "fresh_q")
        if value not in keys:
            whole = (
                type(value) in _COMPOSED
                and not value.expressions
                and (isinstance(value, exp.Count) or draft.kind(value.this) is not None)
            )
            if not whole or isinstance(value.this, exp.Distinct) or not isinstance(value.this, exp.Column | exp.Star):
                return
            if isinstance(value, exp.Sum) and draft.kind(value.this) != "int":
                return
            new = _COMPOSED[type(value)](this=new)
        outer.append(exp.Alias(this=new, alias=name(label)))
    labels = {key.sql(): f"fresh_k{place}" for place, key in enumerate(keys)}
    inner += [exp.Alias(this=key.copy(), alias=name(labels[key.sql()])) for key in keys]
    body = select.copy()
    body.set("expressions", inner)
    body.args["group"].set("expressions", [*(key.copy() for key in keys), finer.copy()])
    draft.tree = exp.Select(
        expressions=outer,
        from_=exp.From(this=exp.Subquery(this=body, alias=table_alias("fresh_q"))),
        group=exp.Group(expressions=[column(labels[key.sql()], "fresh_q") for key in keys]),
    )
    for item, value in zip(draft.tree.selects, [one.unalias() for one in select.selects], strict=True):
        if value.sql() in labels:
            item.set("this", column(labels[value.sql()], "fresh_q"))
    draft.changed = True


REWRITES: tuple[Callable[[Draft], None], ...] = (
    weaker_bound, stronger_alternative, next_whole_number, say_of_the_equal_column, third_equality,
    constant_for_its_column, constant_output, sum_for_a_literal, true_of_literals, test_of_a_case, filter_or_false,
    not_distinct_from_a_literal, equal_to_itself_too, unread_join, groups_of_groups,
)  # fmt: skip
