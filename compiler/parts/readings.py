"""How a rule reads each of its inputs: the proof, and the queries that make its product part by part.

It is decided from the rule's meaning, the executed form without what is done to it for the engine's sake. Each query
that comes of it is then given to the engine in the way that a rule is.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp
from sqlglot.errors import SqlglotError

from compiler.compile import Compiler
from compiler.compiled import Compiled, Options
from compiler.errors import SqlError
from compiler.parts.merging import merging_way_of_several, merging_ways
from compiler.parts.reading import Kind, PartQueries, PartQuery, Reading
from compiler.parts.rows import NotProvedError, agree_in_all_parts
from compiler.parts.rule import Meanings, Rule, copied, keeps_bits, of_others, of_parts
from compiler.parts.sorting import sorting
from compiler.schema import Schema
from compiler.tree.nesting import is_huge


def readings(
    compiled: Compiled, compiler: Compiler, options: Options, names: Iterable[str] | None = None
) -> dict[str, Reading]:
    """Return how a rule reads its inputs, by name; names: of those that are asked for, else all.

    compiler: knows the schemas of the inputs. options: those that the rule was compiled with. Takes some ten
    milliseconds for each input, as the engine plans the queries; remember what comes of it.
    """
    asked = list(compiled.scans) if names is None else list(names)
    if options.volatile or compiled.traits.volatile:
        return dict.fromkeys(asked, Reading(Kind.WHOLE, "The rule may give another result in every run."))

    def work() -> dict[str, Reading]:
        meanings = Meanings.of(compiled, compiler)
        if is_huge(meanings.trees[0]):
            return dict.fromkeys(asked, Reading(Kind.WHOLE, "The rule is too large to be taken apart."))
        return {name: _reading(compiled, compiler, options, meanings, name) for name in asked}

    return compiler.working(work)


def _reading(compiled: Compiled, compiler: Compiler, options: Options, meanings: Meanings, table: str) -> Reading:
    first: Reading | None = None
    # With CTEs in their place first: what is read once there need not be read twice.
    for tree, several in [(tree, False) for tree in meanings.trees] + [(tree, True) for tree in meanings.trees]:
        try:
            found = _read_by(Rule(compiled, compiler, options, copied(tree), table), several=several)
        except (SqlError, SqlglotError) as error:
            found = Reading(Kind.WHOLE, f"The queries for its parts cannot be planned: {str(error).splitlines()[0]}.")
        if found.kind != Kind.WHOLE:
            return found
        first = first or found
    assert first is not None
    return first


def _read_by(rule: Rule, *, several: bool) -> Reading:
    ways: list[PartQueries] = []
    reason = sentence = ""
    try:
        sentence, way = _row_wise(rule)
        ways.append(way)
    except NotProvedError as why:
        reason = str(why)
    for query in rule.enclosing() if not ways or ways[0].unshared is not None else ():
        for found in merging_ways(rule, query):
            if isinstance(found, NotProvedError):
                reason = str(found)
                continue
            sentence, way = found
            ways.append(way)
            if way.unshared is None:
                return _described(ways, sentence, reason)
    if not ways and several:
        try:
            sentence, way = merging_way_of_several(rule)
            ways.append(way)
        except NotProvedError:
            pass  # the reason of the queries around it says more
    return _described(ways, sentence, reason)


def _row_wise(rule: Rule) -> tuple[str, PartQueries]:
    """Return the way to work without merging, and what is said of it. Raises `NotProvedError`, `SqlError`."""
    rows = rule.reader.of(rule.tree)
    if rows is None or not agree_in_all_parts(rule.tree, rule.reader):
        raise NotProvedError("takes from other inputs what can be other in every run")
    unshared = None if rows.unshared is None else tuple(sorted(rows.unshared))
    exact = rule.is_exact(rule.tree, None) and (unshared is None or keeps_bits(rule.compiled.schema))
    said = "Every row of the product comes from one row of it"
    said += ", or from other inputs alone" if rows.rest else ""
    if not rows.rest and not rule.is_sorted:
        each = rule.of_a_part(copied(rule.tree), rule.whole())
        return said, PartQueries(each, unshared=unshared, exact=exact)
    body, finish = sorting(rule.tree)
    each = rule.of_a_part(of_parts(body))
    rest = _rest(rule, body, each.schema) if rows.rest else None
    if each.schema.columns[: len(rule.compiled.schema.columns)] != rule.compiled.schema.columns:
        raise NotProvedError("combines it with rows of other types")
    if not rule.is_sorted:
        return said, PartQueries(each, rest, unshared=unshared, exact=exact)
    way = PartQueries(each, rest, finish=rule.product(finish, each.schema), unshared=unshared, exact=exact)
    return f"{said}, and all of them are sorted at the end", way


def _rest(rule: Rule, body: exp.Query, schema: Schema) -> PartQuery:
    others = of_others(body)
    if any(rule.is_mention(table) for table in others.find_all(exp.Table)):
        raise NotProvedError("reads it beside other inputs in a way that is not taken apart")
    rest = rule.query(others)
    if rest.schema != schema:
        raise NotProvedError("combines it with rows of other types")
    return rest


def _described(ways: list[PartQueries], sentence: str, reason: str) -> Reading:
    """Put the proof into a sentence. sentence: what is said of the last way; reason: why there is no better one."""
    columns = " or ".join(sorted({column for way in ways for column in way.unshared or ()}))
    always = next((way for way in ways if way.unshared is None), None)
    if always is None and ways:
        said = f"What it groups or compares lies within one part, if no two parts share a value of {columns}"
        return Reading(Kind.KEYED, f"{said}.", tuple(ways))
    if always is None:
        return Reading(Kind.WHOLE, f"The rule {reason}.")
    if columns:
        less = "nothing is merged" if ways[0].finish is None else "there is less to merge"
        sentence += f"; {less} where no two parts share a value of {columns}"
    return Reading(Kind.PART_WISE if always.finish is None else Kind.MERGEABLE, f"{sentence}.", tuple(ways))
