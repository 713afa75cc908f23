"""Renames through all readers: the edits, and the proof that every rule means what it meant."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compiler.lint.check import World
from compiler.lint.edits import apply
from compiler.lint.findings import Edit
from compiler.lint.quoting import in_sql
from compiler.lint.renaming import Renamed, meaning
from compiler.names.qualify import InputSchemas
from compiler.schema import Column, Schema
from rules.config.project import NAME
from rules.errors import UserError
from rules.loading.input_binding import make_resolver
from rules.lsp.mentions import mention
from rules.lsp.navigation import definitions, mentioning, references, symbols_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compiler.lint.occurrences import Occurrence, Symbol
    from rules.lsp.workbench import Known, Workbench


@dataclass(frozen=True)
class Rename:
    """The edits of a rename, by file; moved: a file that gets another name, and that."""

    edits: Mapping[str, list[Edit]]
    moved: tuple[str, str] | None = None


def renamable(bench: Workbench, path: str, offset: int) -> Occurrence:
    """Return the name at a character. Raises `UserError` for what cannot be renamed."""
    here = symbols_at(bench, path, offset) if path.endswith(".sql") else []
    found = [one for one in here if _is_ours(bench, one.symbol)]
    if not found:
        hint = "rules, their columns, CTEs and aliases in SQL can be renamed; what is in sources or Python cannot"
        raise UserError("there is nothing here that can be renamed", code="rename", hint=hint)
    return found[0]


def rename(bench: Workbench, path: str, offset: int, new: str) -> Rename:
    """Return the edits that rename what is at a character. Raises `UserError` where a meaning would change."""
    one, known = renamable(bench, path, offset), bench.known
    assert known is not None
    symbol = one.symbol
    if symbol.kind == "table":
        return _of_rule(bench, known, symbol, new)
    places = references(bench, path, symbol)
    if not new:
        raise UserError("a name has at least one character", code="rename")
    written = in_sql(new)
    if symbol.kind == "column":
        return _of_column(bench, known, symbol, places, new, written)
    if symbol.kind == "local" and not any(each.defines for _, each in places):
        raise UserError(f"the column {symbol.name} is not named where it is made, such as by a *", code="rename")
    edits = _edits(bench, places, written)
    _require_same(bench, path, edits.get(path, []), None, None)
    return Rename(edits)


def _is_ours(bench: Workbench, symbol: Symbol) -> bool:
    known = bench.known
    own = symbol.name if symbol.kind == "table" else symbol.owner
    if known is None or symbol.kind == "variable":
        return False
    return symbol.kind not in {"table", "column"} or own in known.rules


def _of_rule(bench: Workbench, known: Known, symbol: Symbol, new: str) -> Rename:
    if not NAME.match(new):
        raise UserError(f"'{new}' is not a usable product name", code="rename", hint="letters, digits and _ only")
    files = [bench.product(path) for path in known.files if path.endswith(".sql")]  # one that cannot be read has a name
    if new.lower() in {name.lower() for name in (*known.tables, *files)} - {symbol.name.lower()}:
        raise UserError(f"there is a table '{new}' already", code="rename")
    _require_unmentioned(bench, known, symbol.name)
    old_path = known.rules[symbol.name].path
    moved = old_path, posixpath.join(posixpath.dirname(old_path), f"{new}.sql")
    old_file, new_file = (bench.root / one for one in moved)
    if new_file.exists() and not new_file.samefile(old_file):
        raise UserError(f"there is a file {moved[1]} already", code="rename")
    written = in_sql(new)
    edits: dict[str, list[Edit]] = {}
    for path, each in references(bench, "", symbol):
        edits.setdefault(path, []).append(Edit(each.start, each.end, written))
    back = Renamed(new, symbol.name)
    _require_all_same(bench, symbol.name, edits, _world_after(known, back), back)
    return Rename(edits, moved)


def _of_column(
    bench: Workbench, known: Known, symbol: Symbol, places: list[tuple[str, Occurrence]], new: str, written: str
) -> Rename:
    schema = known.schemas.get(symbol.owner)
    if schema is None:
        raise UserError(f"the columns of {symbol.owner} are not known", code="rename")
    if new in schema.names:
        raise UserError(f"{symbol.owner} has a column '{new}' already", code="rename")
    if not definitions(bench, "", symbol):
        raise UserError(f"{symbol.owner}.{symbol.name} is not named in its rule", code="rename")
    _require_unmentioned(bench, known, symbol.owner, symbol.name)
    edits = _edits(bench, places, written)
    back = Renamed(symbol.owner, symbol.owner, new, symbol.name)
    after = _world_after(known, back)
    _require_all_same(bench, symbol.owner, edits, after, back)  # a star may read the column without its name
    return Rename(edits)


def _edits(bench: Workbench, places: list[tuple[str, Occurrence]], written: str) -> dict[str, list[Edit]]:
    """Return the edits that write another name at all places of a name, and leave all other names as they are."""
    passing = {(path, each.start) for path, each in _passed(bench, places)}
    edits: dict[str, list[Edit]] = {}
    for path, each in places:
        if each.passed:  # SELECT o.amount: its own name is that of the column it reads
            edit = Edit(each.end, each.end, f" AS {written}")
        elif (path, each.start) in passing:
            text = bench.text(path)[each.start : each.end]
            edit = Edit(each.start, each.end, f"{written} AS {text}")
        else:
            edit = Edit(each.start, each.end, written)
        edits.setdefault(path, []).append(edit)
    return edits


def _passed(bench: Workbench, places: list[tuple[str, Occurrence]]) -> list[tuple[str, Occurrence]]:
    """Return the places at which a column is passed on under its own name, so that it names an output, too."""
    found = []
    for path, each in places:
        outline = bench.outline(path)
        same = [one for one in (outline.occurrences if outline is not None else ()) if one.start == each.start]
        if any(one.passed and one.symbol != each.symbol for one in same):
            found.append((path, each))
    return found


def _require_unmentioned(bench: Workbench, known: Known, table: str, column: str | None = None) -> None:
    """Refuse what is called by its name where nothing is rewritten, see `rules.lsp.mentions`."""
    path = mention(bench, known, table, column)
    if path is not None:
        called = table if column is None else f"{table}.{column}"
        hint = "only the queries of rules in SQL are rewritten; rename it by hand, there as well"
        raise UserError(f"{path} calls {called} by its name, too", code="rename", hint=hint)


def _world_after(known: Known, back: Renamed) -> World:
    """Return the project after a rename."""
    schemas = InputSchemas()
    schemas.known.update({(back.table if name == back.was else name): one for name, one in known.schemas.items()})
    schema = schemas.known.get(back.table)
    if schema is not None and back.column:
        columns = (Column(back.column if one.name == back.column_was else one.name, one.type) for one in schema.columns)
        schemas.known[back.table] = Schema(tuple(columns), schema.arrow)
    names = [back.table if name == back.was else name for name in known.tables]
    return World(schemas, make_resolver(names), tuple(names), known.variables)


def _require_all_same(
    bench: Workbench, table: str, edits: Mapping[str, list[Edit]], after: World, back: Renamed
) -> None:
    """Raise `UserError` unless every rule that may read a table means what it meant.

    A rule that cannot be parsed just now may read it once it can be, so it is a reason to rename nothing.
    """
    reading = {path for path in mentioning(bench, table) if path.endswith(".sql")}
    for path in sorted({*edits, *reading}):
        _require_same(bench, path, edits.get(path, []), after, back)


def _require_same(bench: Workbench, path: str, edits: list[Edit], after: World | None, back: Renamed | None) -> None:
    """Raise `UserError` unless a rule means what it meant."""
    if bench.dialect(path) is not None:
        hint = "only queries in our own SQL are rewritten; rename it by hand, there as well"
        raise UserError(f"{path} is in another dialect, so nothing is renamed", code="rename", hint=hint)
    text, world, product = bench.text(path), bench.world(path), bench.product(path)
    assert world is not None
    before = meaning(text, world)
    now = meaning(apply(text, edits), after or world, back, product)
    if before is None or before != now:
        what = "cannot be compiled" if before is None else "would mean something else"
        message = f"{path} {what}, so nothing is renamed"
        raise UserError(message, code="rename", hint="rename it by hand, and look at what rules plan says")
