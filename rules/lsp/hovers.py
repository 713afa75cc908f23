"""What is said of a name, in Markdown: of a column its type and what it is made of, of a table its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.lsp.navigation import readers, symbols_at
from rules.wording import plural

if TYPE_CHECKING:
    from compiler.lint.occurrences import Occurrence, Symbol
    from rules.lsp.workbench import Known, Workbench

_MOST_COLUMNS = 40
_DEEPEST = 6
_MOST_READERS = 8


def hover(bench: Workbench, path: str, offset: int) -> tuple[str, Occurrence] | None:
    """Return what to say of the name at a character, and where that is; None where there is none."""
    found, known = symbols_at(bench, path, offset), bench.known
    if not found or known is None:
        return None
    one = found[0]
    symbol = one.symbol
    if symbol.kind == "table":
        return _table(bench, known, symbol.name), one
    if symbol.kind == "column":
        return _column(bench, known, symbol), one
    if symbol.kind == "variable":
        return f"`${symbol.name}` = `{known.variables.get(symbol.name)!r}`", one
    if symbol.kind == "local":
        return _local(bench, path, symbol), one
    words = {"cte": "common table expression", "alias": "alias"}
    return f"`{symbol.name}`: {words[symbol.kind]}", one


def _local(bench: Workbench, path: str, symbol: Symbol) -> str:
    found = bench.outline(path)
    made = found.made_of(symbol) if found is not None else None
    return f"`{symbol.name}`" + (f" = `{made.expression}`" if made is not None else "")


def _table(bench: Workbench, known: Known, name: str) -> str:
    rule, schema = known.rules.get(name), known.schemas.get(name)
    kind = "source" if name in known.project.sources else "rule"
    lines = [f"**{name}** ({kind})"]
    if rule is not None and rule.options.description:
        lines.append(rule.options.description)
    lines += _state(bench, name)
    if schema is not None:
        described = rule.options.columns if rule is not None else {}
        columns = schema.columns[:_MOST_COLUMNS]
        lines.append("\n".join(f"- `{one.name}` {one.type}{_described(described.get(one.name))}" for one in columns))
        if len(schema.columns) > _MOST_COLUMNS:
            lines.append(f"and {plural(len(schema.columns) - _MOST_COLUMNS, 'other column')}")
    return "\n\n".join(lines)


def _described(column: object) -> str:
    text = getattr(column, "description", None)
    return f": {text}" if text else ""


def _state(bench: Workbench, name: str) -> list[str]:
    """Return what the last plan says of a product."""
    plan = bench.plan
    if plan is None:
        return []
    found = []
    last = plan.known.products.get(name)
    if last is not None:
        artifact = plan.session.store.artifacts.get(last.artifact)
        rows = f"{plural(artifact.rows, 'row')}, " if artifact is not None else ""
        found.append(f"{rows}built by {last.build}")
    judgement = plan.judgements.get(name)
    if judgement is not None:
        found.append(f"*{judgement.verdict}*: {judgement.reason}")
    return found


def _column(bench: Workbench, known: Known, symbol: Symbol) -> str:
    schema, rule = known.schemas.get(symbol.owner), known.rules.get(symbol.owner)
    kinds = {one.name: one.type for one in schema.columns} if schema is not None else {}
    lines = [f"**{symbol.owner}.{symbol.name}** {kinds.get(symbol.name, '')}".rstrip()]
    column = rule.options.columns.get(symbol.name) if rule is not None else None
    facts = [text for text in (getattr(column, "description", None),) if text]
    facts += ["never NULL, as its contract says"] if getattr(column, "not_null", None) else []
    lines += facts
    chain = _chain(bench, known, symbol)
    if chain:
        lines.append("\n".join(chain))
    used = readers(bench, symbol)
    if used:
        more = f" and {len(used) - _MOST_READERS} more" if len(used) > _MOST_READERS else ""
        lines.append(f"read by {', '.join(used[:_MOST_READERS])}{more}")
    return "\n\n".join(lines)


def _chain(bench: Workbench, known: Known, symbol: Symbol, depth: int = 0) -> list[str]:
    """Return what a column is made of, down to the sources, as nested items of a list."""
    rule = known.rules.get(symbol.owner)
    if rule is None or depth >= _DEEPEST:
        return []
    found = bench.outline(rule.path)
    made = found.made_of(symbol) if found is not None else None
    if made is None:
        return []
    lines = [f"{'  ' * depth}- `{symbol.owner}.{symbol.name}` = `{made.expression}`"]
    for one in made.columns:
        lines += _chain(bench, known, one, depth + 1) or [f"{'  ' * (depth + 1)}- `{one.owner}.{one.name}`"]
    return lines
