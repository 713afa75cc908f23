"""The peers, each used in the fastest way that its documentation offers for the scenario.

dbt (dbt-duckdb, tables in one DuckDB file): `dbt build` on two threads; after the first build only `state:modified+`
against the manifest of the last build, with partial parsing warm and the relation cache limited to what is selected. A
source's content is invisible to `state:modified`, so where a source may have changed, `dbt source freshness` goes
first and `source_status:fresher+` is selected too; sources carry a `loaded_at` column for that.

SQLMesh (DuckDB): `plan --auto-apply --no-prompts` with its caches warm. It never looks at a source's content; where one
column of a source changes, `--restate-model` tells it by hand which source that was. Its environment has an older
DuckDB than the others', the newest it allows.

ninja: the same SQL in DuckDB, a process for each model that writes Parquet, two at a time; with `restat` and a command
that leaves an unchanged output alone, so that it prunes too. The graph is written by the generator.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from benchmarks.generated import SOURCES, inputs_of, with_tables
from benchmarks.versus.scenarios import CHANGED_SOURCE
from benchmarks.versus.tools import HERE, Command, Tool

_COLUMNS = {"id": "bigint", "grp": "bigint", "val": "bigint", "note": "text", "loaded_at": "timestamp"}


class Dbt(Tool):
    """dbt Core with the DuckDB adapter."""

    name = "dbt"
    note = "state:modified+; sources by `dbt source freshness` and source_status:fresher+"
    is_peer = True
    environment = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1", "DBT_VERSION_CHECK": "false"}  # noqa: RUF012

    def write(self, texts: Mapping[str, str]) -> None:
        """Write the project, its profile, its sources and a file for each model."""
        self.put(
            "dbt_project.yml",
            "name: generated\nversion: 1.0.0\nconfig-version: 2\nprofile: generated\nmodel-paths: [models]\n"
            "models:\n  generated:\n    +materialized: table\n",
        )
        self.put(
            "profiles.yml",
            "generated:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: warehouse.duckdb, threads: 2}\n",
        )
        tables = "".join(f"      - name: {name}\n" for name in SOURCES)
        self.put(
            "models/sources.yml",
            "version: 2\nsources:\n  - name: raw\n    config:\n      loaded_at_field: loaded_at\n"
            "      freshness: {warn_after: {count: 100000, period: day}}\n"
            f"      external_location: \"read_parquet('data/{{name}}.parquet')\"\n    tables:\n{tables}",
        )
        names = {name: f"{{{{ ref('{name}') }}}}" for name in texts}
        names |= {name: f"{{{{ source('raw', '{name}') }}}}" for name in SOURCES}
        for name, sql in texts.items():
            self.put(f"models/{name}.sql", with_tables(sql, names) + "\n")

    def clear(self) -> None:
        """Remove the database, what was parsed, and the state."""
        self.remove("warehouse.duckdb", "warehouse.duckdb.wal", "target", "state", "logs")

    def commands(self, scenario: str) -> list[Command]:
        """Build what is modified."""
        build = self._dbt("build", "--threads", "2")
        if scenario == "cold":
            return [build]
        build += ["--state", "state", "--cache-selected-only", "--select", "state:modified+"]
        if scenario in ("touched source", "source column"):
            return [self._dbt("source", "freshness"), [*build, "source_status:fresher+"]]
        return [build]

    def settle(self) -> list[Command]:
        """Keep this build's manifest and the freshness of the sources for the next one."""
        seen = (self.folder / "target" / "sources.json").exists()
        look = [] if seen else [self._dbt("source", "freshness")]
        return [*look, ["sh", "-c", "mkdir -p state && cp target/manifest.json target/sources.json state/"]]

    def executed(self, output: str) -> int:
        """Read "Done. PASS=37 …"; a freshness check says so too."""
        found = re.findall(r"Done\. PASS=(\d+) WARN=0 ERROR=0 SKIP=0", output)
        if found:
            return int(found[-1])
        if "Nothing to do" in output or "No nodes selected" in output:
            return 0
        raise ValueError(output[-400:])

    def tables(self) -> tuple[Path | None, str]:
        """Models are tables of the main schema."""
        return self.folder / "warehouse.duckdb", "main.{}"

    def _dbt(self, *words: str | Path) -> Command:
        options = ("--no-use-colors", "--log-level-file", "none", "--no-version-check")
        return [self.programs / "dbt", *options, *words]


