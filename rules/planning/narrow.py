"""A run that looks only at what edits can reach: which requests allow it, and what becomes of all else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rules.compiling.load_session import require_trust
from rules.compiling.reach import Reach, reach_of_edits
from rules.engine.clusters import cluster
from rules.planning.unreached import Unreached

if TYPE_CHECKING:
    from rules.config.project import Project
    from rules.planning.prepared import Prepared, Request
    from rules.storage.store import Store


def reach_of_request(project: Project, request: Request, store: Store) -> Reach | None:
    """Return what the edits since the last complete build can reach; None if a request has to look at everything.

    A cluster places rules by what they read, and OpenLineage is told of all products.
    """
    asks_for_more = request.force or request.audit or request.runs_on or request.trust_engine_upgrade or request.explain
    if not request.whole or asks_for_more or project.given or project.settings or not request.engine.lasting:
        return None
    if project.events is not None or cluster(project.profile(request.profile)) is not None:
        return None
    require_trust(store)
    return reach_of_edits(project, request.profile, store)


def with_unreached_counted(prepared: Prepared) -> Prepared:
    """Count the products that were not looked at."""
    session, reached = prepared.session, prepared.order
    total = session.store.index.seconds_of_products() - sum(
        last.seconds for name, last in session.store.products.items() if name in reached
    )
    return replace(prepared, unreached=Unreached(len(session.products) - len(reached), max(total, 0.0)))
