"""The memo of how a rule reads its inputs by parts, under the digest of what the rule means and of its inputs' types.

It holds queries that will run, so it is looked up only under what the rule's text compiles to, it may read nothing but
the rule's own inputs, and what of it cannot be so is made again. `rules audit` uses none of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from compiler.fingerprint import fingerprint
from compiler.parts.reading import PART, PARTIALS, Kind, PartQueries, PartQuery, Reading
from compiler.schema import Column, Schema, schema_of, schema_record
from rules.loading.compiler_identity import COMPILER
from rules.loading.rule import options_record

if TYPE_CHECKING:
    from rules.compiling.compiled_records import Body
    from rules.compiling.compiled_rule import CompiledRule

_QUERIES = ("each", "rest", "merge", "finish")


def readings_key(rule: CompiledRule, body: Body, tables: Mapping[str, Mapping[str, Any]], name: str) -> str:
    """Return the key of the memo of one input. tables: the schemas of all inputs, as the index stores them."""
    return fingerprint(
        {
            "readings": COMPILER,
            "rule": rule.node.fingerprint,
            "options": options_record(rule.rule),
            "sql": body.sql,
            "meaning": body.meaning,
            "inputs": [[one, tables[one]["columns"], list(columns)] for one, columns in sorted(rule.scans.items())],
            "input": name,
        }
    )


def to_record(reading: Reading) -> dict[str, Any]:
    """Return a reading as plain data."""
    return {"kind": reading.kind.value, "reason": reading.reason, "ways": [_of_way(way) for way in reading.ways]}


def from_record(
    record: Mapping[str, Any], rule: CompiledRule, tables: Mapping[str, Mapping[str, Any]]
) -> Reading | None:
    """Return what `to_record` was asked of; None if it is no reading of this rule."""
    shown = {name: {column for column, _ in table["columns"]} for name, table in tables.items()}
    try:
        ways = tuple(_way(one) for one in record["ways"])
        reading = Reading(Kind(record["kind"]), str(record["reason"]), ways)
    except (KeyError, TypeError, ValueError):
        return None
    return reading if all(way.product == rule.schema and _is_within(way, shown) for way in ways) else None


def _of_way(way: PartQueries) -> dict[str, Any]:
    queries = {name: getattr(way, name) for name in _QUERIES}
    unshared = None if way.unshared is None else list(way.unshared)
    return {
        **{name: None if query is None else _of_query(query) for name, query in queries.items()},
        "unshared": unshared,
        "exact": way.exact,
    }


def _of_query(query: PartQuery) -> dict[str, Any]:
    scans = {name: list(columns) for name, columns in query.scans.items()}
    return {
        "sql": query.sql,
        "scans": scans,
        "schema": schema_record(query.schema),
        "sorted": query.sorted,
        "together": None if query.together is None else _of_query(query.together),
        "of_none": query.of_none,
    }


def _way(record: Mapping[str, Any]) -> PartQueries:
    each, rest, merge, finish = (None if record[name] is None else _query(record[name]) for name in _QUERIES)
    if each is None:
        raise ValueError("no query of a part")
    unshared = None if record["unshared"] is None else tuple(map(str, record["unshared"]))
    return PartQueries(each, rest, merge, finish, unshared, bool(record["exact"]))


def _query(record: Mapping[str, Any]) -> PartQuery:
    scans = {name: tuple(map(str, columns)) for name, columns in record["scans"].items()}
    schema: Schema = schema_of(record["schema"])
    together = None if record["together"] is None else _query(record["together"])
    return PartQuery(str(record["sql"]), scans, schema, bool(record["sorted"]), together, bool(record["of_none"]))


def _is_within(way: PartQueries, shown: Mapping[str, set[str]]) -> bool:
    """Whether the queries read only columns that there are."""
    merged = {**shown, PARTIALS: set(way.each.schema.names)}
    numbered = {name: columns | {PART} for name, columns in shown.items()}
    together = way.each.together
    given = (way.each, shown), (together, numbered), (way.rest, shown), (way.merge, merged), (way.finish, merged)
    if together is not None and together.schema.columns != (*way.each.schema.columns, Column(PART, "int32")):
        return False
    return all(
        name in inputs and set(columns) <= inputs[name]
        for query, inputs in given
        if query is not None
        for name, columns in query.scans.items()
    )
