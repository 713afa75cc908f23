"""Where names come from and where they are used, across the files of a project."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from rules.config.toml_positions import closest, key_places
from rules.errors import UserError
from rules.files.project_paths import FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compiler.lint.occurrences import Occurrence, Symbol
    from rules.lsp.workbench import Workbench


class Spot(NamedTuple):
    """A span of characters in a file."""

    path: str
    start: int
    end: int


def symbols_at(bench: Workbench, path: str, offset: int) -> list[Occurrence]:
    """Return what is at a character: a use before a definition."""
    found = bench.outline(path)
    return found.at(offset) if found is not None else []


def definitions(bench: Workbench, path: str, symbol: Symbol) -> list[Spot]:
    """Return where a name gets its meaning. path: of the file in which it is met."""
    if symbol.kind == "table":
        return _table(bench, symbol.name)
    if symbol.kind == "column":
        return _column(bench, symbol.owner, symbol.name) or _table(bench, symbol.owner)
    if symbol.kind == "variable":
        return _in_toml(bench, ("vars", symbol.name))
    found = bench.outline(path)
    here = found.occurrences if found is not None else ()
    return [Spot(path, one.start, one.end) for one in here if one.defines and one.symbol == symbol]


def references(bench: Workbench, path: str, symbol: Symbol) -> list[tuple[str, Occurrence]]:
    """Return every place of a name, with its file: what is local to one text in that, others in all rules."""
    if symbol.kind in {"cte", "alias", "local"}:
        found = bench.outline(path)
        return [(path, one) for one in (found.occurrences if found is not None else ()) if one.symbol == symbol]
    return list(_everywhere(bench, symbol))


def readers(bench: Workbench, symbol: Symbol) -> list[str]:
    """Return the rules that use a table or one of its columns, sorted."""
    own = symbol.owner if symbol.kind == "column" else symbol.name
    return sorted({name for path, _ in _everywhere(bench, symbol) if (name := bench.product(path)) != own})


def mentioning(bench: Workbench, name: str) -> Iterator[str]:
    """Yield the paths of the rule files whose text, as it is being edited, has a word.

    The last check may have seen another text, or one that could not be parsed, so it does not say which files read it.
    """
    word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
    for path in sorted(bench.known.files) if bench.known is not None else ():
        try:
            text = bench.text(path)
        except UserError:  # it has gone since
            continue
        if word.search(text):
            yield path


def _everywhere(bench: Workbench, symbol: Symbol) -> Iterator[tuple[str, Occurrence]]:
    for path in mentioning(bench, symbol.name):
        found = bench.outline(path)
        for one in found.occurrences if found is not None else ():
            if one.symbol == symbol:
                yield path, one


def _table(bench: Workbench, name: str) -> list[Spot]:
    known = bench.known
    if known is None:
        return []
    if name in known.rules:
        rule = known.rules[name]
        return [Spot(rule.path, 0, 0)]
    if name in known.project.sources:
        return _in_toml(bench, ("sources", name))
    return []


def _column(bench: Workbench, table: str, name: str) -> list[Spot]:
    known = bench.known
    if known is None:
        return []
    if table in known.rules:
        path = known.rules[table].path
        found = bench.outline(path)
        here = [one for one in (found.occurrences if found is not None else ()) if one.defines]
        places = [
            one for one in here if (one.symbol.kind, one.symbol.owner, one.symbol.name) == ("column", table, name)
        ]
        return [Spot(path, one.start, one.end) for one in places]
    return _in_toml(bench, ("sources", table, "columns", name))


def _in_toml(bench: Workbench, keys: tuple[str, ...]) -> list[Spot]:
    """Return where rules.toml says something, or the nearest thing around it."""
    from compiler.lint.findings import Lines

    try:
        text = bench.text(FILE)
    except UserError:
        return []
    line, column = closest(key_places(text), keys)
    start = Lines(text).offset(line, column)
    return [Spot(FILE, start, start + len(keys[-1]))]
