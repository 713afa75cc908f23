"""How a rule reads each of its inputs: the proof, and the queries that make its product part by part.

It is decided from the rule's meaning, the executed form without what is done to it for the engine's sake. Each query
that comes of it is then given to the engine in the way that a rule is.
"""

from __future__ import annotations

from sqlglot import exp

from compiler.compile import Compiler
from compiler.compiled import Compiled, Options
from compiler.errors import SqlError
from compiler.parts.merging import merging_way
from compiler.parts.reading import Kind, PartQueries, PartQuery, Reading
from compiler.parts.rows import NotProvedError, agree_in_all_parts
from compiler.parts.rule import Rule, everything, of_others, of_parts


def readings(compiled: Compiled, compiler: Compiler, options: Options) -> dict[str, Reading]:
    """Return how a rule reads each of its inputs, by name.

    compiler: knows the schemas of the inputs. options: those that the rule was compiled with. Takes some milliseconds
    for each input, as the engine plans the queries.
    """
    return compiler.working(lambda: {name: _reading(compiled, compiler, options, name) for name in compiled.scans})


def _reading(compiled: Compiled, compiler: Compiler, options: Options, table: str) -> Reading:
    if options.volatile or compiled.traits.volatile:
        return Reading(Kind.WHOLE, "The rule may give another result in every run.")
    first: Reading | None = None
    for copied in (False, True):
        try:
            found = _read_by(Rule(compiled, compiler, options, table, copied=copied))
        except SqlError as error:
            found = Reading(Kind.WHOLE, f"The engine does not plan the queries for its parts: {error.message}.")
        if found.kind != Kind.WHOLE:
            return found
        first = first or found
    assert first is not None
    return first


def _read_by(rule: Rule) -> Reading:
    ways: list[PartQueries] = []
    reason = ""
    try:
        ways.append(_row_wise(rule))
    except NotProvedError as why:
        reason = str(why)
    if not ways or ways[0].unshared is not None:
        for query in rule.enclosing():
            try:
                found = merging_way(rule, query)
            except NotProvedError as why:
                reason = str(why)
                continue
            if found is not None:
                ways.append(found)
                if found.unshared is None:
                    break
    return _described(ways, reason)


def _row_wise(rule: Rule) -> PartQueries:
    """Return the way to work without merging. Raises `NotProvedError`."""
    rows = rule.reader.of(rule.tree)
    if rows is None or not agree_in_all_parts(rule.tree, rule.reader):
        raise NotProvedError("takes from other inputs what can be other in every run")
    unshared = None if rows.unshared is None else tuple(sorted(rows.unshared))
    exact = rule.is_exact(rule.tree, None)
    if not rows.rest and not rule.is_sorted:
        return PartQueries(rule.whole(), unshared=unshared, exact=exact)
    body = rule.tree.copy()
    body.set("order", None)
    each, rest = rule.query(of_parts(body)), _rest(rule, body) if rows.rest else None
    if each.schema != rule.compiled.schema or (rest is not None and rest.schema != each.schema):
        raise NotProvedError("combines it with rows of other types")
    if not rule.is_sorted:
        return PartQueries(each, rest, unshared=unshared, exact=exact)
    finish = everything(each.schema.columns, "partials")
    order = rule.tree.args.get("order")
    if order is not None:
        names = rule.tree.named_selects
        keys = [one.this for one in order.expressions]
        if not all(isinstance(key, exp.Column) and not key.table and key.name in names for key in keys):
            raise NotProvedError("sorts its rows by what it does not yield")
        finish.set("order", order.copy())
    return PartQueries(each, rest, finish=rule.product(finish, each.schema), unshared=unshared, exact=exact)


def _rest(rule: Rule, body: exp.Query) -> PartQuery:
    others = of_others(body)
    if any(rule.is_mention(table) for table in others.find_all(exp.Table)):
        raise NotProvedError("reads it beside other inputs in a way that is not taken apart")
    return rule.query(others)


def _described(ways: list[PartQueries], reason: str) -> Reading:
    always = next((way for way in ways if way.unshared is None), None)
    if always is None and ways:
        columns = " or ".join(sorted({column for way in ways for column in way.unshared or ()}))
        return Reading(
            Kind.KEYED, f"Groups, windows and distinct rows lie within a part if no two share {columns}.", tuple(ways)
        )
    if always is None:
        return Reading(Kind.WHOLE, f"The rule {reason}.")
    if always.finish is None:
        return Reading(Kind.PART_WISE, "Every row comes from one row of it.", tuple(ways))
    return Reading(Kind.MERGEABLE, "Partial results of its parts are merged, and then finished.", tuple(ways))
