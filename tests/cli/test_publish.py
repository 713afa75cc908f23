"""`rules publish` to folders: only what changed there, whole or not at all, and readable with its types."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cache.keys import hash_json
from support import publishing
from support.forks import shared
from support.inprocess import run
from support.projects import SampleProject
from support.publishing import published

FILES = '\n[publish.files]\nto = "out"\n'


def sample(root: Path, toml: str = FILES) -> SampleProject:
    made = SampleProject(root, sources=["raw"], toml=toml)
    made.parquet("raw", {"id": [1, 2, 3], "region": ["EU", "", None]})
    made.sql("a", "SELECT r.id, r.region FROM raw AS r")
    made.sql("b", "SELECT a.id + 1 AS id FROM a")
    made.sql("c", "SELECT r.id AS id FROM raw AS r")
    return made


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    made = sample(tmp_path / "sample")
    run(made, "build")
    return made


def statuses(document: dict[str, Any], target: str = "files") -> dict[str, str]:
    (found,) = [one for one in document["targets"] if one["name"] == target]
    return {one["name"]: one["status"] for one in found["products"]}


def view(folder: Path, name: str) -> list[tuple[Any, ...]]:
    """The rows of a table as DuckDB sees them through the catalogue."""
    with duckdb.connect() as database:
        database.execute((folder / "views.sql").read_text(encoding="utf-8"))
        return database.sql(f'SELECT * FROM "{name}"').fetchall()


def state(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of all tables as published.json leads to them."""
    tables = json.loads((folder / "published.json").read_text(encoding="utf-8"))["tables"]
    return {
        name: [
            tuple(row.values()) for file in table["files"] for row in pq.read_table(folder / file["path"]).to_pylist()
        ]
        for name, table in tables.items()
    }


# What is sent


def test_it_sends_what_is_current_and_executes_nothing(project: SampleProject) -> None:
    project.sql("b", "SELECT a.id + 2 AS id FROM a")
    document = published(project, expect=1)
    assert statuses(document) == {"a": "sent", "b": "stale", "c": "sent"}
    assert document["status"] == "failed"
    assert set(state(project.root / "out")) == {"a", "c"}
    plan = run(project, "plan", "--json").document["products"]
    assert {one["name"]: one["verdict"] for one in plan} == {"a": "clean", "b": "run", "c": "clean"}


def test_build_brings_up_to_date_first(project: SampleProject) -> None:
    project.sql("a", "SELECT r.id + 1 AS id, r.region FROM raw AS r")
    document = published(project, "b", "--build")
    assert statuses(document) == {"b": "sent"}
    assert document["built"]["executed"] == 2
    assert view(project.root / "out", "b") == [(3,), (4,), (5,)]


def test_a_build_that_fails_leaves_its_products_stale(project: SampleProject) -> None:
    project.sql("a", "SELECT 1 / (r.id - r.id) AS id FROM raw AS r")
    document = published(project, "--build", expect=1)
    assert statuses(document) == {"a": "stale", "b": "stale", "c": "sent"}
    assert document["errors"][0]["where"] is None or "a.sql" in document["errors"][0]["where"]


def test_what_another_machine_has_built_is_published_without_executing(tmp_path: Path) -> None:
    cache = f'\n[cache]\nremote = "file://{tmp_path}/shared"\n'
    made = sample(tmp_path / "ci", FILES + cache)
    run(made, "build")
    clone = SampleProject.copy_of(made.root, tmp_path / "clone")
    document = published(clone, "--build")
    assert statuses(document) == {"a": "sent", "b": "sent", "c": "sent"}
    assert (document["built"]["executed"], document["built"]["restored"]) == (0, 3)


@pytest.mark.slow
def test_a_product_is_stale_if_something_above_it_is(project: SampleProject) -> None:
    project.sql("a", "SELECT r.id + 1 AS id, r.region FROM raw AS r")
    assert statuses(published(project, "-s", "b", expect=1)) == {"b": "stale"}


