"""Rules over streams that declare by_part: called once for each part; a false declaration is found by the audit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.inprocess import Ran, build, run
from support.projects import SampleProject

if TYPE_CHECKING:
    from collections.abc import Callable

TOML = (
    '\n[sources.flights]\npath = "data/flights"\n[sources.ports]\npath = "data/ports.parquet"\n[parts]\nmin_rows = 1\n'
)
STREAMS = '''import pyarrow as pa
import pyarrow.compute as pc

from rules import rule

LEAST = 5


@rule(engine="arrow", output={"port": pa.string(), "delay": pa.int64()}, by_part=["flights"])
def late(flights, ports):
    """Flights of known airports that are late."""
    known = pa.array(sorted(pa.Table.from_batches(ports)["port"].to_pylist()), pa.string())
    with open("calls.log", "a") as log:
        print("late", file=log)
    for batch in flights:
        found = batch.filter(pc.and_(pc.greater(batch["delay"], LEAST), pc.is_in(batch["port"], known)))
        yield found.select(["port", "delay"])


@rule(engine="arrow", output={"port": pa.string(), "rows": pa.int64()}, reads={"late": ["port"]}, by_part=["late"])
def ports_of_late(late):
    """Reads the parts of a product; each batch yields a row for each of its rows, so it works by parts."""
    for batch in late:
        yield pa.record_batch({"port": batch["port"], "rows": pa.array([1] * batch.num_rows, pa.int64())})
'''
FALSE = """import pyarrow as pa

from rules import rule


@rule(engine="arrow", output={"rows": pa.int64()}, by_part=["flights"])
def counted(flights):
    yield pa.record_batch({"rows": [sum(batch.num_rows for batch in flights)]})
