"""The class of an edit is never narrower than what it does: random edits, both versions built on random databases.

The class is the wider of two: what the edit script says was touched, and what the digests of rows and columns prove.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa
import pytest
from sqlglot import exp

from compiler.compiled import Compiled, Options
from graph.impact import Edit
from properties.drafts import Draft, Drafts, items_of, name
from properties.judge import Tally, compiler, identity, judged, outcome
from properties.mutations import CLASSES, MUTATIONS
from support.compiling import edit_between
from support.databases import same_table

ORDER = ("cosmetic", "additive", "column", "row")
SUITE_EDITS = 80
SOAK_EDITS = 5_000
DATABASES = 3
SOAK_DATABASES = 12


def add_constant(draft: Draft) -> None:
    """SELECT a → SELECT a, 7 AS new."""
    _add(draft, exp.Literal.number(7))


def add_copy(draft: Draft) -> None:
    """SELECT a → SELECT a, a AS new."""
    _add(draft, draft.rng.choice(draft.tree.selects).unalias().copy())


def add_column(draft: Draft) -> None:
    """SELECT a FROM t → SELECT a, t.b AS new FROM t."""
    select = draft.tree
    if isinstance(select, exp.Select) and not select.args.get("group"):
        aliases = {item.alias for item in items_of(select)} if select.args.get("from_") else set()
        column = draft.pick([one for one in select.find_all(exp.Column) if one.table in aliases])
        if column is not None:
            _add(draft, column.copy())


def add_count(draft: Draft) -> None:
    """SELECT a → SELECT a, COUNT(*) AS new: additive where groups are counted, an edit of rows where there are none."""
    _add(draft, exp.Count(this=exp.Star()))


def add_window(draft: Draft) -> None:
    """SELECT a → SELECT a, COUNT(*) OVER () AS new."""
    _add(draft, exp.Window(this=exp.Count(this=exp.Star())))


def add_in_front(draft: Draft) -> None:
    """SELECT a → SELECT 7 AS new, a."""
    _add(draft, exp.Literal.number(7), at=0)


def output_and_predicate(draft: Draft) -> None:
    """SELECT a FROM t → SELECT a, 7 AS new FROM t WHERE 1 = 2: two edits at once."""
    if isinstance(draft.tree, exp.Select) and not draft.tree.args.get("group"):
        _add(draft, exp.Literal.number(7))
        draft.tree.where(exp.EQ(this=exp.Literal.number(1), expression=exp.Literal.number(2)), copy=False)


def _add(draft: Draft, item: exp.Expr, at: int | None = None) -> None:
    select = draft.tree
    if isinstance(select, exp.Select):
        items = list(select.expressions)
        items.insert(len(items) if at is None else at, exp.Alias(this=item, alias=name("new")))
        select.set("expressions", items)
        draft.changed = True


ADDITIONS: dict[str, Callable[[Draft], None]] = {
    one.__name__: one
    for one in (add_constant, add_copy, add_column, add_count, add_window, add_in_front, output_and_predicate)
}
EDITS = (*CLASSES, *ADDITIONS)


def edited(kind: str, query: Drafts) -> str | None:
    return query.changed_by(ADDITIONS.get(kind) or MUTATIONS[kind])


@dataclass
class Widths:
    """How the classes of the edit script and of the digests compare, and how often tables were compared."""

    compared: Counter[str] = field(default_factory=Counter)
    classes: Counter[tuple[str, str]] = field(default_factory=Counter)
    unknown: int = 0
    tables: int = 0
    differing: int = 0

    def count(self, edit: Edit) -> None:
        assert edit.script is not None
        assert edit.proved is not None
        self.unknown += not edit.script.known
        self.classes[edit.script.reaches, edit.proved] += 1
        claimed, proved = ORDER.index(edit.script.reaches), ORDER.index(edit.proved)
        self.compared["narrower" if claimed < proved else "wider" if claimed > proved else "equal"] += 1

    def table(self) -> str:
        lines = [f"the script's class was {kind}: {self.compared[kind]:,}" for kind in ("narrower", "equal", "wider")]
        lines += [f"  script {one}, digests {other}: {count:,}" for (one, other), count in sorted(self.classes.items())]
        lines.append(
            f"no script: {self.unknown:,}; tables compared: {self.tables:,}, of which differ {self.differing:,}"
        )
        return "\n".join(lines)


def check(start: int, wanted: int, databases: int, widths: Widths) -> None:
    for case, kind, sql, compiled in judged(start, wanted, EDITS, edited, Tally()):
        if identity(compiled) == identity(case.compiled):
            continue
        before, after = not_volatile(case.sql), not_volatile(sql)
        edit = edit_between(before, after)
        widths.count(edit)
        differ = differing_columns(before, after, databases)
        if differ is None:
            continue
        widths.tables += 1
        widths.differing += bool(differ)
        told = f"{kind} of query {case.seed}: {edit.reaches} {sorted(edit.columns)}, yet {differ}\n{case.sql}\n{sql}"
        assert edit.reaches == "row" or set(differ) <= edit.columns, told
        new = set(before.shape.columns) ^ set(after.shape.columns)
        assert edit.reaches == "row" or new <= edit.columns, told


def not_volatile(sql: str) -> Compiled:
    """Compile a query as a rule that does not declare that anything may come out of it."""
    return compiler().compile(sql, Options())


def differing_columns(before: Compiled, after: Compiled, databases: int) -> list[str] | None:
    """Return the columns that two versions show and that differ with their rows; None where nothing can be compared.

    Each is compared with all the columns of which nothing is claimed to change, so that rows are told apart too.
    """
    opened = before.shape.open | after.shape.open
    if before.shape.open_rows or after.shape.open_rows:
        return None
    shared = [name for name in before.shape.columns if name in after.shape.columns and name not in opened]
    found: set[str] = set()
    ran = False
    for seed in range(databases):
        tables: list[pa.Table | None] = [outcome(one, seed) for one in (before, after)]
        if tables[0] is None or tables[1] is None:
            continue
        ran = True
        if tables[0].num_rows != tables[1].num_rows:
            return shared
        found |= {one for one in shared if not _same(tables, [one])}
        rest = [one for one in shared if one not in found]
        if not _same(tables, rest):
            return shared
    return sorted(found) if ran else None


def _same(tables: list[pa.Table | None], columns: list[str]) -> bool:
    one, other = (table.select(columns) for table in tables if table is not None)
    return same_table(one, other, ordered=False)


@pytest.mark.slow
def test_a_class_is_never_narrower_than_what_the_edit_does() -> None:
    widths = Widths()
    check(1, SUITE_EDITS, DATABASES, widths)
    print(widths.table())  # noqa: T201 — with -s
    assert widths.differing > SUITE_EDITS // 6, "most edits show in some database"
    assert widths.tables > widths.differing > 0
    assert all(widths.classes[kind, kind] for kind in ORDER[1:]), "edits of each class were tried"
    assert widths.compared["narrower"] + widths.compared["wider"] < 0.05 * widths.compared.total(), widths.table()


@pytest.mark.slow
def test_a_class_that_is_too_narrow_would_be_seen() -> None:
    """Were every edit called an added column, the databases would refute that for most that are none."""
    seen = tried = 0
    for case, _, sql, compiled in judged(1, 24, CLASSES, edited, Tally()):
        before, after = not_volatile(case.sql), not_volatile(sql)
        if identity(compiled) != identity(case.compiled) and edit_between(before, after).reaches in {"row", "column"}:
            differ = differing_columns(before, after, DATABASES)
            tried += differ is not None
            seen += bool(differ)
    assert seen > tried * 0.25 > 0


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_many_classes_are_never_too_narrow() -> None:
    widths = Widths()
    for part in range(1, 11):
        check(200_000 * part, SOAK_EDITS // 10, SOAK_DATABASES, widths)
    print(widths.table())  # noqa: T201 — what the soak is run for
    assert widths.compared["narrower"], "the digests are at times the wider"
    assert widths.compared["wider"], "and at times the script is"
