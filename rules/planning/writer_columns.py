"""Whether the columns that writers of products name exist, and can be written so: known once the rules are compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.errors import FAILED, UserError, UserErrors, Where
from rules.storage.writer_options import PLAIN, misfits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.compiling.compiled_rule import CompiledRule
    from rules.config.project import Project
    from rules.loading.rules import Rule


def require_writable(project: Project, compiled: Iterable[CompiledRule]) -> None:
    """Refuse options of writers that do not fit the columns. Raises `UserErrors`, each located in its rule's file."""
    wrong = []
    for one in compiled:
        if one.rule.options.writer != PLAIN:
            from rules.storage.types import to_arrow  # with pyarrow

            for unfit in misfits(one.rule.options.writer, to_arrow(one.schema)):
                where = _where(project, one.rule, *unfit.path)
                wrong.append(UserError(unfit.message, code="options", where=where, hint=unfit.hint, exit_code=FAILED))
    if wrong:
        raise UserErrors(wrong)


def _where(project: Project, rule: Rule, *path: str) -> Where:
    from rules.config.front_matter import option_place

    if rule.in_python:
        return Where(rule.path, rule.line)
    return option_place(rule.text(project), rule.path, "writer", *path)
