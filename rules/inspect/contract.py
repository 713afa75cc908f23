"""The inferred contract of one product or source, found out without executing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.compiling.load_session import load
from rules.errors import UserErrors, unknown_product
from rules.files.project_paths import DEFAULT_PROFILE
from rules.storage.store import open_store

if TYPE_CHECKING:
    from compiler.schema import Schema
    from rules.compiling.session import Session
    from rules.config.project import Project
    from rules.loading.rule import Rule
    from rules.storage.store import Say


def inferred(project: Project, name: str, say: Say) -> tuple[Rule, Schema]:
    """Return a product's rule and the schema that it yields; of a source its contract and the schema that it has.

    Raises `UserError`, or `UserErrors` of what it reads.
    """
    with open_store(project.root, say, building=False) as store:
        session = load(project, DEFAULT_PROFILE, store)
        if name in session.project.sources:
            return _of_source(session, name)
        if name not in session.rules:
            raise unknown_product(name, [*session.rules, *session.project.sources])
        compiled = session.compile([name]).rules
        session.files.save()
        if name not in compiled:
            errors = session.errors([name])
            raise errors[0] if len(errors) == 1 else UserErrors(errors)
        return compiled[name].rule, compiled[name].schema


def _of_source(session: Session, name: str) -> tuple[Rule, Schema]:
    """Return the contract of a source and its schema, to which it is held only where that needs no other table."""
    from compiler.schema import schema_record
    from rules.compiling.promised_columns import require_promised
    from rules.loading.contracts import contract_of_source

    if name in session.broken:
        raise session.broken[name]
    rule = session.contracts.get(name) or contract_of_source(name)
    schema = session.sources.open([name])[name].schema
    session.files.save()
    require_promised(session.project, rule, schema_record(schema), {})
    return rule, schema
