"""dbt: `target/manifest.json` → an `Origin`. What dbt compiled is read; Jinja is never rendered here."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from cache.untrusted import decode
from rules.errors import UserError, Where
from rules.importing.dbt_constraints import tests_of_constraints, written_down_only
from rules.importing.dbt_frozen import asked_variables, frozen_words, reached_macros
from rules.importing.dbt_nodes import COMPILE, Manifest, Metadata, Node, RunResults, TestMetadata, read_manifest
from rules.importing.dbt_unit_tests import read_unit_tests
from rules.importing.dbt_variables import values_of_variables
from rules.importing.naming import SENSITIVE
from rules.importing.origin import ANY, COUNTED, Model, Origin, Outside, Seed, Test
from rules.importing.query_words import LOCAL, NOW, TODAY
from rules.wording import plural

_DIALECTS = {"postgres": "postgres", "duckdb": "duckdb", "snowflake": "snowflake", "bigquery": "bigquery",
             "redshift": "redshift", "spark": "spark", "databricks": "spark"}  # fmt: skip
_OWN = {f"macro.dbt.test_{name}": name for name in ("unique", "not_null", "accepted_values", "relationships")}
_TABLES = ("model", "seed", "snapshot")
_LEFT_OUT = ("exposures", "metrics", "semantic_models", "saved_queries", "functions", "groups")


def read_dbt(root: Path) -> Origin:
    """Read the project whose `dbt compile` wrote `target/manifest.json`. Raises `UserError`."""
    manifest = read_manifest(root)
    nodes = [one for one in manifest.nodes.values() if one.config.enabled]
    models = [one for one in nodes if one.resource_type == "model"]
    tests = [one for one in nodes if one.resource_type == "test"]
    _require_compiled([*models, *tests])
    _require_full(root, manifest, models)
    adapter = manifest.metadata.adapter_type or ""
    if adapter not in _DIALECTS:
        known = ", ".join(_DIALECTS)
        raise UserError(f"SQL of the adapter '{adapter}' is not known", code="import", hint=f"known: {known}")
    aliases = _aliases(manifest, nodes, adapter)
    return Origin(
        tool="dbt",
        name=manifest.metadata.project_name or root.name,
        root=root,
        dialect=_DIALECTS[adapter],
        moment=_moment(manifest.metadata.generated_at),
        models=_of_one_value(tuple(_model(one, manifest) for one in models)),
        seeds=tuple(_seed(one, root) for one in nodes if one.resource_type == "seed"),
        outside=(
            *(_source(one) for one in manifest.sources.values() if one.config.enabled and one.unique_id not in aliases),
            *(_snapshot(one) for one in nodes if one.resource_type == "snapshot"),
        ),
        tests=tuple(_tests(tests, models, adapter)),
        unit_tests=tuple(read_unit_tests(manifest)),
        left_out=dict(_left_out(manifest, nodes, adapter)),
        inlined={f"__dbt__cte__{one.name}": one.unique_id for one in models if _is_inlined(one)},
        aliases=aliases,
    )


def _aliases(manifest: Manifest, nodes: list[Node], adapter: str) -> dict[str, str]:
    """Return sources that are tables of the project, such as seeds: the source's id → that of the node."""

    def key(node: Node) -> tuple[str, ...]:
        return tuple(node.relation if _DIALECTS[adapter] in SENSITIVE else (part.lower() for part in node.relation))

    made = {key(one): one.unique_id for one in nodes if one.resource_type in _TABLES and not _is_inlined(one)}
    sources = (one for one in manifest.sources.values() if one.config.enabled and not _location(one))
    return {one.unique_id: made[key(one)] for one in sources if key(one) in made}


def _tests(tests: list[Node], models: list[Node], adapter: str) -> Iterator[Test]:
    """Yield tests, and constraints that say what no test says."""
    found = [_test(one) for one in tests]
    yield from found
    said = {(one.table, one.column.lower(), one.kind) for one in found if one.bare}
    for test in (test for one in models for test in tests_of_constraints(one, adapter)):
        if not (test.bare and (test.table, test.column.lower(), test.kind) in said):
            yield test


