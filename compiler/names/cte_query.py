"""The query that yields the rows of one CTE of a rule, with everything that the CTE can see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from compiler.errors import SqlError
from compiler.names.output_names import name_outputs
from compiler.names.resolve import fold
from compiler.sql.dialect import parse
from compiler.suggestions import suggestion
from compiler.tree.big_stack import with_deep_stack
from compiler.tree.positions import position
from compiler.tree.walk import find_all


@dataclass(frozen=True)
class Place:
    """A CTE and its path: the names of the CTEs around it, outermost first, then its own."""

    path: tuple[str, ...]
    cte: exp.CTE

    @property
    def name(self) -> str:
        """The path as people write it: outer.inner."""
        return ".".join(self.path)


def query_of_cte(text: str, wanted: Sequence[str]) -> exp.Query:
    """Return a query for the rows of a CTE of a rule. Every node keeps its place in the text.

    WITH a AS (…), b AS (SELECT … FROM a), c AS (…) SELECT …, of ["b"] → WITH a AS (…), b AS (…) SELECT * FROM b

    wanted: the CTE's name, after the names of CTEs around it if these are needed to tell it from another.
    Raises `SqlError` with code "unknown-cte" if no CTE is called that, "ambiguous-cte" if several are.
    """

    def work() -> exp.Query:
        query = parse(text)
        return _query_of(_find(_places(query), tuple(wanted)).cte)

    return with_deep_stack(work)


def _places(query: exp.Query) -> list[Place]:
    return [Place((*_holders(cte), fold(cte.args["alias"].this)), cte) for cte in find_all(query, exp.CTE)]


def _holders(cte: exp.CTE) -> Iterator[str]:
    """Yield the names of the CTEs around a CTE, outermost first."""
    around = cte.find_ancestor(exp.CTE)
    if around is not None:
        yield from _holders(around)
        yield fold(around.args["alias"].this)


def _find(places: Sequence[Place], wanted: tuple[str, ...]) -> Place:
    """Return the one CTE that is meant: a full path takes precedence over the end of one. Raises `SqlError`."""
    for spelled in (wanted, tuple(part.lower() for part in wanted)):
        for fits in ([one for one in places if one.path == spelled], [one for one in places if _ends(one, spelled)]):
            if len(fits) == 1:
                return fits[0]
            if fits:
                raise _ambiguous(fits, ".".join(wanted))
    if not places:
        raise SqlError("the rule has no CTE", hint="a CTE is a query of WITH: WITH name AS (…)", code="unknown-cte")
    names = list(dict.fromkeys(one.name for one in places))
    close = suggestion(".".join(wanted), names)
    listed = f"its CTEs: {', '.join(names)}"
    raise SqlError(
        f"the rule has no CTE '{'.'.join(wanted)}'", hint=f"{close} {listed}" if close else listed, code="unknown-cte"
    )


def _ends(place: Place, wanted: tuple[str, ...]) -> bool:
    return place.path[-len(wanted) :] == wanted


def _ambiguous(places: Sequence[Place], wanted: str) -> SqlError:
    names = [one.name for one in places]
    at = [":".join(str(part) for part in position(one.cte.args["alias"])) for one in places]
    listed = ", ".join(f"{name} at {place}" for name, place in zip(names, at, strict=True))
    hint = f"write the CTE around it before it: {listed}" if len(set(names)) > 1 else f"rename one of them: {listed}"
    line, column = position(places[1].cte.args["alias"])
    message = f"the rule has {len(places)} CTEs called '{wanted}'"
    return SqlError(message, line=line, column=column, hint=hint, code="ambiguous-cte")


def _query_of(cte: exp.CTE) -> exp.Query:
    """SELECT * FROM the CTE, with everything it sees: the CTEs before it, then those in scope at its WITH."""
    alias = cte.args["alias"].this
    assert isinstance(cte.this, exp.Query)
    if not cte.args["alias"].columns:
        name_outputs(cte.this)
    query: exp.Query = exp.select(exp.Star()).from_(exp.Table(this=alias.copy()), copy=False)
    inner: exp.Expr | None = cte
    while inner is not None:
        with_, before = _in_sight(inner)
        if with_ is None:
            return query
        wanted = [*before, inner] if inner is cte else before
        needed = _needed(wanted, query)
        if needed:
            if query.args.get("with_"):
                query = exp.select(exp.Star()).from_(query.subquery(alias.copy(), copy=False), copy=False)
            query.set("with_", exp.With(expressions=[one.copy() for one in needed], recursive=with_.recursive))
        assert with_.parent is not None
        inner = _next(with_.parent)
    return query


def _in_sight(inner: exp.Expr) -> tuple[exp.With | None, list[exp.CTE]]:
    """Return the WITH of a CTE, or the one that a part of a query sees, and those of its CTEs that are in scope."""
    with_ = inner.parent if isinstance(inner, exp.CTE) else inner.args.get("with_")
    if not isinstance(with_, exp.With):
        return None, []
    if not isinstance(inner, exp.CTE):
        return with_, list(with_.expressions)
    before: list[exp.CTE] = []
    for one in with_.expressions:
        if one is inner:
            break
        before.append(one)
    return with_, before


def _next(owner: exp.Expr) -> exp.Expr | None:
    """Return the node around the query that owns a WITH that may see further CTEs: a CTE, or a query with a WITH."""
    around = owner.parent
    while around is not None:
        if isinstance(around, exp.CTE) or (isinstance(around, exp.Query) and around.args.get("with_")):
            return around
        around = around.parent
    return None


def _needed(ctes: Sequence[exp.CTE], query: exp.Query) -> list[exp.CTE]:
    """Return the CTEs that `query` reads, directly or through others: errors in the rest do not matter."""
    read = _tables(query)
    kept: list[exp.CTE] = []
    for one in reversed(ctes):
        if fold(one.args["alias"].this) in read:
            kept.insert(0, one)
            read |= _tables(one.this)
    return kept


def _tables(query: exp.Expr) -> set[str]:
    tables = find_all(query, exp.Table)
    return {fold(table.this) for table in tables if isinstance(table.this, exp.Identifier)}
