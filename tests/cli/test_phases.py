"""A build that ends in any phase, killed, interrupted or out of time, leaves a store that the next one goes on from.

Whatever it was doing: the store is sound, what was committed stays and does not run again, and the next build makes
what a clean one makes. `test_crash` kills at each operation on files; queries in processes of their own are ended in
`tests/rules/test_cancellation.py`.
"""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from support.consistency import check_after_end, tables
from support.forks import Forks, shared
from support.inprocess import run
from support.projects import SampleProject

PHASES = {
    "load": "rules.build:load",
    "read a rule in Python": "rules.python.rule_files:PythonFiles.call",
    "digest files": "rules.files.file_digests:FileDigests.digest",
    "ingest a source": "rules.sources.ingesting:Ingestion.read",
    "digest a source": "rules.formats.parquet_files:column_digests",
    "compile": "rules.compiling.compile_rules:Work.compile",
    "plan": "rules.build:make_plan",
    "execute": "rules.engine.execute:execute",
    "write rows": "rules.engine.writing:ProductWriter.write",
    "end the file": "rules.engine.writing:ProductWriter.finish",
    "put the object in place": "rules.running.product_job:adopted",
    "keep evidence": "rules.running.evidence:Evidence.succeeded",
    "commit": "rules.running.recording:commit",
    "publish": "rules.running.recording:publish",
    "record the build": "rules.build:record_build",
    "write the manifest": "rules.build:keep_manifest",
}
"""The functions that begin a phase, where they are called."""
PREPARING = ("load", "read a rule in Python", "digest files", "ingest a source", "digest a source", "compile", "plan")
ELSEWHERE = ("execute", "write rows", "end the file")
"""Phases that are in another process where time is limited."""
WAYS = ("killed", "interrupted", "out of time")
WAYS_OF = {phase: WAYS[:2] if phase in ELSEWHERE else WAYS for phase in PHASES}
ENDS = [(phase, way) for phase, ways in WAYS_OF.items() for way in ways]
ONE_EACH = [(phase, ways[number % len(ways)]) for number, (phase, ways) in enumerate(WAYS_OF.items())]
HOUR = 3600.0
CHECKED = """-- /// rule
-- [[checks]]
-- name = "known"
-- sql = "SELECT * FROM by_country WHERE country IS NULL"
-- ///
SELECT c.country, SUM(b.total) AS total FROM by_city AS b JOIN cities AS c ON c.city = b.city GROUP BY c.country
"""
IN_PYTHON = """from rules import rule

@rule
def late(orders):
    return orders.filter(orders.id > 3)
"""
MOST_CALLS = 12


@pytest.fixture(scope="module")
def forks() -> Forks:
    return shared()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    """Sources of Parquet and CSV, a chain, a rule in Python, and one with a check."""
    toml = '\n[sources.cities]\npath = "data/cities.csv"\n'
    made = SampleProject(tmp_path_factory.mktemp("phases") / "project", sources=["orders"], toml=toml)
    made.parquet("orders", {"id": list(range(40)), "city": ["A", "B", None, "D"] * 10, "amount": [7, 2, 4, 1] * 10})
    made.write("data/cities.csv", "city,country\nA,X\nB,Y\nD,X\n")
    made.sql("big", "SELECT o.id, o.city, o.amount FROM orders AS o WHERE o.amount > 1")
    made.sql("by_city", "SELECT b.city, SUM(b.amount) AS total FROM big AS b GROUP BY b.city")
    made.write("rules/by_country.sql", CHECKED)
    made.write("rules/late.py", IN_PYTHON)
    return made


@pytest.fixture(scope="module")
def expected(forks: Forks, project: SampleProject, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    clean = tmp_path_factory.mktemp("clean") / "project"
    shutil.copytree(project.root, clean)
    assert forks.run(clean, "build").code == 0
    return tables(clean)


def end_in(
    forks: Forks, start: Path, root: Path, phase: str, call: int, way: str, expected: dict[str, list[str]]
) -> bool:
    """End a first build of a copy of the project when a phase begins for the `call`-th time; return whether it did."""
    shutil.copytree(start, root)
    by = {"killed": signal.SIGKILL, "interrupted": signal.SIGTERM, "out of time": None}[way]
    words = ("build", "--json", *(("--timeout", "30m") if by is None else ()))
    ended = forks.run(root, *words, call=(PHASES[phase], call), kill_by=by, lasts=0.0 if by else HOUR)
    at = (phase, call, way, ended.code, ended.stdout[-500:], ended.stderr)
    if not ended.steps:
        assert ended.code == 0 or way == "out of time", at
        shutil.rmtree(root)
        return False
    assert "Traceback" not in ended.stderr, at
    if way == "killed":
        assert ended.killed, at
    elif way == "interrupted":
        assert ended.code == 128 + signal.SIGTERM, at
        assert '"code": "interrupted"' in ended.stdout, at
    elif phase in PREPARING:
        assert ended.code == 1, at
        assert '"code": "timeout"' in ended.stdout, at
    else:  # what was being committed is; what had not begun failed
        assert ended.code in {0, 1}, at
    if (root / ".rules/index.sqlite").exists():
        sound = run(SampleProject.at(root), "cache", "verify", "--json", expect=None)
        assert (sound.code, sound.document["bad"]) == (0, []), at
    check_after_end(root, ended, {}, expected)
    shutil.rmtree(root)
    return True


@pytest.mark.slow
@pytest.mark.parametrize(("phase", "way"), ONE_EACH)
def test_a_build_ends_in_a_phase(
    forks: Forks, project: SampleProject, tmp_path: Path, phase: str, way: str, expected: dict[str, list[str]]
) -> None:
    assert end_in(forks, project.root, tmp_path / "project", phase, 1, way, expected)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("phase", "way"), ENDS)
def test_a_build_ends_whenever_a_phase_begins(
    forks: Forks, project: SampleProject, tmp_path: Path, phase: str, way: str, expected: dict[str, list[str]]
) -> None:
    calls = 0
    while calls < MOST_CALLS and end_in(forks, project.root, tmp_path / "p", phase, calls + 1, way, expected):
        calls += 1
    assert calls


ENDLESS = {
    "import": "import time\ntime.sleep(600)\n",
    "call": "import time\nfrom rules import rule\n\n@rule\ndef late(orders):\n    time.sleep(600)\n    return orders\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("what", ENDLESS)
def test_a_limit_ends_what_prepares_a_build(
    forks: Forks, project: SampleProject, tmp_path: Path, what: str, expected: dict[str, list[str]]
) -> None:
    made = SampleProject.copy_of(project.root, tmp_path / "p")
    made.write("rules/late.py", ENDLESS[what])
    ended = forks.run(made.root, "build", "--timeout", "1s", "--json")
    assert (ended.code, "Traceback" in ended.stderr) == (1, False)
    error = ended.document["error"]
    assert (error["code"], error["message"]) == (
        "timeout",
        "the build was stopped while it was prepared: its limit of 1 s was reached",
    )
    made.write("rules/late.py", IN_PYTHON)
    assert forks.run(made.root, "build", "--timeout", "30m").code == 0
    assert tables(made.root) == expected
