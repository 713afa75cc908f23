"""Edits that mean the same run nothing, and sentences about the others show what the author wrote."""

from __future__ import annotations

from datetime import datetime

import pytest

from support.inprocess import build, run
from support.projects import SampleProject

SAME = [
    ("SELECT o.k, SUM(CASE WHEN o.p THEN 1 ELSE 0 END) AS c FROM orders AS o GROUP BY o.k",
     "SELECT o.k, COUNT(*) FILTER (WHERE o.p) AS c FROM orders AS o GROUP BY o.k"),
    ("SELECT o.n FROM orders AS o WHERE COALESCE(o.k, '') = 'a'", "SELECT o.n FROM orders AS o WHERE o.k = 'a'"),
    ("SELECT o.k, COUNT(*) AS c FROM orders AS o GROUP BY o.k HAVING COUNT(*) >= 1",
     "SELECT o.k, COUNT(*) AS c FROM orders AS o GROUP BY o.k"),
    ("SELECT o.k, upper(o.k) AS u, COUNT(*) AS c FROM orders AS o GROUP BY o.k, upper(o.k)",
     "SELECT o.k, upper(o.k) AS u, COUNT(*) AS c FROM orders AS o GROUP BY o.k"),
    ("SELECT o.n FROM orders AS o WHERE o.t >= TIMESTAMP '2024-01-31' - INTERVAL '30 days'",
     "SELECT o.n FROM orders AS o WHERE o.t >= TIMESTAMP '2024-01-01 00:00:00'"),
    ("SELECT o.n FROM orders AS o WHERE CASE WHEN o.k = 'a' THEN 1 END IS NOT NULL",
     "SELECT o.n FROM orders AS o WHERE o.k = 'a'"),
]  # fmt: skip
EDITS = [
    ("SELECT o.k, SUM(CASE WHEN o.n > 7 THEN 1 ELSE 0 END) AS c FROM orders AS o GROUP BY o.k",
     "SELECT o.k, SUM(CASE WHEN o.n > 8 THEN 1 ELSE 0 END) AS c FROM orders AS o GROUP BY o.k",
     "SUM(CASE WHEN o.n > 7 THEN 1 ELSE 0 END) → SUM(CASE WHEN o.n > 8 THEN 1 ELSE 0 END)"),
    ("SELECT o.k, COUNT(*) FILTER (WHERE o.n > 7) AS c FROM orders AS o GROUP BY o.k",
     "SELECT o.k, COUNT(*) FILTER (WHERE o.n > 8) AS c FROM orders AS o GROUP BY o.k",
     "COUNT(*) FILTER(WHERE o.n > 7) → COUNT(*) FILTER(WHERE o.n > 8)"),
    ("SELECT o.n FROM orders AS o WHERE o.t >= TIMESTAMP '2024-01-01'",
     "SELECT o.n FROM orders AS o WHERE o.t >= TIMESTAMP '2024-02-01'",
     "WHERE: o.t >= CAST('2024-01-01 00:00:00' AS TIMESTAMP) → o.t >= CAST('2024-02-01 00:00:00' AS TIMESTAMP)"),
    ("SELECT o.n FROM orders AS o WHERE o.n > 1 ORDER BY o.k, o.n",
     "SELECT o.n FROM orders AS o WHERE o.n > 2 ORDER BY o.k, o.n",
     "WHERE: o.n > 1 → o.n > 2"),
    ("SELECT o.n, CASE WHEN o.p THEN 1 WHEN NOT o.p THEN 0 END AS v FROM orders AS o",
     "SELECT o.n, CASE WHEN o.p THEN 1 ELSE 0 END AS v FROM orders AS o",
     "column v: CASE WHEN o.p THEN 1 WHEN NOT o.p THEN 0 END → CASE WHEN o.p THEN 1 ELSE 0 END"),
    ("SELECT o.k, o.n FROM orders AS o ORDER BY o.k, o.n",
     "SELECT o.k, o.n FROM orders AS o WHERE o.k = 'a' ORDER BY o.k, o.n", "WHERE: o.k = 'a' added"),
    ("SELECT o.n FROM orders AS o ORDER BY o.k DESC, o.n",
     "SELECT o.n FROM orders AS o WHERE o.k IS NULL ORDER BY o.k DESC, o.n", "WHERE: o.k IS NULL added"),
    ("SELECT o.n, COUNT(*) AS c FROM orders AS o GROUP BY o.k, o.n",
     "SELECT o.n, COUNT(*) AS c FROM orders AS o WHERE o.k = 'a' GROUP BY o.k, o.n", "WHERE: o.k = 'a' added"),
    ("SELECT o.n FROM orders AS o WHERE o.k = 'a' ORDER BY o.k, o.n", "SELECT o.n FROM orders AS o ORDER BY o.k, o.n",
     "WHERE: o.k = 'a' removed"),
]  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    made = SampleProject(tmp_path_factory.mktemp("edits") / "p", sources=["orders"])
    days = [datetime(2024, 1, day) for day in (1, 2, 3)]
    made.parquet("orders", {"k": ["a", "a", None], "n": [1, 8, 20], "p": [True, None, False], "t": days})
    for at, (before, _) in enumerate(SAME):
        made.sql(f"same{at}", before)
    for at, (before, _, _) in enumerate(EDITS):
        made.sql(f"edit{at}", before)
    build(made)
    for at, (_, after) in enumerate(SAME):
        made.sql(f"same{at}", after)
    for at, (_, after, _) in enumerate(EDITS):
        made.sql(f"edit{at}", after)
    return made


def test_edits_that_mean_the_same_run_nothing(project: SampleProject) -> None:
    plan = {one["name"]: one["verdict"] for one in run(project, "plan", "--json").document["products"]}
    assert {plan[f"same{at}"] for at in range(len(SAME))} == {"clean"}
    assert {plan[f"edit{at}"] for at in range(len(EDITS))} == {"run"}


def test_sentences_show_what_the_author_wrote(project: SampleProject) -> None:
    plan = {one["name"]: one["reason"] for one in run(project, "plan", "--json").document["products"]}
    for at, (_, after, sentence) in enumerate(EDITS):
        said = plan[f"edit{at}"].replace("orders.", "o.")
        assert sentence in said, (after, said)
        assert said.count("→") == sentence.count("→"), (after, said)
        assert said.count("BY") == sentence.count("BY"), (after, said)