def _require_compiled(nodes: list[Node]) -> None:
    """Every query must be there as SQL. Raises `UserError`."""
    missing = [one.name for one in nodes if one.compiled is None and (one.language or "sql") == "sql"]
    if missing:
        shown = ", ".join(missing[:_SHOWN]) + (", …" if len(missing) > _SHOWN else "")
        message = f"no compiled SQL of {plural(len(missing), 'node')} in target/manifest.json: {shown}"
        raise UserError(message, code="import", hint=f"compile all of the project: {COMPILE}")


_SHOWN = 4


def _require_full(root: Path, manifest: Manifest, models: list[Node]) -> None:
    """Incremental models must be compiled as full queries. Raises `UserError`.

    What `is_incremental()` yields depends on what is in the warehouse, and the text alone does not always tell.
    """
    asking = [one for one in models if _asks(one, manifest)]
    if not asking or _was_full(root, manifest.metadata):
        return
    names = ", ".join(one.name for one in asking[:_SHOWN]) + (", …" if len(asking) > _SHOWN else "")
    message = f"compiled SQL of incremental models may hold only new rows: {names}"
    raise UserError(message, code="import", hint=f"compile the full queries: {COMPILE}")


def _asks(model: Node, manifest: Manifest) -> bool:
    """Whether the text of a model asks `is_incremental()`, itself or by a macro."""
    if model.config.materialized not in ("incremental", "microbatch"):
        return False
    if "macro.dbt.is_incremental" in reached_macros(model, manifest):
        return True
    return "is_incremental" in model.raw


def _was_full(root: Path, metadata: Metadata) -> bool:
    """Whether the run that wrote the manifest was one with --full-refresh, as run_results.json says."""
    try:
        found = decode(msgspec.json.Decoder(RunResults), (root / "target" / "run_results.json").read_bytes())
    except (OSError, ValueError):
        return False
    return found.metadata.invocation_id == metadata.invocation_id and found.args.full_refresh is True


def _moment(text: str) -> datetime.datetime:
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        message = f"metadata.generated_at is no moment: '{text}'"
        raise UserError(message, code="import", where=Where("target/manifest.json")) from error
    return found if found.tzinfo is not None else found.replace(tzinfo=datetime.UTC)


def _is_inlined(node: Node) -> bool:
    return node.config.materialized == "ephemeral"


def _described(node: Node) -> dict[str, Any]:
    return {
        "id": node.unique_id,
        "relation": node.relation,
        "path": node.original_file_path,
        "description": (node.description or "").strip(),
        "columns": {one.name: one.description.strip() for one in node.columns.values()},
    }


def _model(node: Node, manifest: Manifest) -> Model:
    in_python = (node.language or "sql") == "python"
    folder = [*Path(node.path).parent.parts]
    if node.package_name != manifest.metadata.project_name:
        folder.insert(0, node.package_name)
    enforced = node.config.contract is not None and node.config.contract.enforced
    return Model(
        **_described(node),
        sql=None if in_python else node.compiled,
        why="a model in Python" if in_python else "",
        kind=node.config.materialized or "view",
        folder=tuple(folder),
        tags=tuple(dict.fromkeys(node.tags)),
        values=() if in_python or not node.compiled else values_of_variables(node.raw, node.compiled),
        asked=asked_variables(node, manifest),
        frozen=() if in_python else frozen_words(node, manifest),
        types={one.name: one.data_type for one in node.columns.values() if one.data_type} if enforced else {},
        has_table=not _is_inlined(node),
        code=node.raw if in_python else "",
    )


def _of_one_value(models: tuple[Model, ...]) -> tuple[Model, ...]:
    """Return models with the values of those variables only that have one value in all of them."""
    found: dict[str, set[int | str]] = {}
    for value in (value for one in models for value in one.values):
        found.setdefault(value.name, set()).add(value.value)
    known = {name for name, values in found.items() if len(values) == 1} - {NOW, TODAY, LOCAL}
    return tuple(replace(one, values=tuple(value for value in one.values if value.name in known)) for one in models)


def _seed(node: Node, root: Path) -> Seed:
    places = [
        root / node.original_file_path,
        root / "dbt_packages" / node.package_name / node.original_file_path,
        *([Path(node.root_path) / node.original_file_path] if node.root_path else []),
    ]
    file = next((one for one in places if one.is_file()), None)
    if file is None:
        message = f"the seed '{node.name}' has no file {node.original_file_path}"
        raise UserError(message, code="import", hint="import from the folder of the project, after dbt deps")
    return Seed(
        **_described(node),
        file=file,
        delimiter=node.config.delimiter,
        types=node.config.column_types,
        quoted=bool(node.config.quote_columns),
    )


