"""A rule and one of its inputs as the proofs need them: its tree, what is read where, and the way to the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from compiler.analysis.floats import Floats
from compiler.analysis.traits import shows_row_order
from compiler.analysis.types import INTEGERS
from compiler.canonical.ctes import inline_single_use_ctes, inline_small_ctes
from compiler.canonical.facts import Facts
from compiler.compile import Compiler
from compiler.compiled import Compiled, Options, Tier
from compiler.names.lexical import resolve_names
from compiler.names.resolve import INPUT_DB, fold
from compiler.parts.reading import PARTIALS, PartQuery
from compiler.parts.rows import EACH, REST, NotProvedError, Reader
from compiler.schema import Column, Schema
from compiler.sql.functions import function_name, is_float_sensitive
from compiler.tree.walk import branches, find_all, nodes

_EXACT = frozenset({*INTEGERS, "string", "bool", "date32", "date64", "binary"})
_EXACT_FAMILIES = ("decimal128<", "timestamp<", "time32<", "time64<", "duration<", "binary<")


class Rule:
    """A rule as a reader of the input `table`. tree: its meaning; schemas: of its inputs."""

    def __init__(self, compiled: Compiled, compiler: Compiler, options: Options, table: str, *, copied: bool) -> None:
        """copied: whether CTEs that are read several times are written out at each place."""
        self.compiled, self.table = compiled, table
        self.schemas = {name: compiler.schemas.known[name] for name in compiled.scans}
        self._compiler, self._options = compiler, options
        self.tree = _without_ctes(compiler.tree_of(compiled), Facts(self.schemas), copied=copied)
        self.names = resolve_names(self.tree)
        exact = frozenset(column.name for column in self.schemas[table].columns if is_exact(column.type))
        self.reader = Reader(self.tree, table, self.names, exact)

    @property
    def is_sorted(self) -> bool:
        """Whether the order of the product's rows is content."""
        return self.tree.args.get("order") is not None or self._options.tier == Tier.CANONICAL

    def whole(self) -> PartQuery:
        """Return the rule's own query."""
        return PartQuery(self.compiled.sql, dict(self.compiled.scans), self.compiled.schema, self.is_sorted)

    def query(self, form: exp.Query, partials: Schema | None = None) -> PartQuery:
        """Return a query of partial results, which is consumed. partials: the schema of those that it reads."""
        return self._query(form, partials, None)

    def product(self, form: exp.Query, partials: Schema | None) -> PartQuery:
        """Return a query of the product, which is consumed, with its rows in the order that the rule gives them."""
        if form.args.get("order") is not None and not any("map<" in one.type for one in self.compiled.schema.columns):
            break_ties(form)
        key = self._options.key if self._options.tier == Tier.CANONICAL else None
        found = self._query(form, partials, key)
        if found.schema != self.compiled.schema:
            raise NotProvedError("has another type when it is made of parts")
        return PartQuery(found.sql, found.scans, found.schema, self.is_sorted)

    def is_exact(self, form: exp.Query, partials: Schema | None, total: Sequence[exp.Query] = ()) -> bool:
        """Whether the rows of a query do not depend on the order of those it reads, to the last bit.

        total: parts of it whose LIMIT is by a total order.
        """
        known = {**self.schemas, **({PARTIALS: partials} if partials is not None else {})}
        floats = Floats(resolve_names(form), known)
        for node in nodes(form):
            if shows_row_order(node) and not (
                isinstance(node, exp.Limit | exp.Offset) and any(node.parent is one for one in total)
            ):
                return False
            if isinstance(node, exp.Func) and is_float_sensitive(function_name(node) or ""):
                value = node.this if isinstance(node, exp.Sum) else node
                if not isinstance(node, exp.Sum | exp.Avg) or floats.may_be(value):
                    return False
        return True

    def _query(self, form: exp.Query, partials: Schema | None, key: tuple[str, ...] | None) -> PartQuery:
        form = without_unused_ctes(form)
        known = {**self.schemas, **({PARTIALS: partials} if partials is not None else {})}
        found = self._compiler.run_as(form, known, key)
        return PartQuery(found.sql, dict(found.scans), found.schema)

    def enclosing(self) -> Iterator[exp.Query]:
        """Yield the queries that hold every mention of the input, the outermost first, which is the rule's."""
        mentions = [item for item in find_all(self.tree, exp.Table) if self.is_mention(item)]
        common: list[exp.Expr] | None = None
        for mention in mentions:
            around: list[exp.Expr] = []
            node: exp.Expr | None = mention
            while node is not None:
                around.append(node)
                node = node.parent
            ids = {id(one) for one in around}
            common = around if common is None else [one for one in common if id(one) in ids]
        for node in reversed(common or []):
            if isinstance(node, exp.Select | exp.SetOperation):
                yield node

    def is_mention(self, table: exp.Table) -> bool:
        """Whether a table is the input."""
        return table.db == INPUT_DB and table.name == self.table

    def require_independent(self, query: exp.Query) -> None:
        """Raise `NotProvedError` if a query within the rule refers to the queries around it."""
        within = {id(node) for node in nodes(query)}
        for reference in self.names.references:
            if id(reference.column) in within and id(reference.item) not in within:
                raise NotProvedError("reads it in a subquery that refers to the query around it")

    def visible_ctes(self, query: exp.Query) -> exp.With | None:
        """Return a copy of the CTEs that a query within the rule sees, its own included."""
        found: list[exp.CTE] = []
        recursive = False
        node: exp.Expr | None = query
        inner: exp.Expr | None = None
        while node is not None:
            with_ = node.args.get("with_")
            if isinstance(with_, exp.With):
                recursive = recursive or bool(with_.recursive)
                listed = list(with_.expressions)
                at = next((place for place, cte in enumerate(listed) if cte is inner), len(listed))
                found = [*listed[:at], *found]
            if isinstance(node, exp.CTE):
                inner = node
            node = node.parent
        if not found:
            return None
        return exp.With(expressions=[cte.copy() for cte in found], recursive=recursive)


