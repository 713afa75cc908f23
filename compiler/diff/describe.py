"""Step 4 of 7, diff: how a rule's query was edited, in sentences; `compiler.diff.edit_script` says where.

Both canonical trees are taken apart by clause. What a clause lost and gained is paired by `sqlglot.diff` (Fluri et al.,
"Change Distilling", 2007): a predicate that became another one is one edit. It is quadratic, so large clauses are not
paired; only the wording of reports depends on the sentences.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from sqlglot import diff, exp
from sqlglot.diff import Keep, Move, Update

from compiler.canonical.form import parenthesised
from compiler.diff.fixed_outputs import is_fixed_key, read_fixed_columns
from compiler.diff.substitution import input_tables, substituted
from compiler.names.lexical import Names, from_items, resolve_names
from compiler.names.one_line import change, cut, in_one_line
from compiler.schema import INPUT_DB
from compiler.sql.dialect import DIALECT
from compiler.sql.functions import function_name
from compiler.tree.walk import branches, output_leaf

_MOST_NODES = 300
"""The most terms of one clause that are still paired."""
_FLIPPED: Mapping[type[exp.Expr], type[exp.Binary]] = {
    exp.LT: exp.GT,
    exp.LTE: exp.GTE,
    **{kind: kind for kind in (exp.EQ, exp.NEQ, exp.Add, exp.Mul)},
}


def describe(before: exp.Query, after: exp.Query) -> tuple[str, ...]:
    """Return the edits between two canonical trees with the names of their inputs; () if they are unknown.

    WHERE: orders.status = 'open' → orders.status IN ('held', 'open')
    """
    before, substitutions = _substituted(before, after)
    return tuple(dict.fromkeys((*substitutions, *_query(_readable(before), _readable(after)))))


def _substituted(before: exp.Query, after: exp.Query) -> tuple[exp.Query, list[str]]:
    """Say which inputs replaced which, and return the tree with the replacements."""
    became = substituted(before, after)
    if not became:
        return before, []
    before = before.copy()
    tables = input_tables(before)
    pairs = dict.fromkeys(f"{tables[number].name} → {name}" for number, name in sorted(became.items()))
    for number, name in became.items():
        tables[number].set("this", exp.Identifier(this=name, quoted=True))
    return before, [f"FROM: {', '.join(pairs)}"]


def _readable(query: exp.Query) -> exp.Query:
    """Name tables as the author's inputs are, columns of subqueries by what they are, and write columns first."""
    query = query.copy()
    read_fixed_columns(query)
    names = resolve_names(query)
    _name_tables(names)
    _name_ordering(query, names)
    _name_branches(query)
    for node in list(query.find_all(*_FLIPPED)):
        if _is_constant(node.this) and not _is_constant(node.expression):
            flipped = _FLIPPED[type(node)]
            node.replace(flipped(this=node.expression.copy(), expression=node.this.copy()))
    return query


def _is_constant(node: exp.Expr) -> bool:
    """Whether this is a literal, perhaps with a sign or a type: -8, DATE '2024-01-01'."""
    return isinstance(node.this if isinstance(node, exp.Neg | exp.Cast) else node, exp.Literal)


def _name_tables(names: Names) -> None:
    """Give each FROM item the name of its input, with a number if that is read several times."""
    written = {id(item): item.name if _is_input(item) else f"{_kind_of_item(item)} " for item in names.items}
    often = Counter(written.values())
    seen: Counter[str] = Counter()
    labels: dict[int, str] = {}
    for item in names.items:
        name = written[id(item)]
        seen[name] += 1
        labels[id(item)] = name if _is_input(item) and often[name] == 1 else f"{name}{seen[name]}"
        alias = item.args.get("alias")
        if not isinstance(alias, exp.TableAlias):
            item.set("alias", alias := exp.TableAlias())
        alias.set("this", exp.Identifier(this=labels[id(item)], quoted=True))
    ctes = {id(table): cte for table, cte in names.tables}
    for reference in names.references:
        item, column = reference.item, reference.column
        inner = ctes.get(id(item), item).this
        leaf = output_leaf(inner) if isinstance(inner, exp.Query) else None
        made = next((one for one in leaf.selects if one.alias_or_name == column.name), None) if leaf else None
        if made is not None and len(column.parts) == 2:  # noqa: PLR2004 — a table and a column
            column.set("table", None)
            column.set("this", made.unalias().copy())
        else:
            label = exp.Identifier(this=labels[id(item)], quoted=True)
            column.set("table" if len(column.parts) == 2 else "db", label)  # noqa: PLR2004


def _is_input(item: exp.Expr) -> bool:
    return isinstance(item, exp.Table) and item.db == INPUT_DB


def _kind_of_item(item: exp.Expr) -> str:
    """Return the name of a FROM item that is not an input: a table function has its own."""
    if isinstance(item, exp.Unnest | exp.Values):
        return item.key
    called = function_name(item.this) if isinstance(item, exp.Table) and isinstance(item.this, exp.Expr) else None
    return called or "subquery"


