"""The columns of sources, as far as rules and checks that are checked read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.errors import UserError, is_refusal
from rules.files.project_paths import FILE
from rules.lint.static_contracts import referred

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from graph.dag import Dag
    from rules.config.project import Project
    from rules.lint.checking import Checking
    from rules.loading.rule import Rule


def open_sources(
    work: Checking, dag: Dag, rules: Mapping[str, Rule], contracts: Mapping[str, Rule], say: Callable[[str], None]
) -> bool:
    """Make the columns of sources known. Files that cannot be used are a finding; there need not be any yet.

    Returns whether all of them could be opened. Raises `BeyondReach` where one cannot be that could when it was last
    looked at.
    """
    sound = True
    promising = (*rules.values(), *contracts.values())
    read = {table for inputs in dag.inputs.values() for table in inputs} | contracts.keys()
    read |= {table for rule in promising for table in referred(rule).values()}
    read |= {table for rule in promising for check in rule.checks for table in check.rule.parsed.tables}
    for name in sorted(read & work.project.sources.keys()):
        error, has_files = work.known.add_source(name)
        known = work.known.schemas.known.get(name)
        if error is not None:
            sound = False
            work.refused |= is_refusal(error)
            work.record_of(FILE)
        if error is not None and has_files:
            work.record_error(_at_declaration(work.project, name, error))
        elif error is not None and known is None:
            say(f"warning: what reads {name} is checked without its columns: {error.message}")
        if known is not None:
            work.foresight.know(name, known)
    return sound


def _at_declaration(project: Project, name: str, error: UserError) -> UserError:
    """Return an error of a source at its line in rules.toml; the message says where in the file it is."""
    if error.where is None or error.where.path == FILE:
        return error
    message = f"{error.message}: {error.where}"
    return UserError(message, code=error.code, where=project.source_where(name), hint=error.hint)
