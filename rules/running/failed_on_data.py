"""The error of a product whose query failed while it ran: what its data did, at the place in its rule if known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.engine_errors.running import failed
from compiler.engine_sql.timestamps import explained_overflow
from rules.errors import FAILED, UserError, Where

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compiler.schema import Schema
    from rules.compiling.compiled_rule import CompiledRule
    from rules.config.project import Project


def failed_on_data(
    project: Project, rule: CompiledRule, message: str, meaning: str, schemas: Mapping[str, Schema], kept: str
) -> UserError:
    """Return the error of a rule. message: the engine's; meaning: as in `Compiled`; schemas: of the rule's inputs.

    kept: the place of its SQL.
    """
    one = rule.rule
    authored = one.sql is None and not one.in_python
    try:
        text = one.text(project) if authored else None
    except UserError:  # edited since
        text = None
    refusal = explained_overflow(message, meaning, schemas, text) if one.streams is None else None
    refusal = refusal or failed(message, text)
    where = Where(one.path, refusal.line, refusal.column) if authored and refusal.line is not None else None
    return UserError(
        refusal.message,
        code="execution",
        where=where or Where(one.path, one.line),
        facts={"executed SQL": kept},
        hint=refusal.hint,
        exit_code=FAILED,
    )
