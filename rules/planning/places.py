"""Where the products of a plan will run, in their reasons, if the profile has a cluster; what the other engine made."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rules.errors import UserError

if TYPE_CHECKING:
    from rules.config.project import Project
    from rules.planning.prepared import Prepared, Request


def with_places_told(prepared: Prepared) -> Prepared:
    """Return a plan whose reasons say where each product runs that may have to."""
    judgements = dict(prepared.plan.judgements)
    for name, judgement in judgements.items():
        place = prepared.compiled.rules[name].placement
        if place is not None and judgement.verdict in {"run", "maybe"}:
            judgements[name] = replace(judgement, reason=f"{judgement.reason}; {place.sentence}")
    return replace(prepared, plan=replace(prepared.plan, judgements=judgements))


def made_by_other(project: Project, request: Request) -> Request:
    """Return a request whose plan skips what the other engine than `audit_engine` has made.

    A profile with `auto` has products of both, and stays as it is. Raises `UserError` if there is no other engine.
    """
    profile = project.profile(request.profile)
    if request.audit_engine is None:
        return request
    if profile.remote is None:
        raise UserError(
            f"profile '{profile.name}' names no server of Spark, so there is no other engine",
            code="setting",
            hint="choose one that does with --profile, or name the server with --set remote=sc://HOST:PORT",
        )
    if profile.engine == "auto":
        return request
    return replace(request, runs_on="spark" if request.audit_engine == "local" else "local")
