"""`rules import --verify`: an imported project is built, and each product is compared with the other tool's table."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from cache.removal import draft_of
from rules.build import build
from rules.config.project import load_project
from rules.errors import UserError
from rules.files.project_paths import FILE, own_folder
from rules.importing.comparing import Difference, difference
from rules.importing.drafts import Draft, DraftRule, reachable
from rules.importing.project_text import project_text, rule_text
from rules.importing.settling import put
from rules.planning.prepared import Request

if TYPE_CHECKING:
    from rules.importing.import_project import Imported
    from rules.importing.warehouse import Warehouse
    from rules.running.results import BuildReport, Observer


@dataclass(frozen=True)
class Verified:
    """A product beside the table there. different: None if they are equal. reasons: why they may not be."""

    name: str
    relation: str
    different: Difference | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """All products. verified: those with a table there; uncompared: why others were not. failing: checks, sentences."""

    verified: tuple[Verified, ...]
    uncompared: Mapping[str, str]
    failing: tuple[str, ...]
    build: BuildReport

    @property
    def same(self) -> list[Verified]:
        """Those that are equal."""
        return [one for one in self.verified if one.different is None]

    @property
    def different(self) -> list[Verified]:
        """Those that are not."""
        return [one for one in self.verified if one.different is not None]

    @property
    def unexplained(self) -> list[Verified]:
        """Those that differ without a reason that is known."""
        return [one for one in self.different if not one.reasons]


def compare_all(found: Imported, warehouse: Warehouse, observer: Observer) -> Comparison:
    """Build a project and compare every product. Raises `UserError`.

    Where a check fails, its product and all below are not published; their tables are then made without checks, in a
    folder that is removed again, because the other tool made them as well.
    """
    report = _build(found.root, observer)
    failing = tuple(check.warning.removeprefix("warning: ") for check in report.failing)
    if report.ok:
        return _compared(found.made, found.root, warehouse, report, failing)
    with draft_of(found.root) as beside:
        bare = _without_contracts(found.made)
        shutil.copytree(found.root, beside, ignore=shutil.ignore_patterns(".rules"), dirs_exist_ok=True)
        put(beside, FILE, project_text(bare, spoken=False))
        for rule in bare.rules.values():
            put(beside, rule.path, rule_text(rule))
        again = _build(beside, observer)
        compared = _compared(found.made, beside, warehouse, again, failing)
        return Comparison(compared.verified, compared.uncompared, failing, report)


def _build(root: Path, observer: Observer) -> BuildReport:
    return build(load_project(root), Request(keep_going=True), observer)


def _without_contracts(made: Draft) -> Draft:
    bare = copy.copy(made)
    bare.rules = {name: copy.copy(rule) for name, rule in made.rules.items()}
    bare.sources = {name: copy.copy(source) for name, source in made.sources.items()}
    for one in bare.tables:
        one.contract = {}
    return bare


def _compared(
    made: Draft, root: Path, warehouse: Warehouse, report: BuildReport, failing: tuple[str, ...]
) -> Comparison:
    verified: list[Verified] = []
    uncompared: dict[str, str] = {}
    differing: dict[str, str] = {}
    for name in _order(made):
        rule = made.rules[name]
        if rule.model is None:
            continue
        if not rule.model.has_table:
            uncompared[name] = f"{made.origin.tool} made no table of it"
            continue
        if rule.stub:
            uncompared[name] = "it reads its last table"
            continue
        result = report.results.get(name)
        product = Path(own_folder(str(root)), "products", f"{name}.parquet")
        if result is None or result.status in ("failed", "skipped") or not product.exists():
            why = result.error.message if result is not None and result.error is not None else "an input failed"
            uncompared[name] = f"it was not built: {why}"
            continue
        try:
            table = warehouse.read(rule.model.relation)
        except UserError as error:
            uncompared[name] = error.message
            continue
        if table is None:
            uncompared[name] = f"the warehouse has no table {rule.model.relation}"
            continue
        key = rule.contract.get("key", [])
        found = difference(table, pq.read_table(product), key)
        reasons = _reasons(rule, differing) if found is not None else ()
        if found is not None:
            differing[name] = "; ".join(reasons)
        verified.append(Verified(name, str(rule.model.relation), found, reasons))
    return Comparison(tuple(verified), uncompared, failing, report)


def _order(made: Draft) -> list[str]:
    return sorted(made.rules, key=lambda name: len(reachable(made, [name])))


def _reasons(rule: DraftRule, differing: Mapping[str, str]) -> tuple[str, ...]:
    """Return why a product may differ: what its import says of it, or that an input differs for a known reason."""
    own = list(rule.risks)
    if rule.volatile:
        own.append("it draws random numbers")
    own += [f"it reads {one}, which differs" for one in rule.reads if differing.get(one)]
    return tuple(own)
