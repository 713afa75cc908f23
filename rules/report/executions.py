"""An execution as text lines or a JSON document: its plan, where its time went, all that is kept of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rules.report.runs import document
from rules.wording import cut, duration, plural, table_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.engine.protocol import Operator
    from rules.inspect.executions import Execution

_NO_ENGINE = "a rule over streams is run by Python, so there is no plan of the engine"
_KIB = 1024
_PLANS = {"logical plan": "logical.txt", "optimised logical plan": "optimised.txt", "physical plan": "physical.txt"}
_DIGITS = 6


def execution_document(found: Execution, *, whole: bool) -> dict[str, Any]:
    """Return the document of `rules explain NAME --plan` and `--metrics`. whole: with all that is kept of it."""
    line = found.line
    fields = document(
        "explain",
        status="ok",
        product=line.name,
        build=found.build,
        rows=line.rows,
        seconds=round(line.seconds, _DIGITS),
        planning_seconds=None if line.planned is None else round(line.planned, _DIGITS),
        spilled_bytes=sum(one.spilled_bytes for one in line.operators or ()),
        operators=_operators(line.operators or ()),
        operators_left_out=line.left_out,
        plans={title: found.text(name) for title, name in _PLANS.items() if name in found.files},
    )
    if not whole:
        return fields
    manifest = found.manifest
    return {
        **fields,
        "executed_sql": line.sql,
        "authored": found.text("authored.txt"),
        "canonical_sql": found.text("canonical.sql"),
        "settings": {**manifest.get("engine", {}).get("settings", {}), **line.settings},
        "changed_settings": dict(line.settings),
        "fallback": line.fallback or None,
        "feature_flags": manifest.get("engine", {}).get("feature_flags", {}),
        "versions": manifest.get("versions", {}),
        "profile": manifest.get("profile"),
        "inputs": found.product.get("inputs", []),
        "files": [str(path) for path in found.files.values()],
        "manifest": str(found.folder / "manifest.json") if manifest else None,
    }


def plan_lines(found: Execution, width: int | None) -> list[str]:
    """Return the plan that ran, as a tree; with full evidence also the plans that it was made of."""
    lines = [_title(found)]
    for title, name in list(_PLANS.items())[:-1]:
        text = found.text(name)
        if text is not None:
            lines += ["", f"{title}:", *(f"  {line}" for line in text.rstrip().splitlines())]
    lines += ["", "physical plan:"]
    if found.line.operators is None:
        return [*lines, f"  {_NO_ENGINE}"]
    operators = [f"  {'  ' * one.depth}{_described(one)}" for one in found.line.operators]
    return [*lines, *(_cut(line, width) for line in operators), *_left_out(found)]


def metrics_lines(found: Execution, width: int | None) -> list[str]:
    """Return what each operator did, as a tree: its time and share of it, rows, and what it spilled."""
    operators = found.line.operators
    if operators is None:
        return [_title(found), "", f"  {_NO_ENGINE}"]
    spilled = any(one.spills for one in operators)
    header = ["time", "share", "rows", *(["spilled"] if spilled else []), "operator"]
    rows = []
    for one, share in zip(operators, _shares(operators), strict=True):
        spill = [f"{_size(one.spilled_bytes)} in {plural(one.spills, 'file')}" if one.spills else ""]
        rows.append(
            [
                "" if one.seconds is None else duration(one.seconds, digits=4),
                "" if share is None else f"{share:.0%}",
                "" if one.rows is None else f"{one.rows:,}",
                *(spill if spilled else []),
                f"{'  ' * one.depth}{_described(one)}",
            ]
        )
    table = table_lines(header, rows, right=range(len(header) - 1), width=None if width is None else width - 2)
    return [_title(found), "", *(f"  {line}" for line in table), *_left_out(found), "", *_where(found)]


def evidence_lines(found: Execution, width: int | None) -> list[str]:
    """Return all that is kept of an execution, and where."""
    document = execution_document(found, whole=True)
    lines = [*metrics_lines(found, width), "", "  executed SQL:", *_indented(found.line.sql or _NO_ENGINE)]
    for title, field in (("rule as written", "authored"), ("canonical SQL", "canonical_sql")):
        if document[field]:
            lines += ["", f"  {title}:", *_indented(document[field])]
    for entry in document["inputs"]:
        digests = ", ".join(f"{column} {digest[:12]}" for column, digest in entry["digests"].items())
        lines += ["", f"  input {entry['name']}: {plural(entry['rows'], 'row')}{f', {digests}' if digests else ''}"]
    changed = [f"{name} = {value}" for name, value in found.line.settings.items()]
    versions = [f"{name} {number}" for name, number in document["versions"].items()]
    facts = [
        ("versions", ", ".join(versions)),
        ("settings", f"{len(document['settings']):,}, in the manifest" if document["settings"] else ""),
        ("changed", ", ".join(changed)),
        ("manifest", document["manifest"] or ""),
        *(("file", path) for path in document["files"]),
    ]
    return [*lines, "", *(f"  {name + ':':<10}{text}" for name, text in facts if text)]


def _operators(operators: Sequence[Operator]) -> list[dict[str, Any]]:
    return [
        {
            "operator": one.name,
            "detail": one.detail,
            "depth": one.depth,
            "rows": one.rows,
            "seconds": None if one.seconds is None else round(one.seconds, 9),
            "share": None if share is None else round(share, 4),
            "spills": one.spills,
            "spilled_bytes": one.spilled_bytes,
        }
        for one, share in zip(operators, _shares(operators), strict=True)
    ]


def _shares(operators: Sequence[Operator]) -> list[float | None]:
    """Return each operator's share of the time of all of them."""
    total = sum(one.seconds or 0.0 for one in operators)
    return [None if one.seconds is None or not total else one.seconds / total for one in operators]


def _title(found: Execution) -> str:
    line = found.line
    return f"{line.name}: {plural(line.rows, 'row')} in {duration(line.seconds, digits=3)}, build {found.build}"


def _where(found: Execution) -> list[str]:
    """Return in a sentence where the time went that is no operator's."""
    line = found.line
    spent = sum(one.seconds or 0.0 for one in line.operators or ())
    rest = line.seconds - (line.planned or 0.0) - spent
    times = [f"planning {duration(line.planned or 0.0, digits=4)}", f"operators {duration(spent, digits=4)}"]
    if rest > 0:  # operators of several partitions or branches work at the same time
        times.append(f"reading, digesting and writing the table {duration(rest, digits=4)}")
    return [f"  {', '.join(times)}"]


def _described(one: Operator) -> str:
    return f"{one.name}: {one.detail}" if one.detail else one.name


def _left_out(found: Execution) -> list[str]:
    left = found.line.left_out
    return [f"  and {plural(left, 'more operator')}, which are not kept"] if left else []


def _indented(text: str) -> list[str]:
    return [f"    {line}" for line in text.rstrip().splitlines()]


def _cut(line: str, width: int | None) -> str:
    return line if width is None else cut(line, width)


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < _KIB:
            return f"{size:,.0f} {unit}"
        size /= _KIB
    return f"{size:,.1f} GiB"