class Sqlmesh(Tool):
    """SQLMesh on DuckDB."""

    name = "SQLMesh"
    note = "never looks at a source: a touched one is not seen, a changed one was named by hand (--restate-model)"
    is_peer = True
    environment = {"SQLMESH__DISABLE_ANONYMIZED_ANALYTICS": "true", "DO_NOT_TRACK": "1"}  # noqa: RUF012

    def write(self, texts: Mapping[str, str]) -> None:
        """Write the configuration, the schemas of the sources and a file for each model."""
        self.put(
            "config.yaml",
            "gateways:\n  local:\n    connection: {type: duckdb, database: warehouse.duckdb, concurrent_tasks: 2}\n"
            "default_gateway: local\ndisable_anonymized_analytics: true\n"
            "model_defaults: {dialect: duckdb, start: '2026-01-01'}\n",
        )
        columns = "".join(f"    {column}: {kind}\n" for column, kind in _COLUMNS.items())
        described = (f"- name: warehouse.raw.{name}\n  columns:\n{columns}" for name in SOURCES)
        self.put("external_models.yaml", "".join(described))
        names = {name: f"bench.{name}" for name in texts} | {name: f"raw.{name}" for name in SOURCES}
        for name, sql in texts.items():
            model = f"MODEL (name bench.{name}, kind FULL);\n\n{with_tables(sql, names)}\n"
            self.put(f"models/{name}.sql", model)

    def clear(self) -> None:
        """Remove the database, which also holds the state, and the caches."""
        self.remove("warehouse.duckdb", "warehouse.duckdb.wal", ".cache", "logs")

    def prepare(self) -> list[Command]:
        """Make the sources visible in the database."""
        views = "".join(
            f"CREATE VIEW raw.{name} AS SELECT * FROM read_parquet('data/{name}.parquet');" for name in SOURCES
        )
        code = f'import duckdb; duckdb.connect("warehouse.duckdb").execute("CREATE SCHEMA raw; {views}")'
        return [[self.programs / "python", "-c", code]]

    def commands(self, scenario: str) -> list[Command]:
        """Plan and apply."""
        words = ["plan", "--auto-apply", "--no-prompts", "--skip-tests", "--skip-linter", "--no-diff"]
        if scenario == "source column":
            words += ["--restate-model", f"raw.{CHANGED_SOURCE}"]
        return [[self.programs / "sqlmesh", *words]]

    def executed(self, output: str) -> int:
        """Count the models that it names while evaluating: "[3/37] bench.int_003 [full refresh] 0.12s"."""
        if not re.search(r"No changes to plan|Model batches executed|Virtual layer updated", output):
            raise ValueError(output[-400:])
        return len(re.findall(r"^\[\d+/\d+\] bench\.\w+ ", output, re.MULTILINE))

    def tables(self) -> tuple[Path | None, str]:
        """Models are views of the production environment."""
        return self.folder / "warehouse.duckdb", "bench.{}"


class Ninja(Tool):
    """ninja, with a process for each model."""

    name = "ninja"
    note = "a process for each model, with restat, which prunes"
    is_peer = True

    def write(self, texts: Mapping[str, str]) -> None:
        """Write the build file and a file for each model."""
        python = self.programs / "python"
        lines = [
            f"rule model\n  command = {python} -I {HERE / 'one_model.py'} $in_sql $out $tables",
            "  description = model $out\n  restat = 1\n",
        ]
        for name, sql in texts.items():
            places = {one: f"data/{one}.parquet" if one in SOURCES else f"out/{one}.parquet" for one in inputs_of(sql)}
            lines.append(
                f"build out/{name}.parquet: model models/{name}.sql {' '.join(places.values())}\n"
                f"  in_sql = models/{name}.sql\n"
                f"  tables = {' '.join(f'{one}={place}' for one, place in places.items())}"
            )
            self.put(f"models/{name}.sql", sql + "\n")
        self.put("build.ninja", "\n".join(lines) + "\n")

    def clear(self) -> None:
        """Remove the tables and the log."""
        self.remove("out", ".ninja_log", ".ninja_deps")

    def commands(self, scenario: str) -> list[Command]:
        """Run ninja."""
        del scenario
        return [[self.programs / "ninja", "-j", "2"]]

    def executed(self, output: str) -> int:
        """Count the lines that name a model."""
        if "FAILED" in output or "error" in output:
            raise ValueError(output[-400:])
        return len(re.findall(r"^\[\d+/\d+\] model ", output, re.MULTILINE))

    def tables(self) -> tuple[Path | None, str]:
        """Models are Parquet files."""
        return None, f"{self.folder}/out/{{}}.parquet"
