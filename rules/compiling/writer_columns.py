"""Whether the columns that writers of products name exist, and can be written so: known once the rules are compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.errors import FAILED, UserError, UserErrors, Where
from rules.storage.writer_options import PLAIN, misfits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from compiler.schema import Schema
    from rules.compiling.compiled_rule import CompiledRule
    from rules.config.project import Project
    from rules.loading.rule import Rule


def require_writable(project: Project, compiled: Iterable[CompiledRule]) -> None:
    """Refuse options of writers that do not fit the columns. Raises `UserErrors`, each located in its rule's file."""
    wished = (one for one in compiled if one.rule.options.writer != PLAIN)
    wrong = [error for one in wished for error in unwritable(project, one.rule, one.schema)]
    if wrong:
        raise UserErrors(wrong)


def unwritable(project: Project, rule: Rule, schema: Schema) -> Iterator[UserError]:
    """Yield what is wrong with the options of a rule's writer. schema: of its product."""
    if rule.options.writer == PLAIN:
        return
    from rules.storage.types import to_arrow  # with pyarrow

    for unfit in misfits(rule.options.writer, to_arrow(schema)):
        where = _where(project, rule, *unfit.path)
        yield UserError(unfit.message, code="options", where=where, hint=unfit.hint, exit_code=FAILED)


def _where(project: Project, rule: Rule, *path: str) -> Where:
    from rules.config.front_matter import option_place

    if rule.in_python:
        return Where(rule.path, rule.line)
    return option_place(rule.text(project), rule.path, "writer", *path)
