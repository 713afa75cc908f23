"""A name that a derived table or CTE yields twice: an error if it is read, made unique if it is not.

WITH x AS (SELECT * FROM t JOIN u ON t.id = u.id) SELECT x.id …: to the engine `x.id` is the first of the two, to
SQLGlot the last, so what is executed would not be what is fingerprinted. Standard SQL calls such a name ambiguous.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from compiler.errors import SqlError
from compiler.names.lexical import Names, from_items, item_name, resolve_names
from compiler.names.name_meaning import Output, Sight
from compiler.names.qualify_fixups import as_written
from compiler.names.resolve import fold
from compiler.names.unaliased_tables import MARK
from compiler.schema import Schema
from compiler.tree.positions import located, position
from compiler.tree.walk import branches, find_all, output_leaf


@dataclass(frozen=True)
class RepeatedRead:
    """A read of a repeated name: the node, the name, and the derived table or query that yields it twice."""

    node: exp.Expr
    name: str
    item: exp.Expr
    outputs: tuple[Output, ...]

    @property
    def message(self) -> str:
        """The error, with the places of the columns that could be meant."""
        is_query = isinstance(self.item, exp.Select | exp.SetOperation)
        owner = as_written(item_name(self.item) or "") if not is_query else ""
        whose = f"'{owner}' has" if owner else "the query has"
        places = [_place(output) for output in self.outputs if output.name == self.name]
        suffix = f": {' and '.join(places)}" if places else ""
        return f"column '{self.name}' is ambiguous, {whose} {len(places) or 'several'} columns of that name{suffix}"

    @property
    def hint(self) -> str:
        """The hint."""
        naming = f"give each a name of its own: … AS {self.name}, … AS other_{self.name}"
        starred = any(output.item.is_star for output in self.outputs if output.name == self.name)
        return f"list the columns instead of *, and {naming}" if starred else naming

    def error(self) -> SqlError:
        """Return the error at the place of the read."""
        return located(self.node, self.message, hint=self.hint, code="ambiguous-column")


def set_repeated_names_apart(query: exp.Query, schemas: Mapping[str, Schema]) -> None:
    """(SELECT t.s, u.s, t.v FROM …) AS x → (SELECT t.s AS "s~1", u.s AS "s~2", t.v FROM …) AS x, in place.

    Raises `SqlError` if such a name is read, or is an output of the whole query.
    """
    if not _may_repeat(query):
        return
    names = resolve_names(query)
    sight = Sight(names, schemas)
    for read in repeated_reads(query, names, sight):
        raise read.error()
    _Renaming(names, sight).apply(query)


def repeated_reads(query: exp.Query, names: Names, sight: Sight) -> Iterator[RepeatedRead]:
    """Yield every place that reads a name which a derived table or CTE yields twice."""
    reader = _Reader(names, sight)
    yield from reader.columns()
    for select in find_all(query, exp.Select):
        yield from reader.joins(select)
        yield from reader.stars(select)
    for operation in find_all(query, exp.SetOperation):
        yield from reader.by_name(operation)


def _may_repeat(query: exp.Query) -> bool:
    """Whether a query within the query has a star, or a name twice; most do not, and are not examined further."""
    for holder in find_all(query, exp.Subquery, exp.CTE, exp.SetOperation):
        alias = holder.args.get("alias")
        names = [column.name for column in alias.columns] if isinstance(alias, exp.TableAlias) else []
        for select in branches(holder.this) if isinstance(holder.this, exp.Query) else ():
            names += [item.alias_or_name for item in select.selects]
            if len(set(names)) < len(names) or any(item.is_star for item in select.selects):
                return True
            names = []
    return False


def _repeated(names: Sequence[str | None]) -> frozenset[str]:
    return frozenset(name for name, count in Counter(names).items() if name is not None and count > 1)


class _Reader:
    """Finds the reads of repeated names in one query."""

    def __init__(self, names: Names, sight: Sight) -> None:
        self._names = names
        self._sight = sight
        self._ctes = {id(table): cte for table, cte in names.tables}
        self._of: dict[int, frozenset[str]] = {}

    def columns(self) -> Iterator[RepeatedRead]:
        """Yield reads by columns, qualified or not."""
        for reference in self._names.references:
            identifier = reference.column.parts[1]
            if isinstance(identifier, exp.Identifier):
                yield from self._read(reference.column, fold(identifier), reference.item)
        for column, scopes in self._names.bare:
            if not isinstance(column.this, exp.Identifier):
                continue
            name = fold(column.this)
            meaning = self._sight.meaning(column, scopes)
            if meaning.kind == "output":
                query = column.find_ancestor(exp.Select, exp.SetOperation)
                leaf = output_leaf(query) if query is not None else None
                outputs = self._sight.select_outputs(leaf) if leaf is not None else None
                if name in _repeated([output.name for output in outputs or ()]):
                    assert query is not None
                    yield RepeatedRead(column, name, query, tuple(map(self._origin, outputs or ())))
            elif meaning.kind == "column":
                yield from self._read(column, name, meaning.holders[0])

    def joins(self, select: exp.Select) -> Iterator[RepeatedRead]:
        """Yield reads by USING and NATURAL."""
        items, joins = from_items(select)
        for join in joins:
            names = [(name, fold(name)) for name in join.args.get("using") or [] if isinstance(name, exp.Identifier)]
            if join.method == "NATURAL":
                place = next((number for number, item in enumerate(items) if item is join.this), 0)
                others = {name for item in items[:place] for name in self._sight.columns(item) or ()}
                names += [(join.this, name) for name in self._sight.columns(join.this) or () if name in others]
            for node, name in names:
                for item in items:
                    yield from self._read(node, name, item)

    def stars(self, select: exp.Select) -> Iterator[RepeatedRead]:
        """Yield reads by the EXCEPT and REPLACE of stars."""
        items, _ = from_items(select)
        for item in select.selects:
            star = item.this if isinstance(item, exp.Column) else item
            if not isinstance(star, exp.Star):
                continue
            of = [
                one for one in items if not isinstance(item, exp.Column) or item_name(one) == fold(item.args["table"])
            ]
            named: list[tuple[exp.Expr, str]] = []
            for one in star.args.get("except_") or []:
                identifier = one.this if isinstance(one, exp.Column) else one
                if isinstance(identifier, exp.Identifier):
                    named.append((one, fold(identifier)))
            named += [(one, fold(one.args["alias"])) for one in star.args.get("replace") or [] if one.args.get("alias")]
            for node, name in named:
                for table in of:
                    yield from self._read(node, name, table)

    def by_name(self, operation: exp.SetOperation) -> Iterator[RepeatedRead]:
        """Yield the branches of UNION BY NAME that have a name twice: either of the two could be meant."""
        if not operation.args.get("by_name"):
            return
        for branch in (operation.this, operation.expression):
            leaf = output_leaf(branch)
            outputs = self._sight.select_outputs(leaf) if leaf is not None else None
            for name in sorted(_repeated([output.name for output in outputs or ()])):
                assert leaf is not None
                yield RepeatedRead(leaf, name, leaf, tuple(map(self._origin, outputs or ())))

    def _read(self, node: exp.Expr, name: str, item: exp.Expr) -> Iterator[RepeatedRead]:
        if id(item) not in self._of:
            self._of[id(item)] = _repeated(self._sight.columns(item) or ())
        if name in self._of[id(item)]:
            yield RepeatedRead(node, name, item, tuple(map(self._origin, self._outputs(item))))

    def _origin(self, output: Output) -> Output:
        """Return the output that replaces a column of a star, under the name that it has here."""
        while output.source is not None:
            inner = self._outputs(output.source)
            if output.number >= len(inner):
                break
            output = replace(inner[output.number], name=output.name)
        return output

    def _outputs(self, item: exp.Expr) -> list[Output]:
        """Return the output columns of a derived table or CTE as its SELECT names them."""
        holder: exp.Expr = self._ctes.get(id(item), item)
        alias = holder.args.get("alias")
        if isinstance(alias, exp.TableAlias) and alias.columns:
            return [Output(fold(column), column) for column in alias.columns]
        leaf = output_leaf(holder.this) if isinstance(holder.this, exp.Query) else None
        return (self._sight.select_outputs(leaf) if leaf is not None else None) or []


class _Renaming:
    """Gives the columns of one repeated name different names, which nothing reads."""

    def __init__(self, names: Names, sight: Sight) -> None:
        self._names = names
        self._sight = sight

    def apply(self, query: exp.Query) -> None:
        holders = [*self._names.ctes, *(item for item in self._names.items if isinstance(item, exp.Subquery))]
        holders += [item.this for item in self._names.items if isinstance(item, exp.Lateral)]
        bodies = [holder.this for holder in holders if isinstance(holder.this, exp.Query)]
        bodies += [operation.expression for operation in find_all(query, exp.SetOperation)]
        selects = {id(select): select for body in bodies for select in branches(body)}
        # Everything is computed before anything changes: the meaning of a star depends on the names within.
        outputs = {key: self._sight.select_outputs(select) for key, select in selects.items()}
        lists = [
            holder.args["alias"].columns for holder in holders if isinstance(holder.args.get("alias"), exp.TableAlias)
        ]
        columns = {
            id(output.source): self._sight.columns(output.source) or ()
            for found in outputs.values()
            for output in found or ()
            if output.source is not None
        }
        _require_own_names(query, self._sight)
        unnamed = (item for item in self._names.items if item_name(item) is None)
        for number, item in enumerate(unnamed):
            item.set("alias", exp.TableAlias(this=exp.Identifier(this=f"{MARK}{number}", quoted=True)))
        for identifiers in lists:
            for identifier, name in zip(identifiers, _apart([fold(one) for one in identifiers]), strict=True):
                identifier.set("this", name)
                identifier.args["quoted"] = True
        for key, select in selects.items():
            found = outputs[key]
            if found is not None and _repeated([output.name for output in found]):
                select.set("expressions", [*_renamed(found, columns)])


def _require_own_names(query: exp.Query, sight: Sight) -> None:
    """Refuse a query whose own star passes on a repeated name: a product has each name once."""
    leaf = output_leaf(query)
    outputs = sight.select_outputs(leaf) if leaf is not None else None
    seen: set[str] = set()
    for output in outputs or ():
        if output.name in seen:
            hint = "list the columns instead of *" if output.item.is_star else "rename one with AS"
            message = f"two output columns are named '{output.name}'"
            raise located(output.item, message, hint=hint, code="duplicate-column")
        if output.name is not None:
            seen.add(output.name)


def _renamed(outputs: list[Output], columns: Mapping[int, Sequence[str]]) -> Iterator[exp.Expr]:
    """Yield the items of a SELECT list with its stars expanded, and unique names; columns: of stars' FROM items."""
    for output, name in zip(outputs, _apart([output.name for output in outputs]), strict=True):
        item = output.item
        if item.is_star:
            item = output.replaced.copy() if output.replaced is not None else _column(output, columns)
        inner = item.this if isinstance(item, exp.Alias) else item
        yield (
            item if name is None or name == output.name == item.alias_or_name else exp.alias_(inner, name, quoted=True)
        )