def test_only_what_changed_is_sent(project: SampleProject) -> None:
    assert set(statuses(published(project)).values()) == {"sent"}
    files = {path: path.stat().st_mtime_ns for path in (project.root / "out" / "tables").rglob("*.parquet")}
    project.sql("c", "SELECT r.id + 10 AS id FROM raw AS r")
    run(project, "build")
    dry = published(project, "--dry-run")
    assert statuses(dry) == {"a": "keep", "b": "keep", "c": "send"}
    assert state(project.root / "out")["c"] == [(1,), (2,), (3,)]
    assert statuses(published(project)) == {"a": "kept", "b": "kept", "c": "sent"}
    assert (
        files.items() <= {p: p.stat().st_mtime_ns for p in (project.root / "out" / "tables").rglob("*.parquet")}.items()
    )
    assert view(project.root / "out", "c") == [(11,), (12,), (13,)]
    assert "nothing to do (3 products published already)" in run(project, "publish").stdout


def test_a_rule_that_is_rewritten_to_the_same_table_sends_nothing(project: SampleProject) -> None:
    published(project)
    project.sql("c", "SELECT r.id + 0 AS id FROM raw AS r")
    run(project, "build")
    assert set(statuses(published(project)).values()) == {"kept"}


@pytest.mark.parametrize("count", [30, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(7200)])])
def test_three_of_many_that_changed_are_sent(tmp_path: Path, count: int) -> None:
    made = SampleProject(tmp_path / "many", sources=["raw"], toml=FILES)
    made.parquet("raw", {"id": [1, 2]})
    for number in range(count):
        made.sql(f"r{number}", f"SELECT r.id + {number} AS id FROM raw AS r")
    run(made, "build")
    assert published(made)["summary"] == {"sent": count}
    for number in (3, 15, count - 1):
        made.sql(f"r{number}", f"SELECT r.id - {number} - 1 AS id FROM raw AS r")
    run(made, "build")
    assert published(made)["summary"] == {"kept": count - 3, "sent": 3}


def test_the_version_before_stays_for_its_readers(project: SampleProject) -> None:
    out = project.root / "out"
    published(project)
    versions = []
    for number in (10, 20, 30):
        versions.append((out / "c.parquet").resolve())
        project.sql("c", f"SELECT r.id + {number} AS id FROM raw AS r")
        published(project, "--build")
    assert [path.exists() for path in versions] == [False, False, True]
    project.sql("c", "SELECT r.id + 20 AS id FROM raw AS r")
    published(project, "--build")
    assert pq.read_table(out / "c.parquet")["id"].to_pylist() == [21, 22, 23]
    assert len(list((out / "tables" / "c").iterdir())) == 2


# What others did there


@pytest.mark.parametrize("damage", ["changed", "removed", "added", "same length"])
def test_what_someone_else_changed_is_noticed(project: SampleProject, damage: str) -> None:
    published(project)
    out = project.root / "out"
    wanted = state(out)
    file = (out / "c.parquet").resolve()
    if damage == "changed":
        file.write_bytes(b"PAR1")
    elif damage == "removed":
        file.unlink()
    elif damage == "added":
        shutil.copy(file, file.with_name("part-00001-000000000000.parquet"))
    else:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    document = published(project)
    assert statuses(document) == {"a": "kept", "b": "kept", "c": "sent"}
    (reason,) = [one["reason"] for one in document["targets"][0]["products"] if one["name"] == "c"]
    assert "someone else" in reason
    assert state(out) == wanted
    assert set(statuses(published(project)).values()) == {"kept"}


def test_a_file_that_was_only_touched_is_kept(project: SampleProject) -> None:
    published(project)
    os.utime((project.root / "out" / "c.parquet").resolve(), (1, 1))
    assert set(statuses(published(project)).values()) == {"kept"}


def test_links_and_catalogue_are_mended(project: SampleProject) -> None:
    published(project)
    out = project.root / "out"
    (out / "c.parquet").unlink()
    (out / "views.sql").write_text("", encoding="utf-8")
    assert set(statuses(published(project)).values()) == {"kept"}
    assert pq.read_table(out / "c.parquet").num_rows == 3
    assert len(view(out, "c")) == 3


