"""A panic of the engine is an error like any other: it fails one product, in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datafusion import SessionContext

from rules.config.profiles import Profile
from rules.engine import execute, shared_planning
from support import inprocess
from support.projects import SampleProject


@pytest.fixture(autouse=True)
def _sessions_that_panic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine panic on the first groups of floats, as it does unless a session forbids it to look for them."""
    made = execute.make_session

    def with_first_groups(profile: Profile, *others: Any) -> SessionContext:
        session = made(profile, *others)
        session.sql("SET datafusion.optimizer.enable_topk_aggregation = true").collect()
        return session

    for module in (execute, shared_planning):
        monkeypatch.setattr(module, "make_session", with_first_groups)


def test_a_panic_fails_one_product(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, sources=["t"])
    project.parquet("t", {"x": [float("nan"), None, float("nan"), float("nan")], "y": [2, 1, 3, 4]})
    project.sql("first", "SELECT DISTINCT t.x FROM t ORDER BY t.x NULLS FIRST LIMIT 1")
    project.sql("reader", "SELECT first.x FROM first")
    project.sql("other", "SELECT t.y FROM t")
    ran = inprocess.build(project, "-k", expect=1)
    assert ran.statuses == {"first": "failed", "reader": "skipped", "other": "executed"}
    (failed,) = (product for product in ran.document["products"] if product["name"] == "first")
    assert failed["error"]["message"] == "the engine cannot run this query"