def _source(node: Node) -> Outside:
    return Outside(**_described(node), group=node.source_name, location=_location(node))


def _location(node: Node) -> str:
    """Return the files of a source: dbt-duckdb names them in `external_location`, as a template of its name."""
    location = node.config.external_location
    for meta in (node.config.meta, node.meta, node.source_meta):
        location = location or meta.get("external_location")
    if location:
        values = {"schema": node.schema, "name": node.name, "identifier": node.identifier or node.name}
        for key, value in values.items():
            location = location.replace(f"{{{key}}}", str(value))
    return location or ""


def _snapshot(node: Node) -> Outside:
    kept = "a snapshot: its history is in its table alone, and cannot be computed again"
    return Outside(**_described(node), kept=kept)


def _test(node: Node) -> Test:
    generic = node.test_metadata
    kind = generic.name if generic is not None else node.name
    own = [_OWN[one] for one in node.depends_on.macros if one in _OWN]
    config = node.config
    usual = (config.fail_calc or COUNTED, config.warn_if or ANY, config.error_if or ANY) == (COUNTED, ANY, ANY)
    is_own = generic is not None and generic.namespace is None and kind in own
    at = node.attached_node or ""
    if not at and generic is not None and is_own and kind != "relationships" and len(node.depends_on.nodes) == 1:
        at = node.depends_on.nodes[0]  # a test of a source
    if not at and generic is not None:
        at = _named_source(node)
    return Test(
        id=node.unique_id,
        kind=kind if is_own or generic is None else f"{generic.namespace or ''}.{kind}".lstrip("."),
        name=node.name,
        sql=node.compiled or "",
        path=node.original_file_path,
        table=at,
        column=node.column_name or "",
        arguments=generic.kwargs if generic is not None else {},
        severity="warn" if config.severity.lower() == "warn" else "error",
        fail_calc=config.fail_calc or COUNTED,
        warn_if=config.warn_if or ANY,
        error_if=config.error_if or ANY,
        limit=config.limit,
        bare=is_own and usual and not config.where and config.limit != 0 and not _has_template(generic),
        description=(node.description or "").strip(),
    )


def _has_template(generic: TestMetadata | None) -> bool:
    """Whether what a test says is a template, so that only its compiled SQL says it. Its `model` always is one."""
    said = [value for name, value in generic.kwargs.items() if name != "model"] if generic is not None else []
    return any(re.search(r"\{[{%]", str(one)) for one in said)


def _named_source(node: Node) -> str:
    """Return the source that a generic test is declared at: the one that its `model` names."""
    model = str(node.test_metadata.kwargs.get("model", "")) if node.test_metadata is not None else ""
    named = re.search(r"source\(\s*['\"](.+?)['\"]\s*,\s*['\"](.+?)['\"]", model)
    for one in node.depends_on.nodes if named else ():
        if named is not None and one.endswith(f".{named[1]}.{named[2]}"):
            return one
    return ""


def _left_out(manifest: Manifest, nodes: list[Node], adapter: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what is in the project and not carried over, by kind."""
    for kind in _LEFT_OUT:
        names = tuple(name.split(".", 2)[-1] for name in getattr(manifest, kind))
        if names:
            yield kind.replace("_", " "), names
    hooks = [f"{one.name}: {len(one.config.pre_hook + one.config.post_hook)}" for one in nodes
             if one.config.pre_hook or one.config.post_hook]  # fmt: skip
    runs = [one.name for one in nodes if one.resource_type == "operation"]
    if hooks or runs:
        yield "hooks", (*hooks, *runs)
    for kind, names in (
        ("grants", tuple(one.name for one in nodes if one.config.grants)),
        ("source freshness", tuple(one.name for one in manifest.sources.values() if one.has_freshness)),
        (
            f"constraints that {adapter} does not enforce",
            tuple(text for one in nodes if one.resource_type == "model" for text in written_down_only(one, adapter)),
        ),
        ("analyses", tuple(one.name for one in nodes if one.resource_type == "analysis")),
        ("disabled nodes", tuple(name.split(".", 2)[-1] for name in manifest.disabled)),
    ):
        if names:
            yield kind, names
