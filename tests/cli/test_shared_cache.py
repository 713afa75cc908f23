"""A shared cache: what one builder has computed, others take, verified; whatever goes wrong with it, they build."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import inprocess
from support.projects import SampleProject

RULES = {
    "big": "SELECT o.id, o.amount * 2 AS doubled FROM orders AS o WHERE o.amount > 1",
    "total": "SELECT SUM(b.doubled) AS total FROM big AS b",
    "few": "SELECT b.id FROM big AS b WHERE b.doubled > 4",
}


def project(root: Path, remote: str, *, cache: str = "") -> SampleProject:
    """Return a project of three rules, one of them with a check, that shares a cache."""
    made = SampleProject(root, sources=["orders"], toml=f'\n[cache]\nremote = "{remote}"\n{cache}')
    made.parquet("orders", {"id": [1, 2, 3, 4], "amount": [1, 2, 3, 4]})
    for name, text in RULES.items():
        made.sql(name, text)
    made.sql("few", f'-- /// rule\n-- key = ["id"]\n-- ///\n{RULES["few"]}')
    return made


@pytest.fixture
def remote(tmp_path: Path) -> str:
    return f"file://{tmp_path}/remote"


def test_a_fresh_clone_takes_what_another_builder_has_computed(tmp_path: Path, remote: str) -> None:
    first, second = project(tmp_path / "a", remote), project(tmp_path / "b", remote)
    assert inprocess.build(first).executed == set(RULES)
    plan = inprocess.run(second, "plan", "--json").document
    assert {one["name"]: (one["verdict"], one["fetch"]["bytes"] > 0) for one in plan["products"]} == dict.fromkeys(
        RULES, ("restore", True)
    )
    built = inprocess.build(second)
    assert set(built.statuses.values()) == {"restored"}
    assert all(one["shared"] for one in built.document["products"])
    assert all(check["status"] == "restored" for one in built.document["products"] for check in one["checks"])
    for name in RULES:
        assert second.product(name).equals(first.product(name))
    assert "nothing to do" in inprocess.run(second, "build").stdout


def test_only_what_differs_runs(tmp_path: Path, remote: str) -> None:
    first, second = project(tmp_path / "a", remote), project(tmp_path / "b", remote)
    inprocess.build(first)
    second.edit("rules/few.sql", "> 4", "> 6")
    assert inprocess.build(second).executed == {"few"}
    third = project(tmp_path / "c", remote)
    third.edit("rules/few.sql", "> 4", "> 6")
    assert inprocess.build(third).executed == set()


def test_what_runs_first_makes_the_keys_of_others_known(tmp_path: Path, remote: str) -> None:
    first, second = project(tmp_path / "a", remote), project(tmp_path / "b", remote)
    inprocess.build(first)
    second.edit("rules/big.sql", "o.amount > 1", "o.amount >= 2")  # other words, the same table
    assert inprocess.build(second).executed == {"big"}