@pytest.mark.parametrize("name", ["published.json", "views.sql", "tables/a.txt"])
def test_a_folder_of_someone_else_is_left_alone(project: SampleProject, name: str) -> None:
    project.write(f"out/{name}", "mine")
    document = published(project, expect=1)
    assert "no publish wrote" in document["targets"][0]["error"]["message"]
    assert project.read(f"out/{name}") == "mine"
    assert not (project.root / "out" / "a.parquet").exists()


def test_a_file_in_the_place_of_a_table_fails_that_table_alone(project: SampleProject) -> None:
    project.write("out/a.parquet", "mine")
    assert statuses(published(project, expect=1)) == {"a": "failed", "b": "sent", "c": "sent"}
    assert project.read("out/a.parquet") == "mine"


def test_a_published_json_that_leads_elsewhere_removes_nothing_there(project: SampleProject) -> None:
    published(project)
    mine = project.write("mine/part-00000-000000000000.parquet", "mine")
    whole = json.loads(project.read("out/published.json"))
    whole["tables"]["a"]["former"] = "tables/../../mine"
    whole["seal"] = hash_json({name: value for name, value in whole.items() if name != "seal"})
    project.write("out/published.json", json.dumps(whole))
    assert "no publish wrote" in published(project, "--prune", expect=1)["targets"][0]["error"]["message"]
    whole["tables"]["a"]["rows"] = 7
    project.write("out/published.json", json.dumps(whole))
    assert "was changed by someone else" in published(project, expect=1)["targets"][0]["error"]["message"]
    assert mine.exists()


def test_the_store_is_no_target(project: SampleProject) -> None:
    project.edit("rules.toml", 'to = "out"', 'to = ".rules/out"')
    assert published(project, expect=1)["targets"][0]["error"]["code"] == "config"


def test_prune_removes_what_has_no_product_any_more(project: SampleProject) -> None:
    published(project)
    (project.root / "rules" / "c.sql").unlink()
    assert published(project)["targets"][0]["others"] == ["c"]
    assert statuses(published(project, "--prune", "--dry-run"))["c"] == "remove"
    assert (project.root / "out" / "c.parquet").exists()
    assert statuses(published(project, "--prune"))["c"] == "removed"
    assert sorted(path.name for path in (project.root / "out").iterdir() if not path.name.startswith(".")) == [
        "a.parquet", "b.parquet", "published.json", "tables", "views.sql",
    ]  # fmt: skip
    assert set(state(project.root / "out")) == {"a", "b"}


@pytest.mark.slow
def test_a_killed_prune_leaves_no_link_that_the_next_publish_does_not_mend(project: SampleProject) -> None:
    forks, root, kept = shared(), project.root, project.root.parent / "kept"
    out = root / "out"
    run(project, "publish")
    (out / "mine").symlink_to("tables/c/elsewhere")
    (root / "rules" / "c.sql").unlink()
    shutil.copytree(root, kept, symlinks=True)
    steps = forks.run(root, "publish", "--prune", kill_at=-1).steps
    names = {path.name for path in out.iterdir()}
    assert "c.parquet" not in names
    assert "mine" in names
    for at in range(len(steps) - 16, len(steps), 2):
        shutil.rmtree(root)
        shutil.copytree(kept, root, symlinks=True)
        assert forks.run(root, "publish", "--prune", kill_at=at).killed
        assert forks.run(root, "publish", "--prune").code == 0
        assert {path.name for path in out.iterdir()} == names


def test_prune_takes_what_cannot_be_loaded_for_something_that_is_there(project: SampleProject) -> None:
    text = "from rules import rule\n\n\n@rule\ndef d(raw):\n    return raw.select('id')\n"
    project.write("rules/more.py", text)
    published(project, "--build")
    project.write("rules/more.py", "import nothing_of_this_name\n" + text)
    assert published(project, expect=1)["targets"][0]["others"] == []
    run(project, "publish", "--prune", expect=None)
    assert (project.root / "out" / "d.parquet").exists()


def test_prune_takes_no_selection(project: SampleProject) -> None:
    assert "takes no selection" in run(project, "publish", "--prune", "a", expect=2).stderr


# Environments and selection

ENVIRONMENTS = """
[publish.dev]
to = "dev"
env = ["dev"]

[publish.prod]
to = "prod"
env = ["prod"]
select = ["b+", "c"]
exclude = ["c"]

[publish.plain]
to = "plain"
format = "csv"
"""


