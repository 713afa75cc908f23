"""The texts of an imported project: rules.toml and rule files with their options."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rules.config.toml_text import toml_key, toml_value
from rules.importing.drafts import Draft, DraftQuery, DraftRule, DraftSource

_OPTIONS = re.compile(r"^(\s*--)(\s*///)")


def contract_lines(contract: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield a contract: its own keys, then its tables, which are called after `above`, such as contracts.orders."""
    prefix = f"{above}." if above else ""
    for key, value in contract.items():
        if key not in ("columns", "checks"):
            yield f"{key} = {toml_value(value)}"
    for name, column in contract.get("columns", {}).items():
        if column:
            yield f"[{prefix}columns.{toml_key(name)}]"
            yield from (f"{key} = {toml_value(value)}" for key, value in column.items())
    for check in contract.get("checks", ()):
        yield f"[[{prefix}checks]]"
        yield from (f"{key} = {toml_value(value)}" for key, value in check.items())


def rule_text(rule: DraftRule) -> str:
    """Return a rule file."""
    model = rule.model
    options: dict[str, Any] = {}
    if model is not None and model.description:
        options["description"] = model.description
    if model is not None and model.tags:
        options["tags"] = list(model.tags)
    if rule.spoken:
        options["dialect"] = rule.spoken
    if rule.volatile:
        options["volatile"] = True
    options |= rule.contract
    lines = "\n".join(contract_lines(options)).split("\n") if options else []
    block = ["-- /// rule", *(f"-- {line}".rstrip() for line in lines), "-- ///"] if lines else []
    return "\n".join([*block, _without_options(rule.body.rstrip()), ""])


def check_text(check: DraftQuery) -> str:
    """Return a rule file of a check's query."""
    block = "-- /// rule\n-- volatile = true\n-- ///\n" if check.volatile else ""
    return f"{block}{_without_options(check.body.rstrip())}\n"


def _without_options(body: str) -> str:
    """Return a query whose first comments do not look like options of a rule: `-- /// x` becomes `--- /// x`."""
    lines = body.split("\n")
    for number, line in enumerate(lines):
        if line.strip() and not line.lstrip().startswith("--"):
            break
        lines[number] = _OPTIONS.sub(r"\1-\2", line)
    return "\n".join(lines)


def project_text(made: Draft, *, spoken: bool) -> str:
    """Return rules.toml. spoken: whether it says which dialect the SQL is in, as until all of it is translated."""
    dialect = toml_value(made.origin.dialect)
    blocks = [f"[project]\nname = {toml_value(made.origin.name)}" + (f"\ndialect = {dialect}" if spoken else "")]
    blocks += ["\n".join(_source_lines(source)) for source in made.sources.values()]
    if made.variables:
        found = (f"{name} = {toml_value(value)}" for name, value in made.variables.items())
        blocks.append("\n".join(["[vars]", *found]))
    if spoken:
        blocks.append(f"[policy]\nfrom_dialect = {dialect}")
    for source in made.sources.values():
        if source.contract:
            own = f"contracts.{source.name}"
            lines = list(contract_lines(source.contract, own))
            if not lines[0].startswith("["):
                lines.insert(0, f"[{own}]")
            blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _source_lines(source: DraftSource) -> Iterator[str]:
    for line in source.description.splitlines():
        yield f"# {line}".rstrip()
    yield f"[sources.{source.name}]"
    yield f"path = {toml_value(source.path)}"
    for key, value in source.options.items():
        yield f"{key} = {toml_value(value)}"
