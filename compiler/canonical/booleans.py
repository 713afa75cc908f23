"""AND, OR and filters: terms without effect are dropped, and NULL is FALSE where it has that effect."""

from __future__ import annotations

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.case_tests import filter_of_case
from compiler.canonical.facts import Facts
from compiler.canonical.grouping import is_plain_group
from compiler.canonical.predicate_facts import (
    chained,
    is_constant,
    kind,
    looks_up_bits,
    never_fails,
    one_kind,
    replace,
    roots,
    strict_columns,
    terms_of,
)
from compiler.sql.encode import encode
from compiler.tree.walk import find_all

_STRICT = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_QUANTIFIED = (exp.In, exp.Any, exp.All)
_FLOATS = ("float32", "float64")


def simplify_connectives(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop terms without effect, and all others if one term decides.

    a AND TRUE → a;  a OR FALSE → a;  a OR TRUE → TRUE;  a AND FALSE → FALSE;  a OR (a AND b) → a;  a AND (a OR b) → a;
    a IS NULL OR NOT a IS NULL → TRUE

    All of these hold for NULL too. A term without effect may still fail, or be what makes the query an aggregate
    one, so only terms that certainly do neither are dropped.
    """
    chains = roots(query, facts, exp.And, exp.Or)
    if not chains or facts.of(query, looks_up_bits):
        return query
    types = facts.types(query)
    for root in chains:
        _simplify(root, types)
    return query


def simplify_filters(query: exp.Query, facts: Facts) -> exp.Query:
    """In WHERE and in ON of an inner join, where a row passes only if the condition is TRUE, let NULL be FALSE.

    p IS TRUE → p;  p IS FALSE → NOT p;  NOT p IS TRUE → NOT p OR p IS NULL;  a = NULL → FALSE;
    a = a, a <= a → NOT a IS NULL;  a <> a → FALSE;  a = b OR (a IS NULL AND b IS NULL) → a IS NOT DISTINCT FROM b;
    a < 5 AND NOT a IS NULL → a < 5;  a < 5 AND a IS NULL → FALSE;  p AND NOT p → FALSE;
    WHERE TRUE → (nothing);
    CASE WHEN p THEN TRUE END → p

    Likewise in WHEN of a CASE, which takes a branch only if its condition is TRUE. Not in HAVING: there p may be part
    of a grouping expression instead of a column. Not around IN (SELECT …): the engine yields NULL for it only as a term
    of its own, and FALSE anywhere below OR, IS or CASE.
    """
    conditions = [where for where in facts.nodes(query, exp.Where) if where.this is not None]
    ons = [join for join in facts.nodes(query, exp.Join) if _is_inner(join) and join.args.get("on") is not None]
    branches = [branch for branch in facts.nodes(query, exp.If) if _is_of_rows(branch)]
    if not (conditions or ons or branches) or facts.of(query, looks_up_bits):
        return query
    types = facts.types(query)
    for holder in (*conditions, *ons):
        _filter(holder.args["on"] if isinstance(holder, exp.Join) else holder.this, types)
    for branch in branches:
        _filter(branch.this, types)
    for where in conditions:
        select = where.parent
        if isinstance(select, exp.Select) and isinstance(where.this, exp.Boolean) and where.this.this:
            select.set("where", None)
    return query


def _simplify(root: exp.Expr, types: Types) -> None:
    connective = type(root)
    other = exp.Or if connective is exp.And else exp.And
    deciding = connective is exp.Or
    terms = list(terms_of(root, connective))
    decided = any(isinstance(term, exp.Boolean) and bool(term.this) is deciding for term in terms)
    decided = decided or _says_both(terms, certain=True)
    if decided and all(never_fails(types, term) for term in terms):
        replace(root, exp.Boolean(this=deciding))
        return
    kept = [term for term in terms if not (isinstance(term, exp.Boolean) and bool(term.this) is not deciding)]
    kept = _absorbed(kept, other, types)
    if len(kept) == len(terms):
        return
    if not kept:
        replace(root, exp.Boolean(this=not deciding))
    elif len(kept) > 1 or (types.of(kept[0]) == "bool" and not is_constant(kept[0])):
        slot = exp.Null()
        root.replace(slot)
        slot.replace(chained(connective, kept))


def _says_both(terms: list[exp.Expr], *, certain: bool) -> bool:
    """Whether a term and its negation are among the terms. certain: only of tests that are never NULL."""
    negated = {encode(term.this) for term in terms if isinstance(term, exp.Not)}
    return bool(negated) and any(
        encode(term) in negated for term in terms if not certain or isinstance(term, exp.Is | exp.NullSafeEQ)
    )


def _absorbed(terms: list[exp.Expr], other: type[exp.Expr], types: Types) -> list[exp.Expr]:
    """Return the terms without those that another term makes superfluous."""
    if not any(isinstance(term, other) for term in terms):
        return terms
    single = {encode(term) for term in terms if not isinstance(term, other)}
    kept: list[exp.Expr] = []
    for term in terms:
        if isinstance(term, other):
            inner = list(terms_of(term, other))
            if any(encode(one) in single for one in inner) and never_fails(types, term):
                continue
        kept.append(term)
    return kept


def _is_inner(join: exp.Join) -> bool:
    return not join.side and not join.method and join.kind in {"", "INNER"}


def _is_of_rows(branch: exp.If) -> bool:
    """Whether the condition of a branch is a test, in a SELECT that groups by nothing that it could be a part of."""
    case = branch.parent
    if not isinstance(case, exp.Case) or case.this is not None:
        return False
    select = case.find_ancestor(exp.Select)
    group = select.args.get("group") if select is not None else None
    return group is None or (is_plain_group(group) and all(isinstance(key, exp.Column) for key in group.expressions))


def _filter(condition: exp.Expr, types: Types) -> None:
    """Rewrite terms directly below AND and OR: there NULL and FALSE have the same effect."""
    pending = [condition]
    while pending:
        node = pending.pop()
        if isinstance(node, exp.And):
            terms = list(terms_of(node, exp.And))
            if _not_nulls_implied(node, terms, types):
                continue  # the rest is visited again
            pending += terms
        elif _looks_into_query(node):
            continue
        elif isinstance(node, exp.Or):
            terms = list(terms_of(node, exp.Or))
            if _equal_or_both_null(node, terms, types):
                continue
            pending += terms
        else:
            _filter_leaf(node, types)


def _looks_into_query(node: exp.Expr) -> bool:
    return any(isinstance(one, exp.Any | exp.All) or one.args.get("query") for one in find_all(node, *_QUANTIFIED))


def _filter_leaf(node: exp.Expr, types: Types) -> None:
    negated = isinstance(node, exp.Not)
    test = node.this if negated else node
    if isinstance(test, exp.Is) and isinstance(test.expression, exp.Boolean) and types.of(test.this) == "bool":
        _filter_is(node, test, types, negated=negated)
    elif isinstance(test, exp.Null):
        node.replace(exp.Boolean(this=False))
    elif isinstance(test, _STRICT):
        sides = (test.this, test.expression)
        if any(isinstance(side, exp.Null) for side in sides):
            if all(never_fails(types, side) for side in sides):
                node.replace(exp.Boolean(this=False))
        elif (
            isinstance(test.this, exp.Column)
            and (kind(types, test.this) is not None or types.of(test.this) in _FLOATS)
            and encode(test.this) == encode(test.expression)
        ):
            passes = isinstance(test, exp.EQ | exp.LTE | exp.GTE) is not negated
            column = test.this.pop()
            node.replace(
                exp.Not(this=exp.Is(this=column, expression=exp.Null())) if passes else exp.Boolean(this=False)
            )
    elif isinstance(test, exp.Case) and not negated and (found := filter_of_case(test, types)) is not None:
        node.replace(found)


def _filter_is(node: exp.Expr, test: exp.Is, types: Types, *, negated: bool) -> None:
    """Replace `test`, p IS TRUE or p IS FALSE, or `node`, its negation."""
    positive = bool(test.expression.this)
    value = test.this
    if not negated:
        value.pop()
        node.replace(value if positive else exp.Not(this=value))
    elif (subject := _nullable(value, types)) is not None:
        missing = exp.Is(this=subject.copy(), expression=exp.Null())
        value.pop()
        node.replace(exp.Or(this=exp.Not(this=value) if positive else value, expression=missing))


def _nullable(value: exp.Expr, types: Types) -> exp.Expr | None:
    """Return the column that alone decides whether a column, or its comparison with a constant, is NULL."""
    if isinstance(value, exp.Column):
        return value
    if isinstance(value, _STRICT) and one_kind(types, (value.this, value.expression)):
        for column, other in ((value.this, value.expression), (value.expression, value.this)):
            if isinstance(column, exp.Column) and is_constant(other) and not isinstance(other, exp.Null):
                return column
    return None


def _not_nulls_implied(root: exp.Expr, terms: list[exp.Expr], types: Types) -> bool:
    """Drop `a IS NOT NULL` beside a comparison of a, which is never TRUE for NULL; beside `a IS NULL` none passes."""
    strict = strict_columns(terms)
    if _says_both(terms, certain=False) and all(never_fails(types, term) for term in terms):
        root.replace(exp.Boolean(this=False))
        return True
    if any(column is not None and encode(column) in strict for column in map(_null, terms)) and all(
        never_fails(types, term) for term in terms
    ):
        root.replace(exp.Boolean(this=False))
        return True
    columns = [_not_null(term) for term in terms]
    kept = [term for term, column in zip(terms, columns, strict=True) if column is None or encode(column) not in strict]
    if len(kept) == len(terms):
        return False
    slot = exp.Null()
    root.replace(slot)
    slot.replace(chained(exp.And, kept))
    return True


def _equal_or_both_null(root: exp.Expr, terms: list[exp.Expr], types: Types) -> bool:
    """Write `a = b OR (a IS NULL AND b IS NULL)` as IS NOT DISTINCT FROM."""
    both_null: dict[frozenset[bytes], exp.Expr] = {}
    for term in terms:
        if isinstance(term, exp.And):
            tests = [_null(term.this), _null(term.expression)]
            columns = [encode(column) for column in tests if column is not None]
            if len(columns) == 2:  # noqa: PLR2004 — a and b
                both_null[frozenset(columns)] = term
    if not both_null:
        return False
    gone: set[int] = set()
    added: list[exp.Expr] = []
    for term in terms:
        if isinstance(term, exp.EQ) and one_kind(types, (term.this, term.expression)):
            pair = both_null.pop(frozenset((encode(term.this), encode(term.expression))), None)
            if pair is not None:
                gone |= {id(pair), id(term)}
                added.append(exp.NullSafeEQ(this=term.this.copy(), expression=term.expression.copy()))
    if not gone:
        return False
    slot = exp.Null()
    root.replace(slot)
    slot.replace(chained(exp.Or, [*(term for term in terms if id(term) not in gone), *added]))
    return True


def _null(term: exp.Expr) -> exp.Expr | None:
    """Return the column that a term requires to be NULL."""
    is_null = isinstance(term, exp.Is) and isinstance(term.expression, exp.Null)
    return term.this if is_null and isinstance(term.this, exp.Column) else None


def _not_null(term: exp.Expr) -> exp.Expr | None:
    """Return the column that a term requires not to be NULL."""
    return _null(term.this) if isinstance(term, exp.Not) else None
