"""The column lineage of a project as its files say it now: from the index alone, after compiling what has changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cache.errors import StoreError
from compiler.analysis.edges import from_record
from graph.lineage import Lineage, Name
from rules import snapshots
from rules.errors import UserError, UserErrors
from rules.files.project_paths import DEFAULT_PROFILE, store_of

if TYPE_CHECKING:
    from pathlib import Path

    from cache.index import Index
    from rules.storage.store import Say


@dataclass(frozen=True)
class Traced:
    """The lineage of every product that compiles, and for each that does not, what is wrong with it or its inputs."""

    lineage: Lineage
    broken: Mapping[str, tuple[UserError, ...]]


def trace(root: Path, say: Say) -> Traced:
    """Return the lineage of the project at `root`. Executes nothing. Raises `UserError`, or `UserErrors`."""
    return _from_index(root) or _compiled(root, say)


def find_columns(traced: Traced, text: str | None, root: Path) -> tuple[str, list[Name]]:
    """Return the table and the columns that are meant; every column of the project for None.

    Raises `UserError`, or `UserErrors` for what does not compile.
    """
    columns = traced.lineage.columns
    if text is None:
        return "", [Name(table, column) for table, names in columns.items() for column in names]
    table, dot, column = text.partition(".")
    if table in traced.broken:
        errors = traced.broken[table]
        raise errors[0] if len(errors) == 1 else UserErrors(list(errors))
    if table not in columns:
        raise _unknown_table(traced, table, root)
    if not dot:
        return table, [Name(table, name) for name in columns[table]]
    if column not in columns[table]:
        from difflib import get_close_matches

        close = get_close_matches(column, columns[table], n=1, cutoff=0.5)
        hint = f"did you mean '{table}.{close[0]}'?" if close else f"its columns: {', '.join(columns[table])}"
        raise UserError(f"unknown column '{column}' of {table}", code="unknown-column", hint=hint)
    return table, [Name(table, column)]


def _unknown_table(traced: Traced, table: str, root: Path) -> UserError:
    from difflib import get_close_matches

    from rules.config.project import load_project

    if table in load_project(root).sources:
        hint = "its columns are known once a rule reads it"
        return UserError(f"no rule reads the source '{table}'", code="unread-source", hint=hint)
    close = get_close_matches(table, [*traced.lineage.columns, *traced.broken], n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'?" if close else "rules ls lists the products"
    return UserError(f"unknown product or source '{table}'", code="unknown-product", hint=hint)


def _from_index(root: Path) -> Traced | None:
    """Return what the index knows, if no file has changed since every rule was compiled."""
    try:
        with snapshots.open_index(str(root), store_of(str(root))) as index:
            state = snapshots.as_compiled(str(root), index)
            if state is None:
                return None
            return Traced(lineage_of(index, state["products"], state["tables"]), {})
    except (StoreError, KeyError):
        return None  # the long way meets the same trouble, and explains it


def _compiled(root: Path, say: Say) -> Traced:
    """Compile what has changed."""
    from rules.compiling.load_session import load
    from rules.config.project import load_project
    from rules.storage.store import open_store

    with open_store(root, say, building=False) as store:
        session = load(load_project(root), DEFAULT_PROFILE, store)
        compilation = session.compile(session.dag.order, as_last_seen=True)
        compiled = compilation.rules
        session.files.save()
        tables = {name: session.sources.table(name).schema.names for name in session.sources.opened()}
        tables |= {name: schema.names for name, schema in compilation.last_seen.items()}
        lineage = lineage_of(store.index, {name: rule.memo for name, rule in compiled.items()}, tables)
    broken = {name: tuple(session.errors([name])) for name in session.dag.order if name not in compiled}
    return Traced(lineage, broken)


def lineage_of(index: Index, memos: Mapping[str, str], tables: Mapping[str, Iterable[str]]) -> Lineage:
    """Return the lineage of compiled products. Raises KeyError for a memo that the index has lost."""
    records: dict[str, Any] = index.lineages(memos.values())
    columns = {name: tuple(names) for name, names in tables.items()}
    columns |= {name: tuple(records[memo]["columns"]) for name, memo in memos.items()}
    heads = index.compiled_heads(memos.values())  # read here, since to import `Head` takes time
    inputs = {name: tuple(json.loads(heads[memo])["scans"]) for name, memo in memos.items()}
    return Lineage(columns, {name: from_record(records[memo]) for name, memo in memos.items()}, inputs)