"""
NAMES = ("late", "ports_of_late", "totals")
DAYS = 6


def put(project: SampleProject, number: int, *, rows: int = 20, plus: int = 0) -> None:
    path = project.root / "data" / "flights" / f"day_{number:03d}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    ports = [f"P{(n * number) % 4}" for n in range(rows)]
    delays = [(n * 7 + number) % 13 + plus for n in range(rows)]
    pq.write_table(pa.table({"port": ports, "delay": pa.array(delays, pa.int64()), "gate": range(rows)}), path)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SampleProject:
    made = SampleProject(tmp_path / "project", toml=TOML)
    for number in range(1, DAYS + 1):
        put(made, number)
    made.parquet("ports", {"port": ["P0", "P1", "P2"], "city": ["a", "b", "c"]})
    made.write("rules/streams.py", STREAMS)
    made.sql("totals", "SELECT o.port, SUM(o.rows) AS n FROM ports_of_late AS o GROUP BY o.port")
    monkeypatch.chdir(tmp_path)  # where the rule notes its calls
    return made


def calls() -> int:
    """Return how often `late` was called since this was last asked."""
    log = Path("calls.log")
    count = len(log.read_text(encoding="utf-8").splitlines())
    log.write_text("", encoding="utf-8")
    return count


def parts(ran: Ran) -> dict[str, tuple[int, int]]:
    return {
        one["name"]: (one["parts"]["total"], one["parts"]["run"]) for one in ran.document["products"] if "parts" in one
    }


def require_clean_build(project: SampleProject, ran: Ran, other: Path) -> None:
    """A build in an empty store gives the same tables, to the last bit."""
    shutil.rmtree(other, ignore_errors=True)
    clean = build(SampleProject.copy_of(project.root, other))
    artifacts = [{one["name"]: one["artifact"] for one in found.document["products"]} for found in (ran, clean)]
    assert artifacts[0] == artifacts[1]
    for name in NAMES:
        assert SampleProject.at(other).product(name).equals(project.product(name)), name


def test_a_function_is_called_once_for_each_part(project: SampleProject, tmp_path: Path) -> None:
    ran = build(project)
    assert parts(ran) == dict.fromkeys(NAMES, (DAYS, DAYS))
    assert calls() == DAYS
    assert build(project).executed == set()
    whole = SampleProject.copy_of(project.root, tmp_path / "whole")
    whole.edit("rules/streams.py", ', by_part=["flights"]', "")
    whole.edit("rules/streams.py", ', by_part=["late"]', "")
    build(whole)
    assert calls() == 1
    for name in NAMES:
        rows = [sorted(map(str, one.product(name).to_pylist())) for one in (project, whole)]
        assert rows[0] == rows[1], name
    assert run(project, "audit", "--json").document["differing"] == []


CHANGES: dict[str, tuple[Callable[[SampleProject], object], int, int]] = {
    "appended": (lambda project: put(project, DAYS + 1), DAYS + 1, 1),
    "late": (lambda project: put(project, 0), DAYS + 1, 1),
    "corrected": (lambda project: put(project, 3, plus=1), DAYS, 1),
    "deleted": (lambda project: (project.root / "data/flights/day_003.parquet").unlink(), DAYS - 1, 0),
    "other input": (lambda project: project.parquet("ports", {"port": ["P0", "P3"], "city": ["a", "d"]}), DAYS, DAYS),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_file_costs_one_call(project: SampleProject, tmp_path: Path, change: str) -> None:
    build(project)
    calls()
    make, total, new = CHANGES[change]
    make(project)
    planned = {one["name"]: one for one in run(project, "plan", "--json").document["products"]}
    assert planned["late"]["parts"] == {"input": "flights", "total": total, "run": new}
    assert planned["late"]["reason"].endswith(
        f"; {new or 'none'} of {total} parts of flights {'is' if new < 2 else 'are'} new"
    )
    assert calls() == 0
    ran = build(project)
    assert calls() == new
    assert parts(ran)["late"] == (total, new)
    read, again = parts(ran)["ports_of_late"]
    assert read == total
    assert again == new or (change == "other input" and again < new)  # a part of `late` can come out the same
    require_clean_build(project, ran, tmp_path / "clean")
    assert run(project, "audit", "--json").document["differing"] == []


EDITS = {
    "comment": ("    for batch in late:\n", "    # all of them\n    for batch in late:\n", 0),
    "constant": ("LEAST = 5", "LEAST = 6", DAYS),
    "declaration taken away": (', by_part=["flights"]', "", 1),
    "declaration of the other input": ('by_part=["flights"]', 'by_part=["ports"]', 1),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_calls_it_for_all_parts(project: SampleProject, edit: str) -> None:
    build(project)
    calls()
    old, new, expected = EDITS[edit]
    project.edit("rules/streams.py", old, new)
    build(project)
    assert calls() == expected


def test_swapped_inputs_share_no_result(project: SampleProject) -> None:
    """Two rules of one code, so of one fingerprint, that read the same two inputs the other way round."""
    text = "import pyarrow as pa\nimport pyarrow.compute as pc\nfrom rules import rule\n"
    for name, first, second in (("one", "flights", "others"), ("two", "others", "flights")):
        text += f'@rule(engine="arrow", output={{"n": pa.int64()}}, by_part=["{first}"])\n'
        text += f"def {name}({first}, {second}):\n"
        text += f"    rows = sum(batch.num_rows for batch in {second})\n"
        text += f"    for batch in {first}:\n"
        text += "        yield pa.record_batch({'n': pc.add(batch['gate'], rows)})\n"
    project.write("rules/swapped.py", text)
    shutil.copytree(project.root / "data" / "flights", project.root / "data" / "others")
    (project.root / "data/others/day_001.parquet").unlink()
    project.edit("rules.toml", "[parts]", '[sources.others]\npath = "data/others"\n[parts]')
    ran = build(project, "-s", "one", "-s", "two")
    assert len({one["fingerprint"] for one in ran.document["products"]}) == 1
    assert parts(ran) == {"one": (DAYS, DAYS), "two": (DAYS - 1, DAYS - 1)}
    for name, days, added in (("one", DAYS, DAYS - 1), ("two", DAYS - 1, DAYS)):
        assert project.product(name)["n"].to_pylist() == [gate + 20 * added for gate in range(20)] * days
    assert run(project, "audit", "-s", "one", "-s", "two", "--json").document["differing"] == []


def test_how_it_reads_is_explained(project: SampleProject) -> None:
    build(project)
    found = run(project, "explain", "late", "--json").document
    assert found["reading"] == {"flights": "part-wise", "ports": "whole"}
    assert found["reading_reason"]["flights"].startswith("Declared by by_part:")
    assert "part-wise: Declared by by_part" in run(project, "explain", "late").stdout


@pytest.mark.slow
def test_a_false_declaration_is_found_by_the_audit(project: SampleProject) -> None:
    project.write("rules/false.py", FALSE)
    build(project)
    assert project.product("counted").num_rows == DAYS
    for command in (["audit"], ["build", "--audit", "all"]):
        done = run(project, *command, expect=1)
        assert "the result of counted is not what its rule yields: run again it has 1 row instead of 6" in done.stderr
        assert 'since it read flights whole: by_part=["flights"] does not hold' in done.stderr
        assert "hint: take by_part from @rule in rules/false.py" in " ".join(done.stderr.split())
        assert "rules build --force" not in done.stderr
    differing = run(project, "audit", "--json", expect=1).document["differing"]
    assert [one["name"] for one in differing] == ["counted"]
    project.edit("rules/false.py", ', by_part=["flights"]', "")
    assert build(project).executed == {"counted"}
    assert project.product("counted").to_pylist() == [{"rows": DAYS * 20}]
    assert run(project, "audit", "--json").document["differing"] == []


def test_forcing_calls_it_for_every_part(project: SampleProject) -> None:
    first = build(project)
    calls()
    forced = build(project, "--force", "late")
    assert calls() == DAYS
    assert {one["name"]: one["artifact"] for one in forced.document["products"]} == {
        one["name"]: one["artifact"] for one in first.document["products"]
    }


WRONG = {
    "no input": (
        'engine="arrow", output={"a": pa.int64()}, by_part=["flight"]',
        "names 'flight', which is not an input",
    ),
    "a source that is not read": (
        'engine="arrow", output={"a": pa.int64()}, by_part=["ports"]',
        "names 'ports', which is not an input",
    ),
    "default": (
        'engine="arrow", output={"a": pa.int64()}, by_part=["least"]',
        "names 'least', which is no input, because it has a default",
    ),
    "Ibis": ('by_part=["flights"]', "'by_part' is only for rules over streams"),
    "text": ('engine="arrow", output={"a": pa.int64()}, by_part="flights"', "'by_part' must be a list of strings"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_located(project: SampleProject, name: str) -> None:
    options, message = WRONG[name]
    project.write(
        "rules/wrong.py",
        f"import pyarrow as pa\nfrom rules import rule\n\n@rule({options})\ndef x(flights, least=1): ...\n",
    )
    done = run(project, "build", "-k", expect=1)
    assert message in done.stderr
    assert "rules/wrong.py:4" in done.stderr
    assert "Traceback" not in done.stderr