def test_environments_are_sets_of_targets(tmp_path: Path) -> None:
    made = sample(tmp_path / "sample", ENVIRONMENTS)
    run(made, "build")
    assert [one["name"] for one in published(made)["targets"]] == ["plain"]
    assert statuses(published(made, "--env", "prod"), "prod") == {"b": "sent"}
    both = published(made, "--env", "prod", "--env", "dev")
    assert {one["name"]: one["summary"] for one in both["targets"]} == {"dev": {"sent": 3}, "prod": {"kept": 1}}
    assert [one["name"] for one in published(made, "--target", "dev")["targets"]] == ["dev"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--env", "prd"], "no target is in an environment 'prd'"),
        (["--target", "produ"], "unknown target 'produ'"),
        (["--target", "dev", "--env", "prod"], "the target 'dev' is not in prod"),
        (["nothing_of_it"], "nothing_of_it"),
    ],
)
def test_names_that_are_not_there(tmp_path: Path, words: list[str], message: str) -> None:
    made = sample(tmp_path / "sample", ENVIRONMENTS)
    run(made, "build")
    ran = run(made, "publish", "--json", *words, expect=2)
    assert message in ran.document["error"]["message"]
    assert ran.document["error"]["hint"]


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("", "rules.toml names no target to publish to"),
        ('[publish.x]\nto = "ftp://host/x"', "'to' of [publish.x] names nothing that can be published to"),
        ('[publish.x]\nto = "postgresql://me:secret@host/db"', "'to' of [publish.x] holds a password"),
        ('[publish.x]\nto = "postgresql://host/db?password=secret"', "'to' of [publish.x] holds a password"),
        ('[publish.x]\nto = "out"\nschema = "mart"', "'schema' means nothing for [publish.x]"),
        ('[publish.x]\nto = "postgresql://host/db"\nformat = "csv"', "'format' means nothing for [publish.x]"),
        ('[publish.x]\nto = "out"\nformat = "xlsx"', "'format' cannot be 'xlsx'"),
        ('[publish.x]\nto = "out"\nenv = ["p"]', "every target is part of an environment"),
        ('[publish.x]\nto = "out"\n[publish.x.partition_by]\nnothing = ["a"]', "partitions 'nothing'"),
        ('[publish.x]\nto = "out"\nselect = ["nothing"]', "[publish.x] selects what is not there"),
        ("[publish.x]", "missing key 'to' in [publish.x]"),
    ],
)
def test_targets_that_are_not_usable(tmp_path: Path, toml: str, message: str) -> None:
    made = sample(tmp_path / "sample", f"\n{toml}\n")
    ran = run(made, "publish", "--json", expect=2)
    assert message in ran.document["error"]["message"]
    assert "secret" not in ran.stdout + ran.stderr


# Formats and types

TYPED = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "small": pa.array([-128, None, 127], pa.int8()),
        "price": pa.array([decimal.Decimal("1.10"), None, decimal.Decimal("-99999999.99")], pa.decimal128(10, 2)),
        "at": pa.array([dt.datetime(2024, 2, 29, 1, 2, 3, 4567), None, dt.datetime(1899, 12, 31)], pa.timestamp("us")),
        "zoned": pa.array([dt.datetime(2024, 2, 29, tzinfo=dt.UTC), None, None], pa.timestamp("us", "UTC")),
        "day": pa.array([dt.date(2024, 2, 29), None, dt.date(1, 1, 1)], pa.date32()),
        "ratio": pa.array([float("nan"), None, float("-inf")]),
        "word": pa.array(['a,"b"\n', "", None]),
        "kind": pa.array(["x", None, "x"]).dictionary_encode(),
        "yes": pa.array([True, None, False]),
    }
)  # fmt: skip
NESTED = {
    "items": pa.array([[1, None], [], None], pa.list_(pa.int64())),
    "pair": pa.array([{"x": 1, "y": "a"}, None, {"x": None, "y": ""}]),
}


