"""Unit tests of dbt, as its manifest has them → what they give and expect of a model, and why one cannot be kept."""

from __future__ import annotations

import ast
import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rules.importing.dbt_nodes import Fixture, Manifest, Overrides, UnitTestNode
from rules.importing.origin import GivenRows, UnitTest

_INCREMENTAL = "is_incremental"
_CLOCK = re.compile(r"current_(timestamp|date)|localtimestamp|getdate|sysdate|\bnow\s*\(|\btoday\s*\(", re.IGNORECASE)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)?")


def read_unit_tests(manifest: Manifest) -> Iterator[UnitTest]:
    """Yield the unit tests of a manifest."""
    for key, node in manifest.unit_tests.items():
        if node.config.enabled:
            yield _unit_test(key, node, manifest)


def _unit_test(key: str, node: UnitTestNode, manifest: Manifest) -> UnitTest:
    overrides = node.overrides or Overrides()
    tested = node.tested_node_unique_id or next(iter(node.depends_on.nodes), "")
    given: dict[str, GivenRows] = {}
    reasons = [*_not_kept(overrides, manifest)]
    for one in node.given:
        if one.input.strip() == "this":
            continue  # read by an incremental run alone
        found = _referenced(one.input, node.package_name, manifest)
        if found is None:
            reasons.append(f"its input {one.input} is no table of the project")
        elif one.rows is None:
            reasons.append(f"the manifest has no rows of {one.input}")
        else:
            given[found] = _rows(one)
    if not node.model:
        reasons.append("the manifest says nothing of it")
    moments = [_moment(value) for name, value in overrides.macros.items() if _is_clock(name, manifest)]
    return UnitTest(
        id=key,
        name=node.name or key.split(".", 2)[-1],
        table=tested,
        path=node.original_file_path,
        description=(node.description or "").strip(),
        given=given,
        expect=_rows(node.expect),
        variables=overrides.vars,
        moment=next((one for one in moments if one), ""),
        why="; ".join(reasons),
    )


def _not_kept(overrides: Overrides, manifest: Manifest) -> Iterator[str]:
    """Yield why the query that a test runs is another one than the rule has."""
    for name, value in overrides.macros.items():
        if name.rpartition(".")[2] == _INCREMENTAL:
            if str(value).lower() == "true":
                yield "it tests a run that adds to the table, and the rule is the full query"
        elif not (_is_clock(name, manifest) and _moment(value)):
            yield f"it replaces the macro {name}, whose SQL is in the text of the rule"
    for name in overrides.env_vars:
        yield f"it sets the environment variable {name}, whose value is in the text of the rule"


def _is_clock(name: str, manifest: Manifest) -> bool:
    """Whether a macro writes a clock: one of dbt's own, or one of a project whose SQL has one."""
    bare = name.rpartition(".")[2]
    if bare in ("current_timestamp", "current_timestamp_in_utc", "now"):
        return True
    macros = (macro for macro in manifest.macros.values() if isinstance(macro, Mapping))
    texts = (str(macro.get("macro_sql", "")) for macro in macros if str(macro.get("name", "")).endswith(bare))
    return any(_CLOCK.search(text) for text in texts)


def _moment(value: object) -> str:
    """Return the moment that SQL of a macro means, if it holds one: cast('2026-01-01' as date) → 2026-01-01."""
    found = _MOMENT.findall(str(value))
    return next(_MOMENT.finditer(str(value)))[0] if len(found) == 1 else ""


def _rows(fixture: Fixture) -> GivenRows:
    rows = fixture.rows
    if isinstance(rows, str) and (fixture.format or "").lower() == "csv":
        values: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(rows.strip())))
        return GivenRows(values=tuple({name: value or None for name, value in row.items()} for row in values))
    if isinstance(rows, str):
        return GivenRows(sql=rows)
    return GivenRows(values=tuple(rows or ()))


def _referenced(text: str, package: str, manifest: Manifest) -> str | None:
    """Return the id of the table that ref('orders'), ref('shop', 'orders', v=2) or source('raw', 'orders') mean."""
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        return None
    words = [one.value for one in call.args if isinstance(one, ast.Constant)]
    if call.func.id == "source":
        found = (key for key, one in manifest.sources.items() if [one.source_name, one.name] == words[-2:])
        return next(found, None)
    version = next((one.value.value for one in call.keywords if isinstance(one.value, ast.Constant)), None)
    named = [
        one
        for one in manifest.nodes.values()
        if one.resource_type in ("model", "seed", "snapshot") and words and one.name == words[-1]
    ]
    if len(words) > 1:
        named = [one for one in named if one.package_name == words[0]]
    if any(one.package_name == package for one in named):
        named = [one for one in named if one.package_name == package]
    if len(named) > 1 or version is not None:
        named = [one for one in named if str(one.version) == str(one.latest_version if version is None else version)]
    return named[0].unique_id if named else None
