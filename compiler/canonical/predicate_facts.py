"""Facts that passes on predicates need before they change one: kinds that compare alike, terms that cannot fail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.sql.encode import encode
from compiler.sql.functions import ScalarFunction, function_name

_KINDS = {
    **dict.fromkeys(("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"), "int"),
    "string": "string",
    "bool": "bool",
    "date32": "date",
}
"""Exact types, by what may be compared without a cast that can fail or round. uint64 meets bigint as a decimal."""

_LOGIC = (exp.And, exp.Or, exp.Not)
_COMPARED = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_STRICT = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_WRAPPING = (exp.Add, exp.Sub, exp.Mul)
_TOTAL = frozenset({"upper", "lower", "btrim", "ltrim", "rtrim", "length", "char_length", "character_length"})
"""Functions of one text that have a value for each."""
_BITWISE_FROM = 4
"""With this many values the engine looks a value up by its bits instead of comparing it (so -0.0 is not 0.0)."""


def kind(types: Types, node: exp.Expr) -> str | None:
    """Return the kind of an expression of an exact type for comparisons, or None."""
    return _KINDS.get(types.of(node) or "")


def one_kind(types: Types, nodes: Iterable[exp.Expr]) -> bool:
    """Whether all the expressions are of one exact kind; a bare NULL is of any."""
    kinds = {kind(types, node) for node in nodes if not isinstance(node, exp.Null)}
    return len(kinds) == 1 and None not in kinds


def is_constant(node: exp.Expr) -> bool:
    """Whether a node is a literal: a number, a string, a date, TRUE, FALSE or NULL."""
    if isinstance(node, exp.Neg):
        return isinstance(node.this, exp.Literal) and not node.this.is_string
    if isinstance(node, exp.Cast):
        return type(node) is exp.Cast and isinstance(node.this, exp.Literal)
    return isinstance(node, exp.Literal | exp.Boolean | exp.Null)


def never_fails(types: Types, node: exp.Expr) -> bool:
    """Whether a row-by-row expression certainly fails on no database, and so may be dropped if nothing needs it.

    An aggregate, a window or a subquery is not one: without it the query would be a different one.
    """
    pending = [node]
    while pending:
        one = pending.pop()
        if isinstance(one, exp.Column | exp.Literal | exp.Boolean | exp.Null):
            continue
        if isinstance(one, _COMPARED):
            operands = [one.this, one.expression]
            if not one_kind(types, operands):
                return False
            pending += operands
        elif isinstance(one, exp.In) and _is_plain_list(one):
            if not one_kind(types, [one.this, *one.expressions]):
                return False
            pending += [one.this, *one.expressions]
        elif isinstance(one, exp.And | exp.Or) or (isinstance(one, _WRAPPING) and types.is_integer(one)):
            pending += [one.this, one.expression]
        elif isinstance(one, exp.Not | exp.Neg | exp.Is):
            pending.append(one.this)
        elif isinstance(one, exp.Like | ScalarFunction) and _is_total(types, one):
            pending.append(one.this if isinstance(one, exp.Like) else one.expressions[0])
        elif not is_date(one):
            return False
    return True


def _is_total(types: Types, call: exp.Expr) -> bool:
    """Whether a test by LIKE, or a call of a function, of one text has a value for each text."""
    if isinstance(call, exp.Like):
        pattern = call.expression
        plain = isinstance(pattern, exp.Literal) and pattern.is_string and "\\" not in pattern.name
        return plain and types.of(call.this) == "string"
    arguments = call.expressions
    return function_name(call) in _TOTAL and len(arguments) == 1 and types.of(arguments[0]) == "string"


def looks_up_bits(query: exp.Query, facts: Facts) -> bool:
    """Whether the engine may look a float up by its bits or compare it, depending on how predicates are written.

    x = 0.0 OR x = 1.0 OR x = 2.0 OR x = 3.0 finds no -0.0, x <> 0.0 AND … of the same values does, and so does the OR
    if another term is between them. So if several equalities on one operand that may be a float have four
    values in total, no connective of the query is changed.
    """
    found: dict[bytes, list[list[exp.Expr]]] = {}
    for node in facts.nodes(query, exp.EQ, exp.NEQ, exp.In):
        if isinstance(node, exp.In):
            if _is_plain_list(node):
                found.setdefault(encode(node.this), []).append([node.this, *node.expressions])
            continue
        operands = [node.this, node.expression]
        for subject in operands:
            if not is_constant(subject):
                found.setdefault(encode(subject), []).append(operands)
    suspects = [leaves for leaves in found.values() if _come_to_four(leaves)]
    if not suspects:
        return False
    types = facts.types(query)
    return any(_come_to_four([leaf for leaf in leaves if not one_kind(types, leaf)]) for leaves in suspects)


def _come_to_four(leaves: list[list[exp.Expr]]) -> bool:
    return len(leaves) > 1 and sum(len(leaf) - 1 for leaf in leaves) >= _BITWISE_FROM


def strict_columns(terms: Iterable[exp.Expr]) -> set[bytes]:
    """Return the columns, encoded, of which a NULL makes one of the terms NULL or FALSE."""
    strict: set[bytes] = set()
    for term in terms:
        test = term.this if isinstance(term, exp.Not) else term
        sides: list[exp.Expr] = []
        if isinstance(test, _STRICT):
            # a <> ALL (no rows) is TRUE for NULL too
            quantified = isinstance(test.expression, exp.Any | exp.All) or isinstance(test.this, exp.Any | exp.All)
            sides = [] if quantified else [test.this, test.expression]
        elif (isinstance(test, exp.In) and test.expressions) or (
            isinstance(test, exp.Like) and isinstance(test.expression, exp.Literal)
        ):
            sides = [test.this]
        elif isinstance(test, exp.Column):
            sides = [test]
        strict.update(encode(side) for side in sides if isinstance(side, exp.Column))
    return strict


def never_null_columns(where: exp.Expr | None) -> set[bytes]:
    """Return the columns, encoded, that are NULL in no row that passes a WHERE."""
    if where is None:
        return set()
    terms = list(terms_of(where.this, exp.And))
    found = strict_columns(terms)
    for term in terms:
        test = term.this if isinstance(term, exp.Not) else None
        if isinstance(test, exp.Is) and isinstance(test.expression, exp.Null) and isinstance(test.this, exp.Column):
            found.add(encode(test.this))
    return found


def terms_of(root: exp.Expr, connective: type[exp.Expr]) -> Iterator[exp.Expr]:
    """Yield the terms of a chain of AND or of OR, from left to right."""
    pending = [root]
    while pending:
        node = pending.pop()
        if isinstance(node, connective):
            pending += [node.expression, node.this]
        else:
            yield node


def roots(query: exp.Query, facts: Facts, *connectives: type[exp.Expr]) -> list[exp.Expr]:
    """Return the tops of all chains of AND and of OR, innermost first."""
    found = [node for node in facts.nodes(query, *connectives) if type(node.parent) is not type(node)]
    return found[::-1]


def chained(connective: type[exp.Expr], terms: list[exp.Expr]) -> exp.Expr:
    """Return terms joined by AND or OR; they must not be in a tree."""
    joined = terms[0]
    for term in terms[1:]:
        joined = connective(this=joined, expression=term)
    return joined


def replace(node: exp.Expr, new: exp.Expr) -> bool:
    """Replace `node` by `new` (which may be inside `node`), unless it would mean something else there.

    GROUP BY 1 and ORDER BY 1 name an output column.
    """
    if isinstance(node.parent, exp.Group | exp.Ordered | exp.Cube | exp.Rollup | exp.GroupingSets | exp.Tuple) and (
        is_constant(new)
    ):
        return False
    if node.parent is None:
        return False
    node.replace(new.pop() if new.parent is not None else new)
    return True


def _is_plain_list(node: exp.In) -> bool:
    return bool(node.expressions) and not any(node.args.get(key) for key in ("query", "unnest", "field"))


def is_date(node: exp.Expr) -> bool:
    """Whether a node is a valid date literal; an invalid one raises."""
    if not (type(node) is exp.Cast and isinstance(node.this, exp.Literal) and node.to.this == exp.DType.DATE):
        return False
    text = node.this.name
    if not node.this.is_string or not text.isascii() or len(text) != len("2000-01-01"):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return text[4] == text[7] == "-"