def typed(root: Path, format_: str, *, nested: bool) -> SampleProject:
    made = SampleProject(root, sources=["raw"], toml=f'{FILES}format = "{format_}"\n')
    table = TYPED
    for name, column in NESTED.items() if nested else ():
        table = table.append_column(name, column)
    made.parquet("raw", table)
    columns = ", ".join(f'r."{name}"' for name in table.column_names)
    made.sql("full", f"SELECT {columns} FROM raw AS r ORDER BY r.id")
    made.sql("empty", f"SELECT {columns} FROM raw AS r WHERE r.id < 0")
    run(made, "build")
    return made


@pytest.mark.parametrize(("format_", "nested"), [("parquet", True), ("csv", False), ("json", False)])
def test_types_as_duckdb_reads_them(tmp_path: Path, format_: str, nested: bool) -> None:
    made = typed(tmp_path / "typed", format_, nested=nested)
    published(made)
    for name in ("full", "empty"):
        stored = made.product(name)
        with duckdb.connect() as database:
            database.execute(made.read("out/views.sql"))
            found = database.sql(f'SELECT * FROM "{name}"').to_arrow_table()
        assert found.num_rows == stored.num_rows
        assert found.column_names == stored.column_names
        for column in stored.column_names:
            one, other = found[column], stored[column]
            if pa.types.is_large_string(other.type):
                assert pa.types.is_string(one.type)
            elif pa.types.is_timestamp(other.type):
                assert pa.types.is_timestamp(one.type)
                assert bool(one.type.tz) == bool(other.type.tz)
                one = one.cast(other.type)
            elif not pa.types.is_nested(other.type):
                assert one.type == other.type
            assert repr(one.to_pylist()) == repr(other.to_pylist()), column


def test_arrow_files_are_the_table(tmp_path: Path) -> None:
    made = typed(tmp_path / "typed", "arrow", nested=True)
    published(made)
    for name in ("full", "empty"):
        with pa.memory_map(str(made.root / "out" / f"{name}.arrow")) as source:
            assert repr(pa.ipc.open_file(source).read_all().to_pylist()) == repr(made.product(name).to_pylist())


def test_what_a_format_cannot_hold_is_refused_before_it_is_written(tmp_path: Path) -> None:
    made = typed(tmp_path / "typed", "csv", nested=True)
    made.sql("plain", "SELECT r.id FROM raw AS r")
    document = published(made, "--build", expect=1)
    assert statuses(document) == {"full": "failed", "empty": "failed", "plain": "sent"}
    assert "csv cannot hold column 'items'" in document["targets"][0]["products"][1]["error"]["message"]
    assert [path.name for path in (made.root / "out" / "tables").iterdir()] == ["plain"]


def test_another_format_is_sent_anew_under_its_own_name(project: SampleProject) -> None:
    published(project)
    project.edit("rules.toml", 'to = "out"', 'to = "out"\nformat = "csv"')
    assert set(statuses(published(project)).values()) == {"sent"}
    out = project.root / "out"
    assert sorted(path.name for path in out.glob("*.*")) == [
        ".publish.lock", "a.csv", "b.csv", "c.csv", "published.json", "views.sql",
    ]  # fmt: skip
    assert view(out, "a") == [(1, "EU"), (2, ""), (3, None)]


@pytest.mark.parametrize("format_", ["parquet", "csv", "json"])
def test_partitions_keep_types_and_null_apart_from_empty(tmp_path: Path, format_: str) -> None:
    toml = f'{FILES}format = "{format_}"\n[publish.files.partition_by]\na = ["region", "year"]\nnone = ["region"]\n'
    made = SampleProject(tmp_path / "sample", sources=["raw"], toml=toml)
    made.parquet("raw", {"id": [1, 2, 3, 4], "region": ["a/b=c %41", "", None, "EU"], "year": [2024, None, 7, 2024]})
    made.sql("a", "SELECT r.region, r.id, r.year FROM raw AS r")
    made.sql("none", "SELECT r.region, r.id FROM raw AS r WHERE r.id < 0")
    run(made, "build")
    published(made)
    rows = sorted(view(made.root / "out", "a"), key=lambda row: row[1])
    assert rows == [("a/b=c %41", 1, 2024), ("", 2, None), (None, 3, 7), ("EU", 4, 2024)]
    assert view(made.root / "out", "none") == []
    assert (made.root / "out" / "a" / "region=EU" / "year=2024").is_dir()
    assert set(statuses(published(made)).values()) == {"kept"}


