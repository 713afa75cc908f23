"""Column lineage: for each output column, the input columns that its values come from, and those that control them.

`value` of an output column is every column whose values flow into it, CASE conditions and arguments of functions
included. `control` of an output column is what only chooses or orders the values that it is made of: PARTITION BY and
ORDER BY of a window, FILTER of an aggregate, the predicates of a subquery in its expression. `control` of every column
is what decides about rows: WHERE, ON, GROUP BY, HAVING, QUALIFY, DISTINCT, set operations, ORDER BY and LIMIT.

SQLGlot's `lineage()` follows values only, one column at a time, and costs 33 ms a rule. This is one walk over the
executed form, inner queries first and each of them once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from compiler.analysis.edges import Edge, Kind
from compiler.analysis.readset import input_columns
from compiler.names.lexical import Names, from_items, resolve_names
from compiler.names.one_line import brief
from compiler.names.resolve import fold
from compiler.schema import INPUT_DB
from compiler.tree.walk import bare_copy, find_all, has

Leaf = tuple[str, str]
"""An input and one of its columns."""
Trail = tuple[str, ...]
"""Expressions through which a column is reached, the outermost first; those that only pass it on are left out."""
Trails = dict[Leaf, list[Trail]]

_MOST_TRAILS = 3
_MOST_STEPS = 4


def column_edges(query: exp.Query) -> tuple[Edge, ...]:
    """Return the edges of an executed form. Together they name just the columns of its read sets."""
    query = bare_copy(query)  # `brief` may change it
    names = resolve_names(query)
    relation = _Walk(names).relation(query)
    edges: list[Edge] = []
    for name, flow in zip(relation.names, relation.flows, strict=True):
        edges += _edges(name, "value", flow.values) + _edges(name, "control", flow.controls)
    edges += _edges(None, "control", relation.controls)
    known = {(edge.input, edge.column) for edge in edges}
    unread: Trails = {}
    for column, leaf in input_columns(names):
        if leaf not in known:
            _add(unread, {leaf: [()]}, (brief(_around(column).unalias()),))
    return (*edges, *_edges(None, "control", unread))


@dataclass
class _Flow:
    """What one column, or one expression, is made of."""

    values: Trails = field(default_factory=dict)
    controls: Trails = field(default_factory=dict)

    def take(self, other: _Flow, steps: Trail = (), *, control: bool = False) -> None:
        """Add what another flow is made of, reached through the expressions `steps`."""
        _add(self.controls if control else self.values, other.values, steps)
        _add(self.controls, other.controls, steps)


@dataclass
class _Relation:
    """A query or FROM item: its columns by position, and what controls all of its rows.

    whole: what a column is made of that `names` does not hold.
    """

    names: list[str]
    flows: list[_Flow]
    controls: Trails
    whole: Callable[[str], _Flow]

    def column(self, name: str) -> _Flow:
        return self.flows[self.names.index(name)] if name in self.names else self.whole(name)

    def leaves(self) -> tuple[frozenset[Leaf], ...]:
        """What it is made of, without the way to it."""
        flows = [frozenset(trails) for flow in self.flows for trails in (flow.values, flow.controls)]
        return (frozenset(self.controls), *flows)


class _Walk:
    def __init__(self, names: Names) -> None:
        self._items = {id(reference.column): reference.item for reference in names.references}
        self._ctes = {id(table): cte for table, cte in names.tables}
        self._known: dict[int, _Relation] = {}

    def relation(self, node: exp.Expr) -> _Relation:
        """Return what a query or FROM item is made of."""
        if id(node) not in self._known:
            self._known[id(node)] = self._relation(node)
        return self._known[id(node)]

    def _relation(self, node: exp.Expr) -> _Relation:
        if isinstance(node, exp.Select):
            return self._select(node)
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node)
        if isinstance(node, exp.Table) and id(node) in self._ctes:
            return _renamed(self._cte(self._ctes[id(node)]), node)
        if isinstance(node, exp.Table) and node.db == INPUT_DB:
            return _Relation([], [], {}, lambda column: _Flow({(node.name, column): [()]}))
        if isinstance(node, exp.Subquery | exp.Lateral) and isinstance(node.this, exp.Query):
            inner = self.relation(node.this)
            outer = _Relation(inner.names, inner.flows, inner.controls, inner.whole)
            self._add_modifiers(outer, node)
            return _renamed(outer, node)
        # A table function or VALUES: what is in it decides about its values and about how many rows there are.
        flow = _Flow()
        for child in node.iter_expressions():
            if not isinstance(child, exp.TableAlias):
                flow.take(self._flow(child, {}))
        relation = _Relation([], [], {}, lambda _: flow)
        _add_all(relation.controls, [flow])
        return relation

    def _select(self, select: exp.Select) -> _Relation:
        items, joins = from_items(select)
        controls: Trails = {}
        for item in items:
            _add(controls, self.relation(item).controls)
        flows = [self._flow(item.unalias(), {}) for item in select.selects]
        relation = _Relation([item.alias_or_name for item in select.selects], flows, controls, _nothing)
        for join in joins:
            word = " ".join(word for word in (join.side, join.kind) if word and word != "OUTER")
            self._add_clause(relation, f"{word} JOIN ON".strip(), _terms(join.args.get("on")))
        self._add_clause(relation, "WHERE", _terms(select.args.get("where")))
        self._add_clause(relation, "GROUP BY", _group_keys(select))
        self._add_clause(relation, "HAVING", _terms(select.args.get("having")))
        self._add_clause(relation, "QUALIFY", _terms(select.args.get("qualify")))
        for item in select.selects:
            for call in find_all(item, *exp.SET_RETURNING_FUNCTIONS):  # as many rows as it holds values
                if call.parent_select is select:
                    self._add_clause(relation, "", [call])
        self._add_distinct(relation, select.args.get("distinct"))
        self._add_modifiers(relation, select)
        return relation

    def _set_operation(self, operation: exp.SetOperation) -> _Relation:
        left, right = self.relation(operation.left), self.relation(operation.right)
        controls: Trails = {}
        for side in (left, right):
            _add(controls, side.controls)
            if not isinstance(operation, exp.Union) or operation.args.get("distinct"):
                _add_all(controls, side.flows, (type(operation).__name__.upper(),))
        names = list(left.names)
        flows = list(left.flows)
        if isinstance(operation, exp.Union):
            for position, (name, flow) in enumerate(zip(right.names, right.flows, strict=True)):
                at = position if not operation.args.get("by_name") else _position(names, name)
                if at == len(names):
                    names.append(name)
                    flows.append(_Flow())
                flows[at].take(flow)  # nobody else uses what a side of a set operation is made of
        relation = _Relation(names, flows, controls, _nothing)
        self._add_modifiers(relation, operation)
        return relation

    def _cte(self, cte: exp.CTE) -> _Relation:
        if id(cte) in self._known:
            return self._known[id(cte)]
        body = cte.this
        recursive = isinstance(cte.parent, exp.With) and cte.parent.recursive and isinstance(body, exp.SetOperation)
        if not recursive:
            self._known[id(cte)] = _renamed(self.relation(body), cte)
            return self._known[id(cte)]
        # Begin with the static term; what the recursive term adds is found in rounds, until there is nothing new.
        self._known[id(cte)] = found = _renamed(self.relation(body.left), cte)
        outside = set(self._known)
        while True:
            before = found.leaves()
            self._known[id(cte)] = found = _renamed(_copied(self._set_operation(body)), cte)
            for node in set(self._known) - outside:
                del self._known[node]
            if found.leaves() == before:
                return found

    def _flow(self, node: exp.Expr, outputs: Mapping[str, _Flow], clause: str | None = None) -> _Flow:
        """Return what an expression is made of; `outputs` are the columns that a name without a table can mean.

        clause: the expression with its clause, unless it makes a column.
        """
        flow = _Flow()
        around: Trail = () if clause is None else (clause,)
        passed_on = isinstance(node, exp.Column | exp.Query)
        pending = [(node, False, around if around or passed_on else (brief(node),))]
        while pending:
            here, control, steps = pending.pop()
            if isinstance(here, exp.Column):
                flow.take(self._column(here, outputs), steps, control=control)
            elif isinstance(here, exp.Query):
                relation = self.relation(here)
                for column in relation.flows:
                    flow.take(column, steps, control=control or isinstance(here.parent, exp.Exists))
                _add(flow.controls, relation.controls, steps)
            else:
                pending += [
                    (part, control, steps) if chosen_by is None else (part, True, (*around, chosen_by))
                    for part, chosen_by in _parts(here)
                ]
        return flow

    def _column(self, column: exp.Column, outputs: Mapping[str, _Flow]) -> _Flow:
        item = self._items.get(id(column))
        if item is not None:
            return self.relation(item).column(column.name)
        return outputs.get(fold(column.this), _Flow()) if isinstance(column.this, exp.Identifier) else _Flow()

    def _add_clause(self, relation: _Relation, clause: str, expressions: Iterable[exp.Expr]) -> None:
        """Add what decides about every row of a relation."""
        outputs = dict(zip(relation.names, relation.flows, strict=True))
        for expression in expressions:
            text = f"{clause} {brief(expression)}".strip()
            _add_all(relation.controls, [self._flow(expression, outputs, text)])

    def _add_distinct(self, relation: _Relation, distinct: exp.Expr | None) -> None:
        if distinct is None:
            return
        on = distinct.args.get("on")
        if on is None:
            _add_all(relation.controls, relation.flows, ("DISTINCT",))
        else:
            self._add_clause(relation, "DISTINCT ON", on.expressions if isinstance(on, exp.Tuple) else [on])

    def _add_modifiers(self, relation: _Relation, query: exp.Expr) -> None:
        order = query.args.get("order")
        for key in order.expressions if order is not None else ():
            number = int(key.this.name) if isinstance(key.this, exp.Literal) and key.this.is_int else 0
            if 0 < number <= len(relation.flows):
                _add_all(relation.controls, [relation.flows[number - 1]], (f"ORDER BY {relation.names[number - 1]}",))
            else:
                self._add_clause(relation, "ORDER BY", [key])
        for clause in ("limit", "offset"):
            if (limit := query.args.get(clause)) is not None:
                self._add_clause(relation, clause.upper(), limit.iter_expressions())


def _edges(output: str | None, kind: Kind, trails: Trails) -> list[Edge]:
    return [
        Edge(output, table, column, kind, "; ".join(" ← ".join(trail) or f"{table}.{column}" for trail in ways))
        for (table, column), ways in sorted(trails.items())
    ]


def _around(column: exp.Expr) -> exp.Expr:
    """Return the select item or clause that a column is in."""
    while column.parent is not None and not isinstance(column.parent, exp.Query):
        column = column.parent
    return column


def _parts(node: exp.Expr) -> Iterator[tuple[exp.Expr, str | None]]:
    """Yield the operands of an expression; one that only controls the value comes with its clause."""
    if isinstance(node, exp.Window):
        yield node.this, None
        definition = _named_window(node) or node
        for key in definition.args.get("partition_by") or []:
            yield key, f"PARTITION BY {brief(key)}"
        order, frame = definition.args.get("order"), definition.args.get("spec")
        for key in order.expressions if order is not None else []:
            yield key, f"ORDER BY {brief(key)}"
        if frame is not None:
            yield frame, brief(frame)
    elif isinstance(node, exp.Filter):
        yield node.this, None
        yield node.expression, f"FILTER (WHERE {brief(node.expression.this)})"
    elif isinstance(node, exp.Order) and node.this is not None:  # array_agg(x ORDER BY y), not WITHIN GROUP
        yield node.this, None
        for key in node.expressions:
            yield key, f"ORDER BY {brief(key)}"
    else:
        for child in node.iter_expressions():
            yield child, None


def _named_window(window: exp.Window) -> exp.Expr | None:
    """Return the definition that OVER name refers to."""
    name, select = window.args.get("alias"), window.parent_select
    if not isinstance(name, exp.Identifier) or select is None:
        return None
    definitions = select.args.get("windows") or []
    return next((one for one in definitions if fold(one.this) == fold(name)), None)


def _terms(clause: exp.Expr | None) -> Iterator[exp.Expr]:
    """Yield what a condition joins by AND, in order."""
    pending = [clause.this if isinstance(clause, exp.Where | exp.Having | exp.Qualify) else clause]
    while pending:
        node = pending.pop()
        if isinstance(node, exp.And):
            pending += [node.right, node.left]
        elif isinstance(node, exp.Paren) and isinstance(node.this, exp.And):
            pending.append(node.this)
        elif node is not None:
            yield node


def _group_keys(select: exp.Select) -> Iterator[exp.Expr]:
    group = select.args.get("group")
    if group is None:
        return
    yield from group.iter_expressions()
    if group.args.get("all"):
        yield from (item.unalias() for item in select.selects if not has(item, exp.AggFunc))


def _renamed(relation: _Relation, item: exp.Expr) -> _Relation:
    """Give a relation the column names of its alias: AS q(a, b)."""
    alias = item.args.get("alias")
    names = [fold(name) for name in alias.columns] if isinstance(alias, exp.TableAlias) else []
    return _Relation([*names, *relation.names[len(names) :]], relation.flows, relation.controls, relation.whole)


def _copied(relation: _Relation) -> _Relation:
    flows = []
    for flow in relation.flows:
        flows.append(_Flow())
        flows[-1].take(flow)
    return _Relation(relation.names, flows, relation.controls, relation.whole)


def _nothing(_: str) -> _Flow:
    return _Flow()


def _position(names: list[str], name: str) -> int:
    return names.index(name) if name in names else len(names)


def _add(into: Trails, more: Mapping[Leaf, list[Trail]], steps: Trail = ()) -> None:
    for leaf, trails in more.items():
        known = into.setdefault(leaf, [])
        for trail in trails:
            if len(known) == _MOST_TRAILS:
                break
            longer = trail if trail[: len(steps)] == steps else (*steps, *trail)
            if len(longer) > _MOST_STEPS:
                longer = (*longer[: _MOST_STEPS - 1], longer[-1])
            if longer not in known:
                known.append(longer)


def _add_all(into: Trails, flows: Iterable[_Flow], steps: Trail = ()) -> None:
    for flow in flows:
        _add(into, flow.values, steps)
        _add(into, flow.controls, steps)
