"""A rule and one of its inputs as the proofs need them: its tree, what is read where, and the way to the engine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import TypeVar

from sqlglot import exp

from compiler.analysis.floats import Floats
from compiler.analysis.traits import shows_row_order
from compiler.analysis.types import INTEGERS
from compiler.canonical.ctes import MOST_COPIES, inline_single_use_ctes
from compiler.canonical.facts import Facts
from compiler.compile import Compiler
from compiler.compiled import Compiled, Options, Tier
from compiler.names.lexical import resolve_names
from compiler.names.resolve import fold
from compiler.parts.reading import PART, PARTIALS, PartQuery
from compiler.parts.rows import EACH, REST, NotProvedError, Reader
from compiler.parts.together import of_several_parts, yields_a_row_of_none
from compiler.schema import INPUT_DB, Column, Schema
from compiler.sql.encode import encode
from compiler.sql.functions import function_name, is_float_sensitive
from compiler.tree.selects import visible_ctes
from compiler.tree.walk import bare_copy, branches, find_all, has, nodes

E = TypeVar("E", bound=exp.Expr)

DECIMAL = re.compile(r"decimal128<(\d+), (-?\d+)>")
_EXACT = frozenset({*INTEGERS, "string", "bool", "date32", "date64", "binary"})
_EXACT_FAMILIES = ("decimal128<", "timestamp<", "time32<", "time64<", "duration<", "binary<")


@dataclass(frozen=True)
class Meanings:
    """The meaning of a rule as trees: with its CTEs, and with those that are read several times written out."""

    trees: tuple[exp.Query, ...]

    @classmethod
    def of(cls, compiled: Compiled, compiler: Compiler) -> Meanings:
        """Return the meanings of a rule; call it in `Compiler.working`."""
        known = {name: compiler.schemas.known[name] for name in compiled.scans}
        tree = _without_ctes(compiler.tree_of(compiled), Facts(known), written_out=False)
        other = _without_ctes(copied(tree), Facts(known), written_out=True) if has(tree, exp.CTE) else tree
        return cls((tree,) if encode(other) == encode(tree) else (tree, other))


class Rule:
    """A rule as a reader of the input `table`. tree: its meaning, which is noted in; schemas: of its inputs."""

    def __init__(self, compiled: Compiled, compiler: Compiler, options: Options, tree: exp.Query, table: str) -> None:
        self.compiled, self.table, self.tree = compiled, table, tree
        self.schemas = {name: compiler.schemas.known[name] for name in compiled.scans}
        self._compiler, self._options = compiler, options
        self.names = resolve_names(self.tree)
        exact = frozenset(column.name for column in self.schemas[table].columns if is_exact(column.type))
        self.reader = Reader(self.tree, table, self.names, exact)

    def with_tree(self, tree: exp.Query) -> Rule:
        """Return the rule with another tree of the same meaning, which may read partial results."""
        return Rule(self.compiled, self._compiler, self._options, tree, self.table)

    def mentions(self) -> list[exp.Table]:
        """Return the places where the tree names the input."""
        return [table for table in find_all(self.tree, exp.Table) if self.is_mention(table)]

    @property
    def is_sorted(self) -> bool:
        """Whether the order of the product's rows is content."""
        return self.tree.args.get("order") is not None or self._options.tier == Tier.CANONICAL

    def whole(self) -> PartQuery:
        """Return the rule's own query."""
        return PartQuery(self.compiled.sql, dict(self.compiled.scans), self.compiled.schema, self.is_sorted)

    def of_a_part(self, form: exp.Query, made: PartQuery | None = None) -> PartQuery:
        """Return the query of a part, which is consumed, with that of several at once. made: the query, if it is known.

        Raises `SqlError`.
        """
        several = of_several_parts(form) if not self.compiled.parts.get("functions") else None
        of_none = yields_a_row_of_none(form)
        each = made if made is not None else self.query(form)
        shown = self.schemas[self.table]
        if several is None or PART in (*shown.names, *each.schema.names) or "ORDER BY" in each.sql:
            return each
        if several.args.get("group") is not None and any("float" in column.type for column in each.schema.columns):
            return each
        together = self._query(several, None, None, {self.table: self._with_numbers()})
        if together.schema.columns != (*each.schema.columns, Column(PART, "int32")) or "ORDER BY" in together.sql:
            return each
        return replace(each, together=together, of_none=of_none)

    def _with_numbers(self) -> Schema:
        """Return the schema of the input with the number of its part."""
        alias = exp.TableAlias(this=exp.to_identifier("t", quoted=True))
        table = exp.table_(self.table, db=INPUT_DB, quoted=True)
        table.set("alias", alias)
        items = [named(exp.column(one, table="t", quoted=True), one) for one in self.schemas[self.table].names]
        number = named(exp.cast(exp.Literal.number(0), "INT"), PART)
        return self.query(exp.select(*items, number, copy=False).from_(table, copy=False)).schema

    def query(self, form: exp.Query, partials: Schema | None = None) -> PartQuery:
        """Return a query of partial results, which is consumed. partials: the schema of those that it reads."""
        return self._query(form, partials, None)

    def product(self, form: exp.Query, partials: Schema | None) -> PartQuery:
        """Return a query of the product, which is consumed, with its rows in the order that the rule gives them."""
        if form.args.get("order") is not None and not any("map<" in one.type for one in self.compiled.schema.columns):
            break_ties(form)
        order = self._options.order if self._options.tier == Tier.CANONICAL else None
        found = self._query(copied(form), partials, order)
        if found.schema != self.compiled.schema:
            found = self._query(_widened(form, found.schema, self.compiled.schema), partials, order)
        if found.schema != self.compiled.schema:
            raise NotProvedError("has another type when it is made of parts")
        return PartQuery(found.sql, found.scans, found.schema, self.is_sorted)

    def is_exact(self, form: exp.Query, partials: Schema | None, total: AbstractSet[int] = frozenset()) -> bool:
        """Whether the rows of a query do not depend on the order of those it reads, to the last bit.

        total: ids of parts of it whose LIMIT is by a total order.
        """
        known = {**self.schemas, **({PARTIALS: partials} if partials is not None else {})}
        floats = Floats(resolve_names(form), known)
        for node in nodes(form):
            if shows_row_order(node) and not (isinstance(node, exp.Limit | exp.Offset) and id(node.parent) in total):
                return False
            if isinstance(node, exp.Func) and is_float_sensitive(function_name(node) or ""):
                value = node.this if isinstance(node, exp.Sum) else node
                if not isinstance(node, exp.Sum | exp.Avg) or floats.may_be(value):
                    return False
        return True

    def _query(
        self,
        form: exp.Query,
        partials: Schema | None,
        order: tuple[str, ...] | None,
        others: Mapping[str, Schema] | None = None,
    ) -> PartQuery:
        form = without_unused_ctes(form)
        if partials is None and any(table.name == PARTIALS for table in form.find_all(exp.Table)):
            raise NotProvedError("joins it with aggregates of itself")
        known = {**self.schemas, **({PARTIALS: partials} if partials is not None else {}), **(others or {})}
        return PartQuery(*self._compiler.run_as(form, known, order, self._options.normalize))

    def enclosing(self) -> Iterator[exp.Query]:
        """Yield the queries that hold every mention of the input, the outermost first, which is the rule's."""
        common: list[exp.Expr] | None = None
        for mention in self.mentions():
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
        if self.reader.is_in_recursion(query):
            raise NotProvedError("reads it in a recursive CTE")
        within = {id(node) for node in nodes(query)}
        for reference in self.names.references:
            if id(reference.column) in within and id(reference.item) not in within:
                raise NotProvedError("reads it in a subquery that refers to the query around it")

    def visible_ctes(self, query: exp.Query) -> exp.With | None:
        """Return a copy of the CTEs that a query within the rule sees, its own included."""
        found, recursive = visible_ctes(query)
        if not found:
            return None
        return exp.With(expressions=[copied(cte) for cte in found], recursive=recursive)