def test_names_that_sql_would_not_take_are_quoted_in_the_catalogue(tmp_path: Path) -> None:
    made = SampleProject(tmp_path / "it's [odd] *", sources=["raw"], toml=FILES)
    made.parquet("raw", {"id": [1]})
    made.sql("select_", 'SELECT r.id AS "a ""b"" \'c\'" FROM raw AS r'.replace('" FROM', '" FROM'))
    run(made, "build")
    published(made)
    assert view(made.root / "out", "select_") == [(1,)]


# Crashes


def outside(out: Path) -> dict[str, tuple[int, int, int]]:
    """The tables as they are found by their links: rows, least and greatest state."""
    found = {}
    for name in publishing.NAMES:
        column = pq.read_table(out / f"{name}.parquet")["state"].to_pylist()
        found[name] = (len(column), min(column), max(column))
    return found


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_200_kills_at_random_times(tmp_path: Path) -> None:
    kills, out = int(os.environ.get("RULES_SOAK_KILLS", "200")), tmp_path / "out"
    toml = f'\n[publish.files]\nto = "{out}"\n'
    publishing.killed_at_random(tmp_path, toml, lambda: outside(out), kills=kills, seed=1)


def through_views(out: Path) -> dict[str, tuple[int, int, int]]:
    """The tables as DuckDB sees them by one reading of the catalogue, all of which are of one publish."""
    found = {}
    with duckdb.connect() as database:
        database.execute((out / "views.sql").read_text(encoding="utf-8"))
        for name in publishing.NAMES:
            question = database.execute(f'SELECT COUNT(*), MIN(state), MAX(state) FROM "{name}"')
            found[name] = question.fetchall()[0]
    assert len({one[1] for one in found.values()}) == 1, "tables of one publish become current together"
    return found


@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(2, marks=pytest.mark.slow),
        pytest.param(int(os.environ.get("RULES_SOAK_KILLS", "200")), marks=pytest.mark.soak),
    ],
)
def test_duckdb_sees_one_publish_whenever_another_is_killed(tmp_path: Path, kills: int) -> None:
    out = tmp_path / "out"
    toml = f'\n[publish.files]\nto = "{out}"\nviews = true\n'
    publishing.killed_at_random(tmp_path, toml, lambda: through_views(out), kills=kills, seed=1)


def changed(project: SampleProject, number: int) -> None:
    for name in ("a", "b", "c"):
        project.sql(name, f"SELECT r.id + {number} AS id FROM raw AS r")
    run(project, "build")


@pytest.mark.slow
def test_killed_at_any_step_its_readers_see_the_old_or_the_new(project: SampleProject) -> None:
    """All tables of one publish at once, by published.json and by the catalogue; the next publish mends the rest."""
    forks, chance, out = shared(), random.Random(1), project.root / "out"
    changed(project, 100)
    run(project, "publish")
    former = state(out)
    changed(project, 0)
    steps = [at for at, step in enumerate(forks.run(project.root, "publish", kill_at=-1).steps)
             if not step.endswith(("script", "COMMIT", "IMMEDIATE"))]  # fmt: skip
    wanted, seen, number = state(out), set(), 0
    for at in chance.sample(steps, 10):
        changed(project, 100)
        run(project, "publish")
        changed(project, number := 0)
        assert forks.run(project.root, "publish", kill_at=at).killed
        found = state(out)
        assert found in (former, wanted)
        seen.add(found == wanted)
        assert {name: view(out, name) for name in found} in (former, wanted)
        for name in found:
            assert pq.read_table(out / f"{name}.parquet")["id"].to_pylist() in ([1, 2, 3], [101, 102, 103])
        run(project, "publish")
        assert state(out) == wanted
        assert {name: view(out, name) for name in found} == wanted
        assert set(statuses(published(project)).values()) == {"kept"}
        left = {path.name for path in out.rglob("*") if path.name.endswith(".new")}
        assert not left
        assert all(len(list(path.iterdir())) <= 2 for path in (out / "tables").iterdir())
    assert number == 0
    assert False in seen