def _column(output: Output, columns: Mapping[int, Sequence[str]]) -> exp.Expr:
    """Return the column that a star passes on."""
    assert output.name is not None
    if output.source is None:  # merged by USING: `qualify` knows the name without a table
        return exp.column(output.name, quoted=True)
    name, alias = _apart(columns[id(output.source)])[output.number], item_name(output.source)
    assert name is not None
    return exp.column(name, table=alias, quoted=True)


def _apart(names: Sequence[str | None]) -> list[str | None]:
    """["s", "v", "s"] → ["s~1", "v", "s~2"]."""
    repeated, seen = _repeated(names), Counter[str]()
    found: list[str | None] = []
    for name in names:
        if name is not None and name in repeated:
            seen[name] += 1
            apart = f"{name}{MARK}{seen[name]}"
            while apart in names:
                apart += MARK
            found.append(apart)
        else:
            found.append(name)
    return found


def _place(output: Output) -> str:
    """Return a description of a column, with its place."""
    line, column = position(output.item)
    at = f" at {line}:{column}" if line is not None else ""
    if output.item.is_star:
        source = item_name(output.source) if output.source is not None else None
        return f"{source}.{output.name} by *{at}" if source else f"{output.name} by *{at}"
    return f"{output.item.sql()}{at}"
