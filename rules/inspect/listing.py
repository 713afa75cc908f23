"""The products of a project, listed without compiling a rule or opening a source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graph.dag import Dag
from rules.build import prepare
from rules.config.project import NAME, Project
from rules.errors import UserError
from rules.files.file_digests import FileDigests
from rules.loading.contracts import with_contracts
from rules.loading.input_binding import cut_dag
from rules.loading.load_rules import load_rules
from rules.loading.rule import Rule
from rules.planning.prepared import Request
from rules.planning.selection import asks_for_changed, selected

if TYPE_CHECKING:
    from rules.storage.store import Store


@dataclass(frozen=True)
class Listing:
    """The selected products, inputs first, with the rules and the DAG of the whole project."""

    rules: Mapping[str, Rule]
    dag: Dag
    order: tuple[str, ...]
    broken: Mapping[str, UserError]
    """What is wrong with rules and contracts that cannot be read: of these rules only the names are known."""


def list_products(project: Project, request: Request, store: Store) -> Listing:
    """List the selected products; rules are compiled only if a selector asks for those that changed.

    Raises `UserError` for a selector that matches nothing, and for what concerns no single rule.
    """
    if asks_for_changed(request):
        prepared = prepare(project, request, store)
        session = prepared.session
        return Listing(session.rules, session.dag, _named(prepared.order), session.broken)
    found = load_rules(project, store.index, FileDigests(project.root, store.index))
    contracted = with_contracts(project, store.index, found)
    dag, circles = cut_dag(project, contracted.rules, contracted.sources)
    order, _ = selected(dag, contracted.rules, request, lambda: ())
    return Listing(contracted.rules, dag, _named(order), contracted.wrong | circles)


def _named(order: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out files whose names no product can have."""
    return tuple(name for name in order if NAME.match(name))
