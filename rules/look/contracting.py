"""The inferred contract of one product: its rule, compiled without executing anything."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from rules.errors import UserError, UserErrors
from rules.loaded import load
from rules.roots import DEFAULT_PROFILE
from rules.store import open_store

if TYPE_CHECKING:
    from compiler.schema import Schema
    from rules.load import Rule
    from rules.project import Project
    from rules.store import Say


def inferred(project: Project, name: str, say: Say) -> tuple[Rule, Schema]:
    """Return a product's rule and the schema that it yields. Raises `UserError`, or `UserErrors` of what it reads."""
    with open_store(project.root, say, building=False) as store:
        loaded = load(project, DEFAULT_PROFILE, store)
        if name not in loaded.rules:
            close = difflib.get_close_matches(name, loaded.rules, n=1, cutoff=0.5)
            hint = f"did you mean '{close[0]}'?" if close else "rules ls lists the products"
            raise UserError(f"unknown product '{name}'", code="unknown-product", hint=hint)
        compiled = loaded.compile([name])
        loaded.files.save()
        if name not in compiled:
            errors = loaded.errors([name])
            raise errors[0] if len(errors) == 1 else UserErrors(errors)
        return compiled[name].rule, compiled[name].schema