def _name_branches(query: exp.Query) -> None:
    """Name the outputs of each branch of a set operation as the first, the only one that keeps their names."""
    leaf = output_leaf(query)
    if leaf is None or any(one.args.get("by_name") for one in query.find_all(exp.SetOperation)):
        return
    for branch in branches(query):
        for item, name in zip(branch.selects, leaf.named_selects, strict=False):
            if isinstance(item, exp.Alias):
                item.set("alias", exp.Identifier(this=name, quoted=True))


def _name_ordering(query: exp.Query, names: Names) -> None:
    """Order queries within others by the content of their outputs, whose current names are internal."""
    for column, _ in names.bare:
        owner = column.find_ancestor(exp.Select, exp.SetOperation)
        leaf = output_leaf(owner) if owner is not None and owner is not query else None
        outputs = leaf.selects if leaf is not None else []
        made = next((one for one in outputs if one.alias_or_name == column.name), None)
        if made is not None:
            column.replace(made.unalias().copy())


def _query(before: exp.Query, after: exp.Query, *, inner: bool = False) -> Iterator[str]:
    """Compare two queries; inner: within others, so that their outputs have internal names."""
    if isinstance(before, exp.Select) and isinstance(after, exp.Select):
        yield from _select(before, after, inner=inner)
    elif isinstance(before, exp.SetOperation) and isinstance(after, exp.SetOperation):
        yield from _set_operation(before, after, inner=inner)
    else:
        yield f"{_kind(before)} → {_kind(after)}"


def _set_operation(before: exp.SetOperation, after: exp.SetOperation, *, inner: bool) -> Iterator[str]:
    old, new = _operator(before), _operator(after)
    if old != new:
        yield f"{old} → {new}"
    gone, come = _branches(before), _branches(after)
    for tables in dict.fromkeys((*gone, *come)):
        one, other = gone.get(tables, []), come.get(tables, [])
        for left, right in zip(one, other, strict=False):
            yield from (f"in the branch of {tables}: {sentence}" for sentence in _query(left, right, inner=inner))
        yield from (f"branch of {tables}: removed" for _ in one[len(other) :])
        yield from (f"branch of {tables}: added" for _ in other[len(one) :])
    yield from _ending(before, after)


def _branches(query: exp.Expr) -> dict[str, list[exp.Query]]:
    """Return the branches of nested set operations by the inputs that they read; their order means little."""
    found: dict[str, list[exp.Query]] = {}
    pending = [query]
    while pending:
        node = pending.pop()
        if isinstance(node, exp.SetOperation):
            pending += [node.right, node.left]
        elif isinstance(node, exp.Query):
            tables = sorted({table.name for table in node.find_all(exp.Table)})
            found.setdefault(" and ".join(tables), []).append(node)
    return found


def _select(before: exp.Select, after: exp.Select, *, inner: bool) -> Iterator[str]:
    old_joins, new_joins = _joins(before), _joins(after)
    joined = {_text(term) for _, terms in (*old_joins.values(), *new_joins.values()) for term in terms}
    yield from (f"join {name}: added" for name in new_joins if name not in old_joins)
    yield from (f"join {name}: removed" for name in old_joins if name not in new_joins)
    for name, (kind, terms) in new_joins.items():
        if name in old_joins:
            old_kind, old_terms = old_joins[name]
            if kind != old_kind:
                yield f"join {name}: {old_kind} → {kind}"
            elif kind != "INNER":
                yield from _terms(f"join {name} ON", old_terms, terms)
    kinds_changed = any(old_joins.get(name, ("", ()))[0] != kind for name, (kind, _) in new_joins.items())
    ignored = joined if kinds_changed else set()
    yield from _terms("WHERE", _conjuncts(before, "where", ignored), _conjuncts(after, "where", ignored))
    yield from _keys_of("GROUP BY", "group", before, after)
    yield from _terms("HAVING", _conjuncts(before, "having"), _conjuncts(after, "having"))
    yield from _terms("QUALIFY", _conjuncts(before, "qualify"), _conjuncts(after, "qualify"))
    old_distinct, new_distinct = before.args.get("distinct"), after.args.get("distinct")
    if (old_distinct is None) != (new_distinct is None):
        yield f"DISTINCT: {'added' if old_distinct is None else 'removed'}"
    yield from _ending(before, after)
    if not inner:  # their readers show the expressions
        yield from _items(before, after)
    yield from _subqueries(before, after)


def _items(before: exp.Select, after: exp.Select) -> Iterator[str]:
    old_items = {item.alias_or_name: item.unalias() for item in before.selects}
    new_items = {item.alias_or_name: item.unalias() for item in after.selects}
    for name, item in new_items.items():
        if name not in old_items:
            yield f"column {name}: added, {cut(_text(item))}"
        elif (old := _text(old_items[name])) != (new := _text(item)):
            yield f"column {name}: {change(old, new)}"
    for name in old_items:
        if name not in new_items:
            yield f"column {name}: removed"
    if list(old_items) != list(new_items) and old_items.keys() == new_items.keys():
        yield f"columns reordered: {', '.join(new_items)}"


