"""Everything that a product's verdict was decided from, gathered in one place. Nothing is executed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cache.records import Artifact, Product
from compiler.canonical.form import rendered
from compiler.engine_sql.normal_forms import NormalForm
from compiler.errors import SqlError
from compiler.parts.reading import Kind, Reading
from compiler.spread.spread_record import Spread
from compiler.sql.dialect import parse, render
from graph.plan import Judgement
from rules.build import prepare
from rules.compiling.compiled_records import load_body
from rules.compiling.compiled_rule import CompiledRule, canonical_tree
from rules.compiling.load_session import load
from rules.errors import unknown_product
from rules.planning.broken import refuse_broken
from rules.planning.prepared import Prepared, Request
from rules.running.evidence import folder_of

if TYPE_CHECKING:
    from rules.config.project import Project
    from rules.storage.store import Store


@dataclass(frozen=True)
class Input:
    """What a rule reads, and what of it does not matter to the rule. rows: None where a run is ahead."""

    name: str
    kind: str
    reads: tuple[str, ...]
    not_read: tuple[str, ...]
    rows: int | None
    digests: Mapping[str, str]


@dataclass(frozen=True)
class Last:
    """The last committed state of a product, and how the latest build that met it ended."""

    product: Product
    artifact: Artifact | None
    present: bool
    object: str
    build: str
    status: str
    reason: str


@dataclass(frozen=True)
class Explanation:
    """A product as planning sees it. readers: the columns that each of them read last, None if it was never built.

    readings: how the rule reads each of its inputs, when these come in parts. spread: whether it may use several
    partitions of the engine, when they have many rows. normal_forms: the predicates that are
    written in another form than the rule asks for.
    evidence: path of the query that was executed last, where it was kept.
    """

    prepared: Prepared
    rule: CompiledRule
    judgement: Judgement
    inputs: tuple[Input, ...]
    readers: Mapping[str, tuple[str, ...] | None]
    readings: Mapping[str, Reading]
    spread: Spread
    normal_forms: tuple[NormalForm, ...]
    canonical_sql: str
    executed_sql: str
    last: Last | None
    evidence: str | None


def explain(project: Project, name: str, profile: str, store: Store) -> Explanation:
    """Plan a product and all that it reads, and gather what that was decided from. Raises `UserError`, `UserErrors`."""
    known = load(project, profile, store).rules
    if name not in known:
        raise unknown_product(name, known)
    prepared = prepare(project, Request(select=(f"+{name}",), profile=profile, explain=True), store)
    refuse_broken(prepared)
    rule = prepared.compiled.rules[name]
    body = load_body(store.index, rule.memo)
    return Explanation(
        prepared=prepared,
        rule=rule,
        judgement=prepared.plan.judgements[name],
        inputs=tuple(_inputs(prepared, rule)),
        readers=_readers(prepared, name),
        readings=_readings(prepared, rule),
        spread=prepared.bodies.spread(rule),
        normal_forms=prepared.bodies.normal_forms(rule),
        canonical_sql=rendered(canonical_tree(store.index, rule.memo, rule.node.inputs), pretty=True),
        executed_sql=laid_out(body.sql),
        last=_last(prepared, store, name),
        evidence=_evidence(store, name),
    )


def _inputs(prepared: Prepared, rule: CompiledRule) -> list[Input]:
    found = []
    for entry, reads in zip(rule.node.inputs, rule.node.reads, strict=True):
        is_source = entry in prepared.session.project.sources
        schema = prepared.session.sources.table(entry).schema if is_source else prepared.compiled.rules[entry].schema
        content = prepared.plan.foreseen.get(entry)
        digests = (
            {column: content.columns[column][1] for column in reads if column in content.columns} if content else {}
        )
        not_read = tuple(column for column in schema.names if column not in reads)
        rows = content.rows if content is not None else None
        found.append(Input(entry, "source" if is_source else "product", reads, not_read, rows, digests))
    return found


def _readers(prepared: Prepared, name: str) -> dict[str, tuple[str, ...] | None]:
    readers: dict[str, tuple[str, ...] | None] = {}
    for reader in prepared.session.dag.readers.get(name, ()):
        if name not in prepared.session.dag.reads(reader):
            continue
        last = prepared.known.products.get(reader)
        reads = [tuple(one.columns) for one in last.record.inputs if one.name == name] if last else []
        readers[reader] = reads[0] if reads else None
    return readers


def _readings(prepared: Prepared, rule: CompiledRule) -> dict[str, Reading]:
    if rule.node.volatile:
        unproved = Reading(Kind.WHOLE, "The rule is declared volatile: it may give another result in every run.")
        return dict.fromkeys(rule.node.inputs, unproved)
    unproved = Reading(Kind.WHOLE, "The rule's function is called with all rows.")
    return {name: prepared.bodies.readings(rule, name) or unproved for name in rule.node.inputs}


def _last(prepared: Prepared, store: Store, name: str) -> Last | None:
    product = prepared.known.products.get(name)
    if product is None:
        return None
    history = store.index.history(name)
    build, status, reason, _ = history[0] if history else (product.build, "", "", None)
    path = os.path.relpath(store.objects.path(product.artifact), prepared.session.project.root)
    artifact = store.artifact(product.artifact)
    return Last(product, artifact, store.present(product.artifact), path, build, status, reason)


def _evidence(store: Store, name: str) -> str | None:
    folder = store.objects.root / "evidence"
    if not folder.is_dir():
        return None
    builds = store.index.builds(1 << 62)  # of this project root, newest first
    kept = [folder / build / folder_of(name) / "query.sql" for build, *_ in builds]
    return next((str(path) for path in kept if path.is_file()), None)


def laid_out(sql: str) -> str:
    """Return an executed query in lines, as people read SQL."""
    try:
        return render(parse(sql), pretty=True)
    except SqlError:  # then as the engine is given it
        return sql
