"""`rules audit --engine`: what one engine has made is run on the other, and where they differ that is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compiler.spark.translation import TRANSLATION
from support import spark
from support.inprocess import build, run
from support.projects import SampleProject
from support.stale import make_stale

pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]

RULES = {
    "totals": "SELECT k, COUNT(*) AS n, SUM(v) AS total FROM t GROUP BY k",
    "sorted": "SELECT k, v FROM t ORDER BY k",
    "keyed": '-- /// rule\n-- tier = 2\n-- key = ["v"]\n-- ///\nSELECT v, k FROM t',
    "first": "SELECT v FROM t ORDER BY v LIMIT 1",
    "tied": "SELECT k, v FROM t ORDER BY k LIMIT 1",
    "means": "SELECT k, AVG(f) AS mean FROM t GROUP BY k",
}
ALIKE = RULES.keys() - {"tied", "means"}
PROFILE = ("--profile", "cluster")


@pytest.fixture
def project(tmp_path: Path, remote: str) -> SampleProject:
    made = SampleProject(tmp_path / "p", sources=["t"], toml=spark.profile(remote))
    made.parquet("t", {"k": [1, 1, 2, 2], "v": [4, 2, 3, 1], "f": [0.5, 1.5, None, 0.25]})
    for name, query in RULES.items():
        made.sql(name, query)
    return made


def test_each_engine_judges_what_the_other_has_made(project: SampleProject) -> None:
    build(project)
    none = run(project, "audit", "--engine", "local", *PROFILE, "--json").document
    assert (none["status"], none["checked"]) == ("ok", [])
    found = run(project, "audit", "--engine", "spark", *PROFILE, "--json").document
    assert (found["engine"], set(found["checked"]), found["tied"]) == ("spark", ALIKE, ["tied"])
    assert (found["status"], found["differing"]) == ("ok", [])
    shown = run(project, "audit", "--engine", "spark", "1%", "-s", "totals", *PROFILE).stdout
    assert shown == "audit: 1 skipped product run on Spark; every result is the same\n"

    build(project, *PROFILE)
    assert run(project, "plan", *PROFILE).stdout.startswith("nothing to do"), "an audit records nothing"
    back = run(project, "audit", "--engine", "local", *PROFILE, "--json").document
    assert set(back["checked"]) == RULES.keys() - {"means"}
    assert back["differing"] == []


def test_a_difference_is_kept(project: SampleProject) -> None:
    build(project)
    make_stale(project, "keyed")
    done = run(project, "audit", "--engine", "spark", *PROFILE, "--json", expect=1)
    (wrong,) = done.document["differing"]
    assert wrong["name"] == "keyed"
    kept = Path(wrong["message"].rpartition("evidence: ")[2])
    facts = json.loads((kept / "difference.json").read_text())
    assert facts["product"] == "keyed"
    assert (facts["made_by"], facts["run_by"]) == ("datafusion 55.0.0", f"spark 4.3.0, translation {TRANSLATION}")
    assert facts["difference"].startswith("other values in v")
    assert "rules_input_0" in (kept / "spark.sql").read_text()
    assert (kept / "local.sql").is_file()
    shown = run(project, "audit", "--engine", "spark", "-s", "keyed", *PROFILE, expect=1)
    assert "error: the engines disagree about keyed: run on Spark it has other values in v" in shown.stderr
