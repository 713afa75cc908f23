"""What of a build is told to others, as plain data; taken while the store is open, and sent once it is closed again."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from rules.compiling.compiled_records import load_body
from rules.config.contract import spelled
from rules.config.secret_values import masked, secret_values
from rules.running.results import BuildReport, CheckResult, Observer, Result, SourceResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compiler.analysis.edges import Edge
    from compiler.schema import Schema
    from rules.compiling.compiled_rule import CompiledRule
    from rules.config.lineage_events import EventsTable
    from rules.config.project import Project
    from rules.planning.prepared import Prepared


class Dataset(NamedTuple):
    """A product or source. columns: name, type and description."""

    namespace: str
    name: str
    columns: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class ProductRun:
    """What a build did to one product, or how its checks ended. error: why it failed, or ""."""

    name: str
    kind: str
    """`rule`, or `checks`."""
    started: datetime.datetime
    ended: datetime.datetime
    error: str
    inputs: tuple[Dataset, ...]
    output: Dataset | None = None
    edges: tuple[Edge, ...] = ()
    """Of the output's columns; their inputs are by the names that the project has for them."""
    sources: dict[str, Dataset] = field(default_factory=dict)
    """The inputs by these names."""
    sql: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    rows: int | None = None
    bytes: int | None = None
    version: str | None = None
    checks: tuple[tuple[CheckResult, str], ...] = ()
    """With the SQL of each."""


@dataclass(frozen=True)
class BuildRun:
    """What a build did."""

    settings: EventsTable
    project: Project
    build: str
    namespace: str
    engine: str
    started: datetime.datetime
    ended: datetime.datetime
    error: str
    products: tuple[ProductRun, ...]


class Timed:
    """An observer that notes when products begin and end, and passes everything on to another."""

    def __init__(self, other: Observer) -> None:
        self._other = other
        self.begun = _now()
        self.starts: dict[str, datetime.datetime] = {}
        self.ends: dict[str, datetime.datetime] = {}

    def planned(self, total: int, ahead: Sequence[str]) -> None:
        """See `Observer`."""
        self._other.planned(total, ahead)

    def started(self, name: str) -> None:
        """See `Observer`."""
        self.starts.setdefault(name, _now())
        self._other.started(name)

    def finished(self, result: Result) -> None:
        """See `Observer`."""
        self.ends[result.name] = _now()
        self._other.finished(result)

    def say(self, message: str) -> None:
        """See `Observer`."""
        self._other.say(message)

    def close(self) -> None:
        """See `Observer`."""
        self._other.close()


def build_run(prepared: Prepared, report: BuildReport, times: Timed) -> BuildRun | None:
    """Return what a build did; None if it did nothing, which nobody is told."""
    project = prepared.session.project
    if project.events is None:
        return None
    told = _Told(prepared, times, _now())
    products = [run for one in report.results.values() for run in told.of_product(one)]
    products += [run for one in report.sources.values() for run in told.of_source(one)]
    if not products:
        return None
    failed = [one.name for one in report.results.values() if one.status == "failed"]
    error = "" if report.ok else f"failed: {', '.join(failed)}" if failed else "a contract or an audit failed"
    identity = prepared.session.engine.identity(prepared.session.profile)
    return BuildRun(
        project.events,
        project,
        report.build,
        told.namespace,
        identity.version,
        times.begun,
        told.now,
        error,
        tuple(products),
    )


class _Told:
    """Makes the runs of one build."""

    def __init__(self, prepared: Prepared, times: Timed, now: datetime.datetime) -> None:
        self._prepared, self._times, self.now = prepared, times, now
        self._project = prepared.session.project
        self._secrets = secret_values(self._project)
        events = self._project.events
        self.namespace = (events.namespace if events is not None else None) or self._project.name

    def of_product(self, result: Result) -> list[ProductRun]:
        """Return the run of a product that was executed, restored or failed, and that of checks that ran."""
        rule = self._prepared.compiled.rules.get(result.name)
        if rule is None:
            return []
        output = self._dataset(result.name, rule.schema, rule)
        found = [] if result.status in {"clean", "skipped"} else [self._of_rule(result, rule, output)]
        return [
            *found,
            *self._of_checks(result, output, {one.check.rule.name: one.check.draft.sql for one in rule.checks}),
        ]

    def of_source(self, result: SourceResult) -> list[ProductRun]:
        """Return the run of the checks of a source, if any ran."""
        contract = self._prepared.compiled.contracts.get(result.name)
        if contract is None or result.name not in self._prepared.session.sources.opened():
            return []
        dataset = self._input(result.name)
        return self._of_checks(result, dataset, {one.check.rule.name: one.check.draft.sql for one in contract.checks})

    def _of_rule(self, result: Result, rule: CompiledRule, output: Dataset) -> ProductRun:
        sources = {name: self._input(name) for name in rule.node.dependencies}
        sql = load_body(self._prepared.session.store.index, rule.memo).sql if not rule.rule.streams else None
        failed = result.status == "failed"
        return ProductRun(
            name=result.name,
            kind="rule",
            started=self._times.starts.get(result.name, self._times.begun),
            ended=self._times.ends.get(result.name, self.now),
            error=masked(str(result.error.message if result.error is not None else result.reason), self._secrets)
            if failed
            else "",
            inputs=tuple(sources.values()),
            output=output,
            edges=tuple(edge._replace(expression=masked(edge.expression, self._secrets)) for edge in rule.node.edges()),
            sources=sources,
            sql=masked(sql, self._secrets) if sql is not None else None,
            description=rule.rule.options.description,
            tags=rule.rule.options.tags,
            rows=None if failed else result.rows,
            bytes=None if failed else result.bytes,
            version=None if failed else result.artifact,
        )

    def _of_checks(self, owner: Result | SourceResult, dataset: Dataset, sql: dict[str, str]) -> list[ProductRun]:
        ran = [one for one in owner.checks if one.status not in {"clean", "skipped"}]
        if not ran:
            return []
        wrong = [one.sentence for one in ran if not one.passed and one.severity == "error"]
        ended = self._times.ends.get(owner.name, self.now)
        return [
            ProductRun(
                name=owner.name,
                kind="checks",
                started=self._times.starts.get(owner.name, self._times.begun),
                ended=ended,
                error=masked("; ".join(wrong), self._secrets),
                inputs=(dataset,),
                checks=tuple((one, masked(sql.get(one.name, ""), self._secrets)) for one in ran),
            )
        ]

    def _input(self, name: str) -> Dataset:
        if name in self._project.sources:
            schema = self._prepared.session.sources.table(name).schema
            return self._dataset(name, schema, None)
        rule = self._prepared.compiled.rules[name]
        return self._dataset(name, rule.schema, rule)

    def _dataset(self, name: str, schema: Schema, rule: CompiledRule | None) -> Dataset:
        contract = rule.rule if rule is not None else self._prepared.session.contracts.get(name)
        declared = contract.options.columns if contract is not None else {}
        columns = tuple(
            (one.name, spelled(one.type), declared[one.name].description if one.name in declared else "")
            for one in schema.columns
        )
        return Dataset(*self._place(name), columns)

    def _place(self, name: str) -> tuple[str, str]:
        """Return the namespace and name by which others know a dataset: of an object, where it is."""
        source = self._project.sources.get(name)
        if source is None or "://" not in source.path:
            return self.namespace, name
        parts = urlsplit(masked(source.path, self._secrets))
        return f"{parts.scheme}://{parts.netloc}", parts.path.strip("/") or name


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
