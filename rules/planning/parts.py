"""How many parts of their inputs the products of a plan will read: the others have results that are known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rules.engine.protocol import PartsRun
from rules.errors import UserError

if TYPE_CHECKING:
    from rules.planning.part_work import PartWork
    from rules.planning.prepared import Prepared
    from rules.storage.store import Store


def with_parts_counted(prepared: Prepared) -> Prepared:
    """Return a plan whose reasons say how many parts are new, for each product that will run by parts."""
    sources = prepared.session.sources
    if not any(sources.table(name).parts for name in sources.opened()):
        return prepared
    artifacts = prepared.artifacts | prepared.plan.skipped
    from rules.planning.part_work import part_work, with_parts  # with pyarrow

    found, judgements = dict[str, PartsRun](), dict(prepared.plan.judgements)
    for name, judgement in prepared.plan.judgements.items():
        if judgement.verdict != "run" or prepared.compiled.rules[name].is_on_cluster:
            continue
        try:
            work = part_work(prepared.compiled.rules[name], prepared.bodies, prepared.session, sources, artifacts)
        except UserError:  # building says so
            continue
        if work is not None:
            found[name] = PartsRun(work.input, work.total, _new(prepared.session.store, work))
            judgements[name] = replace(judgement, reason=with_parts(judgement.reason, found[name]))
    return replace(prepared, plan=replace(prepared.plan, judgements=judgements), parts=found)


def _new(store: Store, work: PartWork) -> int:
    """Return how many parts have no result in the store."""
    known = work.known(store)
    here = store.present_among(known.values())
    return sum(part.count for key, part in zip(work.keys, work.parts, strict=True) if known.get(key) not in here)
