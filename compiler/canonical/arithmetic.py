"""Integer arithmetic: one spelling for each sum and product. Floats and decimals are never touched."""

from __future__ import annotations

import re

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.sql.encode import blind_key, encode
from compiler.tree.walk import children, has

_NUMBERED = re.compile(rb'(?<=")_([tc])(\d+)(?=")')
_LARGEST = 2**63 - 1
_MOST_RUNS = 12
"""The most sums within sums, or products within products, that are put in order."""
_NARROW = frozenset({"int8", "int16", "int32"})
_FOLDED_IN = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Add, exp.Sub, exp.Mul, exp.Alias, exp.Between)
"""Where a constant may replace the expression that yields it: in ORDER BY and GROUP BY it is a position, and the type
of a function's result can depend on whether an argument is a literal."""


def spell_sums(query: exp.Query, facts: Facts) -> exp.Query:
    """Order the terms of an integer sum, gather its constants and drop a zero.

    b + 1 + a + 2 → 3 + a + b;  a - 2 → -2 + a;  a + 0 → a;  narrow + 0 → CAST(narrow AS BIGINT)

    Integers wrap around at the width of each operation, so terms move only among operations of one width, and one wide
    operand comes first: then every operation stays as wide as it was.
    """
    roots = _roots(query, facts, (exp.Add, exp.Sub))
    if roots:
        types = facts.types(query)
        for root in roots:
            _rewrite_sum(root, types)
    return query


def spell_products(query: exp.Query, facts: Facts) -> exp.Query:
    """Order the factors of an integer product, gather its constants and drop a one, also as a divisor.

    b * 2 * a * 3 → 6 * a * b;  a * 1 → a;  a / 1 → a;  narrow * 1 → CAST(narrow AS BIGINT)
    """
    products, quotients = _roots(query, facts, (exp.Mul,)), _roots(query, facts, (exp.Div,))
    if not products and not quotients:
        return query
    types = facts.types(query)
    for root in products:
        _rewrite_product(root, types)
    for node in quotients:
        kind = types.of(node.this)
        if _constant(node.expression) == 1 and (kind == "int64" or kind in _NARROW) and _constant(node.this) is None:
            node.replace(_wide(node.this, kind))
    return query


def _roots(query: exp.Query, facts: Facts, kinds: tuple[type[exp.Expr], ...]) -> list[exp.Expr]:
    """Return the topmost operators of each run of them, the innermost first, if no expression has to stay as it is.

    With an expression in GROUP BY, or DISTINCT with an ORDER BY, the engine looks for that very expression. Runs nested
    deeply are left as they are, because each run reads everything below it.
    """
    if not facts.has(query, *kinds):
        return []
    rigid = {id(select) for select in facts.nodes(query, exp.Select) if _is_rigid(select)}
    found: list[exp.Expr] = []
    pending: list[tuple[exp.Expr, int]] = [(query, 0)]
    while pending:
        node, above = pending.pop()
        if id(node) in rigid:
            continue
        if isinstance(node, kinds) and not isinstance(node.parent, kinds):
            if above == _MOST_RUNS:
                continue
            found.append(node)
            above += 1
        pending += [(child, above) for child in children(node)]
    return found[::-1]


def _is_rigid(select: exp.Select) -> bool:
    group = select.args.get("group")
    if group is not None:
        others = [value for key, value in group.args.items() if key != "expressions" and value]
        if others or not all(isinstance(key, exp.Column) for key in group.expressions):
            return True
    return select.args.get("distinct") is not None and has(select, exp.Order)


def _rewrite_sum(root: exp.Expr, types: Types) -> None:
    kinds: dict[int, str | None] = {}
    kind = _kind(root, (exp.Add, exp.Sub), types, kinds)
    plus: list[exp.Expr] = []
    minus: list[exp.Expr] = []
    constants: list[int] = []

    def flatten(node: exp.Expr, *, negative: bool) -> None:
        if isinstance(node, exp.Add | exp.Sub) and kinds[id(node)] == kind:
            flatten(node.this, negative=negative)
            flatten(node.expression, negative=negative != isinstance(node, exp.Sub))
            return
        constant = _constant(node)
        if constant is not None:
            constants.append(-constant if negative else constant)
        else:
            (minus if negative else plus).append(node)

    if kind not in {"int32", "int64"}:
        return
    flatten(root, negative=False)
    total = sum(constants)
    if not _is_sound(kind, [*plus, *minus], kinds) or sum(map(abs, constants)) > _LARGEST:
        return
    if not plus and not minus and not _may_be_constant(root):
        return
    first = [_number(total)] if total or not plus else []
    slot = exp.Null()
    root.replace(slot)
    added = [*first, *_in_order(kind, plus, types, headed=bool(first))]
    result = added[0]
    for term in added[1:]:
        result = exp.Add(this=result, expression=term)
    for term in _in_order(kind, minus, types, headed=True):
        result = exp.Sub(this=result, expression=term)
    slot.replace(result)


