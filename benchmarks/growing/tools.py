"""The tools that are compared on data that grows: ours with parts and without, a bare script, dbt and SQLMesh."""

from __future__ import annotations

import json
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.growing.models import SOURCES, Model

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
Command = list[str | Path]
Texts = Mapping[str, Model]


class Tool(ABC):
    """A tool and its project. latest: the day behind the last one that there are orders of."""

    name: str
    note = ""
    scenarios: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}

    def __init__(self, folder: Path, programs: Path, min_rows: int) -> None:
        """Take the folder of the project, in which `data` is, and that of the environment's programs."""
        self.folder, self.programs, self.min_rows = folder, programs, min_rows

    @abstractmethod
    def write(self, models: Texts) -> None:
        """Write the models, and whatever else the project needs."""

    @abstractmethod
    def commands(self, scenario: str, latest: str) -> list[Command]:
        """Return what a user runs."""

    @abstractmethod
    def tables(self) -> tuple[Path | None, str]:
        """Return the database and what a model's table is called there, or None and its file; {} is the model."""

    def prepare(self) -> list[Command]:
        """Return what has to be run before the first build, unmeasured."""
        return []

    def rows_read(self, output: str) -> int | None:
        """Return how many rows the models read, as far as the tool says so."""
        del output
        return None

    def parts_read(self, output: str) -> dict[str, dict[str, Any] | None]:
        """Return how each model that ran and reads a table in parts did so, where there is such a thing."""
        del output
        return {}

    def put(self, path: str, text: str) -> None:
        """Write a text file of the project; one that holds this text already is left alone."""
        target = self.folder / path
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")


class Rules(Tool):
    """This project's own tool. Nothing is declared."""

    name = "rules"
    parts = True

    def write(self, models: Texts) -> None:
        """Write rules.toml and a file for each rule."""
        sources = '[sources.orders]\npath = "data/orders"\n[sources.users]\npath = "data/users.parquet"\n'
        sources += '[sources.products]\npath = "data/products.parquet"\n'
        least = self.min_rows if self.parts else 10**15
        self.put("rules.toml", f'[project]\nname = "growing"\n{sources}[parts]\nmin_rows = {least}\n')
        for name, model in models.items():
            self.put(f"rules/{name}.sql", model.sql.format(**{one: one for one in model.inputs}) + "\n")

    def commands(self, scenario: str, latest: str) -> list[Command]:
        """Run `rules build`."""
        del scenario, latest
        return [[self.programs / "rules", "build", "--json"]]

    def parts_read(self, output: str) -> dict[str, dict[str, Any] | None]:
        """Return how each rule that ran and reads a table in parts did so: which parts, or None for whole."""
        found, sizes, inputs = self._ran(output)
        in_parts = {one["parts"]["input"] for one in found["products"] if "parts" in one}
        read: dict[str, dict[str, Any] | None] = {}
        for one in found["products"]:
            if one["status"] == "executed" and in_parts.intersection(inputs[one["name"]]):
                parts = one.get("parts")
                size = sizes[parts["input"]] if parts else 0
                rows = round(size * parts["run"] / parts["total"]) if parts else 0
                read[one["name"]] = {**parts, "rows": rows, "of": size} if parts else None
        return read

    def _ran(self, output: str) -> tuple[dict[str, Any], dict[str, int], dict[str, list[str]]]:
        """Return the document of a build, the rows of each table, and the inputs of each rule."""
        found = json.loads(output[output.index("{") :])
        sizes = {one["name"]: one.get("rows") or 0 for one in found["products"]}
        sizes |= {name: _rows_of(self.folder / "data" / name) for name in SOURCES}
        inputs = {path.stem: _inputs(path.read_text(encoding="utf-8")) for path in (self.folder / "rules").iterdir()}
        return found, sizes, inputs

    def rows_read(self, output: str) -> int | None:
        """Add up the rows of the parts that ran, and of the inputs that were read whole."""
        found, sizes, inputs = self._ran(output)
        total = 0
        for one in found["products"]:
            if one["status"] == "executed":
                parts = one.get("parts")
                share = parts["run"] / parts["total"] if parts else 1
                for name in inputs[one["name"]]:
                    in_parts = parts is not None and parts["input"] == name
                    total += round(sizes[name] * share) if in_parts else sizes[name] * (share > 0)
        return total

    def tables(self) -> tuple[Path | None, str]:
        """Products are Parquet files, or folders of some."""
        return None, f"{self.folder}/.rules/products/{{}}.parquet"


class WholeRules(Rules):
    """Ours without parts."""

    name = "rules, whole"
    note = "no table has parts (`min_rows` is huge): products are minimal by columns and whole by rows"
    scenarios = ("cold", "no-op", "append", "dimension", "rule")  # any other change of a file costs what an append does
    parts = False


class Floor(Tool):
    """A script that knows what happened."""

    name = "floor"
    note = "a script on the same engine, which reads the new file alone and merges by hand; no checks, no store"
    scenarios = ("cold", "append")
    environment = {"PYTHONPATH": str(ROOT)}  # noqa: RUF012

    def write(self, models: Texts) -> None:
        """Nothing is needed."""
        del models

    def commands(self, scenario: str, latest: str) -> list[Command]:
        """Run the script."""
        del latest
        return [[sys.executable, HERE / "floor.py", self.folder, scenario]]

    def tables(self) -> tuple[Path | None, str]:
        """Tables are Parquet files, or folders of some."""
        return None, f"{self.folder}/out/{{}}.parquet"


