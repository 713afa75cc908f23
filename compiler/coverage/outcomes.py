"""The outcomes of a rule, as queries over its inputs that count for each how many rows have it.

Of every SELECT of a rule, those within others included: each predicate of WHERE, HAVING and FILTER holds, does not, or
is NULL; each branch of each CASE is taken; each join finds a row for one of either side, and none; groups have one row,
and several; rows tie in an ORDER BY. Of every input: a column is NULL, and is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp
from sqlglot.errors import SqlglotError

from compiler.compile import Compiler
from compiler.compiled import Compiled
from compiler.errors import SqlError
from compiler.schema import INPUT_DB
from compiler.sql.dialect import render
from compiler.tree.nesting import is_huge
from compiler.tree.selects import is_aggregated, own_nodes, visible_ctes
from compiler.tree.walk import bare_copy, find_all, has

_PLAIN_NAME = re.compile(r'"([a-z_][a-z0-9_]*)"')
_SHOWN = 70
"""Characters of an expression that are shown."""
_ROWS = "~rows"
"""What groups are called where their rows are counted."""


@dataclass(frozen=True)
class Outcome:
    """What may be the case of some rows, in words. required: whether it is worth saying that no row shows it."""

    said: str
    required: bool = True


@dataclass(frozen=True)
class Question:
    """A query of one row that counts the rows of some outcomes, in their order. scans: what it reads, by input."""

    sql: str
    scans: Mapping[str, tuple[str, ...]]
    outcomes: tuple[Outcome, ...]


@dataclass
class _Count:
    """What is counted where: expressions over the rows of a FROM, or the groups of it, with their outcomes."""

    values: list[exp.Expr] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def add(self, condition: exp.Expr, said: str, *, required: bool = True) -> None:
        case = exp.Case(ifs=[exp.If(this=condition, true=exp.Literal.number(1))])
        self.values.append(exp.Count(this=case))
        self.outcomes.append(Outcome(said, required))

    def predicate(self, atom: exp.Expr, said: str, decides: exp.Expr | None = None) -> None:
        """Count where a predicate holds, does not, and is NULL. decides: whether it decides the condition it is in."""
        for value, outcome in ((bare_copy(atom), "holds"), (exp.not_(bare_copy(atom)), "does not hold")):
            self.add(value, f"{said} {outcome}")
            if decides is not None:
                both = exp.and_(value.copy(), decides.copy(), copy=False)
                self.add(both, f"{said} {outcome}, which decides", required=False)
        self.add(exp.Is(this=exp.paren(bare_copy(atom)), expression=exp.null()), f"{said} is NULL", required=False)


def questions(compiled: Compiled, compiler: Compiler) -> list[Question]:
    """Return the questions of a rule. What the engine cannot be asked is left out.

    compiler: knows the schemas of the inputs. Takes some milliseconds for each, as the engine plans them.
    """

    def work() -> list[Question]:
        tree = compiler.tree_of(compiled)
        schemas = {name: compiler.schemas.known[name] for name in compiled.scans}
        asked = [] if is_huge(tree) else [one for select in find_all(tree, exp.Select) for one in _of_select(select)]
        found = []
        for query, outcomes in [*asked, *_of_columns(compiled.scans)]:
            for number, value in enumerate(query.selects):
                value.replace(exp.alias_(value.copy(), f"n{number}", quoted=True))
            try:
                sql, scans, _ = compiler.run_as(query, schemas)
            except (SqlError, SqlglotError):
                continue
            if scans:
                found.append(Question(sql, scans, tuple(outcomes)))
        return found

    return compiler.working(work)


def _of_columns(scans: Mapping[str, Sequence[str]]) -> Iterator[tuple[exp.Select, list[Outcome]]]:
    for name, columns in scans.items():
        count = _Count()
        for column in columns:
            value = exp.column(column, table="t", quoted=True)
            count.add(exp.Is(this=value, expression=exp.null()), f"{name}.{column} is NULL", required=False)
            count.add(
                exp.not_(exp.Is(this=value.copy(), expression=exp.null())),
                f"{name}.{column} is not NULL",
                required=False,
            )
        if columns:
            alias = exp.TableAlias(this=exp.to_identifier("t", quoted=True))
            table = exp.Table(
                this=exp.to_identifier(name, quoted=True), db=exp.to_identifier(INPUT_DB, quoted=True), alias=alias
            )
            yield exp.select(*count.values, copy=False).from_(table, copy=False), count.outcomes


def _of_select(select: exp.Select) -> Iterator[tuple[exp.Select, list[Outcome]]]:
    """Yield queries that count, each with the outcomes that it counts."""
    if select.args.get("from_") is None or select.args.get("laterals") or _is_correlated(select):
        return
    within = _With.of(select)
    if within is None:
        return
    where = select.args.get("where")
    yield from _of_joins(select, within)
    plain, condition = _Count(), where.this if where is not None else exp.true()
    for atom in _atoms(condition):
        said = f"WHERE {_shown(atom)}"
        if has(atom, exp.Query):  # which the engine does not take everywhere
            for value, outcome in ((bare_copy(atom), "holds"), (exp.not_(bare_copy(atom)), "does not hold")):
                query = within.reading(select, [exp.Count(this=exp.Star())], exp.Where(this=value))
                yield query, [Outcome(f"{said} {outcome}")]
        else:
            plain.predicate(atom, said, _decides(condition, atom))
    if plain.values:
        yield within.reading(select, plain.values, None), plain.outcomes
    rows = _of_rows(select)
    yield within.reading(select, rows.values, where), rows.outcomes
    if select.args.get("having") is not None and select.args.get("group") is not None:
        yield _kept(select, within, rows)
    yield from _of_groups(select, within)


def _of_rows(select: exp.Select) -> _Count:
    """Count the rows that a SELECT reads, and what is decided of each."""
    count = _Count()
    count.add(exp.true(), f"a row of {_tables(select)}")
    _of_found(select, count)
    for part in _row_parts(select):
        for case in own_nodes(part, exp.Case, exp.If):
            if not has(case, exp.AggFunc, exp.Window, exp.Query) and not isinstance(case.parent, exp.Case):
                for number, said in _branches(case):
                    taken = exp.EQ(this=_numbered(case), expression=exp.Literal.number(number))
                    count.add(taken, said)
                    result = _result(case, number)
                    if result is not None and has(result, exp.Neg, exp.Mul):  # of which 0 would show nothing
                        seen = exp.NEQ(this=exp.paren(bare_copy(result)), expression=exp.Literal.number(0))
                        both = exp.and_(taken.copy(), seen, copy=False)
                        count.add(both, f"{said}, with a value other than 0", required=False)
        for filtered in own_nodes(part, exp.Filter):
            for atom in _atoms(filtered.expression.this):
                if not has(atom, exp.Query):
                    count.predicate(atom, f"FILTER {_shown(atom)}")
    return count


def _of_found(select: exp.Select, count: _Count) -> None:
    """Count the rows that are there for one predicate alone, and those that a join found another for."""
    where = select.args.get("where")
    condition = where.this if where is not None else exp.true()
    for atom in _atoms(condition):
        decides = _decides(condition, atom)
        if decides is not None:
            both = exp.and_(bare_copy(atom), decides, copy=False)
            count.add(both, f"a row for WHERE {_shown(atom)} alone", required=False)
    for join in select.args.get("joins") or ():
        on = join.args.get("on")
        if on is not None and not has(on, exp.Query) and join.kind.upper() not in ("SEMI", "ANTI"):
            said = f"a row of which JOIN {join.this.alias_or_name}"
            count.add(bare_copy(on), f"{said} found one", required=False)
            count.add(
                exp.NullSafeNEQ(this=exp.paren(bare_copy(on)), expression=exp.true()),
                f"{said} found none",
                required=False,
            )


def _kept(select: exp.Select, within: _With, rows: _Count) -> tuple[exp.Select, list[Outcome]]:
    """Return what counts the outcomes of rows once more: in the groups that HAVING keeps, where they can be seen."""
    count, inner = _Count(), list[exp.Expr]()
    for value, outcome in zip(rows.values, rows.outcomes, strict=True):
        inner.append(exp.alias_(value.copy(), f"h{len(inner)}", quoted=True))
        seen = exp.GT(this=_of_group(inner[-1].alias), expression=exp.Literal.number(0))
        count.add(seen, f"{outcome.said}, in a group that is kept", required=False)
    query = within.reading(select, inner, select.args.get("where"), select.args["group"])
    query.set("having", bare_copy(select.args["having"]))
    return _over(query, count), count.outcomes


def _of_groups(select: exp.Select, within: _With) -> Iterator[tuple[exp.Select, list[Outcome]]]:
    """Yield what counts groups: their rows, and what is decided of each; or rows that tie in an order."""
    group = select.args.get("group")
    if is_aggregated(select):
        inner, count = [exp.alias_(exp.Count(this=exp.Star()), _ROWS, quoted=True)], _Count()
        if group is not None:
            _sizes(count, f"a group by {_shown_all(group.expressions)}")
        having = select.args.get("having")
        for atom in _atoms(having.this) if having is not None else ():
            if not has(atom, exp.Query):
                inner.append(exp.alias_(bare_copy(atom), f"h{len(inner)}", quoted=True))
                count.predicate(_of_group(inner[-1].alias), f"HAVING {_shown(atom)}")
        for case in (one for item in select.selects for one in own_nodes(item, exp.Case, exp.If)):
            if (
                has(case, exp.AggFunc)
                and not has(case, exp.Window, exp.Query)
                and case.find_ancestor(exp.AggFunc) is None
            ):
                inner.append(exp.alias_(_numbered(case), f"h{len(inner)}", quoted=True))
                for number, said in _branches(case):
                    value = _of_group(inner[-1].alias)
                    count.add(exp.EQ(this=value, expression=exp.Literal.number(number)), said)
        if count.values:
            yield _over(within.reading(select, inner, select.args.get("where"), group), count), count.outcomes
        return
    for keys, said in _orders(select):
        count = _Count()
        _sizes(count, said)
        rows = [exp.alias_(exp.Count(this=exp.Star()), _ROWS, quoted=True)]
        grouped = exp.Group(expressions=[bare_copy(key) for key in keys])
        yield _over(within.reading(select, rows, select.args.get("where"), grouped), count), count.outcomes


def _sizes(count: _Count, said: str) -> None:
    rows = _of_group(_ROWS)
    count.add(exp.GT(this=rows, expression=exp.Literal.number(1)), f"{said} has several rows")
    count.add(exp.EQ(this=rows.copy(), expression=exp.Literal.number(1)), f"{said} has one row", required=False)


def _of_group(name: str) -> exp.Column:
    return exp.column(name, table="groups", quoted=True)


def _over(query: exp.Select, count: _Count) -> exp.Select:
    """Return what counts over the rows of a query, whose CTEs it takes."""
    with_ = query.args.pop("with_", None)
    alias = exp.TableAlias(this=exp.to_identifier("groups", quoted=True))
    outer = exp.select(*count.values, copy=False).from_(exp.Subquery(this=query, alias=alias), copy=False)
    if with_ is not None:
        outer.set("with_", with_)
    return outer


def _orders(select: exp.Select) -> Iterator[tuple[list[exp.Expr], str]]:
    """Yield the keys by which rows of a SELECT are ordered, each with what ties are called."""
    for window in (one for item in select.selects for one in own_nodes(item, exp.Window)):
        order, partition = window.args.get("order"), window.args.get("partition_by") or []
        if order is not None:
            keys = [*partition, *(one.this for one in order.expressions)]
            yield keys, f"a place in ORDER BY {_shown_all([one.this for one in order.expressions])}"
    order = select.args.get("order")
    if order is not None and not select.args.get("distinct"):
        by_name = {item.alias_or_name: item.unalias() for item in select.selects}
        keys = [by_name.get(one.this.name, one.this) if _is_output(one.this) else one.this for one in order.expressions]
        if not any(has(key, exp.Window, exp.Query) for key in keys):
            yield keys, f"a place in ORDER BY {_shown_all(keys)}"


def _is_output(key: exp.Expr) -> bool:
    return isinstance(key, exp.Column) and not key.table


def _of_joins(select: exp.Select, within: _With) -> Iterator[tuple[exp.Select, list[Outcome]]]:
    """Yield what counts for each join the pairs that it finds, and the rows of either side without one."""
    joins = select.args.get("joins") or []
    for place, join in enumerate(joins):
        on = join.args.get("on")
        if on is None or join.kind.upper() in ("SEMI", "ANTI") or has(on, exp.Query):
            continue
        said = f"JOIN {join.this.alias_or_name} ON {_shown(on)}"
        for side, kind, outcome in (
            ("", "INNER", "finds a row"),
            ("LEFT", "ANTI", "finds none on the right"),
            ("RIGHT", "ANTI", "finds none on the left"),
        ):
            other = exp.Join(this=bare_copy(join.this), side=side, kind=kind, on=bare_copy(on))
            query = exp.select(exp.Count(this=exp.Star()), copy=False)
            query.set("from_", bare_copy(select.args["from_"]))
            query.set("joins", [*map(bare_copy, joins[:place]), other])
            yield within.seen(query), [Outcome(f"{said} {outcome}", required=outcome == "finds a row")]


@dataclass(frozen=True)
class _With:
    """The CTEs that a query sees."""

    ctes: tuple[exp.CTE, ...]

    @classmethod
    def of(cls, query: exp.Query) -> _With | None:
        """Return those of a query, its own included; None if one of them is recursive."""
        found, recursive = visible_ctes(query)
        if recursive:
            return None
        return cls(tuple(found))

    def seen(self, query: exp.Select) -> exp.Select:
        """Let a query see them."""
        if self.ctes:
            query.set("with_", exp.With(expressions=[bare_copy(cte) for cte in self.ctes]))
        return query

    def reading(
        self, select: exp.Select, values: Sequence[exp.Expr], where: exp.Where | None, group: exp.Group | None = None
    ) -> exp.Select:
        """Return a query of some values over the rows that a SELECT reads."""
        query = exp.select(*values, copy=False)
        query.set("from_", bare_copy(select.args["from_"]))
        query.set("joins", [bare_copy(join) for join in select.args.get("joins") or []])
        if where is not None:
            query.set("where", bare_copy(where))
        if group is not None:
            query.set("group", bare_copy(group))
        return self.seen(query)


def _is_correlated(select: exp.Select) -> bool:
    """Whether a SELECT, not one within it, refers to a query around it."""
    sources = [select.args["from_"].this, *(join.this for join in select.args.get("joins") or [])]
    names = {source.alias_or_name for source in sources}
    return any(column.table and column.table not in names for column in _own_columns(select))


def _own_columns(select: exp.Select) -> Iterator[exp.Column]:
    """Yield the columns of a SELECT's own clauses."""
    for value in select.args.values():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, exp.Expr) and not isinstance(part, exp.With):
                for node in own_nodes(part, exp.Column):
                    assert isinstance(node, exp.Column)
                    yield node


