"""The products that a request selects: its selectors, applied to the DAG."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from cache.records import Product
from graph.dag import Dag
from graph.selection import Facts, SelectionError, select
from rules.errors import UserError, UserErrors
from rules.loading.rule import Rule
from rules.planning.prepared import Selection

if TYPE_CHECKING:
    from rules.compiling.compiled_rule import CompiledRule
    from rules.compiling.session import Session
    from rules.planning.prepared import Request


def choose(session: Session, request: Request) -> Selection:
    """Return the products that a request selects. Raises `UserError`, and `UserErrors` if others may be the cause.

    Compiles every rule if a selector selects changed rules.
    """

    def changed() -> list[str]:
        return changed_rules(session.compile(session.dag.order).rules, session.store.states)

    try:
        order, forced = selected(session.dag, session.rules, request, changed)
    except UserError as error:
        if not session.broken or request.keep_going:
            raise
        raise UserErrors([*dict.fromkeys(session.broken.values()), error]) from error
    everything = request.whole and session.reach is None
    return Selection(order, forced, tuple(session.contracts) if everything else ())


def selected(
    dag: Dag, rules: Mapping[str, Rule], request: Request, changed: Callable[[], Iterable[str]]
) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the products that a request selects, inputs first, and those to be forced. Raises `UserError`."""
    facts = Facts(
        tags={name: rule.options.tags for name, rule in rules.items()},
        paths={name: rule.path for name, rule in rules.items()},
        changed=changed,
    )
    try:
        order = select(dag, facts, request.select, request.exclude)
        forced = frozenset(select(dag, facts, request.force)) if request.force else frozenset()
    except SelectionError as error:
        raise UserError(error.message, code="selection", hint=error.hint) from error
    if forced and forced.isdisjoint(order):
        message = f"{min(forced)} is forced, but not selected"
        raise UserError(message, code="selection", hint="select it too, or force without --select")
    return order, forced.intersection(order)


def asks_for_changed(request: Request) -> bool:
    """Whether a selector selects changed rules, which only compiling finds."""
    return any("changed" in re.split(r"[\s,+@\d]+", selector) for selector in (*request.select, *request.exclude))


def changed_rules(compiled: Mapping[str, CompiledRule], products: Mapping[str, Product]) -> list[str]:
    """Return the rules that are new, or whose meaning differs from their product's last state."""
    return [
        name
        for name, rule in compiled.items()
        if name not in products
        or not rule.node.is_rule_of(products[name])
        or [one.name for one in products[name].record.inputs] != list(rule.node.inputs)
    ]