class Dbt(Tool):
    """dbt Core with the DuckDB adapter."""

    name = "dbt"
    note = "what is of one day is incremental, by a filter on the last day that is there; the rest are tables"
    environment = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1", "DBT_VERSION_CHECK": "false"}  # noqa: RUF012

    def write(self, models: Texts) -> None:
        """Write the project, its profile, its sources and a file for each model."""
        self.put(
            "dbt_project.yml",
            "name: growing\nversion: 1.0.0\nconfig-version: 2\nprofile: growing\nmodel-paths: [models]\n"
            "models:\n  growing:\n    +materialized: table\n",
        )
        self.put(
            "profiles.yml",
            "growing:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: warehouse.duckdb, threads: 2, "
            "settings: {memory_limit: 6GB}}\n",
        )
        listed = "".join(
            f"      - name: {name}\n        config:\n          external_location: \"read_parquet('{place}')\"\n"
            for name, place in _places().items()
        )
        self.put("models/sources.yml", f"version: 2\nsources:\n  - name: raw\n    tables:\n{listed}")
        for name, model in models.items():
            tables = {
                one: f"{{{{ source('raw', '{one}') }}}}" if one in SOURCES else f"{{{{ ref('{one}') }}}}"
                for one in model.inputs
            }
            sql = model.sql.format(**tables)
            if model.by_day:
                sql = (
                    "{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='day') }}\n"
                    f"SELECT q.* FROM ({sql}) AS q\n"
                    "{% if is_incremental() %} WHERE q.day > (SELECT MAX(t.day) FROM {{ this }} AS t) {% endif %}"
                )
            self.put(f"models/{name}.sql", sql + "\n")

    def commands(self, scenario: str, latest: str) -> list[Command]:
        """Run all models, as there is no telling what has changed."""
        del scenario, latest
        options = ("--no-use-colors", "--log-level-file", "none", "--no-version-check")
        return [[self.programs / "dbt", *options, "build", "--threads", "2"]]

    def tables(self) -> tuple[Path | None, str]:
        """Models are tables of the main schema."""
        return self.folder / "warehouse.duckdb", "main.{}"


class Sqlmesh(Tool):
    """SQLMesh on DuckDB."""

    name = "SQLMesh"
    note = "what is of one day is INCREMENTAL_BY_TIME_RANGE, the rest FULL; each run names its day"
    environment = {"SQLMESH__DISABLE_ANONYMIZED_ANALYTICS": "true", "DO_NOT_TRACK": "1"}  # noqa: RUF012

    def write(self, models: Texts) -> None:
        """Write the configuration and a file for each model."""
        self.put(
            "config.yaml",
            "gateways:\n  local:\n    connection: {type: duckdb, database: warehouse.duckdb, concurrent_tasks: 2, "
            "connector_config: {memory_limit: 6GB}}\n"
            "default_gateway: local\ndisable_anonymized_analytics: true\n"
            "model_defaults: {dialect: duckdb, start: '2025-01-01'}\n",
        )
        kinds = {
            "orders": dict.fromkeys(("id", "order_id", "user_id", "product_id", "quantity", "cents"), "bigint")
            | {"day": "date", "status": "text"},
            "users": {"user_id": "bigint", "country": "text", "segment": "text"},
            "products": {"product_id": "bigint", "category": "text", "cost": "bigint"},
        }
        self.put(
            "external_models.yaml",
            "".join(
                f"- name: warehouse.raw.{name}\n  columns:\n"
                + "".join(f"    {column}: {kind}\n" for column, kind in columns.items())
                for name, columns in kinds.items()
            ),
        )
        for name, model in models.items():
            sql = model.sql.format(**{one: f"raw.{one}" if one in SOURCES else f"bench.{one}" for one in model.inputs})
            kind = "FULL"
            if model.by_day:
                kind = "INCREMENTAL_BY_TIME_RANGE (time_column day)"
                sql = f"SELECT q.* FROM ({sql}) AS q WHERE q.day BETWEEN @start_ds AND @end_ds"
            self.put(f"models/{name}.sql", f"MODEL (name bench.{name}, kind {kind}, cron '@daily');\n\n{sql}\n")

    def prepare(self) -> list[Command]:
        """Make the sources visible in the database."""
        views = "".join(
            f"CREATE VIEW raw.{name} AS SELECT * FROM read_parquet('{place}');" for name, place in _places().items()
        )
        code = f'import duckdb; duckdb.connect("warehouse.duckdb").execute("CREATE SCHEMA raw; {views}")'
        return [[self.programs / "python", "-c", code]]

    def commands(self, scenario: str, latest: str) -> list[Command]:
        """Plan and apply, and run what is due."""
        del scenario
        words = ["plan", "--auto-apply", "--no-prompts", "--skip-tests", "--skip-linter", "--no-diff", "--run"]
        return [[self.programs / "sqlmesh", *words, "--ignore-cron", "--execution-time", latest]]

    def tables(self) -> tuple[Path | None, str]:
        """Models are views of the production environment."""
        return self.folder / "warehouse.duckdb", "bench.{}"


TOOLS: tuple[type[Tool], ...] = (Rules, WholeRules, Floor, Dbt, Sqlmesh)


def _places() -> dict[str, str]:
    return {"orders": "data/orders/*.parquet", "users": "data/users.parquet", "products": "data/products.parquet"}


def _inputs(text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"(?:FROM|JOIN) (\w+)", text)))


def _rows_of(place: Path) -> int:
    import pyarrow.parquet as pq

    files = sorted(place.iterdir()) if place.is_dir() else [place.with_suffix(".parquet")]
    return sum(pq.read_metadata(file).num_rows for file in files)