def _rewrite_product(root: exp.Expr, types: Types) -> None:
    kinds: dict[int, str | None] = {}
    kind = _kind(root, (exp.Mul,), types, kinds)
    factors: list[exp.Expr] = []
    product, size = 1, 1

    def flatten(node: exp.Expr) -> None:
        nonlocal product, size
        if isinstance(node, exp.Mul) and kinds[id(node)] == kind:
            flatten(node.this)
            flatten(node.expression)
            return
        constant = _constant(node)
        if constant is None:
            factors.append(node)
        elif size <= _LARGEST:
            product, size = product * constant, size * max(1, abs(constant))

    if kind not in {"int32", "int64"}:
        return
    flatten(root)
    if not _is_sound(kind, factors, kinds) or size > _LARGEST or (not factors and not _may_be_constant(root)):
        return
    first = [_number(product)] if product != 1 or not factors else []
    slot = exp.Null()
    root.replace(slot)
    ordered = [*first, *_in_order(kind, factors, types, headed=bool(first))]
    result = ordered[0]
    for factor in ordered[1:]:
        result = exp.Mul(this=result, expression=factor)
    slot.replace(result)


def _kind(
    node: exp.Expr, operators: tuple[type[exp.Expr], ...], types: Types, kinds: dict[int, str | None]
) -> str | None:
    """Return the type of a run of operators; `kinds` learns that of each operator and term. One visit a node."""
    if isinstance(node, operators):
        left = _kind(node.this, operators, types, kinds)
        right = _kind(node.expression, operators, types, kinds)
        widens = "int64" in {left, right} and {left, right} <= {*_NARROW, "int64"}
        kind = "int64" if widens else left if left == right else None
    else:
        kind = types.of(node)
    kinds[id(node)] = kind
    return kind


def _is_sound(kind: str, terms: list[exp.Expr], kinds: dict[int, str | None]) -> bool:
    """Whether all terms are of signed integer types, and for a narrow run all of its own type."""
    if kind == "int64":
        return all(kinds[id(term)] == "int64" or kinds[id(term)] in _NARROW for term in terms)
    return all(kinds[id(term)] == kind for term in terms)


def _in_order(kind: str, terms: list[exp.Expr], types: Types, *, headed: bool) -> list[exp.Expr]:
    """Return the terms in order. `headed`: an operand as wide as the result comes before them."""
    if kind != "int64":
        return sorted(terms, key=_sort_key) if len(terms) > 1 else terms
    bare = [_without_widening(term, types) for term in terms]
    if len(bare) > 1:
        bare.sort(key=lambda one: (one[0], _sort_key(one[1])))
    ordered = [term for _, term in bare]
    if ordered and not headed and all(narrow for narrow, _ in bare):
        ordered[0] = _wide(ordered[0], "int32")
    return ordered


def _without_widening(term: exp.Expr, types: Types) -> tuple[bool, exp.Expr]:
    """CAST(a AS BIGINT) → a, which the operation widens anyway; and whether the operand is then narrow."""
    inner, kind = term, types.of(term)
    while type(inner) is exp.Cast and inner.to.this is exp.DType.BIGINT and not inner.to.expressions:
        below = types.of(inner.this)
        if (below != "int64" and below not in _NARROW) or _constant(inner.this) is not None:
            break
        inner, kind = inner.this, below
    return kind != "int64", inner


def _wide(node: exp.Expr, kind: str | None) -> exp.Expr:
    return node if kind == "int64" else exp.Cast(this=node, to=exp.DataType(this=exp.DType.BIGINT, nested=False))


def _may_be_constant(root: exp.Expr) -> bool:
    return isinstance(root.parent, _FOLDED_IN)


def _constant(node: exp.Expr) -> int | None:
    """Return the value of a bigint literal, negated or not."""
    sign = 1
    while isinstance(node, exp.Neg):
        sign, node = -sign, node.this
    if isinstance(node, exp.Literal) and not node.is_string and node.name.isdigit() and int(node.name) <= _LARGEST:
        return sign * int(node.name)
    return None


def _number(value: int) -> exp.Expr:
    number = exp.Literal.number(str(abs(value)))
    return exp.Neg(this=number) if value < 0 else number


def _sort_key(node: exp.Expr) -> tuple[str, bytes]:
    numbered = _NUMBERED.sub(lambda found: b"_" + found[1] + found[2].rjust(6, b"0"), encode(node))
    return blind_key(node), numbered
