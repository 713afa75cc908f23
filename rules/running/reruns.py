"""A product or check that runs again on the inputs that its stored table was made of, and how the two tables compare.

Shared by audit, which proves that skipping was right, and verify, which proves that settings do not matter.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cache.bags import bag_of_file
from cache.removal import remove_temporary
from rules.compiling.declared_parts import declared_by_part
from rules.config.machine import usable_cores
from rules.formats.parquet_files import column_digests
from rules.formats.row_groups import FileRows
from rules.running import cutoff
from rules.wording import plural

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cache.records import Artifact
    from rules.compiling.compiled_rule import CompiledRule
    from rules.engine.protocol import Executed, PartsRun
    from rules.running.query_runner import Runner
    from rules.sources.contents import Sources

Compared = Literal["rows in order", "rows", "rows, floats to 9 digits"]
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Rerun:
    """How a table that was made again compares. difference: a clause, None if it is the same. digest: the new one's.

    hint: what to do about the difference, if the rule's declaration is what is wrong.
    """

    compared: Compared
    difference: str | None
    digest: str
    hint: str | None = None


def rerun(
    runner: Runner,
    rule: CompiledRule,
    sources: Sources,
    artifacts: Mapping[str, str],
    artifact: str,
    *,
    near: bool = False,
) -> Rerun:
    """Run a rule again and compare with its `artifact`. artifacts: of its inputs. Raises `UserError`.

    Rows are compared in order where the rule orders them, else as a bag. near: floats may differ after nine digits,
    where the rule is one whose floats depend on the order in which rows are added up. A rule that declares by_part
    reads its inputs whole: its parts would come out the same again, whether the declaration is true or not.
    """
    if not declared_by_part(rule):
        found, _ = _rerun(runner, rule, sources, artifacts, artifact, near=near)
        shows_order = rule.node.ordered or rule.node.order_dependent
        if found.difference is None or not shows_order or runner.bodies.spread(rule).sql is None:
            return found
        # An earlier version left ties in the order of the scans, which is as right.
        plain, _ = _rerun(replace(runner, breaks_ties=False), rule, sources, artifacts, artifact, near=near)
        return plain if plain.difference is None else found
    found, _ = _rerun(runner, rule, sources, artifacts, artifact, declared=False)
    if found.difference is None:
        return found
    again, parts = _rerun(runner, rule, sources, artifacts, artifact)
    if again.difference is not None or parts is None:
        return found
    names = ", ".join(f'"{name}"' for name in declared_by_part(rule))
    difference = f"{found.difference}, since it read {parts.input} whole: by_part=[{names}] does not hold"
    hint = f"take by_part from @rule in {rule.rule.path}, or let the function yield for each part what it does for all"
    return replace(found, difference=difference, hint=hint)


def _rerun(
    runner: Runner,
    rule: CompiledRule,
    sources: Sources,
    artifacts: Mapping[str, str],
    artifact: str,
    *,
    near: bool = False,
    declared: bool = True,
) -> tuple[Rerun, PartsRun | None]:
    """Return how a rule that runs again compares, and how it ran by parts, if it did. declared: as for `Runner.run`."""
    store = runner.session.store
    target = store.objects.temporary()
    old = store.artifact(artifact)
    assert old is not None
    ordered = rule.node.ordered and not declared_by_part(rule)
    compared: Compared = "rows in order" if ordered else "rows"
    try:
        executed = runner.run(rule, sources, artifacts, target, record=False, believe=False, declared=declared)
        digest = executed.digest.table
        if digest == artifact and not runner.session.store.is_as_named(artifact):
            return Rerun(compared, "the rows that were recorded, and its stored table has others", digest), None
        if digest == artifact or _same_table(runner, rule, old, executed, target, ordered=ordered):
            return Rerun(compared, None, digest), executed.parts
        if near and rule.node.order_dependent and _nearly_same(runner, old, executed, target, ordered=ordered):
            return Rerun("rows, floats to 9 digits", None, digest), executed.parts
        difference = _difference(runner, rule, old, executed, target, ordered=ordered)
    finally:
        with contextlib.suppress(OSError):
            remove_temporary(target)
    return Rerun(compared, difference, digest), executed.parts


def _same_table(
    runner: Runner, rule: CompiledRule, old: Artifact, executed: Executed, target: Path, *, ordered: bool
) -> bool:
    """Whether two tables that are named otherwise have the same rows. ordered: in the same order."""
    if not _same_shape(old, executed):
        return False
    if ordered:
        return bool(old.parts) and _columns_in_one_piece(runner, rule, old) == executed.columns
    names = tuple(executed.columns)
    return cutoff.bag(runner.session.store, old, names) == bag_of_file(target, names)


def _same_shape(old: Artifact, executed: Executed) -> bool:
    types = [(name, kind) for name, (kind, _) in executed.columns.items()]
    return [(name, kind) for name, (kind, _) in old.columns.items()] == types and executed.digest.rows == old.rows


def _nearly_same(runner: Runner, old: Artifact, executed: Executed, target: Path, *, ordered: bool) -> bool:
    """Whether two tables are the same but for the last digits of floats."""
    if not _same_shape(old, executed):
        return False
    before = pa.concat_tables(pq.read_table(file) for file in runner.session.store.files(old.artifact))
    after = pq.read_table(target)
    floats = [field.name for field in before.schema if pa.types.is_floating(field.type)]
    others = [name for name in before.schema.names if name not in floats]
    if not floats:
        return False
    if not ordered:
        try:  # rows of one table beside those of the other: by what is exact, then by what is not
            by = [(name, "ascending") for name in (*others, *floats)]
            before, after = (table.take(pc.sort_indices(table, sort_keys=by)) for table in (before, after))
        except pa.ArrowNotImplementedError:  # there is no order of lists and structs
            return False
    if not all(before[name].equals(after[name]) for name in others):
        return False
    return all(_near(before[name], after[name]) for name in floats)


def _near(before: pa.ChunkedArray, after: pa.ChunkedArray) -> bool:
    if not before.is_null().equals(after.is_null()):
        return False
    one, other = (column.cast(pa.float64()).fill_null(0).to_numpy() for column in (before, after))
    return bool(np.allclose(one, other, rtol=_TOLERANCE, atol=0, equal_nan=True))


def _columns_in_one_piece(runner: Runner, rule: CompiledRule, old: Artifact) -> Mapping[str, tuple[str, str]]:
    """Return the types and digests that a table's columns have in one piece, as a run that records nothing makes it."""
    if not old.parts:
        return old.columns
    runner.session.store.verify(old)
    files = [FileRows(file) for file in runner.session.store.files(old.artifact)]
    digests = column_digests(files, list(old.columns), rule.schema, usable_cores())
    return {name: (kind, digests[name]) for name, (kind, _) in old.columns.items()}


def _difference(
    runner: Runner, rule: CompiledRule, old: Artifact, executed: Executed, target: Path, *, ordered: bool
) -> str:
    """Return in a clause how the table of an execution differs. ordered: whether the order of rows is a part of it."""
    rows, columns = executed.digest.rows, executed.columns
    if rows != old.rows:
        return f"{plural(rows, 'row')} instead of {old.rows:,}"
    known = _columns_in_one_piece(runner, rule, old) if ordered else old.columns
    changed = [name for name, facts in columns.items() if known.get(name) != facts]
    if ordered or not _same_shape(old, executed):
        return f"other values in {', '.join(changed)}"
    store = runner.session.store
    others = [name for name in changed if cutoff.bag(store, old, (name,)) != bag_of_file(target, (name,))]
    return f"other values in {', '.join(others)}" if others else f"values of {', '.join(changed)} in other rows"
