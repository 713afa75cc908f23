"""Sentences about edits show bounds as the author wrote them, whatever their canonical spelling."""

from __future__ import annotations

from datetime import date

import pytest

from support.inprocess import build, run
from support.projects import SampleProject

EDITS = [
    ("o.n > 7", "o.n > 8", "WHERE: o.n > 7 → o.n > 8"),
    ("o.n >= 5", "o.n >= 6", "WHERE: o.n >= 5 → o.n >= 6"),
    ("o.n < 11", "o.n <= 11", "WHERE: o.n < 11 → o.n <= 11"),
    ("8 <= o.n", "9 <= o.n", "WHERE: o.n >= 8 → o.n >= 9"),
    ("7 < o.n", "9 < o.n", "WHERE: o.n > 7 → o.n > 9"),
    ("NOT o.n <= 7", "NOT o.n <= 9", "WHERE: o.n > 7 → o.n > 9"),
    ("o.n > -8", "o.n > -7", "WHERE: o.n > (-8) → o.n > (-7)"),
    ("o.x >= 8", "o.x > 8", "WHERE: o.x >= 8 → o.x > 8"),
    (
        "o.d <= DATE '2023-12-31'",
        "o.d <= DATE '2024-12-31'",
        "WHERE: o.d <= CAST('2023-12-31' AS DATE) → o.d <= CAST('2024-12-31' AS DATE)",
    ),
    ("o.n > 7 AND o.x > 1", "o.n >= 8 AND o.x > 2", "WHERE: o.x > 1 → o.x > 2"),
    ("o.n BETWEEN 3 AND 19", "o.n BETWEEN 3 AND 21", "WHERE: o.n <= 19 → o.n <= 21"),
]
COUNTED = "SELECT s.n FROM (SELECT o.n, COUNT(*) AS c FROM orders AS o GROUP BY o.n) AS s WHERE s.c >"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    made = SampleProject(tmp_path_factory.mktemp("bounds") / "p", sources=["orders"])
    made.parquet(
        "orders", {"n": [1, 8, 20], "x": [0.5, 8.0, 9.5], "d": [date(2023, 1, 1), date(2023, 12, 31), date(2024, 6, 1)]}
    )
    for at, (before, _, _) in enumerate(EDITS):
        made.sql(f"r{at}", f"SELECT o.n FROM orders AS o WHERE {before}")
    made.sql("counts", "SELECT o.n FROM orders AS o GROUP BY o.n HAVING COUNT(*) > 7")
    made.sql("inner_counts", f"{COUNTED} 7")
    build(made)
    for at, (_, after, _) in enumerate(EDITS):
        made.sql(f"r{at}", f"SELECT o.n FROM orders AS o WHERE {after}")
    made.sql("counts", "SELECT o.n FROM orders AS o GROUP BY o.n HAVING COUNT(*) > 8")
    made.sql("inner_counts", f"{COUNTED} 8")
    return made


def test_bounds_are_the_authors(project: SampleProject) -> None:
    plan = {one["name"]: one["reason"] for one in run(project, "plan", "--json").document["products"]}
    for at, (before, after, sentence) in enumerate(EDITS):
        said = plan[f"r{at}"].replace("orders.", "o.")
        assert sentence in said, (before, after, said)
        assert said.count("→") == 1, (before, after, said)
    assert "COUNT(*) > 7 → COUNT(*) > 8" in plan["counts"]
    assert "COUNT(*) > 7 → COUNT(*) > 8" in plan["inner_counts"]