def _row_parts(select: exp.Select) -> Iterator[exp.Expr]:
    yield from select.selects
    for key in ("group", "having", "order", "qualify"):
        part = select.args.get(key)
        if isinstance(part, exp.Expr):
            yield part


def _atoms(condition: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the predicates that AND, OR and NOT combine in a condition."""
    if isinstance(condition, exp.And | exp.Or):
        yield from _atoms(condition.this)
        yield from _atoms(condition.expression)
    elif isinstance(condition, exp.Not | exp.Paren):
        yield from _atoms(condition.this)
    elif not isinstance(condition, exp.Boolean):
        yield condition


def _decides(condition: exp.Expr, atom: exp.Expr) -> exp.Expr | None:
    """Return whether a condition has another value if a predicate in it has; None if it is all of the condition."""
    if condition is atom or has(condition, exp.Query):
        return None
    places = [place for place, one in enumerate(_atoms(condition)) if one is atom]
    sides = []
    for value in (exp.true(), exp.false()):
        side = bare_copy(condition)
        next(one for place, one in enumerate(_atoms(side)) if place == places[0]).replace(value)
        sides.append(exp.paren(side, copy=False))
    return exp.NullSafeNEQ(this=sides[0], expression=sides[1])


def _branches(case: exp.Expr) -> Iterator[tuple[int, str]]:
    """Yield the branches of a CASE by their numbers, each with what it is called; the last is ELSE."""
    if isinstance(case, exp.If):
        yield 0, f"IF {_shown(case.this)} holds"
        yield 1, f"IF {_shown(case.this)} does not hold"
        return
    for number, branch in enumerate(case.args["ifs"]):
        yield number, f"CASE takes WHEN {_shown(branch.this)}"
    yield len(case.args["ifs"]), f"CASE takes ELSE after WHEN {_shown(case.args['ifs'][-1].this)}"


def _result(case: exp.Expr, number: int) -> exp.Expr | None:
    """Return what a branch of a CASE yields; None for NULL."""
    if isinstance(case, exp.If):
        found = case.args.get("false" if number else "true")
    else:
        ifs = case.args["ifs"]
        found = ifs[number].args["true"] if number < len(ifs) else case.args.get("default")
    return found if isinstance(found, exp.Expr) else None


def _numbered(case: exp.Expr) -> exp.Case:
    """Return a CASE whose value is the number of the branch that it takes."""
    if isinstance(case, exp.If):
        ifs = [exp.If(this=bare_copy(case.this), true=exp.Literal.number(0))]
        return exp.Case(ifs=ifs, default=exp.Literal.number(1))
    ifs = [
        exp.If(this=bare_copy(branch.this), true=exp.Literal.number(number))
        for number, branch in enumerate(case.args["ifs"])
    ]
    operand = case.args.get("this")
    found = exp.Case(ifs=ifs, default=exp.Literal.number(len(ifs)))
    if operand is not None:
        found.set("this", bare_copy(operand))
    return found


def _tables(select: exp.Select) -> str:
    sources = [select.args["from_"].this, *(join.this for join in select.args.get("joins") or [])]
    return ", ".join(source.name or source.alias_or_name for source in sources)


def _shown(node: exp.Expr) -> str:
    text = _PLAIN_NAME.sub(r"\1", render(bare_copy(node)))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _shown_all(found: Sequence[exp.Expr]) -> str:
    return ", ".join(map(_shown, found))
