"""The memo of the query by which a rule uses several partitions, under the digest of what it was proved from.

As that of readings, it is looked up only under what the rule's text compiles to, and what it holds reads the rule's own
inputs alone: the engine is shown no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from compiler.fingerprint import fingerprint
from compiler.spread.spread_record import Spread
from rules.loading.compiler_identity import COMPILER
from rules.loading.rule import options_record

if TYPE_CHECKING:
    from compiler.schema import Schema
    from rules.compiling.compiled_records import Body
    from rules.compiling.compiled_rule import CompiledRule


def spread_key(rule: CompiledRule, body: Body, schemas: Mapping[str, Schema]) -> str:
    """Return the key of the memo of a rule. schemas: of its inputs."""
    return fingerprint(
        {
            "spread": COMPILER,
            "rule": rule.node.fingerprint,
            "options": options_record(rule.rule),
            "sql": body.sql,
            "inputs": [
                [name, [[one.name, one.type] for one in schemas[name].columns], list(columns)]
                for name, columns in sorted(rule.scans.items())
            ],
        }
    )


def to_record(found: Spread) -> dict[str, Any]:
    """Return what was proved as plain data."""
    return {"sql": found.sql, "reason": found.reason, "looks_ahead": found.looks_ahead, "order": list(found.order)}


def from_record(record: Mapping[str, Any], product: Schema) -> Spread | None:
    """Return what `to_record` was asked of; None for anything else. product: the schema of the rule's."""
    sql, reason, looks_ahead = (record.get(name) for name in ("sql", "reason", "looks_ahead"))
    order = record.get("order")
    if not isinstance(sql, str | None) or not isinstance(reason, str) or not isinstance(looks_ahead, bool):
        return None
    if not isinstance(order, list) or not set(order) <= set(product.names):
        return None
    return Spread(sql, reason, looks_ahead, tuple(order))
