"""What `check --fix` makes of each line of the battery that has a fix: the value of its dialect, and nothing more."""

from __future__ import annotations

import duckdb
import pytest

from compiler.sql.foreign_table import DIALECTS
from support.battery import FILE, Case, agree, cases, in_order
from support.inprocess import build, run
from support.projects import SampleProject

V = FILE.with_name("v.sql").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_fixed_rules_have_the_values_of_their_dialect(tmp_path_factory: pytest.TempPathFactory, dialect: str) -> None:
    project = SampleProject(tmp_path_factory.mktemp("fixes") / "p", sources=["v"])
    with duckdb.connect() as connection:
        project.parquet("v", connection.sql(V).to_arrow_table())
    settings = project.root / "rules.toml"
    settings.write_text(f'{settings.read_text()}\n[policy]\nfrom_dialect = "{dialect}"\n')
    chosen = [case for case in cases() if case.dialect == dialect and case.outcome == "fixed"]
    rules = {f"r{at:03}": case for at, case in enumerate(chosen)}
    for name, case in rules.items():
        project.sql(name, case.text if case.is_query else f"SELECT v.k, {case.text} AS x FROM v")
    run(project, "check", "--fix", "--json", expect=None)
    once = _texts(project, rules)
    left = run(project, "check", "--fix", "--json", expect=None).document["findings"]
    assert _texts(project, rules) == once
    reported = {finding["path"].rpartition("/")[2].removesuffix(".sql") for finding in left}
    silent = [name for name in rules if name not in reported]
    assert len(silent) > len(rules) / 2
    build(project, "-s", " ".join(silent))
    wrong = [(rules[name].text, once[name]) for name in silent if not _agrees(project, name, rules[name])]
    assert not wrong, "\n".join(map(str, wrong))


def _texts(project: SampleProject, rules: dict[str, Case]) -> dict[str, str]:
    return {name: (project.root / "rules" / f"{name}.sql").read_text() for name in rules}


def _agrees(project: SampleProject, name: str, case: Case) -> bool:
    rows = run(project, "show", name, "--json").document["data"]
    if case.is_query:
        return agree(in_order(case.value), in_order([list(row.values()) for row in rows]))
    values = [row["x"] for row in sorted(rows, key=lambda row: row["k"])]
    return agree(case.value, values[0] if case.source else values)
