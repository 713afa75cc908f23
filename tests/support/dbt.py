"""Projects of dbt as an import finds them: what a compiler of dbt leaves in target/, for SQL that a test gives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support import inprocess
from support.projects import FIXTURES, SampleProject

DBT = FIXTURES / "dbt"
UNTRANSLATED = {
    "shop": {"customer_ranks"},  # a model in Python
    "subscriptions": set(),
    "clinic": {"patient_summary", "text_stuff"},  # mode, printf
    "ledger": {"monthly"},  # generate_series outside of FROM
    # first(x ORDER BY y), epoch of an interval
    "rides": {"zones_ranked", "running"},
}
"""Projects that real dbt built, with the rules that read their last table after an import."""


class DbtProject:
    """A compiled project with one schema, main, of a database called w."""

    def __init__(self, root: Path, adapter: str = "duckdb") -> None:
        self.root = root
        self.nodes: dict[str, dict[str, Any]] = {}
        self.sources: dict[str, dict[str, Any]] = {}
        self.more: dict[str, Any] = {}
        self.adapter = adapter
        root.mkdir(parents=True, exist_ok=True)
        (root / "dbt_project.yml").write_text("name: small\n", encoding="utf-8")

    def model(self, name: str, sql: str | None, *, schema: str = "main", **fields: Any) -> str:
        """Add a model; return its relation as compiled SQL has it."""
        config = {"materialized": "table", **fields.pop("config", {})}
        self._add("model", name, schema, **{"compiled_code": sql, "path": f"{name}.sql", "config": config, **fields})
        return f'"w"."{schema}"."{fields.get("alias", name)}"'

    def seed(self, name: str, text: str, **config: Any) -> str:
        """Add a seed with its file."""
        path = self.root / "seeds" / f"{name}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self._add("seed", name, "main", config=config, path=f"{name}.csv", original_file_path=f"seeds/{name}.csv")
        return f'"w"."main"."{name}"'

    def snapshot(self, name: str, sql: str) -> str:
        """Add a snapshot."""
        self._add("snapshot", name, "main", compiled_code=sql, path=f"{name}.sql")
        return f'"w"."main"."{name}"'

    def source(self, group: str, name: str, *, schema: str = "raw", **fields: Any) -> str:
        """Add a source."""
        key = f"source.small.{group}.{name}"
        self.sources[key] = {
            "unique_id": key,
            "resource_type": "source",
            "name": name,
            "source_name": group,
            "identifier": name,
            "database": "w",
            "schema": schema,
            **fields,
        }
        return f'"w"."{schema}"."{name}"'

    def test(self, name: str, sql: str, **fields: Any) -> None:
        """Add a test of the project's own."""
        self._add("test", name, "tests", compiled_code=sql, path=f"{name}.sql", **fields)

    def generic(
        self, kind: str, at: str, column: str, sql: str, *, namespace: str | None = None, **fields: Any
    ) -> None:
        """Add a test that is declared at a column of a node, such as model.small.orders."""
        kwargs = {"column_name": column, **fields.pop("kwargs", {})}
        owner = "dbt" if namespace is None else namespace
        self._add(
            "test",
            f"{kind}_{at.rpartition('.')[2]}_{column}",
            "tests",
            compiled_code=sql,
            test_metadata={"name": kind, "kwargs": kwargs, "namespace": namespace},
            column_name=column,
            attached_node=at,
            depends_on={"macros": [f"macro.{owner}.test_{kind}"], "nodes": [at]},
            **fields,
        )

    def unit_test(self, name: str, model: str, given: Mapping[str, object], expect: object, **overrides: Any) -> None:
        """Add a unit test. given: rows by input, such as ref('orders'): dicts as the manifest has them, or SQL."""
        key = f"unit_test.small.{model}.{name}"
        self.more.setdefault("unit_tests", {})[key] = {
            "name": name,
            "model": model,
            "package_name": "small",
            "given": [{"input": one, **_fixture(rows)} for one, rows in given.items()],
            "expect": _fixture(expect),
            "overrides": overrides,
            "tested_node_unique_id": f"model.small.{model}",
        }

    def _add(self, kind: str, name: str, schema: str, **fields: Any) -> None:
        key = f"{kind}.small.{name}"
        self.nodes[key] = {
            "unique_id": key,
            "resource_type": kind,
            "name": name,
            "package_name": "small",
            "database": "w",
            "schema": schema,
            "alias": name,
            "original_file_path": f"models/{name}.sql",
            "language": "sql",
            **fields,
        }

    def compile(self, *, full: bool = True) -> None:
        """Write target/."""
        metadata = {
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json",
            "generated_at": "2026-03-04T05:06:07.800000Z",
            "invocation_id": "one",
            "project_name": "small",
            "adapter_type": self.adapter,
        }
        manifest = {"metadata": metadata, "nodes": self.nodes, "sources": self.sources, **self.more}
        results = {"metadata": {"invocation_id": "one"}, "args": {"full_refresh": full}}
        (self.root / "target").mkdir(exist_ok=True)
        for name, value in (("manifest", manifest), ("run_results", results)):
            (self.root / "target" / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")

    def imported(self, *words: str, expect: int = 0) -> tuple[SampleProject, dict[str, Any]]:
        """Compile and import it; return the new project and the document."""
        self.compile()
        into = self.root.parent / "imported"
        ran = inprocess.run(
            SampleProject.at(self.root.parent), "import", "--json", "dbt", str(self.root), "--into", str(into), *words,
            expect=expect,
        )  # fmt: skip
        return SampleProject.at(into), ran.document


def _fixture(rows: object) -> dict[str, object]:
    return {"rows": rows, "format": "sql" if isinstance(rows, str) else "dict"}


def rows(project: SampleProject, name: str, columns: Sequence[str] = ()) -> list[tuple[Any, ...]]:
    """Return the rows of a product, sorted."""
    import pyarrow.parquet as pq

    table = pq.read_table(project.root / ".rules" / "products" / f"{name}.parquet")
    found = table.select(list(columns) or table.column_names).to_pylist()
    return sorted((tuple(row.values()) for row in found), key=repr)


def rule(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what a document says of a rule."""
    return next(one for one in document["rules"] if one["name"] == name)
