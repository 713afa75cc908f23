"""An explanation as text lines or a JSON document. Pure: nothing is printed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compiler.engine_sql.normal_forms import MOST_DISTANT
from rules.report.causes import cause_lines, causes_fields
from rules.report.runs import document
from rules.wording import duration, plural, wrapped_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from compiler.parts.reading import Reading
    from compiler.variables import Value
    from rules.inspect.explanation import Explanation, Input, Last

_CAUSES = 3
"""Causes of a verdict that are shown unless all are asked for."""
_MOST_LISTED = 20
"""Columns, or readers, that are listed unless all are asked for."""


def explain_document(found: Explanation) -> dict[str, Any]:
    """Return the document of `rules explain`."""
    rule, node, judgement = found.rule.rule, found.rule.node, found.judgement
    return document(
        "explain",
        status="ok",
        product=node.name,
        verdict=judgement.verdict,
        reason=judgement.reason,
        causes=causes_fields(node.name, found.prepared.causes.get(node.name, []), found.prepared),
        rule={
            "path": rule.path,
            "digest": rule.digest,
            "description": rule.options.description,
            "tags": list(rule.options.tags),
            "key": list(rule.options.key),
            "tier": rule.options.tier or 0,
            "order_by": list(rule.options.order_by),
            "volatile": node.volatile,
            "normalize": rule.options.normalize,
            "variables": _variables(found),
        },
        inputs=[
            {
                "name": one.name,
                "kind": one.kind,
                "reads": list(one.reads),
                "not_read": list(one.not_read),
                "rows": one.rows,
                "digests": dict(one.digests),
            }
            for one in found.inputs
        ],
        reading={name: str(one.kind) for name, one in found.readings.items()},
        reading_reason={name: one.reason for name, one in found.readings.items()},
        partitions="one" if found.spread.sql is None else "any",
        partitions_reason=found.spread.reason,
        normal_forms=[
            {
                "clause": one.clause,
                "predicate": one.sql,
                "distance": one.distance,
                "threshold": MOST_DISTANT,
                "rewritten": not one.left,
                "left_because": one.left or None,
            }
            for one in found.normal_forms
        ],
        fingerprint=node.fingerprint,
        parts=dict(node.parts),
        key=judgement.key,
        columns=[
            {"name": column.name, "type": column.type, "digest": _digest_of(found, column.name)}
            for column in found.rule.schema.columns
        ],
        readers=[
            {"name": name, "reads": list(reads) if reads is not None else None} for name, reads in found.readers.items()
        ],
        canonical_sql=found.canonical_sql,
        executed_sql=found.executed_sql,
        last=_last_fields(found.last) if found.last is not None else None,
        evidence=found.evidence,
    )


def explain_lines(found: Explanation, width: int | None, *, verbose: bool = False) -> list[str]:
    """Return an explanation as text: verdict, what it reads and who reads it; when verbose, all else and the SQL."""
    node = found.rule.node
    causes = found.prepared.causes.get(node.name, [])
    groups = [
        [
            ("verdict", found.judgement.verdict),
            ("reason", found.judgement.reason),
            *_listed("because", cause_lines(node.name, causes, found.prepared, len(causes) if verbose else _CAUSES)),
        ],
        [fact for one in found.inputs for fact in _input_facts(one, found.readings[one.name], whole=verbose)]
        or [("reads", "nothing")],
        _listed("readers", _some([_reader(*one) for one in found.readers.items()], whole=verbose) or ["none"]),
        _rule_facts(found, whole=verbose),
        *([_key_facts(found)] if verbose else []),
        _last_facts(found.last, found.evidence, verbose=verbose),
    ]
    names = max(len(name) for group in groups for name, _ in group) + 1
    lines = [node.name]
    for group in groups:
        rows = [["  " + (f"{name}:" if name else "").ljust(names), text] for name, text in group if text]
        lines += [*wrapped_lines(rows, width), ""]
    if not verbose:
        return [*lines[:-1], "", "  (-v adds the fingerprint, the action key, the table's place and the SQL)"]
    for title, sql in (("canonical SQL", found.canonical_sql), ("executed SQL", found.executed_sql)):
        lines += [f"  {title}:", *(f"    {line}" for line in sql.splitlines()), ""]
    return lines[:-1]


def _rule_facts(found: Explanation, *, whole: bool) -> list[tuple[str, str]]:
    rule, node = found.rule.rule, found.rule.node
    return [
        ("rule", rule.path),
        ("about", rule.options.description),
        ("tags", ", ".join(rule.options.tags)),
        ("key", ", ".join(rule.options.key)),
        ("tier", str(rule.options.tier) if rule.options.tier else ""),
        ("volatile", "yes" if node.volatile else ""),
        ("partitions", f"{'one' if found.spread.sql is None else 'any number'}: {found.spread.reason}"),
        ("variables", ", ".join(f"${name} = {value!r}" for name, value in _variables(found).items())),
        *_normal_forms(found),
        *_listed("columns", _some([f"{one.name}: {one.type}" for one in found.rule.schema.columns], whole=whole)),
    ]


def _normal_forms(found: Explanation) -> list[tuple[str, str]]:
    """Return what became of the predicates of a rule that asks for a normal form."""
    form = found.rule.rule.options.normalize
    if form is None:
        return []
    texts = [
        f"{one.clause} {one.sql}: "
        + (f"left as it is, because {one.left}" if one.left else f"rewritten, distance {one.distance}")
        + f" (at most {MOST_DISTANT})" * (not one.left or one.distance > MOST_DISTANT)
        for one in found.normal_forms
    ]
    return _listed(form.upper(), texts or ["its predicates are in that form as they are written"])


def _key_facts(found: Explanation) -> list[tuple[str, str]]:
    """Return what the verdict was decided by: the fingerprint, the action key, and what each is made of."""
    node = found.rule.node
    return [
        ("fingerprint", node.fingerprint),
        *_listed("of", [f"{part}: {_part(value)}" for part, value in node.parts.items()]),
        ("action key", found.judgement.key or "not known before its inputs are"),
        *_listed("of", ["the fingerprint", *map(_keyed, found.inputs)]),
    ]


def _listed(name: str, texts: Iterable[str]) -> list[tuple[str, str]]:
    return [(name if number == 0 else "", text) for number, text in enumerate(texts)]


def _variables(found: Explanation) -> dict[str, Value | None]:
    """Return the variables that a rule names; of one in Python it is not known before it is called."""
    if found.rule.rule.in_python:
        return {}
    values = found.prepared.session.project.variables
    return {name: values.get(name) for name in found.rule.rule.parsed.variables}


def _some(texts: Sequence[str], *, whole: bool) -> list[str]:
    """Return the first texts and how many more there are; all of them when whole."""
    if whole or len(texts) <= _MOST_LISTED:
        return list(texts)
    return [*texts[:_MOST_LISTED], f"and {len(texts) - _MOST_LISTED:,} more"]


def _input_facts(one: Input, reading: Reading, *, whole: bool) -> list[tuple[str, str]]:
    rows = f", {plural(one.rows, 'row')}" if one.rows is not None else ""
    facts = [("input", f"{one.name} ({one.kind}{rows})")]
    facts.append(("reads", ", ".join(_some(one.reads, whole=whole)) or "only how many rows there are"))
    facts.append(("not read", ", ".join(_some(one.not_read, whole=whole))))
    return [*facts, ("by parts", f"{reading.kind}: {reading.reason}")]


def _part(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} = {setting}" for name, setting in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value).lower()


def _keyed(one: Input) -> str:
    if one.rows is None:
        return f"{one.name}: not known before it has run"
    digests = [f"{column} {one.digests[column][:12] if column in one.digests else '?'}" for column in one.reads]
    return f"{one.name}: {', '.join([plural(one.rows, 'row'), *digests])}"


def _reader(name: str, reads: tuple[str, ...] | None) -> str:
    if reads is None:
        return f"{name} (never built on it)"
    return f"{name} reads {', '.join(reads) or 'only how many rows there are'}"


def _last_facts(last: Last | None, evidence: str | None, *, verbose: bool) -> list[tuple[str, str]]:
    if last is None:
        return [("last build", "none yet")]
    artifact = last.artifact
    facts = [
        ("last build", f"{last.build}: {last.status}, {last.reason}" if last.status else last.build),
        ("committed", last.product.build if verbose or last.product.build != last.build else ""),
        ("last run", f"took {duration(last.product.seconds, digits=3)}"),
    ]
    there = "" if last.present else " (missing or corrupt)"
    if artifact is not None:
        facts.append(("table", f"{plural(artifact.rows, 'row')}, {artifact.bytes:,} bytes{'' if verbose else there}"))
    if not verbose:
        return facts
    return [
        *facts,
        ("artifact", f"{last.product.artifact}{there}"),
        ("file", last.object),
        ("evidence", evidence or ""),
    ]


def _last_fields(last: Last) -> dict[str, Any]:
    return {
        "build": last.build,
        "status": last.status or None,
        "reason": last.reason or None,
        "committed": last.product.build,
        "seconds": round(last.product.seconds, 6),
        "rows": last.artifact.rows if last.artifact is not None else None,
        "bytes": last.artifact.bytes if last.artifact is not None else None,
        "artifact": last.product.artifact,
        "present": last.present,
        "fingerprint": last.product.fingerprint,
        "key": last.product.key,
    }


def _digest_of(found: Explanation, column: str) -> str | None:
    """Return a column's digest as a reader's action key will hold it, if that is known before anything ran."""
    content = found.prepared.plan.foreseen.get(found.rule.node.name)
    return content.columns[column][1] if content is not None and column in content.columns else None
