"""Stored objects: immutable, checked before they are trusted, and made again when they are damaged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from cache.errors import ObjectError
from cache.objects import Objects
from cache.signatures import SEAL_NS
from support.inprocess import build, run
from support.projects import RULES, SampleProject

if TYPE_CHECKING:
    from collections.abc import Callable

GIT = shutil.which("git") or "git"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    """A chain a → b → c over a CSV source, built."""
    made = SampleProject(tmp_path / "project", toml='\n[sources.raw]\npath = "data/raw.csv"\n')
    made.write("data/raw.csv", "id,v\n1,10\n2,20\n3,30\n")
    made.sql("a", "SELECT id, v FROM raw WHERE id > 1")
    made.sql("b", "SELECT id, v * 2 AS w FROM a")
    made.sql("c", "SELECT SUM(w) AS total FROM b")
    assert build(made).executed == {"a", "b", "c"}
    assert "nothing to do" in run(made, "build").stdout
    return made


def object_of(project: SampleProject, product: str) -> Path:
    return (project.root / ".rules" / "products" / f"{product}.parquet").resolve()


def ingested(project: SampleProject) -> Path:
    """The object of the CSV source: the one that no product links to."""
    products = {object_of(project, name) for name in ("a", "b", "c")}
    (found,) = set((project.root / ".rules" / "objects").glob("*/*")) - products
    return found


def flip(path: Path, *, hide: bool = False) -> None:
    """Change one byte of the data; `hide` restores the time stamp, as a failing disk would leave it."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[8] ^= 0x10
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)
    if hide:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def truncate(path: Path) -> None:
    path.chmod(0o644)
    os.truncate(path, path.stat().st_size // 2)


def assert_sound(project: SampleProject) -> None:
    """The products are what a build in an empty store gives, and there is nothing left to do."""
    assert project.product("a").to_pylist() == [{"id": 2, "v": 20}, {"id": 3, "v": 30}]
    assert project.product("b").to_pylist() == [{"id": 2, "w": 40}, {"id": 3, "w": 60}]
    assert project.product("c").to_pylist() == [{"total": 100}]
    assert "nothing to do" in run(project, "build").stdout


@pytest.mark.parametrize(("damage", "said"), [(flip, "is corrupt"), (truncate, "is corrupt"), (Path.unlink, "")])
def test_a_damaged_object_is_noticed_by_the_next_build_and_made_again(
    project: SampleProject, damage: Callable[[Path], None], said: str
) -> None:
    damage(object_of(project, "b"))
    ran = build(project)
    assert ran.executed == {"b"}
    assert said in ran.stderr
    assert_sound(project)


@pytest.mark.parametrize("damage", [flip, truncate, Path.unlink])
def test_show_and_plan_do_not_pass_off_a_damaged_object(project: SampleProject, damage: Callable[[Path], None]) -> None:
    damage(object_of(project, "b"))
    assert "rules build" in run(project, "show", "b", expect=1).stderr
    plan = {product["name"]: product["verdict"] for product in run(project, "plan", "--json").document["products"]}
    assert plan["b"] == "run"
    assert run(project, "show", "a").code == 0


def test_corruption_that_left_no_trace_is_found_when_the_object_is_read(project: SampleProject) -> None:
    flip(object_of(project, "a"), hide=True)
    project.edit("rules/b.sql", "v * 2", "v * 2 - NULLIF(0, 1)")
    ran = build(project)
    assert ran.executed == {"a", "b"}
    assert ran.stderr.count("warning") == 1
    assert "is corrupt" in ran.stderr
    assert_sound(project)


def test_corruption_that_left_no_trace_is_found_when_a_product_is_restored(project: SampleProject) -> None:
    old = object_of(project, "b")
    project.edit("rules/b.sql", "v * 2", "v * 3")
    build(project)
    flip(old, hide=True)
    project.edit("rules/b.sql", "v * 3", "v * 2")
    ran = build(project)
    assert ran.executed == {"b"}
    assert "is corrupt" in ran.stderr
    assert_sound(project)


def test_a_corrupt_old_artifact_is_not_kept_for_a_result_in_another_order(project: SampleProject) -> None:
    old = object_of(project, "b")
    flip(old, hide=True)
    project.edit("rules/b.sql", "FROM a", "FROM (SELECT * FROM a ORDER BY id DESC LIMIT 10) AS a")
    ran = build(project)
    assert ran.executed >= {"b"}
    assert "takes its place" in ran.stderr
    assert sorted(row["w"] for row in project.product("b").to_pylist()) == [40, 60]
    for path in (project.root / ".rules" / "products").iterdir():
        pq.read_table(path)


@pytest.mark.parametrize("hide", [False, True])
def test_the_corrupt_object_of_an_ingested_source_is_ingested_again_when_read(
    project: SampleProject, hide: bool
) -> None:
    flip(ingested(project), hide=hide)
    project.edit("rules/a.sql", "id > 1", "id <> 1")
    ran = build(project)
    assert "a" in ran.executed
    assert "is corrupt" in ran.stderr
    assert_sound(project)


def test_an_input_outside_the_selection_that_proves_corrupt_is_named_with_the_way_out(project: SampleProject) -> None:
    flip(object_of(project, "a"), hide=True)
    project.edit("rules/b.sql", "v * 2", "v * 2 - NULLIF(0, 1)")
    failed = run(project, "build", "-s", "b", expect=1)
    assert "rules build -s a" in failed.stderr
    assert build(project, "-s", "a").executed == {"a"}
    build(project)
    assert_sound(project)


def test_a_missing_folder_of_products_or_temporary_files_or_links_is_put_back(project: SampleProject) -> None:
    store = project.root / ".rules"
    shutil.rmtree(store / "products")
    assert build(project).executed == set()
    assert_sound(project)
    shutil.rmtree(store / "tmp")
    assert_sound(project)
    (store / "products" / "a.parquet").unlink()
    assert build(project).executed == set()
    assert_sound(project)
    (store / "products" / "a.parquet").unlink()
    (store / "products" / "a.parquet").symlink_to(object_of(project, "c"))
    assert build(project).executed == set()
    assert_sound(project)
    shutil.rmtree(store / "objects")
    assert build(project).executed == {"a", "b", "c"}
    assert_sound(project)


def test_a_copied_store_whose_time_stamps_are_gone_is_read_once_and_trusted_again(project: SampleProject) -> None:
    for path in (project.root / ".rules" / "objects").glob("*/*"):
        os.utime(path)
    assert build(project).executed == set()
    assert_sound(project)


def test_equal_content_of_two_products_is_stored_once(project: SampleProject) -> None:
    project.sql("again", "SELECT id, v FROM raw WHERE id <> 1")
    assert build(project).executed == {"again"}
    assert object_of(project, "again") == object_of(project, "a")
    assert_sound(project)


def test_a_product_that_is_gone_disappears_and_a_renamed_one_runs_nothing(project: SampleProject) -> None:
    (project.root / "rules/a.sql").rename(project.root / "rules/renamed.sql")
    project.edit("rules/b.sql", "FROM a", "FROM renamed")
    ran = build(project)
    assert ran.statuses == {"renamed": "restored", "b": "clean", "c": "clean"}
    assert names(project.root / ".rules/products") == ["b.parquet", "c.parquet", "renamed.parquet"]
    (project.root / "rules/c.sql").unlink()
    build(project)
    assert names(project.root / ".rules/products") == ["b.parquet", "renamed.parquet"]
    assert "'c'" in run(project, "show", "c", expect=2).stderr


def test_going_to_another_branch_and_back_executes_nothing(project: SampleProject) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run([GIT, *identity, *arguments], cwd=project.root, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "one")
    git("switch", "-qc", "other")
    project.edit("rules/a.sql", "id > 1", "id > 2")
    project.write("data/raw.csv", "id,v\n1,10\n2,20\n3,31\n")
    git("commit", "-qam", "two")
    assert build(project).executed == {"a", "b", "c"}
    git("switch", "-q", "main")
    assert set(build(project).statuses.values()) == {"restored"}
    assert_sound(project)
    git("switch", "-q", "other")
    assert set(build(project).statuses.values()) == {"restored"}
    assert project.product("c").to_pylist() == [{"total": 62}]


_LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from rules.cli import main
sys.exit(main(sys.argv[2:]))
"""


def limited(project: SampleProject, size: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `rules` where no file can grow beyond `size` bytes, which fails a write as a full disk does."""
    command = [sys.executable, "-c", _LIMITED, str(size), *arguments]
    return subprocess.run(command, cwd=project.root, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_a_disk_that_is_full_fails_the_product_and_keeps_the_last_good_one(project: SampleProject) -> None:
    project.edit(
        "rules/c.sql",
        "SELECT SUM(w) AS total FROM b",
        "SELECT value AS v, uuid() AS total FROM generate_series(1, 200000)",
    )
    project.write("rules/c.sql", "-- /// rule\n-- volatile = true\n-- ///\n" + project.read("rules/c.sql"))
    failed = limited(project, 1_000_000, "build", "--json")
    assert failed.returncode == 1, failed.stderr
    assert '"c", "status": "failed"' in failed.stdout
    assert "Traceback" not in failed.stderr
    assert project.product("c").to_pylist() == [{"total": 100}]
    assert names(project.root / ".rules" / "tmp") == []
    assert build(project).executed == {"c"}
    assert project.product("c").num_rows == 200_000


def test_a_store_that_cannot_be_written_at_all_is_an_error_and_not_a_crash(project: SampleProject) -> None:
    project.edit("rules/c.sql", "SUM(w)", "MAX(w)")
    failed = limited(project, 0, "build")
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: ")
    assert "internal" not in failed.stderr
    project.edit("rules/c.sql", "MAX(w)", "SUM(w)")
    build(project)
    assert_sound(project)


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    made = Objects(tmp_path / "store")
    made.create()
    return made


def put(objects: Objects, name: str, data: bytes, recorded: tuple[int, str] | None = None) -> tuple[int, str]:
    path = objects.temporary()
    path.write_bytes(data)
    return objects.adopt(path, name, recorded)


def test_two_results_of_one_content_keep_the_first_object_and_one_record(objects: Objects) -> None:
    # Two products executed side by side give one table, in files of other bytes; the index knows of neither yet.
    first = put(objects, "ab01", b"first")
    assert put(objects, "ab01", b"other bytes") == first
    assert objects.path("ab01").read_bytes() == b"first"
    assert names(objects.temporary().parent) == []


def test_an_object_is_read_only_sealed_and_verified(objects: Objects) -> None:
    size, digest = put(objects, "ab02", b"bytes")
    path = objects.path("ab02")
    assert path.stat().st_mode & 0o777 == 0o444
    assert path.stat().st_mtime_ns == SEAL_NS
    fresh = Objects(objects.root)
    fresh.verify("ab02", size, digest)
    flip_to = b"bytez"
    path.chmod(0o644)
    path.write_bytes(flip_to)
    assert not fresh.intact("ab02", size, digest)
    with pytest.raises(ObjectError, match="corrupt"):
        Objects(objects.root).verify("ab02", size, digest)
    assert put(Objects(objects.root), "ab02", b"bytes", (size, digest)) == (size, digest)
    assert path.read_bytes() == b"bytes"


def test_an_object_that_the_index_does_not_know_is_replaced(objects: Objects) -> None:
    put(objects, "ab03", b"left by a build that was killed")
    size, digest = put(Objects(objects.root), "ab03", b"whole")
    assert objects.path("ab03").read_bytes() == b"whole"
    Objects(objects.root).verify("ab03", size, digest)


def test_the_store_never_gets_into_git(project: SampleProject) -> None:
    subprocess.run([GIT, "init", "-q"], cwd=project.root, check=True)
    status = subprocess.run(
        [GIT, "status", "--porcelain"], cwd=project.root, capture_output=True, text=True, check=True
    )
    assert ".rules" not in status.stdout
    (project.root / ".rules/.gitignore").write_text("")  # a build killed while it wrote it
    project.sql("d", "SELECT 1 AS one")
    build(project)
    assert (project.root / ".rules/.gitignore").read_text() == "*\n"


def test_rows_in_another_order_keep_the_old_artifact_unless_order_is_content(tmp_path: Path) -> None:
    made = SampleProject(tmp_path / "project", sources=["left_half", "right_half"])
    made.parquet("left_half", {"id": list(range(20_000))})
    made.parquet("right_half", {"id": list(range(20_000, 20_010))})
    made.sql("both", "SELECT id FROM left_half UNION ALL SELECT id FROM right_half")
    made.sql("reader", "SELECT COUNT(id) AS n, MAX(id) AS top FROM both")
    made.sql("sorted", "SELECT id FROM both ORDER BY id")
    build(made)
    artifact = object_of(made, "both")
    swapped = "SELECT id FROM right_half UNION ALL SELECT id FROM left_half"
    made.sql("both", swapped)
    for _ in range(3):
        ran = build(made, "--force", "both")
        assert ran.executed == {"both"}
        assert object_of(made, "both") == artifact
    made.sql("sorted", "SELECT id FROM both ORDER BY id DESC")
    assert build(made).executed == {"sorted"}
    assert made.product("sorted").column("id")[0].as_py() == 20_009


def test_a_reader_of_a_permuted_input_stays_clean_beside_an_input_from_outside(tmp_path: Path) -> None:
    made = SampleProject(tmp_path / "project", sources=["numbers", "names"])
    made.parquet("numbers", {"id": [1, 2, 3, 4], "extra": [1, 1, 1, 1]})
    made.parquet("names", {"id": [1, 2], "name": ["a", "b"]})
    made.sql("shuffled", "SELECT id, extra FROM numbers LIMIT 10")
    made.sql("joined", "SELECT n.name FROM shuffled AS s JOIN names AS n ON n.id = s.id")
    build(made)
    made.parquet("numbers", {"id": [4, 3, 2, 1], "extra": [1, 1, 1, 2]})
    ran = build(made)
    assert ran.executed == {"shuffled"}
    assert ran.statuses["joined"] == "clean"
    made.parquet("numbers", {"id": [4, 3, 2, 2], "extra": [1, 1, 1, 2]})
    assert build(made).executed == {"shuffled", "joined"}


def test_a_corrupt_earlier_input_only_costs_the_comparison(tmp_path: Path) -> None:
    made = SampleProject(tmp_path / "project", sources=["numbers"])
    made.parquet("numbers", {"id": [1, 2, 3, 4], "extra": [1, 1, 1, 1]})
    made.sql("shuffled", "SELECT id, extra FROM numbers LIMIT 10")
    made.sql("top", "SELECT MAX(id) AS top FROM shuffled")
    build(made)
    flip(object_of(made, "shuffled"), hide=True)
    made.parquet("numbers", {"id": [4, 3, 2, 1], "extra": [1, 1, 1, 2]})
    ran = build(made)
    assert ran.executed == {"shuffled", "top"}
    assert made.product("top").to_pylist() == [{"top": 4}]


@pytest.mark.slow
def test_the_command_line_says_that_an_object_was_corrupt(project: SampleProject) -> None:
    flip(object_of(project, "a"))
    done = subprocess.run([str(RULES), "build"], cwd=project.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "warning: object" in done.stderr
    assert "nothing to do" not in done.stdout
