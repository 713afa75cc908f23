"""What `target/manifest.json` of dbt holds, as far as an import reads it: nodes, tests, unit tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from cache.untrusted import decode
from rules.errors import UserError, Where
from rules.importing.origin import Relation

COMPILE = "dbt compile --full-refresh"


class Constraint(msgspec.Struct):
    """A constraint of a contract. to, to_columns: of a foreign key, if `expression` does not have both."""

    type: str = ""
    name: str | None = None
    expression: str | None = None
    columns: list[str] = []
    to: str | None = None
    to_columns: list[str] = []


class Column(msgspec.Struct):
    """A column as a YAML file describes it."""

    name: str = ""
    description: str = ""
    data_type: str | None = None
    constraints: list[Constraint] = []


class Enforced(msgspec.Struct):
    """Whether the contract of a model is one."""

    enforced: bool = False


class Config(msgspec.Struct, rename={"pre_hook": "pre-hook", "post_hook": "post-hook"}):
    """The configuration of a node, with what its kind may have."""

    enabled: bool = True
    materialized: str = ""
    tags: list[str] | str = []
    severity: str = "error"
    fail_calc: str | None = None
    warn_if: str | None = None
    error_if: str | None = None
    limit: int | None = None
    where: str | None = None
    column_types: dict[str, str] = {}
    delimiter: str = ","
    quote_columns: bool | None = None
    pre_hook: list[Any] = []
    post_hook: list[Any] = []
    contract: Enforced | None = None
    grants: dict[str, Any] = {}
    meta: dict[str, Any] = {}
    external_location: str | None = None


class Depends(msgspec.Struct):
    """What a node or macro uses, by ids."""

    macros: list[str] = []
    nodes: list[str] = []


class TestMetadata(msgspec.Struct):
    """Of a generic test: its name, package and arguments."""

    name: str = ""
    kwargs: dict[str, Any] = {}
    namespace: str | None = None


class Node(msgspec.Struct):
    """A model, seed, snapshot, source, test, analysis or hook."""

    unique_id: str
    resource_type: str
    name: str
    package_name: str = ""
    database: str | None = None
    schema: str | None = None
    alias: str | None = None
    identifier: str | None = None
    source_name: str = ""
    original_file_path: str = ""
    path: str = ""
    root_path: str | None = None
    language: str | None = None
    compiled_code: str | None = None
    compiled_sql: str | None = None
    raw_code: str | None = None
    raw_sql: str | None = None
    relation_name: str | None = None
    description: str | None = ""
    tags: list[str] = []
    config: Config = msgspec.field(default_factory=Config)
    meta: dict[str, Any] = {}
    source_meta: dict[str, Any] = {}
    columns: dict[str, Column] = {}
    constraints: list[Constraint] = []
    depends_on: Depends = msgspec.field(default_factory=Depends)
    version: str | int | float | None = None
    latest_version: str | int | float | None = None
    test_metadata: TestMetadata | None = None
    column_name: str | None = None
    attached_node: str | None = None
    freshness: dict[str, Any] | None = None

    @property
    def compiled(self) -> str | None:
        """The SQL that dbt compiled; None if it has not."""
        return self.compiled_code if self.compiled_code is not None else self.compiled_sql

    @property
    def raw(self) -> str:
        """The template."""
        return self.raw_code or self.raw_sql or ""

    @property
    def has_freshness(self) -> bool:
        """Whether it is a source that dbt asks whether it is fresh."""
        asked = [(self.freshness or {}).get(level) for level in ("warn_after", "error_after")]
        return any(isinstance(one, dict) and one.get("count") is not None for one in asked)

    @property
    def relation(self) -> Relation:
        """The table as the warehouse calls it."""
        return Relation(self.database or "", self.schema or "", self.identifier or self.alias or self.name)


class Fixture(msgspec.Struct):
    """Rows of a unit test: dbt has read those of CSV into lists of values by column, texts all of them."""

    input: str = ""
    rows: list[dict[str, Any]] | str | None = None
    format: str | None = None
    fixture: str | None = None


class Overrides(msgspec.Struct):
    """What a unit test sets otherwise."""

    macros: dict[str, Any] = {}
    vars: dict[str, Any] = {}
    env_vars: dict[str, Any] = {}


class UnitTestNode(msgspec.Struct):
    """A unit test."""

    name: str = ""
    model: str = ""
    package_name: str = ""
    original_file_path: str = ""
    description: str | None = ""
    given: list[Fixture] = []
    expect: Fixture = msgspec.field(default_factory=Fixture)
    overrides: Overrides | None = None
    tested_node_unique_id: str | None = None
    depends_on: Depends = msgspec.field(default_factory=Depends)
    config: Config = msgspec.field(default_factory=Config)


class Metadata(msgspec.Struct):
    """Of the manifest or the results: who wrote it, when and for which adapter."""

    dbt_schema_version: str = ""
    generated_at: str = ""
    invocation_id: str | None = None
    project_name: str | None = None
    adapter_type: str | None = None


class Arguments(msgspec.Struct):
    """Of the command that wrote the results."""

    full_refresh: bool | None = None


class RunResults(msgspec.Struct):
    """What an import reads of target/run_results.json."""

    metadata: Metadata = msgspec.field(default_factory=Metadata)
    args: Arguments = msgspec.field(default_factory=Arguments)


class Manifest(msgspec.Struct):
    """What an import reads of a manifest."""

    metadata: Metadata
    nodes: dict[str, Node]
    sources: dict[str, Node] = {}
    macros: dict[str, Any] = {}
    disabled: dict[str, Any] = {}
    exposures: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    semantic_models: dict[str, Any] = {}
    saved_queries: dict[str, Any] = {}
    unit_tests: dict[str, UnitTestNode] = {}
    functions: dict[str, Any] = {}
    groups: dict[str, Any] = {}


def read_manifest(root: Path) -> Manifest:
    """Return the manifest of a project. Raises `UserError`."""
    path = root / "target" / "manifest.json"
    shown = "target/manifest.json"
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        if not (root / "dbt_project.yml").is_file():
            message = f"there is no dbt project in {root}: it has no dbt_project.yml"
            raise UserError(message, code="import", hint="name the folder that dbt is run in") from error
        message = f"{shown} is missing in {root}"
        raise UserError(message, code="import", hint=f"run there: {COMPILE}") from error
    except OSError as error:
        raise UserError(f"cannot read {shown}: {error.strerror}", code="import", where=Where(shown)) from error
    try:
        manifest = decode(msgspec.json.Decoder(Manifest), data)
    except ValueError as error:
        message = f"not a manifest that can be read: {error}"
        raise UserError(message, code="import", where=Where(shown), hint=f"write it anew: {COMPILE}") from error
    if "/manifest/" not in manifest.metadata.dbt_schema_version:
        message = "not a manifest of dbt: metadata.dbt_schema_version does not say so"
        raise UserError(message, code="import", where=Where(shown), hint=f"write it anew: {COMPILE}")
    return manifest
