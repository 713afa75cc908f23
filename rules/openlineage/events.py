"""What a build did → OpenLineage run events, as the field's own client has them (https://openlineage.io/spec).

A build is a run; each product that was executed, restored or failed is a run of which it is the parent, and so are
checks that ran.
Each run has a START event and a COMPLETE or FAIL event, which has all that is known at its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    data_quality_assertions_dataset,
    dataset_version_dataset,
    documentation_dataset,
    documentation_job,
    error_message_run,
    job_type_job,
    output_statistics_output_dataset,
    parent_run,
    processing_engine_run,
    schema_dataset,
    sql_job,
    tags_job,
)
from openlineage.client.uuid import generate_static_uuid

if TYPE_CHECKING:
    import datetime

    from compiler.analysis.edges import Edge
    from rules.openlineage.facts import BuildRun, Dataset, ProductRun
    from rules.running.results import CheckResult

_DISTRIBUTION = "leastwork-rules"
_PLAIN = re.compile(r'(?:[^\W\d]\w*|"(?:[^"]|"")+")(?:\.(?:[^\W\d]\w*|"(?:[^"]|"")+"))*')
_AGGREGATE = re.compile(
    r"\b(?:count|sum|avg|min|max|median|stddev\w*|var\w*|\w+_agg|bool_\w+|approx_\w+)\s*\(", re.IGNORECASE
)
_INDIRECT = (
    ("FILTER", re.compile(r"\bWHERE\b|\bHAVING\b|^FILTER\b|\bQUALIFY\b|\bEXISTS\b|\bLIMIT\b")),
    ("JOIN", re.compile(r"\bJOIN\b")),
    ("GROUP_BY", re.compile(r"\bGROUP BY\b|^DISTINCT\b|\bUNION\b|\bEXCEPT\b|\bINTERSECT\b")),
    ("WINDOW", re.compile(r"\bPARTITION BY\b|\bOVER\b")),
    ("SORT", re.compile(r"\bORDER BY\b")),
)
"""Subtypes of control edges, by where the rule says so."""


def producer(number: str) -> str:
    """Return how we are named in events, as the URI that they ask for."""
    return f"urn:python-package:{_DISTRIBUTION}:{number}"


def events_of(build: BuildRun) -> Iterator[RunEvent]:
    """Yield the events of a build in the order in which they happened, those of a moment outermost first."""
    whole = _Whole(build)
    yield whole.event(RunState.START, build.started)
    later: list[tuple[datetime.datetime, RunEvent]] = []
    for one in build.products:
        later += [(one.started, whole.started(one)), (one.ended, whole.ended(one))]
    for _, event in sorted(later, key=lambda pair: pair[0]):
        yield event
    yield whole.event(RunState.FAIL if build.error else RunState.COMPLETE, build.ended)


class _Whole:
    """Makes the events of one build."""

    def __init__(self, build: BuildRun) -> None:
        self._build = build
        self._number = version(_DISTRIBUTION)
        self._producer = producer(self._number)
        self._run = str(generate_static_uuid(build.started, build.build.encode()))
        self._job = f"{build.project.name}.build"

    def event(self, state: RunState, at: datetime.datetime) -> RunEvent:
        """Return an event of the build itself."""
        facets = {
            "processing_engine": self._engine(),
            **self._error(self._build.error if state == RunState.FAIL else ""),
        }
        return self._event(
            state, at, Run(self._run, facets), Job(self._build.namespace, self._job, self._type("BUILD"))
        )

    def started(self, one: ProductRun) -> RunEvent:
        """Return the event with which a product, or its checks, began."""
        return self._event(
            RunState.START, one.started, self._run_of(one), self._job_of(one), *self._datasets(one, full=False)
        )

    def ended(self, one: ProductRun) -> RunEvent:
        """Return the event with which it ended."""
        state = RunState.FAIL if one.error else RunState.COMPLETE
        run = self._run_of(one, one.error)
        return self._event(state, one.ended, run, self._job_of(one), *self._datasets(one, full=True))

    def _event(
        self,
        state: RunState,
        at: datetime.datetime,
        run: Run,
        job: Job,
        inputs: Iterable[InputDataset] = (),
        outputs: Iterable[OutputDataset] = (),
    ) -> RunEvent:
        time = at.isoformat(timespec="milliseconds")
        return RunEvent(
            eventType=state,
            eventTime=time,
            run=run,
            job=job,
            producer=self._producer,
            inputs=list(inputs),
            outputs=list(outputs),
        )

    def _run_of(self, one: ProductRun, error: str = "") -> Run:
        parent = parent_run.ParentRunFacet(
            run=parent_run.Run(self._run), job=parent_run.Job(self._build.namespace, self._job), producer=self._producer
        )
        name = f"{self._build.build}/{one.kind}/{one.name}"
        facets = {"parent": parent, "processing_engine": self._engine(), **self._error(error)}
        return Run(str(generate_static_uuid(one.started, name.encode())), facets)

    def _job_of(self, one: ProductRun) -> Job:
        facets = self._type("RULE" if one.kind == "rule" else "CHECKS")
        if one.sql is not None:
            facets["sql"] = sql_job.SQLJobFacet(one.sql, dialect="datafusion", producer=self._producer)
        if one.description:
            facets["documentation"] = documentation_job.DocumentationJobFacet(one.description, producer=self._producer)
        if one.tags:
            tags = [tags_job.TagsJobFacetFields(tag, "true", "RULES") for tag in one.tags]
            facets["tags"] = tags_job.TagsJobFacet(tags, producer=self._producer)
        return Job(self._build.namespace, one.name if one.kind == "rule" else f"{one.name}.checks", facets)

    def _datasets(self, one: ProductRun, *, full: bool) -> tuple[list[InputDataset], list[OutputDataset]]:
        inputs = [InputDataset(it.namespace, it.name, facets=self._schema(it)) for it in one.inputs]
        if full and one.checks:
            inputs[0].inputFacets = {"dataQualityAssertions": self._assertions(one.checks)}
        if one.output is None:
            return inputs, []
        output = OutputDataset(one.output.namespace, one.output.name, facets=self._schema(one.output))
        assert output.facets is not None
        if one.description:
            output.facets["documentation"] = documentation_dataset.DocumentationDatasetFacet(
                one.description, producer=self._producer
            )
        if full and one.edges:
            output.facets["columnLineage"] = self._lineage(one)
        if full and one.version is not None:
            output.facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(
                one.version, producer=self._producer
            )
        if full and one.rows is not None:
            output.outputFacets = {
                "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                    rowCount=one.rows, size=one.bytes, producer=self._producer
                )
            }
        return inputs, [output]

    def _schema(self, dataset: Dataset) -> dict[str, Any]:
        fields = [
            schema_dataset.SchemaDatasetFacetFields(name, kind, about or None) for name, kind, about in dataset.columns
        ]
        return {"schema": schema_dataset.SchemaDatasetFacet(fields, producer=self._producer)}

    def _lineage(self, one: ProductRun) -> column_lineage_dataset.ColumnLineageDatasetFacet:
        """Return the facet: what concerns one column is among its fields, what concerns all rows is of the dataset."""
        assert one.output is not None
        by_output: dict[str | None, list[Edge]] = {}
        for edge in one.edges:
            by_output.setdefault(edge.output, []).append(edge)
        fields = {
            name: column_lineage_dataset.Fields(_input_fields(one, by_output[name]))
            for name, *_ in one.output.columns
            if name in by_output
        }
        dataset = _input_fields(one, by_output.get(None, ()))
        return column_lineage_dataset.ColumnLineageDatasetFacet(fields, dataset, producer=self._producer)

    def _assertions(
        self, checks: Iterable[tuple[CheckResult, str]]
    ) -> data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet:
        found = []
        for check, sql in checks:
            title = check.name.partition(".")[2]
            kind, _, column = title.partition(".")
            found.append(
                data_quality_assertions_dataset.Assertion(
                    assertion=_ASSERTIONS.get(kind, "custom_sql") if column or kind == "key" else "custom_sql",
                    success=check.passed,
                    column=column or None,
                    severity=check.severity,
                    name=title,
                    expected="0",
                    actual=str(check.failing),
                    content=sql or None,
                    contentType="sql" if sql else None,
                )
            )
        return data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(found, producer=self._producer)

    def _type(self, kind: str) -> dict[str, Any]:
        return {"jobType": job_type_job.JobTypeJobFacet("BATCH", "RULES", kind, producer=self._producer)}

    def _engine(self) -> processing_engine_run.ProcessingEngineRunFacet:
        return processing_engine_run.ProcessingEngineRunFacet(
            self._build.engine, "DataFusion", self._number, producer=self._producer
        )

    def _error(self, message: str) -> dict[str, Any]:
        if not message:
            return {}
        return {"errorMessage": error_message_run.ErrorMessageRunFacet(message, "SQL", producer=self._producer)}


_ASSERTIONS = {"key": "unique", "not_null": "not_null", "accepted": "accepted_values", "references": "relationships"}


def _input_fields(one: ProductRun, edges: Iterable[Edge]) -> list[column_lineage_dataset.InputField]:
    """Return the columns that edges come from, each once, with all that is done to it."""
    found: dict[tuple[str, str], list[column_lineage_dataset.Transformation]] = {}
    for edge in edges:
        found.setdefault((edge.input, edge.column), []).append(_transformation(edge))
    return [
        column_lineage_dataset.InputField(one.sources[table].namespace, one.sources[table].name, column, steps)
        for (table, column), steps in found.items()
        if table in one.sources
    ]


def _transformation(edge: Edge) -> column_lineage_dataset.Transformation:
    """Return what an edge is called there: DIRECT where values flow, INDIRECT where they only decide about rows."""
    text = edge.expression
    if edge.kind == "value":
        first = text.partition(" ← ")[0]
        subtype = (
            "IDENTITY" if _PLAIN.fullmatch(first) else "AGGREGATION" if _AGGREGATE.search(text) else "TRANSFORMATION"
        )
        return column_lineage_dataset.Transformation("DIRECT", subtype, text, masking=False)
    subtype = next((name for name, pattern in _INDIRECT if pattern.search(text)), "CONDITIONAL")
    return column_lineage_dataset.Transformation("INDIRECT", subtype, text, masking=False)
