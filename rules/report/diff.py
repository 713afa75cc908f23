"""What a comparison came to, as text lines or a JSON document. Pure: nothing is printed here."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rules.inspect.table_diff import Compared, Row, TableDiff, row_text
from rules.report.runs import document
from rules.wording import plural, wrapped_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graph.impact import Edit
    from rules.inspect.rule_diff import Comparison, Difference

_CLASSES = ("new", "removed", "row", "column", "additive", "cosmetic")
_MOST_REACHED = 6


def comparison_document(found: Comparison, against: str) -> dict[str, Any]:
    """Return the document of `rules diff`."""
    rules = [
        {
            "name": one.edit.name,
            "class": one.edit.reaches,
            "edits": list(one.edit.sentences),
            "columns": sorted(one.edit.columns),
            **({"edit": edit_fields(one.edit.edit)} if one.edit.edit is not None else {}),
            "impact": [
                {"product": product, "columns": sorted(columns) if columns is not None else None}
                for product, columns in one.impact.items()
            ],
        }
        for one in found.differences
    ]
    counted: Counter[str] = Counter(one.edit.reaches for one in found.differences)
    summary = {kind: counted[kind] for kind in _CLASSES} | {"unchanged": found.unchanged}
    return document("diff", status="ok", against=against, rules=rules, summary=summary)


def edit_fields(edit: Edit) -> dict[str, Any]:
    """Return where a rule was edited, and what its class was decided from, as plain data.

    script: the class that the edit script claims; proved: the narrowest one that digests allow; null where not known.
    """
    script = edit.script
    return {
        "clauses": list(script.clauses) if script is not None else [],
        "columns": {
            "added": sorted(script.added) if script is not None else [],
            "changed": sorted(script.changed) if script is not None else [],
            "removed": sorted(script.removed) if script is not None else [],
        },
        "options": list(edit.options),
        "script": script.reaches if script is not None and script.known else None,
        "proved": edit.proved,
    }


def comparison_lines(found: Comparison, against: str, width: int | None) -> list[str]:
    """Return the edits and what they reach as text."""
    if not found.differences:
        return [f"no rule differs from {against} ({plural(found.unchanged, 'rule')} compared)"]
    rows = [
        [one.edit.reaches if number == 0 else "", one.edit.name if number == 0 else "", sentence]
        for one in found.differences
        for number, sentence in enumerate(difference_sentences(one))
    ]
    return [*wrapped_lines(rows, width), "", comparison_summary(found)]


def comparison_summary(found: Comparison) -> str:
    """Return how many edits there are of each class, and how many products below may change."""
    counted: Counter[str] = Counter(one.edit.reaches for one in found.differences)
    reached = {product for one in found.differences for product in one.impact}
    edited = {one.edit.name for one in found.differences}
    below = f"; {plural(len(reached - edited), 'product')} below may change" if reached - edited else ""
    summary = ", ".join(f"{counted[kind]:,} {kind}" for kind in _CLASSES if counted[kind])
    return f"{summary}{below}"


def difference_sentences(one: Difference) -> list[str]:
    """Return what an edit of a rule changes, and what it reaches."""
    lines = list(one.edit.sentences) or ["means what it meant"]
    return [*lines, f"reaches {_reached(one.impact)}"] if one.impact else lines


def _reached(impact: Mapping[str, frozenset[str] | None]) -> str:
    named = [
        product if columns is None else ", ".join(f"{product}.{column}" for column in sorted(columns))
        for product, columns in impact.items()
    ]
    more = f" and {plural(len(named) - _MOST_REACHED, 'more product')}" if len(named) > _MOST_REACHED else ""
    return ", ".join(named[:_MOST_REACHED]) + more


def data_document(products: Sequence[Compared], against: str) -> dict[str, Any]:
    """Return the document of `rules diff --data`."""
    diffs = [one.diff for one in products if one.diff is not None]
    summary = {
        "differ": sum(1 for diff in diffs if diff.differs),
        "same": sum(1 for diff in diffs if not diff.differs),
        "unknown": len(products) - len(diffs),
    }
    listed = [_table_fields(one) for one in products]
    return document("diff", status="ok", against=against, products=listed, summary=summary)


def _table_fields(one: Compared) -> dict[str, Any]:
    diff = one.diff
    if diff is None:
        return {"name": one.name, "before": None, "after": None, "note": one.note}
    return {
        "name": one.name,
        "before": {"of": one.before.origin, "artifact": one.before.artifact, "rows": diff.before.rows},
        "after": {"of": one.after.origin, "artifact": one.after.artifact, "rows": diff.after.rows},
        "matched_by": list(diff.key) or None,
        "duplicated_keys": diff.duplicated,
        "note": diff.why_whole or None,
        "rows": {"added": diff.added, "removed": diff.removed, "changed": diff.changed if diff.matched else None},
        "columns": {
            "added": list(diff.added_columns),
            "removed": list(diff.removed_columns),
            "retyped": [{"name": name, "before": old, "after": new} for name, old, new in diff.retyped],
            "changed": [
                {
                    "name": column.name,
                    "rows": column.rows,
                    "samples": [
                        {"key": _plain(key), "before": old.json, "after": new.json} for key, old, new in column.samples
                    ],
                }
                for column in diff.columns
            ],
        },
        "samples": {
            "added": [_plain(row) for row in diff.added_rows],
            "removed": [_plain(row) for row in diff.removed_rows],
        },
    }


def _plain(row: Row) -> dict[str, Any]:
    return {name: value.json for name, value in row.items()}


def data_lines(products: Sequence[Compared]) -> list[str]:
    """Return what differs between two states of some products as text."""
    if not products:
        return ["no table differs"]
    lines: list[str] = []
    for one in products:
        lines += [*([""] if lines else []), *_table_lines(one)]
    return lines


def _table_lines(one: Compared) -> list[str]:
    diff = one.diff
    if diff is None:
        return [f"{one.name}: {one.note}"]
    facts = {"between": f"{one.before.origin} → {one.after.origin}"}
    changed = f", {diff.changed:,} changed" if diff.matched else ""
    facts["rows"] = (
        f"{diff.before.rows:,} → {diff.after.rows:,}: {diff.added:,} added, {diff.removed:,} removed{changed}"
    )
    facts["rows"] += _how_compared(diff)
    if diff.duplicated:
        occurs = "occurs" if diff.duplicated == 1 else "occur"
        facts["note"] = f"{plural(diff.duplicated, 'key')} {occurs} in several rows, which are compared whole"
    if diff.added_columns:
        facts["new columns"] = ", ".join(diff.added_columns)
    if diff.removed_columns:
        facts["gone columns"] = ", ".join(diff.removed_columns)
    if diff.retyped:
        facts["types"] = ", ".join(f"{column}: {old} → {new}" for column, old, new in diff.retyped)
    if not diff.differs:
        facts["result"] = (
            "the same table" if one.before.artifact == one.after.artifact else "the same rows in another order"
        )
    width = max(map(len, facts)) + 1
    lines = [one.name, *(f"  {fact + ':':<{width}} {text}" for fact, text in facts.items())]
    for column in diff.columns:
        lines.append(f"  {column.name}: {plural(column.rows, 'row')} changed")
        lines += [f"    {_of(key)}{old.text} → {new.text}" for key, old, new in column.samples]
    lines += _samples("added", "+", diff.added, diff.added_rows)
    return lines + _samples("removed", "-", diff.removed, diff.removed_rows)


def _how_compared(diff: TableDiff) -> str:
    if diff.key:
        return f", matched by {', '.join(diff.key)}"
    if diff.matched:
        return ""
    return f", compared whole, for {diff.why_whole or 'the rule declares no key'}"


def _of(key: Row) -> str:
    return f"{row_text(key.items())}: " if key else ""


def _samples(what: str, mark: str, count: int, rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    shown = "" if count == len(rows) else f" (the first {len(rows):,} of {count:,})"
    return [f"  {what}{shown}:", *(f"  {mark} {row_text(row.items())}" for row in rows)]
