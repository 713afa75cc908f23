"""The replacement of a subquery: an expression over columns of derived tables that are joined to the SELECT.

Each derived table has at most one row for each row of the SELECT, so a LEFT JOIN keeps all rows, and none twice. The
expression is TRUE, FALSE or NULL as the standard says of IN, ANY, ALL and EXISTS.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from compiler.engine_sql.workarounds.subqueries.answers import Answers
from compiler.engine_sql.workarounds.subqueries.naming import (
    CODE,
    Fresh,
    aliased,
    column,
    conjunction,
    not_distinct,
)
from compiler.engine_sql.workarounds.subqueries.places import Place, Reading, body_of, tested
from compiler.engine_sql.workarounds.subqueries.planned import is_filtering
from compiler.engine_sql.workarounds.subqueries.sources import derived
from compiler.engine_sql.workarounds.subqueries.spreading import is_total
from compiler.sql import functions
from compiler.sql.encode import encode
from compiler.tree.positions import located
from compiler.tree.walk import find_all

_INEXACT = ("float", "double", "half", "struct", "list", "large_list", "fixed_size_list", "map", "dictionary")
"""How the names of types begin of which equal values can differ in their bits."""
_TOO_MANY = "a scalar subquery yields more than one row"


def mark(place: Place, reading: Reading, fresh: Fresh) -> None:
    """Put an expression in the place of a subquery, and join what it reads, in place. Raises `SqlError`."""
    node = place.node
    _require_stable(node)
    twins = _twins(place) if place.clause == "group" else []
    if isinstance(node, exp.Exists):
        found = _exists(place, reading, fresh)
    elif isinstance(node, exp.Subquery):
        found = _scalar(place, reading, fresh)
    else:
        found = _comparison(place, reading, fresh)
    if isinstance(node, exp.Subquery) and node.alias:
        found = aliased(found, node.alias)
    if isinstance(found, exp.Binary | exp.Not):
        found = exp.Paren(this=found)
    for twin in twins:
        twin.replace(found.copy())
    node.replace(found)


def _twins(place: Place) -> list[exp.Expr]:
    """Return the other mentions of a subquery by which a SELECT groups: they have to go on being what it groups by."""
    key = encode(place.node)
    found = find_all(place.select, type(place.node))
    return [
        node
        for node in found
        if node is not place.node and node.find_ancestor(exp.Select) is place.select and encode(node) == key
    ]


def _require_stable(node: exp.Expr) -> None:
    hint = "compute the value in a separate rule"
    for one in find_all(node, exp.Func):
        if functions.is_volatile(one):
            raise located(one, "the engine cannot run this subquery with a volatile call", hint=hint, code=CODE)
    for value in tested(node):
        window = value.find(exp.Window)
        if window is not None:
            raise located(window, "the engine cannot look a window function up in a subquery", hint=hint, code=CODE)


def _exists(place: Place, reading: Reading, fresh: Fresh) -> exp.Expr:
    """EXISTS (SELECT …) → m.found IS NOT NULL; without outer references → m.rows > 0; over one total → TRUE."""
    body = body_of(place.node)
    if _yields_one_row(body):
        return exp.true()
    answers = Answers(place, reading, fresh)
    rows, name = fresh.names(2)
    if answers.keys:
        query = answers.select([aliased(exp.true(), name)], rows, grouped=False)
        return _is_not_null(column(answers.join(query, answers.own_keys()), name))
    first = exp.Select(
        expressions=[aliased(exp.Literal.number(1), name)],
        from_=exp.From(this=derived(answers.query, rows)),
        limit=exp.Limit(expression=exp.Literal.number(1)),
    )
    count = exp.Select(expressions=[_count(exp.Star(), name)], from_=exp.From(this=derived(first, fresh.name())))
    return exp.GT(this=column(answers.join(count, []), name), expression=exp.Literal.number(0))


def _scalar(place: Place, reading: Reading, fresh: Fresh) -> exp.Expr:
    """(SELECT u.b …) → m.b, or an error where m.rows > 1."""
    single = _yields_one_row(body_of(place.node))
    answers = Answers(place, reading, fresh)
    rows, count, name = fresh.names(3)
    (value,) = answers.outputs
    if single and answers.keys:
        whole = answers.select([aliased(column(rows, value), name)], rows, grouped=True)
        whole.set("group", None)
        return column(answers.join(whole, answers.own_keys()), name)
    first = exp.AnonymousAggFunc(this="first_value", expressions=[column(rows, value)])
    query = answers.select([_count(exp.Star(), count), aliased(first, name)], rows, grouped=True)
    alias = answers.join(query, answers.own_keys())
    text = _case([(exp.GT(this=column(alias, count), expression=exp.Literal.number(1)), exp.Literal.string(_TOO_MANY))],
                 exp.Literal.string("1"))  # fmt: skip
    single_row = exp.EQ(this=exp.cast(text, "BIGINT"), expression=exp.Literal.number(1))
    return _case([(single_row, column(alias, name))], None)


def _comparison(place: Place, reading: Reading, fresh: Fresh) -> exp.Expr:
    """IN, op ANY and op ALL; <> ALL is NOT IN, <> ANY is NOT = ALL."""
    node = place.node
    every = isinstance(node, exp.Binary) and isinstance(node.expression, exp.All)
    operator: type[exp.Expr] = exp.EQ if isinstance(node, exp.In) else type(node)
    negated = operator is exp.NEQ
    if negated:
        operator, every = exp.EQ, not every
    values = tested(node)
    kinds = _kinds(body_of(node), reading)
    exact = len(values) == len(kinds) == 1 and _is_exact(reading.types.of(values[0]), kinds[0])
    answers = Answers(place, reading, fresh)
    if len(values) != len(answers.outputs):
        message = f"{len(values)} values are compared with a subquery of {len(answers.outputs)} columns"
        raise located(node, message, hint="select as many columns as it is compared with", code="columns")
    values = [value.copy() for value in values]
    if operator is exp.EQ and not every and (exact or len(values) == 1 or (is_filtering(place) and not negated)):
        found = _member(values, answers, fresh, exact=exact, filtering=is_filtering(place) and not negated)
    elif exact:
        found = _bounded(values[0], operator, answers, fresh, every=every)
    else:
        found = _compared(values, operator, answers, fresh, every=every)
    return exp.Not(this=found) if negated else found


def _member(values: list[exp.Expr], answers: Answers, fresh: Fresh, *, exact: bool, filtering: bool) -> exp.Expr:
    """X IN (SELECT u.b …) is TRUE where a row equals X; NULL where none does, but X or a row is NULL; else FALSE."""
    rows, name, around = fresh.names(3)
    if exact:
        (output,) = answers.outputs
        query = answers.select([aliased(column(rows, output), name)], rows, grouped=False)
        query.set("where", exp.Where(this=_is_not_null(column(rows, output))))
        hit = column(answers.join(query, answers.own_keys(), [(values[0], name)]), name)
    else:
        names = fresh.names(len(values))
        keys = [*answers.keys, *names]
        domain = answers.domain_of([*answers.outer, *values], keys)
        terms = not_distinct((column(around, key), column(rows, key)) for key in answers.keys)
        pairs = zip(names, answers.outputs, strict=True)
        terms += [exp.EQ(this=column(around, one), expression=column(rows, other)) for one, other in pairs]
        query = exp.Select(
            expressions=[*_named(around, keys), aliased(exp.true(), name)],
            from_=exp.From(this=derived(domain, around)),
            joins=[exp.Join(this=derived(answers.query.copy(), rows), on=conjunction(terms))],
            distinct=exp.Distinct(),
        )
        hit = column(answers.join(query, [*answers.own_keys(), *zip(values, names, strict=True)]), name)
    if filtering:
        return _is_not_null(hit)
    rows, total, filled = fresh.names(3)
    (output,) = answers.outputs
    query = answers.select([_count(exp.Star(), total), _count(column(rows, output), filled)], rows, grouped=True)
    alias = answers.join(query, answers.own_keys())
    some = exp.GT(this=column(alias, total), expression=exp.Literal.number(0))
    unknown = exp.Or(
        this=_is_null(values[0].copy()), expression=exp.LT(this=column(alias, filled), expression=column(alias, total))
    )
    doubt = exp.And(this=some, expression=exp.Paren(this=unknown))
    return _case([(_is_not_null(hit), exp.true()), (doubt, _no_truth())], exp.false())


def _bounded(value: exp.Expr, operator: type[exp.Expr], answers: Answers, fresh: Fresh, *, every: bool) -> exp.Expr:
    """X > ANY (SELECT u.b …) → X > m.least, as far as neither is NULL; and so on by least and greatest."""
    rows, total, filled, least, greatest = fresh.names(5)
    (output,) = answers.outputs
    query = answers.select(
        [
            _count(exp.Star(), total),
            _count(column(rows, output), filled),
            aliased(exp.Min(this=column(rows, output)), least),
            aliased(exp.Max(this=column(rows, output)), greatest),
        ],
        rows,
        grouped=True,
    )
    alias = answers.join(query, answers.own_keys())
    upward = operator in {exp.GT, exp.GTE}
    if operator is exp.EQ:  # ALL, as = ANY is IN
        first, second = (operator(this=value.copy(), expression=column(alias, name)) for name in (least, greatest))
        holds: exp.Expr = exp.And(this=first, expression=second)
    else:
        bound = greatest if upward == every else least
        holds = operator(this=value.copy(), expression=column(alias, bound))
    lacking = exp.LT(this=column(alias, filled), expression=column(alias, total))
    return _quantified(holds, lacking, column(alias, total), every=every, absent=_is_null(value.copy()))


def _compared(
    values: list[exp.Expr], operator: type[exp.Expr], answers: Answers, fresh: Fresh, *, every: bool
) -> exp.Expr:
    """X > ANY (SELECT u.y …), where least and greatest need not decide: each value of X is compared with each row."""
    rows, around, total, known, met = fresh.names(5)
    names = fresh.names(len(values))
    keys = [*answers.keys, *names]
    domain = answers.domain_of([*answers.outer, *values], keys)
    pairs = zip(names, answers.outputs, strict=True)
    test = conjunction(operator(this=column(around, one), expression=column(rows, other)) for one, other in pairs)
    assert test is not None
    on = conjunction(not_distinct((column(around, key), column(rows, key)) for key in answers.keys))
    item = derived(answers.query, rows)
    join = exp.Join(this=item, on=on) if on is not None else exp.Join(this=item, kind="CROSS")
    call = exp.AnonymousAggFunc(this="bool_and" if every else "bool_or", expressions=[test])
    query = exp.Select(
        expressions=[
            *_named(around, keys),
            _count(exp.Star(), total),
            _count(test.copy(), known),
            aliased(call, met),
        ],
        from_=exp.From(this=derived(domain, around)),
        joins=[join],
        group=exp.Group(expressions=[column(around, key) for key in keys]),
    )
    alias = answers.join(query, [*answers.own_keys(), *zip(values, names, strict=True)])
    lacking = exp.LT(this=column(alias, known), expression=column(alias, total))
    return _quantified(column(alias, met), lacking, column(alias, total), every=every, absent=exp.false())


def _quantified(holds: exp.Expr, lacking: exp.Expr, total: exp.Expr, *, every: bool, absent: exp.Expr) -> exp.Expr:
    """Decide op ANY or op ALL. holds: for the known rows; lacking, absent: whether a row or the value is NULL."""
    empty = exp.EQ(this=_coalesced(total), expression=exp.Literal.number(0))
    decided: exp.Expr = exp.Not(this=exp.Paren(this=holds)) if every else exp.Paren(this=holds)
    branches: list[tuple[exp.Expr, exp.Expr]] = [
        (empty, exp.true() if every else exp.false()),
        (decided, exp.false() if every else exp.true()),
        (exp.Or(this=absent, expression=lacking), _no_truth()),
    ]
    return _case(branches, exp.true() if every else exp.false())


def _yields_one_row(body: exp.Query) -> bool:
    clauses = ("having", "limit", "offset", "qualify")
    return isinstance(body, exp.Select) and is_total(body) and all(body.args.get(key) is None for key in clauses)


def _kinds(body: exp.Expr, reading: Reading) -> list[str | None]:
    """Return the types of what a query yields, as far as they are certain."""
    if isinstance(body, exp.Subquery):
        return _kinds(body.this, reading)
    if isinstance(body, exp.SetOperation):
        left, right = _kinds(body.this, reading), _kinds(body.expression, reading)
        return [one if one == other else None for one, other in zip(left, right, strict=False)]
    return [reading.types.of(item) for item in body.selects] if isinstance(body, exp.Select) else []


def _is_exact(one: str | None, other: str | None) -> bool:
    return one is not None and one == other and not one.startswith(_INEXACT)


def _named(table: str, names: Sequence[str]) -> list[exp.Expr]:
    return [aliased(column(table, name), name) for name in names]


def _count(value: exp.Expr, name: str) -> exp.Expr:
    return aliased(exp.Count(this=value, big_int=True), name)


def _coalesced(count: exp.Expr) -> exp.Expr:
    return exp.Coalesce(this=count, expressions=[exp.Literal.number(0)])


def _is_null(value: exp.Expr) -> exp.Expr:
    operand = value if isinstance(value, exp.Column | exp.Literal | exp.Func) else exp.Paren(this=value)
    return exp.Is(this=operand, expression=exp.Null())


def _is_not_null(value: exp.Expr) -> exp.Expr:
    return exp.Not(this=_is_null(value))


def _no_truth() -> exp.Expr:
    return exp.cast(exp.Null(), "BOOLEAN")


def _case(branches: Sequence[tuple[exp.Expr, exp.Expr]], default: exp.Expr | None) -> exp.Case:
    return exp.Case(ifs=[exp.If(this=test, true=value) for test, value in branches], default=default)
