"""The inferred contract of one product or source, found out without executing anything."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from rules.compiling.session import load
from rules.errors import UserError, UserErrors
from rules.files.project_paths import DEFAULT_PROFILE
from rules.storage.store import open_store

if TYPE_CHECKING:
    from compiler.schema import Schema
    from rules.compiling.session import Loaded
    from rules.config.project import Project
    from rules.loading.rules import Rule
    from rules.storage.store import Say


def inferred(project: Project, name: str, say: Say) -> tuple[Rule, Schema]:
    """Return a product's rule and the schema that it yields; of a source its contract and the schema that it has.

    Raises `UserError`, or `UserErrors` of what it reads.
    """
    with open_store(project.root, say, building=False) as store:
        loaded = load(project, DEFAULT_PROFILE, store)
        if name in loaded.project.sources:
            return _of_source(loaded, name)
        if name not in loaded.rules:
            close = difflib.get_close_matches(name, [*loaded.rules, *loaded.project.sources], n=1, cutoff=0.5)
            hint = f"did you mean '{close[0]}'?" if close else "rules ls lists the products"
            raise UserError(f"unknown product '{name}'", code="unknown-product", hint=hint)
        compiled = loaded.compile([name])
        loaded.files.save()
        if name not in compiled:
            errors = loaded.errors([name])
            raise errors[0] if len(errors) == 1 else UserErrors(errors)
        return compiled[name].rule, compiled[name].schema


def _of_source(loaded: Loaded, name: str) -> tuple[Rule, Schema]:
    """Return the contract of a source and its schema, to which it is held only where that needs no other table."""
    from compiler.schema import schema_record
    from rules.compiling.promised_columns import require_promised
    from rules.loading.contracts import contract_of_source

    if name in loaded.broken:
        raise loaded.broken[name]
    rule = loaded.contracts.get(name) or contract_of_source(name)
    schema = loaded.sources.open([name])[name].schema
    loaded.files.save()
    require_promised(loaded.project, rule, schema_record(schema), {})
    return rule, schema
