"""Where each rule runs, if the profile has a cluster: there, if both engines are known to make the same table of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from compiler.compiled import Tier
from compiler.spark.refusal import RefusedError
from compiler.spark.translation import for_spark, may_tie
from rules.compiling.compiled_records import Body, load_body
from rules.compiling.compiled_rule import CompiledRule, Placement

if TYPE_CHECKING:
    from cache.index import Index
    from compiler.compiled import EngineIdentity
    from compiler.schema import Schema


def placed(
    compiled: Mapping[str, CompiledRule],
    schemas: Mapping[str, Schema],
    given: Collection[str],
    index: Index,
    identity: EngineIdentity,
) -> dict[str, CompiledRule]:
    """Return rules with their places, those of the cluster under the fingerprints that it gives them.

    schemas: of products and sources. given: sources with columns that are not in their files. identity: of the cluster.
    Checks of products run locally, next to the tables that they read.
    """
    found = {}
    for name, rule in compiled.items():
        reason = _reason(rule, schemas, given, index)
        if reason is not None:
            found[name] = rule.placed(Placement("local", reason))
        else:
            ties = may_tie(load_body(index, rule.memo).meaning)
            found[name] = rule.placed(Placement("spark"), identity, may_run_here=ties)
    return found


def spark_query(rule: CompiledRule, body: Body, schemas: Mapping[str, Schema]) -> str:
    """Return the query of a rule for Spark. Raises `RefusedError`."""
    inputs = {name: schemas[name] for name in rule.scans}
    options = rule.rule.options
    order = (*options.key, *options.order_by) if rule.rule.tier is Tier.CANONICAL else ()
    return for_spark(body.meaning, inputs, rule.schema, order)


def _reason(rule: CompiledRule, schemas: Mapping[str, Schema], given: Collection[str], index: Index) -> str | None:
    """Return why a rule runs locally, None if it need not."""
    if rule.rule.streams is not None:
        return "its function is called with streams of Arrow"
    if rule.node.parts.get("functions"):
        return "it calls a function of the project"
    if rule.node.volatile:
        return "it is volatile"
    if rule.rule.tier is Tier.STABLE:
        return "tier 1 promises the order of its inputs' rows"
    for name in rule.scans:
        if name in given:
            return f"{name} has columns that are not in its files"
    try:
        spark_query(rule, load_body(index, rule.memo), schemas)
    except RefusedError as error:
        return str(error)
    return None
