"""Step 5 of 7, plan: what other builders have computed, asked of the shared cache.

A key is known once the contents of the inputs are. So the DAG is walked in waves: all products whose keys are known are
asked for at once, and what is found makes the keys of others known. A project that has all its results asks nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from graph.plan import key_of, product_of

if TYPE_CHECKING:
    from cache.keys import Content
    from graph.node import Node
    from graph.plan import Known
    from rules.compiling.compiled_rule import CompiledRule
    from rules.compiling.session import Compilation
    from rules.planning.prepared import Prepared
    from rules.storage.shared_cache import Columns
    from rules.storage.store import Store


def ask_shared_cache(
    store: Store,
    compiled: Compilation,
    nodes: Mapping[str, Node],
    checks: Mapping[str, Node],
    contents: Mapping[str, Content],
    known: Known,
    forced: Collection[str],
) -> Known:
    """Ask the shared cache for all that a plan needs and the store has not; return what is known then.

    nodes, checks: of what is planned; contents: of the inputs that are not. Without a shared cache nothing is asked.
    """
    if store.shared is None:
        return known
    pending = {node.name: node for node in (*nodes.values(), *checks.values()) if not node.volatile}
    pending = {name: node for name, node in pending.items() if product_of(name) not in forced}
    settled = dict(contents)
    while pending:
        keys = _keys(pending, settled)
        actions = store.actions(keys.values())
        here = {name: actions[key] for name, key in keys.items() if key in actions and store.present(actions[key])}
        last = {name: known.products[name] for name in keys if name in known.products}
        here |= {
            name: one.artifact for name, one in last.items() if one.key == keys[name] and store.present(one.artifact)
        }
        wanted = {keys[name]: columns_of(compiled.by_name[name]) for name in keys if name not in here}
        if wanted:
            store.shared.look_up(wanted)
            found = store.actions(wanted)
            store.begin_fetching(found.values())
            here |= {name: found[key] for name, key in keys.items() if key in found and store.present(found[key])}
        for name in keys:
            del pending[name]
        fresh = {name: store.content(artifact) for name, artifact in here.items() if name in nodes}
        settled |= fresh
        if not fresh:
            break
    return replace(known, action=lambda key: store.actions([key]).get(key), of_others=store.is_of_others)


def with_fetches_counted(prepared: Prepared) -> Prepared:
    """Return a plan that says how many bytes a build would fetch from the shared cache, for each product."""
    store = prepared.session.store
    if store.shared is None:
        return prepared
    away = {name: one for name, one in prepared.plan.skipped.items() if store.is_elsewhere(one)}
    return replace(prepared, fetches={name: store.artifacts[one].bytes for name, one in away.items()})


def columns_of(rule: CompiledRule) -> Columns:
    """Return the names and types of the columns that a rule yields."""
    return tuple((column.name, column.type) for column in rule.schema.columns)


def _keys(pending: Mapping[str, Node], settled: Mapping[str, Content]) -> dict[str, str]:
    """Return the keys of the actions that have one by now, by the name of product or check."""
    found = {}
    for name, node in pending.items():
        pairs = zip(node.inputs, node.reads, strict=True)
        if all(one in settled and settled[one].columns.keys() >= set(reads) for one, reads in pairs):
            found[name] = key_of(node, settled)
    return found