def _widened(form: exp.Query, made: Schema, wanted: Schema) -> exp.Query:
    """Return a query whose decimals have as many digits as those of the rule, where only they are others.

    The engine adds twice beside COUNT(DISTINCT x), first by the values of x, and each time with ten digits more.
    """
    if not isinstance(form, exp.Select) or form.args.get("distinct") or len(made.columns) != len(wanted.columns):
        raise NotProvedError("has another type when it is made of parts")
    for item, column, target in zip(list(form.selects), made.columns, wanted.columns, strict=True):
        if column.type == target.type:
            continue
        narrow, wide = DECIMAL.fullmatch(column.type), DECIMAL.fullmatch(target.type)
        if narrow is None or wide is None or narrow[2] != wide[2] or int(narrow[1]) > int(wide[1]):
            raise NotProvedError("has another type when it is made of parts")
        item.replace(named(exp.Cast(this=item.unalias().copy(), to=decimal(wide[1], wide[2])), item.alias_or_name))
    return form


def decimal(precision: str | int, scale: str | int) -> exp.DataType:
    """Return the type of decimals of so many digits."""
    parameters = [exp.DataTypeParam(this=exp.Literal.number(int(one))) for one in (precision, scale)]
    return exp.DataType(this=exp.DType.DECIMAL, expressions=parameters)


