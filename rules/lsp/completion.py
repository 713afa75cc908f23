"""Completion: tables after FROM, columns after an alias, variables after $, keys in front matter, functions elsewhere.

A text that is being typed seldom parses, so the place is judged by the words before it, and aliases come from the last
text that did, and from the words FROM and JOIN.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from lsprotocol.types import CompletionItem, CompletionItemKind, MarkupContent, MarkupKind

from compiler.sql.catalogue import FUNCTIONS
from rules.config.contract import ColumnContract
from rules.config.front_matter import RuleOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.lsp.workbench import Known, Workbench

_ALIAS = re.compile(r'(\w+|"[^"]+")\.\w*$')
_VARIABLE = re.compile(r"\$\w*$")
_TABLE = re.compile(r"\b(?:FROM|JOIN)\s+\w*$", re.IGNORECASE)
_LISTED_TABLE = re.compile(r"\bFROM\s+[\w\s,\"]*,\s*\w*$", re.IGNORECASE)
_FROM_ITEM = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)(?:\s+(?:AS\s+)?(\w+))?", re.IGNORECASE)
_NOT_ALIASES = frozenset(
    {"where", "join", "on", "using", "group", "order", "having", "limit", "cross", "left", "right", "inner", "full"}
    | {"semi", "anti", "union", "natural", "as"}
)
_CONTRACT_COLUMN = re.compile(r"^-- \[(?:\[)?columns\.", re.MULTILINE)


def complete(bench: Workbench, path: str, offset: int) -> list[CompletionItem]:
    """Return what could come at a place of a rule in SQL, or of SQL in Python."""
    known = bench.known
    if known is None:
        return []
    text = bench.sql_at(path, offset)
    if text is None:
        return []
    before = text[:offset]
    line = before.rsplit("\n", 1)[-1]
    if _is_front_matter(text, offset):
        return _front_matter_keys(before, line)
    if line.lstrip().startswith("--"):
        return []
    if _VARIABLE.search(line):
        return [_item(f"${name}", CompletionItemKind.Constant, repr(value)) for name, value in known.variables.items()]
    found = _ALIAS.search(line)
    if found is not None:
        return _columns(bench, known, path, found[1].strip('"').lower())
    if _TABLE.search(before[-200:]) or _LISTED_TABLE.search(before[-400:]):
        return _tables(bench, known, path)
    return [*_qualified(bench, known, path), *_functions(bench, known)]


def _item(label: str, kind: CompletionItemKind, detail: str | None, more: str | None = None) -> CompletionItem:
    return CompletionItem(label, kind=kind, detail=detail, documentation=more)


def _is_front_matter(text: str, offset: int) -> bool:
    """Whether a place is between the lines -- /// rule and -- ///."""
    before, after = text[:offset], text[offset:]
    opened = before.count("-- ///") % 2 == 1
    return opened and "-- ///" in after


def _front_matter_keys(before: str, line: str) -> list[CompletionItem]:
    if "=" in line:
        return []
    kind = ColumnContract if _CONTRACT_COLUMN.search(before) else RuleOptions
    fields = msgspec.structs.fields(kind)
    return [_item(one.encode_name, CompletionItemKind.Property, None) for one in fields]


def _tables(bench: Workbench, known: Known, path: str) -> list[CompletionItem]:
    outline = bench.outline(path, stale=True)
    ctes = [name for name, *_ in outline.ctes] if outline is not None else []
    own = bench.product(path)
    sources = known.project.sources
    kinds = {name: "source" if name in sources else "rule" for name in known.tables if name != own}
    found = [_item(name, CompletionItemKind.Variable, "CTE") for name in ctes]
    return [*found, *(_item(name, CompletionItemKind.Struct, kind) for name, kind in kinds.items())]


def _items_of(bench: Workbench, known: Known, path: str) -> dict[str, tuple[tuple[str, ...], str | None]]:
    """Return alias → columns and table."""
    outline = bench.outline(path, stale=True)
    found: dict[str, tuple[tuple[str, ...], str | None]] = {}
    for one in outline.aliases if outline is not None else ():
        found[one.name.lower()] = one.columns or (), one.table
    tables = {name.lower(): name for name in known.tables}
    for table, alias in _FROM_ITEM.findall(bench.text(path)):
        name = tables.get(table.lower())
        schema = known.schemas.get(name) if name is not None else None
        if schema is not None:
            word = alias if alias and alias.lower() not in _NOT_ALIASES else table
            found[word.lower()] = schema.names, name
    return found


def _columns(bench: Workbench, known: Known, path: str, alias: str) -> list[CompletionItem]:
    columns, table = _items_of(bench, known, path).get(alias, ((), None))
    schema = known.schemas.get(table) if table is not None else None
    types = {one.name: one.type for one in schema.columns} if schema is not None else {}
    return [_item(_written(name), CompletionItemKind.Field, types.get(name)) for name in columns]


def _qualified(bench: Workbench, known: Known, path: str) -> Iterable[CompletionItem]:
    for alias, (columns, table) in _items_of(bench, known, path).items():
        for name in columns:
            yield _item(f"{alias}.{_written(name)}", CompletionItemKind.Field, table)


def _functions(bench: Workbench, known: Known) -> list[CompletionItem]:
    """Return the functions that SQL may call, with how each is called as far as that is known."""
    kinds = {name: f"{kind} function" for (kind, _), names in FUNCTIONS.items() for name in names.split()}
    kinds |= dict.fromkeys(known.functions, "function of this project")
    ways = {name: one.syntax for name, one in bench.signatures.items()}
    return [_item(name, CompletionItemKind.Function, ways.get(name, kinds[name])) for name in sorted(kinds)]


def described(bench: Workbench, item: CompletionItem) -> CompletionItem:
    """Return an item with what its function does: too much to send of all of them."""
    one = bench.signatures.get(item.label) if item.kind == CompletionItemKind.Function else None
    if one is not None:
        item.documentation = MarkupContent(MarkupKind.Markdown, one.description)
    return item


def _written(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else f'"{name}"'