def _subqueries(before: exp.Select, after: exp.Select) -> Iterator[str]:
    """Compare the queries within two SELECTs, in FROM and in expressions, in their order."""
    pairs = zip(_inner(before), _inner(after), strict=False)
    for one, other in pairs:
        yield from (f"in a subquery: {sentence}" for sentence in _query(one, other, inner=True))


def _inner(select: exp.Select) -> list[exp.Query]:
    nodes = select.walk(prune=lambda node: isinstance(node, exp.Select | exp.SetOperation) and node is not select)
    return [node for node in nodes if isinstance(node, exp.Select | exp.SetOperation) and node is not select]


def _ending(before: exp.Query, after: exp.Query) -> Iterator[str]:
    yield from _keys_of("ORDER BY", "order", before, after)
    for clause in ("limit", "offset"):
        old, new = (
            _text(query.args[clause].expression) if query.args.get(clause) else None for query in (before, after)
        )
        if old != new:
            change = f"{new} added" if old is None else f"{old} removed" if new is None else f"{old} → {new}"
            yield f"{clause.upper()}: {change}"


def _terms(clause: str, before: Sequence[exp.Expr], after: Sequence[exp.Expr]) -> Iterator[str]:
    """Yield sentences for changed, added and removed terms of a clause."""
    old, new = {_text(term): term for term in before}, {_text(term): term for term in after}
    gone = [text for text in old if text not in new]
    come = [text for text in new if text not in old]
    became = _paired([old[text] for text in gone], [new[text] for text in come])
    for one, other in became:
        yield f"{clause}: {change(gone[one], come[other])}"
    paired_old, paired_new = {one for one, _ in became}, {other for _, other in became}
    yield from (f"{clause}: {cut(text)} added" for index, text in enumerate(come) if index not in paired_new)
    yield from (f"{clause}: {cut(text)} removed" for index, text in enumerate(gone) if index not in paired_old)


def _paired(before: Sequence[exp.Expr], after: Sequence[exp.Expr]) -> list[tuple[int, int]]:
    """Return which of the terms that a clause lost became which of those it gained, by position."""
    if not before or not after:
        return []
    source, target = (exp.Tuple(expressions=[term.copy() for term in terms]) for terms in (before, after))
    if sum(1 for tree in (source, target) for _ in tree.walk()) > _MOST_NODES:
        return [(0, 0)] if len(before) == len(after) == 1 else []
    owners = [
        {id(node): index for index, term in enumerate(tree.expressions) for node in term.walk()}
        for tree in (source, target)
    ]
    votes: Counter[tuple[int, int]] = Counter()
    for edit in diff(source, target, dialect=DIALECT):
        if isinstance(edit, Keep | Update | Move):
            one, other = owners[0].get(id(edit.source)), owners[1].get(id(edit.target))
            if one is not None and other is not None:
                votes[one, other] += 1
    pairs: list[tuple[int, int]] = []
    for (one, other), _ in votes.most_common():
        if all(one != known and other != taken for known, taken in pairs):
            pairs.append((one, other))
    return sorted(pairs)


def _joins(select: exp.Select) -> dict[str, tuple[str, list[exp.Expr]]]:
    """Return each FROM item's name, how it is joined, and on what; an inner join is a cross join with a predicate."""
    items, joins = from_items(select)
    found: dict[str, tuple[str, list[exp.Expr]]] = {item.alias_or_name: ("INNER", []) for item in items}
    for join in joins:
        kind = " ".join(word for word in (join.method, join.side, join.kind) if word and word not in {"OUTER", "CROSS"})
        on = join.args.get("on")
        found[join.this.alias_or_name] = (kind or "INNER", _flat(on) if on is not None else [])
    return found


def _conjuncts(select: exp.Select, clause: str, ignored: frozenset[str] | set[str] = frozenset()) -> list[exp.Expr]:
    node = select.args.get(clause)
    return [term for term in _flat(node.this) if _text(term) not in ignored] if node is not None else []


def _keys_of(title: str, clause: str, before: exp.Query, after: exp.Query) -> Iterator[str]:
    """Compare keys, but for those that the WHERE of the other side fixes: its canonical form has none of these."""
    old, new = _keys(before, clause), _keys(after, clause)
    kept, known = {_text(key) for key in new}, {_text(key) for key in old}
    yield from _terms(
        title,
        [key for key in old if _text(key) in kept or not is_fixed_key(after, key)],
        [key for key in new if _text(key) in known or not is_fixed_key(before, key)],
    )


def _keys(query: exp.Query, clause: str) -> list[exp.Expr]:
    node = query.args.get(clause)
    return list(node.expressions) if node is not None else []


def _flat(node: exp.Expr) -> list[exp.Expr]:
    return list(node.flatten()) if isinstance(node, exp.And) else [node]


def _operator(operation: exp.SetOperation) -> str:
    kind = type(operation).__name__.upper()
    return kind if operation.args.get("distinct") else f"{kind} ALL"


def _kind(query: exp.Query) -> str:
    return _operator(query) if isinstance(query, exp.SetOperation) else "a single SELECT"


def _text(node: exp.Expr) -> str:
    return in_one_line(parenthesised(node.copy()))  # whole, because the difference may be at the end
