"""The first rows of a rule, or of the CTE under the cursor, computed from the text as it is being edited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compiler.errors import SqlError
from compiler.lint.translated import untranslated
from compiler.names.cte_query import query_of_cte
from compiler.sql.dialect import parse
from compiler.tree.big_stack import with_deep_stack
from rules.errors import UserError, Where
from rules.formats.cells import limited, records
from rules.inspect.query import Question, answered
from rules.loading.rule_texts import user_error
from rules.storage.store import open_store
from rules.wording import plural

if TYPE_CHECKING:
    from rules.lsp.workbench import Workbench

ROWS = 20


@dataclass(frozen=True)
class Preview:
    """Some rows. what: the rule or CTE."""

    what: str
    columns: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    text: str
    """The same as a table to read."""


def preview(bench: Workbench, path: str, offset: int | None, limit: int = ROWS) -> Preview:
    """Run a rule, or the CTE at a character, with a limit. Raises `UserError`."""
    from rules.report.rows import table

    text, what = _in_ours(bench, path), bench.product(path)
    cte = _cte_at(bench, path, offset) if offset is not None else None
    try:
        tree = with_deep_stack(lambda: query_of_cte(text, [cte]) if cte is not None else parse(text))
    except SqlError as error:
        raise user_error(error, path) from error
    question = Question(text, path, tree.limit(limit) if not tree.args.get("limit") else tree)
    project = bench.project()
    with (
        open_store(bench.root, lambda _: None, building=False) as store,
        answered(project, store, question) as answer,
    ):
        rows = limited(answer.schema, answer.batches, limit)
        batches = tuple(rows.batches)
    from rules.formats.cells import Rows

    found = tuple(records(Rows(answer.schema, iter(batches))))
    lines, _ = table(Rows(answer.schema, iter(batches)), lambda count: plural(count, "row"), None)
    name = what if cte is None else f"{what}.{cte}"
    return Preview(name, tuple(answer.schema.names), found, "\n".join(lines))


def _in_ours(bench: Workbench, path: str) -> str:
    """Return the text of a rule in our SQL. Raises `UserError` for one in another dialect that has no counterpart."""
    text, dialect, world = bench.text(path), bench.dialect(path), bench.world(path)
    if dialect is None or world is None:
        return text
    source, wrong = with_deep_stack(lambda: untranslated(text, world, dialect))
    if isinstance(wrong, SqlError):
        raise user_error(wrong, path) from wrong
    if source is None:
        why = wrong[0].message if wrong else "the columns of what it reads are not known"
        raise UserError(f"{path} cannot be run as it is in {dialect}: {why}", code="dialect", where=Where(path))
    return source.text


def _cte_at(bench: Workbench, path: str, offset: int) -> str | None:
    found = bench.outline(path)
    at = found.at(offset) if found is not None else []
    return next((one.symbol.name for one in at if one.symbol.kind == "cte"), None)
