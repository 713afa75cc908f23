"""What WHERE makes equal: columns with each other, and columns with constants, which then take their place.

Only equalities of one exact type, in which equal values are the same bits, and only for rows that pass WHERE.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.canonical.grouping import is_plain_group
from compiler.canonical.item_keys import Owned, as_list, columns_of_items
from compiler.canonical.joins import items_of, set_where, where_terms
from compiler.canonical.ordering import is_constant_output, rows_may_move
from compiler.canonical.predicate_facts import is_constant, kind, looks_up_bits, never_fails, one_kind
from compiler.sql.encode import encode
from compiler.tree.walk import find_all, has

_COMPARED = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ)
_MOST_MEMBERS = 6
"""Larger classes of equal columns stay as they are written: there are as many equalities as pairs."""
_MOST_ADDED = 48
"""The most terms that a WHERE may grow by."""
_TYPES: Mapping[str, exp.DType] = {
    "int8": exp.DType.TINYINT,
    "int16": exp.DType.SMALLINT,
    "int32": exp.DType.INT,
    "int64": exp.DType.BIGINT,
    "string": exp.DType.VARCHAR,
    "date32": exp.DType.DATE,
    "bool": exp.DType.BOOLEAN,
}
_READ_IN = ("expressions", "having", "order", "qualify")
_Key = tuple[int, str]
"""A FROM item, by the node's id, and a column of it."""


@dataclass(frozen=True)
class _Own:
    """The columns of one SELECT's FROM items, by the id of the node, and the items that are tables."""

    keys: Mapping[int, _Key]
    tables: frozenset[int]

    def key(self, node: exp.Expr | None) -> _Key | None:
        """Return the key of a column of the SELECT."""
        return self.keys.get(id(node))


def close_equalities(query: exp.Query, facts: Facts) -> exp.Query:
    """Say of each of several equal columns what is said of one of them.

    WHERE a.k = b.k AND b.k = c.k → WHERE a.k = b.k AND b.k = c.k AND a.k = c.k
    WHERE a.k = b.k AND a.k > 5 → WHERE a.k = b.k AND a.k > 5 AND b.k > 5

    Only terms that fail for no value; not of the columns of a derived table, into which they may move.
    """
    if not facts.of(query, _has_equal_columns) or facts.of(query, looks_up_bits):
        return query
    owned, types = facts.of(query, columns_of_items), facts.types(query)
    for select in facts.nodes(query, exp.Select):
        if select.args.get("where") is not None and select.args.get("from_") is not None:
            _close(select, owned, types)
    return query


def put_constants(query: exp.Query, facts: Facts) -> exp.Query:
    """Put a constant in the place of a column that it is equal to.

    WHERE t.x = 3 AND t.y > t.x → WHERE t.x = 3 AND t.y > 3;  SELECT t.s AS s … WHERE t.s = 'a' → SELECT 'a' AS s …

    Of a SELECT only the outputs of the whole query: a column is merged into an outer query where a constant is not.
    """
    if not facts.has(query, exp.Where, exp.Subquery) or facts.of(query, looks_up_bits):
        return query
    if not facts.of(query, _may_have_constants):
        return query
    types, owned = facts.types(query), facts.of(query, columns_of_items)
    for select in facts.nodes(query, exp.Select):
        if select.args.get("from_") is None:
            continue
        if not any(map(_defines, where_terms(select))) and not any(map(_yields_constants, items_of(select))):
            continue
        own = _own(select, owned)
        constants, defining = _constants(select, own, types)
        if constants:
            _put_into_terms(select, own, constants, defining, types)
            if _is_final(select, query):
                _put_into_outputs(select, own, constants, types)
    return query