def copied(tree: E) -> E:
    """Return a copy of a tree with the notes in it."""
    return bare_copy(tree, positions=True)


def is_exact(kind: str) -> bool:
    """Whether equality of values of a type is equality of their bits."""
    return kind in _EXACT or kind.startswith(_EXACT_FAMILIES)


def keeps_bits(schema: Schema) -> bool:
    """Whether equal values of a schema's columns have equal bits, so that it does not matter which of them is shown."""
    return all(is_exact(column.type) for column in schema.columns)


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
    return everything_of([one.name for one in columns], alias)


def everything_of(names: Sequence[str], alias: str) -> exp.Select:
    """Return the query of some columns of partial results."""
    items = [named(exp.column(name, table=alias, quoted=True), name) for name in names]
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
    query = copied(query)
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


def _without_ctes(tree: exp.Query, facts: Facts, *, written_out: bool) -> exp.Query:
    """Write CTEs as derived tables where that is safe: where no two are called alike."""
    ctes = find_all(tree, exp.CTE)
    called = [fold(cte.args["alias"].this) for cte in ctes]
    if len(set(called)) < len(called) or any(cte.args["alias"].columns for cte in ctes):
        return tree
    tree = inline_single_use_ctes(tree, facts)
    return _written_out(tree) if written_out else tree


def _written_out(tree: exp.Query) -> exp.Query:
    """Put a copy of each CTE whose rows are the same in every copy where it is read, in place; names are unique."""
    while True:
        names = resolve_names(tree)
        for cte in reversed(names.ctes):  # inner ones, and those that read others, last
            tables = [table for table, one in names.tables if one is cte]
            with_, size = cte.parent, len(nodes(cte.this))
            if (
                isinstance(with_, exp.With)
                and not with_.recursive
                and not has(cte.this, exp.With)
                and size * (len(tables) - 1) <= MOST_COPIES
                and not any(map(shows_row_order, nodes(cte.this)))
                and all(not table.args["alias"].columns and not table.args.get("joins") for table in tables)
            ):
                for table in tables:
                    alias = exp.TableAlias(this=table.args["alias"].this)
                    table.replace(exp.Subquery(this=copied(cte.this), alias=alias))
                cte.pop()
                if not with_.expressions:
                    with_.pop()
                break
        else:
            return tree