def is_exact(kind: str) -> bool:
    """Whether equality of values of a type is equality of their bits."""
    return kind in _EXACT or kind.startswith(_EXACT_FAMILIES)


def break_ties(query: exp.Query) -> None:
    """ORDER BY n DESC → ORDER BY n DESC, 1, 2, …: one order of rows, in place."""
    for place in range(1, len(query.named_selects) + 1):
        query.args["order"].append("expressions", exp.Ordered(this=exp.Literal.number(place), nulls_first=False))


def partials_table(alias: str) -> exp.Table:
    """Return the table of partial results."""
    quoted = exp.TableAlias(this=exp.to_identifier(alias, quoted=True))
    table = exp.table_(PARTIALS, db=INPUT_DB, quoted=True)
    table.set("alias", quoted)
    return table


def everything(columns: tuple[Column, ...], alias: str) -> exp.Select:
    """Return the query of all columns of partial results."""
    items = [named(exp.column(one.name, table=alias, quoted=True), one.name) for one in columns]
    return exp.select(*items, copy=False).from_(partials_table(alias), copy=False)


def named(value: exp.Expr, name: str) -> exp.Expr:
    """Return a select item."""
    return exp.Alias(this=value, alias=exp.to_identifier(name, quoted=True))


def free_name(query: exp.Query) -> str:
    """Return a name that no identifier of a query has."""
    taken = {str(node.this).lower() for node in query.find_all(exp.Identifier)}
    name = "partials"
    while name in taken:
        name += "_"
    return name


def of_parts(query: exp.Query) -> exp.Query:
    """Return a copy with those branches of every UNION ALL alone that read the input."""
    return _branches_kept(query, EACH)


def of_others(query: exp.Query) -> exp.Query:
    """Return a copy with those branches of every UNION ALL alone that do not read the input."""
    return _branches_kept(query, REST)


def without_unused_ctes(query: exp.Query) -> exp.Query:
    """Drop the CTEs that nothing reads, in place."""
    while True:
        names = resolve_names(query)
        used = {id(cte) for _, cte in names.tables}
        unused = [cte for cte in names.ctes if id(cte) not in used]
        if not unused:
            return query
        for cte in unused:
            with_ = cte.parent
            cte.pop()
            if isinstance(with_, exp.With) and not with_.expressions:
                with_.pop()


def _branches_kept(query: exp.Query, note: str) -> exp.Query:
    query = query.copy()
    for union in reversed(find_all(query, exp.Union)):  # inner ones first
        sides = union.meta.get(note)
        if sides is None or len(sides) != 1:
            continue
        kept = union.args[sides[0]]
        names = union.named_selects
        for leaf in branches(kept):
            for item, name in zip(list(leaf.selects), names, strict=True):
                item.replace(named(item.unalias().copy(), name))
        with_ = union.args.get("with_")
        if with_ is not None:
            _require_no_with(kept)
            kept.set("with_", with_)
        if union is query:
            kept.pop()
            query = kept
        else:
            union.replace(kept)
    return query


def _require_no_with(query: exp.Expr) -> None:
    if query.args.get("with_") is not None:
        raise NotProvedError("has CTEs in a branch of a UNION ALL")


def _without_ctes(tree: exp.Query, facts: Facts, *, copied: bool) -> exp.Query:
    """Write CTEs as derived tables where that is safe: where no two are called alike."""
    ctes = find_all(tree, exp.CTE)
    called = [fold(cte.args["alias"].this) for cte in ctes]
    if len(set(called)) < len(called) or any(cte.args["alias"].columns for cte in ctes):
        return tree
    tree = inline_single_use_ctes(tree, facts)
    return inline_small_ctes(tree, facts) if copied else tree