def drop_constant_keys(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop keys of GROUP BY and ORDER BY that have one value, as long as a key remains.

    SELECT COUNT(*) AS n … WHERE t.a = 'x' GROUP BY t.a, t.b → SELECT COUNT(*) AS n … WHERE t.a = 'x' GROUP BY t.b
    SELECT 'x' AS a, t.b AS b … ORDER BY a, b → SELECT 'x' AS a, t.b AS b … ORDER BY b
    SELECT 1 AS a … ORDER BY t.b → SELECT 1 AS a …
    … WHERE t.a = 'x' ORDER BY t.a, t.b → … WHERE t.a = 'x' ORDER BY t.b
    """
    for select in facts.nodes(query, exp.Select):
        order, grouping = select.args.get("order"), select.args.get("group")
        if order is None or (grouping is not None and not is_plain_group(grouping)):
            continue  # a constant that is a key of grouping sets is NULL in those without it
        if select.args.get("distinct") is not None:
            _drop_order_of_one(select)
        else:
            _drop_order(select, order)
            if select.args.get("where") is not None and len(order.expressions) > 1:
                _drop_filtered_keys(query, select, order, facts)
    groups = [group for group in facts.nodes(query, exp.Group) if len(group.expressions) > 1 and is_plain_group(group)]
    if not groups or not facts.of(query, _may_have_constants) or not facts.of(query, rows_may_move):
        return query
    owned, types = facts.of(query, columns_of_items), facts.types(query)
    for group in groups:
        grouped = group.parent
        if not isinstance(grouped, exp.Select) or grouped.args.get("from_") is None:
            continue
        own = _own(grouped, owned)
        constants, _ = _constants(grouped, own, types)
        read = {own.key(column) for part in _READ_IN for node in as_list(grouped.args.get(part))
                for column in find_all(node, exp.Column)}  # fmt: skip
        kept = [key for key in group.expressions if own.key(key) not in constants or own.key(key) in read]
        if any(isinstance(key, exp.Column) and own.key(key) not in constants for key in kept) and (
            len(kept) < len(group.expressions)
        ):
            group.set("expressions", kept)
    return query


def _has_equal_columns(query: exp.Query, facts: Facts) -> bool:
    return any(map(_is_of_columns, facts.nodes(query, exp.EQ)))


def _may_have_constants(query: exp.Query, facts: Facts) -> bool:
    for where in facts.nodes(query, exp.Where):
        if isinstance(where.parent, exp.Select) and any(map(_defines, where_terms(where.parent))):
            return True
    return any(map(_yields_constants, facts.nodes(query, exp.Subquery)))


def _yields_constants(item: exp.Expr) -> bool:
    """Whether a FROM item is a derived table with a constant among its outputs."""
    if not isinstance(item, exp.Subquery) or not isinstance(item.this, exp.Select):
        return False
    return any(is_constant(output.unalias()) for output in item.this.selects)


def _defines(term: exp.Expr) -> bool:
    if isinstance(term, exp.EQ):
        return is_constant(term.this) or is_constant(term.expression)
    inner = term.this if isinstance(term, exp.Not) else term
    return isinstance(inner, exp.Column) or (isinstance(term, exp.Is) and isinstance(term.expression, exp.Null))


def _own(select: exp.Select, owned: Owned) -> _Own:
    keys: dict[int, _Key] = {}
    tables: set[int] = set()
    for item in items_of(select):
        if isinstance(item, exp.Table):
            tables.add(id(item))
        for column in owned.get(id(item), ()):
            if not column.args.get("db"):
                keys[id(column)] = id(item), column.name
    return _Own(keys, frozenset(tables))


def _close(select: exp.Select, owned: Owned, types: Types) -> None:
    terms = where_terms(select)
    if not any(map(_is_of_columns, terms)):
        return
    own = _own(select, owned)
    pairs = {pair: term for term in terms if (pair := _pair(term, own, types)) is not None}
    classes = [members for members in _classes(terms, own, types) if len(members) <= _MOST_MEMBERS]
    if not classes:
        return
    examples = {own.keys[id(side)]: side for term in pairs.values() for side in (term.this, term.expression)}
    added: list[exp.Expr] = [
        exp.EQ(this=examples[first].copy(), expression=examples[second].copy())
        for members in classes
        for first, second in combinations(members, 2)
        if frozenset((first, second)) not in pairs
    ]
    of_member = {member: members for members in classes for member in members}
    said = [(term, subject) for term in terms if (subject := own.key(_subject(term))) is not None]
    known = {encode(term) for term, _ in said}
    for term, subject in said:
        if subject not in of_member or not never_fails(types, term):
            continue
        for member in of_member[subject]:
            if member == subject or member[0] not in own.tables:
                continue
            other = _said_of(term, examples[member])
            if encode(other) not in known:
                known.add(encode(other))
                added.append(other)
    if added and len(added) <= _MOST_ADDED:
        set_where(select, [*terms, *added])


def _is_of_columns(term: exp.Expr) -> bool:
    return isinstance(term, exp.EQ) and isinstance(term.this, exp.Column) and isinstance(term.expression, exp.Column)


def _subject(term: exp.Expr) -> exp.Expr | None:
    """Return the column that a term compares with constants."""
    test = term.this if isinstance(term, exp.Not) else term
    if isinstance(test, exp.Like):
        return test.this if isinstance(test.this, exp.Column) and is_constant(test.expression) else None
    if isinstance(test, exp.In):
        plain = bool(test.expressions) and all(map(is_constant, test.expressions))
        return test.this if plain and isinstance(test.this, exp.Column) else None
    if isinstance(test, _COMPARED):
        for column, value in ((test.this, test.expression), (test.expression, test.this)):
            if isinstance(column, exp.Column) and is_constant(value):
                return column
    return None


def _said_of(term: exp.Expr, column: exp.Expr) -> exp.Expr:
    """Return a copy of a term about another column."""
    copy = exp.Paren(this=term.copy())
    for one in find_all(copy, exp.Column):
        one.replace(column.copy())
    other: exp.Expr = copy.this
    return other


def _classes(terms: list[exp.Expr], own: _Own, types: Types) -> list[list[_Key]]:
    """Return the sets of columns that the terms make equal, each column once, in the order of the text."""
    found: dict[_Key, list[_Key]] = {}
    for term in terms:
        pair = _pair(term, own, types)
        if pair is None:
            continue
        first, second = own.keys[id(term.this)], own.keys[id(term.expression)]
        left, right = found.get(first, [first]), found.get(second, [second])
        if left is not right:
            merged = [*left, *right]
            found |= dict.fromkeys(merged, merged)
    return list({id(members): members for members in found.values()}.values())


def _pair(term: exp.Expr, own: _Own, types: Types) -> frozenset[_Key] | None:
    if not isinstance(term, exp.EQ):
        return None
    first, second = own.key(term.this), own.key(term.expression)
    if first is None or second is None or first == second:
        return None
    if not types.is_exact(term.this) or types.of(term.this) != types.of(term.expression):
        return None
    return frozenset((first, second))


def _constants(select: exp.Select, own: _Own, types: Types) -> tuple[dict[_Key, exp.Expr], set[int]]:
    """Return the columns of a SELECT that have one value in all its rows, and the terms of WHERE that say so, by id."""
    found = dict(_constant_outputs(select, own, types))
    defining: set[int] = set()
    for term in where_terms(select):
        column, value = _definition(term, types)
        key = own.key(column) if column is not None else None
        if key is not None and value is not None and key not in found:
            found[key] = value
            defining.add(id(term))
    return found, defining


def _definition(term: exp.Expr, types: Types) -> tuple[exp.Expr | None, exp.Expr | None]:
    if isinstance(term, exp.EQ):
        for column, value in ((term.this, term.expression), (term.expression, term.this)):
            if isinstance(column, exp.Column) and is_constant(value) and not isinstance(value, exp.Null):
                return (column, value) if one_kind(types, (column, value)) else (None, None)
    elif isinstance(term, exp.Is) and isinstance(term.expression, exp.Null):
        return term.this, exp.Null()
    elif isinstance(term, exp.Column) and types.of(term) == "bool":
        return term, exp.Boolean(this=True)
    elif isinstance(term, exp.Not) and isinstance(term.this, exp.Column) and types.of(term.this) == "bool":
        return term.this, exp.Boolean(this=False)
    return None, None


def _constant_outputs(select: exp.Select, own: _Own, types: Types) -> Iterator[tuple[_Key, exp.Expr]]:
    """Yield the columns that a derived table has from a constant, if the SELECT keeps no row without one of its own."""
    joins = select.args.get("joins") or []
    items = [(select.args["from_"].this, joins)]
    items += [(join.this, joins[place + 1 :]) for place, join in enumerate(joins) if not join.side and not join.method]
    wanted = {key[0] for key in own.keys.values()}
    for item, later in items:
        if id(item) not in wanted or not isinstance(item, exp.Subquery) or not isinstance(item.this, exp.Select):
            continue
        if any(join.side in {"RIGHT", "FULL"} or join.method for join in later) or item.alias_column_names:
            continue
        for output in item.this.selects:
            value = output.unalias()
            if is_constant(value) and kind(types, value) is not None:
                yield (id(item), output.alias_or_name), value


def _put_into_terms(
    select: exp.Select, own: _Own, constants: Mapping[_Key, exp.Expr], defining: set[int], types: Types
) -> None:
    for term in where_terms(select):
        if id(term) in defining or has(term, exp.Query):
            continue
        for column in find_all(term, exp.Column):
            value, test = constants.get(own.key(column) or (0, "")), column.parent
            if value is None or isinstance(value, exp.Null) or not isinstance(test, _COMPARED):
                continue
            other = test.expression if test.this is column else test.this
            if is_constant(other) and not _is_given(column, own, select):
                continue  # these two terms are merged as bounds
            if one_kind(types, (column, other)) and one_kind(types, (value, other)):
                column.replace(value.copy())


def _is_given(column: exp.Column, own: _Own, select: exp.Select) -> bool:
    """Whether a column is that of a derived table, and no term of WHERE says what it is."""
    key = own.key(column)
    return key is not None and key[0] not in own.tables and any(id(item) == key[0] for item in items_of(select))


def _is_final(select: exp.Select, query: exp.Query) -> bool:
    """Whether the outputs of a SELECT are those of the whole query."""
    node: exp.Expr | None = select
    while node is not query:
        if not isinstance(node, exp.Query) or node.arg_key not in {"this", "expression"} or node.parent is None:
            return False
        node = node.parent
    return True


def _put_into_outputs(select: exp.Select, own: _Own, constants: Mapping[_Key, exp.Expr], types: Types) -> None:
    distinct, group = select.args.get("distinct"), select.args.get("group")
    if distinct is not None and distinct.args.get("on") is not None:
        return
    if group is not None and not is_plain_group(group):  # of grouping sets, in which a key can be NULL
        return
    for item in select.selects:
        key = own.key(item.this) if isinstance(item, exp.Alias) else None
        if key is not None and key in constants and (value := _typed(constants[key], types.of(item.this))) is not None:
            item.set("this", value)


def _typed(value: exp.Expr, wanted: str | None) -> exp.Expr | None:
    """Return a constant as one of the type of a column."""
    target = _TYPES.get(wanted or "")
    if target is None:
        return None
    bare = value.copy()
    own: Mapping[str, tuple[type[exp.Expr], ...]] = {
        "string": (exp.Literal,), "bool": (exp.Boolean,), "int64": (exp.Literal, exp.Neg), "date32": (exp.Cast,),
    }  # fmt: skip
    if isinstance(bare, own.get(wanted or "", ())):
        return bare
    if isinstance(bare, exp.Cast) or not _fits(bare, wanted or ""):
        return None
    return exp.Cast(this=bare, to=exp.DataType(this=target, nested=False))


def _fits(value: exp.Expr, wanted: str) -> bool:
    """Whether a constant is a value of a type: a column of narrow integers may be compared with a wide one."""
    if not wanted.startswith("int") or isinstance(value, exp.Null):
        return True
    digits = value.this if isinstance(value, exp.Neg) else value
    return isinstance(digits, exp.Literal) and digits.is_int and int(digits.name) < 2 ** (int(wanted[3:]) - 1)


def _drop_order_of_one(select: exp.Select) -> None:
    """Rows that are all the same have no order."""
    if all(isinstance(item, exp.Alias) and is_constant_output(item.this) for item in select.selects):
        select.set("order", None)


def _drop_order(select: exp.Select, order: exp.Expr) -> None:
    outputs = {item.alias: item.this for item in select.selects if isinstance(item, exp.Alias)}
    if len(outputs) < len(select.selects):
        return
    _drop_order_of_one(select)
    if select.args.get("order") is None:
        return
    kept = [
        key
        for key in order.expressions
        if not (
            isinstance(key.this, exp.Column)
            and not key.this.table
            and key.this.name in outputs
            and is_constant_output(outputs[key.this.name])
        )
    ]
    if kept and len(kept) < len(order.expressions):
        order.set("expressions", kept)


def _drop_filtered_keys(query: exp.Query, select: exp.Select, order: exp.Expr, facts: Facts) -> None:
    """Drop the columns of ORDER BY of which WHERE lets one value through, as long as a key remains."""
    if select.args.get("from_") is None or not any(map(_defines, where_terms(select))):
        return
    own = _own(select, facts.of(query, columns_of_items))
    constants, _ = _constants(select, own, facts.types(query))
    kept = [key for key in order.expressions if own.key(key.this) not in constants]
    if kept and len(kept) < len(order.expressions):
        order.set("expressions", kept)
