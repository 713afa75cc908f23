"""The battery of constructs of other dialects: each has its dialect's value here, or is refused with what to write."""

from __future__ import annotations

import re

import duckdb
import pytest

from compiler.sql.foreign_table import DIALECTS
from support.battery import FILE, Case, agree, became, cases, in_order, plain
from support.inprocess import run
from support.projects import SampleProject

V = FILE.with_name("v.sql").read_text()
_EXPRESSION = re.compile(r"SELECT (.*) AS x FROM v", re.DOTALL)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    made = SampleProject(tmp_path_factory.mktemp("battery") / "p", sources=["v"])
    with duckdb.connect() as connection:
        made.parquet("v", connection.sql(V).to_arrow_table())
    return made


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_construct_has_its_value_or_is_refused(project: SampleProject, dialect: str) -> None:
    wrong: list[object] = []
    texts: dict[Case, str] = {}
    for case in cases():
        if case.dialect != dialect:
            continue
        outcome, text = became(case)
        if outcome != case.outcome or (outcome == "refused" and text.endswith("(None)")):
            wrong.append((case.text, outcome, text))
        elif outcome != "refused":
            texts[case] = text
    expressions = {case: text for case, text in texts.items() if not case.is_query}
    for case, found in _values(project, expressions).items():
        ours = found[0] if case.source else found
        if not agree(case.value, ours):
            wrong.append((case.text, texts[case], case.value, ours))
    for case, text in texts.items():
        if case.is_query:
            rows = [list(row.values()) for row in run(project, "query", text, "--json").document["data"]]
            if not agree(in_order(case.value), in_order(rows)):
                wrong.append((case.text, text, case.value, rows))
    assert not wrong, "\n".join(map(str, wrong))


def _values(project: SampleProject, texts: dict[Case, str]) -> dict[Case, list[object]]:
    """Return the values of expressions over `v`, all asked in one query."""
    parts = {case: _EXPRESSION.fullmatch(text) for case, text in texts.items()}
    selected = ", ".join(f"{part[1]} AS c{at}" for at, part in enumerate(parts.values()) if part is not None)
    rows = run(project, "query", f"SELECT v.k AS kk, {selected} FROM v", "--json").document["data"]
    rows = sorted(rows, key=lambda row: row["kk"])
    return {case: [row[f"c{at}"] for row in rows] for at, case in enumerate(parts)}


def test_the_values_of_duckdb_are_those_of_duckdb() -> None:
    wrong = []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE v AS {V}")
        for case in cases():
            if case.dialect == "duckdb" and case.outcome != "refused":
                rows = connection.execute(case.query if case.is_query else f"{case.query} ORDER BY k").fetchall()
                found = [list(row) for row in rows] if case.is_query else [row[0] for row in rows]
                ours = plain(found)
                if not agree(
                    in_order(case.value) if case.is_query else case.value, in_order(ours) if case.is_query else ours
                ):
                    wrong.append((case.text, case.value, ours))
    assert not wrong, "\n".join(map(str, wrong))


def test_there_are_three_hundred_constructs_of_all_dialects() -> None:
    found = list(cases())
    assert len(found) >= 300
    assert len({(case.dialect, case.text) for case in found}) == len(found)
    assert {case.dialect for case in found} == set(DIALECTS)
    assert all(case.source or case.dialect in {"duckdb", "postgres", "spark"} for case in found)
