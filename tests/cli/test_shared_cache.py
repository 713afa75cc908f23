"""A shared cache: what one builder has computed, others take, verified; whatever goes wrong with it, they build."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from obstore.exceptions import GenericError

from cache.remote.bucket import BucketError, DeniedError, Persistent
from cache.remote.leases import Leases
from cache.remote.obstore_errors import done
from support import inprocess
from support.forks import shared
from support.projects import SampleProject

RULES = {
    "big": "SELECT o.id, o.amount * 2 AS doubled FROM orders AS o WHERE o.amount > 1",
    "total": "SELECT SUM(b.doubled) AS total FROM big AS b",
    "few": "SELECT b.id FROM big AS b WHERE b.doubled > 4",
}
ALL = set(RULES)


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


def stored(remote: str, kind: str) -> list[Path]:
    """Return the files of the shared cache: "actions", "objects" or "leases"."""
    return sorted(one for one in (Path(remote.removeprefix("file://")) / "rules-v1" / kind).rglob("*") if one.is_file())


def record_of(remote: str, built: inprocess.Ran, name: str) -> Path:
    """Return the record of a product."""
    key = next(one["key"] for one in built.document["products"] if one["name"] == name)
    return Path(remote.removeprefix("file://")) / "rules-v1" / "actions" / key[:2] / f"{key[2:]}.json"


def object_of(record: Path) -> Path:
    """Return the file that a record names."""
    sha256 = json.loads(record.read_bytes().partition(b"\n")[2])["tables"][0]["sha256"]
    return record.parents[2] / "objects" / sha256[:2] / f"{sha256[2:]}.parquet"


def flip(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    data[place % len(data)] ^= 0x10
    file.write_bytes(bytes(data))


def refusals(ran: inprocess.Ran) -> list[str]:
    return [one["reason"] for one in ran.document["shared"]["refused"]]


def test_a_fresh_clone_takes_what_another_builder_has_computed(tmp_path: Path, remote: str) -> None:
    first, second = project(tmp_path / "a", remote), project(tmp_path / "b", remote)
    built = inprocess.build(first)
    assert built.executed == ALL
    assert built.document["shared"]["unsent"] == 0
    assert stored(remote, "leases") == []
    plan = inprocess.run(second, "plan", "--json").document
    assert {one["name"]: (one["verdict"], one["fetch"]["bytes"] > 0) for one in plan["products"]} == dict.fromkeys(
        RULES, ("restore", True)
    )
    taken = inprocess.build(second)
    assert set(taken.statuses.values()) == {"restored"}
    assert all(one["shared"] for one in taken.document["products"])
    assert all(check["status"] == "restored" for one in taken.document["products"] for check in one["checks"])
    for name in RULES:
        assert second.product(name).equals(first.product(name))
    assert "nothing to do" in inprocess.run(second, "build").stdout
    assert inprocess.run(second, "cache", "stats", "--json").document["shared"]["hits"] == 8  # the plan's, too


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
    second.edit("rules/big.sql", "o.amount > 1", "o.amount > 1 AND o.amount < 1000000")  # other words, the same table
    assert inprocess.build(second).executed == {"big"}


def test_lazily_nothing_is_fetched_until_it_is_read(tmp_path: Path, remote: str) -> None:
    inprocess.build(project(tmp_path / "a", remote))
    lazy = project(tmp_path / "b", remote)
    built = inprocess.build(lazy, "--lazy")
    assert set(built.statuses.values()) == {"restored"}
    assert built.document["shared"]["fetched"] == 0
    objects = lazy.root / ".rules" / "objects"
    assert not list(objects.rglob("*.parquet"))
    shutil.move(tmp_path / "remote", tmp_path / "away")  # neither asks
    assert "nothing to do" in inprocess.run(lazy, "build", "--lazy").stdout
    assert set(SampleProject.statuses(lazy.plan()).values()) == {"clean"}
    assert inprocess.run(lazy, "cache", "verify", "--json").document["bad"] == []
    shutil.move(tmp_path / "away", tmp_path / "remote")
    assert lazy.cli("show", "total", "--format", "csv").stdout.split() == ['"total"', "18"]
    assert len(list(objects.rglob("*.parquet"))) == 1
    lazy.edit("rules/few.sql", "> 4", "> 6")
    assert inprocess.build(lazy, "--lazy").executed == {"few"}  # which reads big
    inprocess.build(lazy)
    assert all((lazy.root / ".rules" / "products" / f"{name}.parquet").exists() for name in RULES)


def test_what_was_built_before_can_be_sent(tmp_path: Path, remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = project(tmp_path / "a", remote)
    monkeypatch.setenv("RULES_CACHE_MODE", "off")
    inprocess.build(made)
    assert (
        "the shared cache is off\n  hint: set RULES_CACHE_MODE" in inprocess.run(made, "cache", "push", expect=2).stderr
    )
    monkeypatch.setenv("RULES_CACHE_MODE", "read")
    assert "no shared cache that may be written" in inprocess.run(made, "cache", "push", expect=2).stderr
    monkeypatch.delenv("RULES_CACHE_MODE")
    without = inprocess.run(SampleProject(tmp_path / "alone"), "cache", "push", expect=2).stderr
    assert "the project has no shared cache\n  hint: add [cache] with remote" in without
    assert inprocess.run(made, "cache", "push", "--json").document["unsent"] == 0
    assert "nothing to send" in inprocess.run(made, "cache", "push").stdout
    assert inprocess.build(project(tmp_path / "b", remote)).executed == set()


def test_to_take_only_sends_nothing(tmp_path: Path, remote: str) -> None:
    made = project(tmp_path / "a", remote, cache='mode = "read"\n')
    assert inprocess.build(made).executed == ALL
    assert stored(remote, "actions") == stored(remote, "objects") == stored(remote, "leases") == []


def test_the_environment_turns_it_off(tmp_path: Path, remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RULES_CACHE_MODE", "off")
    assert "shared" not in inprocess.build(project(tmp_path / "a", remote)).document
    assert not (tmp_path / "remote").exists()


@pytest.mark.slow
def test_a_flipped_byte_anywhere_is_refused_and_said(tmp_path: Path, remote: str) -> None:
    """And written again by who computes the result, for the next builder."""
    built = inprocess.build(project(tmp_path / "a", remote))
    chosen = random.Random(5)
    record = record_of(remote, built, "big")
    for number, file in enumerate([record, object_of(record)]):
        size = file.stat().st_size
        for place in (0, size - 1, chosen.randrange(size)):
            flip(file, place)
            made = project(tmp_path / f"b{number}-{place}", remote)
            ran = inprocess.build(made)
            assert ran.executed == {"big"}, place
            assert len(refusals(ran)) == 1, place
            assert ran.stderr.count("of the shared cache refused") == 1
            shutil.rmtree(made.root)
            again = project(made.root, remote)
            assert inprocess.build(again).executed == set(), place


def test_a_record_under_the_name_of_another_action_is_refused(tmp_path: Path, remote: str) -> None:
    """As is an old record, put back in place of the one for the rule or the data of today."""
    first = project(tmp_path / "a", remote)
    before = inprocess.build(first)
    first.edit("rules/few.sql", "> 4", "> 6")
    after = inprocess.build(first)
    shutil.copyfile(record_of(remote, before, "few"), record_of(remote, after, "few"))
    second = project(tmp_path / "b", remote)
    second.edit("rules/few.sql", "> 4", "> 6")
    ran = inprocess.build(second)
    assert ran.executed == {"few"}
    assert refusals(ran) == ["is the record of another action"]
    assert second.product("few").equals(first.product("few"))


def test_an_object_under_the_name_of_another_is_refused(tmp_path: Path, remote: str) -> None:
    built = inprocess.build(project(tmp_path / "a", remote))
    big, few = (object_of(record_of(remote, built, name)) for name in ("big", "few"))
    shutil.copyfile(few, big)
    ran = inprocess.build(project(tmp_path / "b", remote))
    assert ran.executed == {"big"}
    assert refusals(ran) == ["is not the file that its record names: its size is another"]


def test_an_object_that_is_gone_is_computed(tmp_path: Path, remote: str) -> None:
    built = inprocess.build(project(tmp_path / "a", remote))
    object_of(record_of(remote, built, "big")).unlink()
    assert inprocess.build(project(tmp_path / "b", remote)).executed == {"big"}
    assert inprocess.build(project(tmp_path / "c", remote)).executed == set()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"artifact": "../../../../etc/passwd"}, id="a name that leads elsewhere"),
        pytest.param({"tables": []}, id="no table"),
        pytest.param({"rows": -1}, id="less than no rows"),
        pytest.param({"rows": 7}, id="rows that its name does not hold"),
        pytest.param({"columns": {"x": ["int64", "0" * 32]}}, id="columns that its name does not hold"),
        pytest.param({"seconds": -1.0}, id="less than no time"),
        pytest.param({"artifact": 3}, id="a number for a name"),
    ],
)
def test_a_record_that_lies_about_itself_is_refused(tmp_path: Path, remote: str, change: dict[str, Any]) -> None:
    import hashlib

    record = record_of(remote, inprocess.build(project(tmp_path / "a", remote)), "big")
    body = json.dumps(json.loads(record.read_bytes().partition(b"\n")[2]) | change).encode()
    head = json.dumps({"sha256": hashlib.sha256(body).hexdigest()}).encode()
    record.write_bytes(head + b"\n" + body)
    ran = inprocess.build(project(tmp_path / "b", remote))
    assert ran.executed == {"big"}
    assert len(refusals(ran)) == 1


def test_a_record_too_long_to_be_one_is_not_read(tmp_path: Path, remote: str) -> None:
    record = record_of(remote, inprocess.build(project(tmp_path / "a", remote)), "big")
    with record.open("wb") as file:
        file.truncate(1 << 30)
    second = project(tmp_path / "b", remote)
    bad = inprocess.run(second, "cache", "verify", "--remote", "--json", expect=1).document["bad"]
    assert [one["problem"] for one in bad] == ["is longer than it may be"]
    ran = inprocess.build(second)
    assert ran.executed == {"big"}
    assert set(refusals(ran)) == {"is longer than it may be"}
    assert inprocess.build(project(tmp_path / "c", remote)).executed == set()  # it was written over


@pytest.mark.parametrize("kind", ["record", "object"])
@pytest.mark.parametrize("left", [0, 1, 0.5, -1])
def test_what_is_cut_short_is_refused_and_said(tmp_path: Path, remote: str, kind: str, left: float) -> None:
    """left: a number of bytes, of those at the end if negative, or a share."""
    first = project(tmp_path / "a", remote)
    record = record_of(remote, inprocess.build(first), "big")
    file = record if kind == "record" else object_of(record)
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * left) if 0 < left < 1 else int(left)])
    second = project(tmp_path / "b", remote)
    ran = inprocess.build(second)
    assert ran.executed == {"big"}
    assert len(refusals(ran)) == 1
    assert ran.stderr.count("of the shared cache refused") == 1
    assert all(second.product(name).equals(first.product(name)) for name in ALL)
    assert inprocess.build(project(tmp_path / "c", remote)).executed == set()  # it was written over


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["actions", "objects", "leases", "packs"])
def test_a_pipe_in_place_of_a_file_keeps_nobody(tmp_path: Path, remote: str, kind: str) -> None:
    first = project(tmp_path / "a", remote)
    record = record_of(remote, inprocess.build(first), "big")
    place = object_of(record) if kind == "objects" else record.parents[2] / kind / record.parent.name / record.name
    place.parent.mkdir(parents=True, exist_ok=True)
    if kind != "objects":
        record.unlink()
    place.unlink(missing_ok=True)
    os.mkfifo(place)
    second = project(tmp_path / "b", remote, cache='timeout = "1s"\nlease = "300ms"\n')
    assert second.cli("build").returncode == 0
    assert second.product("big").equals(first.product("big"))
    assert second.cli("cache", "verify", "--remote").returncode == 0


def test_a_longer_object_is_refused(tmp_path: Path, remote: str) -> None:
    """Readers of Parquet look at the end of a file, so what is appended could be another table."""
    built = inprocess.build(project(tmp_path / "a", remote))
    big, few = (object_of(record_of(remote, built, name)) for name in ("big", "few"))
    big.write_bytes(big.read_bytes() + few.read_bytes())
    ran = inprocess.build(project(tmp_path / "b", remote))
    assert ran.executed == {"big"}
    assert refusals(ran) == ["is not the file that its record names: its size is another"]


def told_of(record: Path, data: bytes, number: int = 0) -> None:
    """Write a file into the shared cache, and let a record say that it is the table, or a part, of its action."""
    import hashlib

    from cache.filedigest import digest_of_bytes

    sha256 = hashlib.sha256(data).hexdigest()
    file = record.parents[2] / "objects" / sha256[:2] / f"{sha256[2:]}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    content = json.loads(record.read_bytes().partition(b"\n")[2])
    content["tables"][number] |= {"sha256": sha256, "bytes": len(data), "file_digest": digest_of_bytes(data)}
    body = json.dumps(content).encode()
    record.write_bytes(json.dumps({"sha256": hashlib.sha256(body).hexdigest()}).encode() + b"\n" + body)


def parquet(columns: dict[str, Any]) -> bytes:
    """Return a Parquet file."""
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>Please log in</html>", id="a page"),
        pytest.param(b"PAR1" + b"\0" * 100 + b"\xff\xff\xff\x7fPAR1", id="a footer longer than its file"),
        pytest.param(parquet({"id": [2, 3, 4]}), id="a column less"),
        pytest.param(parquet({"id": [2, 3, 4], "doubled": [4, 6, 8], "more": [1, 1, 1]}), id="a column more"),
        pytest.param(parquet({"doubled": [4, 6, 8], "id": [2, 3, 4]}), id="columns in another order"),
        pytest.param(parquet({"id": ["2", "3", "4"], "doubled": [4, 6, 8]}), id="another type"),
        pytest.param(parquet({"id": [2, 3], "doubled": [4, 6]}), id="a row less"),
    ],
)
def test_a_file_that_cannot_be_the_table_of_its_record_is_refused(tmp_path: Path, remote: str, data: bytes) -> None:
    """Though it is the file that the record names; and the record is written again by who computes the table."""
    first = project(tmp_path / "a", remote)
    told_of(record_of(remote, inprocess.build(first), "big"), data)
    second = project(tmp_path / "b", remote)
    ran = inprocess.build(second)
    assert ran.executed == {"big"}
    assert refusals(ran) == ["is not the file that its record describes"]
    assert second.product("big").equals(first.product("big"))
    assert inprocess.build(project(tmp_path / "c", remote)).executed == set()


def test_a_table_that_nobody_can_read_is_an_error_of_whoever_reads_it(tmp_path: Path, remote: str) -> None:
    """Its footer is that of the table, its pages are not, and a builder that everybody believes has recorded it."""
    first = project(tmp_path / "a", remote)
    record = record_of(remote, inprocess.build(first), "big")
    whole = object_of(record).read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    told_of(record, b"PAR1" + b"\xff" * (footer - 4) + whole[footer:])
    second = project(tmp_path / "b", remote)
    assert inprocess.build(second).executed == set()
    for words in (
        ("show", "big"),
        ("show", "SELECT b.id FROM big AS b"),
        ("export", "big", str(tmp_path / "big.csv")),
        ("export", "big", str(tmp_path / "by"), "--partition-by", "id"),
        ("diff", "--data", "--against", str(first.root)),
    ):
        ran = inprocess.run(second, *words, expect=(0, 1, 2))
        assert words[0] == "diff" or ran.code == 1, ran
        assert "this is a bug" not in ran.stderr
    shown = inprocess.run(second, "show", "big", expect=1)
    assert shown.stderr.startswith("error: a stored table cannot be read: ")
    assert "\n  hint: rules build --force" in shown.stderr
    assert inprocess.build(second, "--force", "big").executed == {"big"}
    assert second.product("big").equals(first.product("big"))


LIE = {"id": [7, 8, 9], "doubled": [100, 200, 300]}


def test_a_table_with_other_rows_than_its_name_says_goes_once_it_is_made_here(tmp_path: Path, remote: str) -> None:
    """Its columns and digests are those that the rule yields, so its artifact is called as the right one is."""
    first = project(tmp_path / "a", remote)
    told_of(record_of(remote, inprocess.build(first), "big"), parquet(LIE))
    second = project(tmp_path / "b", remote)
    assert inprocess.build(second).executed == set()
    assert second.product("big").to_pydict() == LIE
    assert inprocess.build(second, "--force", "big").executed == {"big"}
    assert second.product("big").equals(first.product("big"))
    assert "(3 rows)" in inprocess.run(second, "show", "big").stdout


def test_an_audit_reads_the_table_that_it_compares_with(tmp_path: Path, remote: str) -> None:
    """And blames nobody for what was made again of a table that is not what its name says."""
    first = project(tmp_path / "a", remote)
    told_of(record_of(remote, inprocess.build(first), "big"), parquet(LIE))
    second = project(tmp_path / "b", remote)
    assert inprocess.build(second).executed == set()
    assert inprocess.run(second, "audit", "-s", "big", expect=1).stderr.startswith(
        "error: the result of big is not what its rule yields: run again it has the rows that were recorded, and its "
        "stored table has others"
    )
    found = inprocess.run(second, "audit", "--remote", "all", "--json", expect=1).document["differing"]
    assert {one["name"] for one in found} == {"big", "few", "total"}
    evidence = (second.root / ".rules" / "evidence").glob("*/*/difference.json")
    assert [kept.parent.name for kept in evidence] == ["big"]
    assert inprocess.build(second).executed == {"big"}
    assert second.product("big").equals(first.product("big"))
    inprocess.run(second, "audit")


def test_things_of_one_kind_are_not_taken_for_those_of_another(tmp_path: Path, remote: str) -> None:
    first = project(tmp_path / "a", remote)
    record = record_of(remote, inprocess.build(first), "big")
    shutil.copyfile(object_of(record), record)  # a table as a record
    second = project(tmp_path / "b", remote)
    ran = inprocess.build(second)
    assert ran.executed == {"big"}
    assert len(refusals(ran)) == 1
    record = record_of(remote, ran, "big")
    shutil.copyfile(record, object_of(record))  # a record as a table
    ran = inprocess.build(project(tmp_path / "c", remote))
    assert ran.executed == {"big"}
    assert len(refusals(ran)) == 1


def test_a_record_of_another_project_is_refused(tmp_path: Path, remote: str) -> None:
    """Which has a rule of the same name and of the same columns, over other data."""
    first = project(tmp_path / "a", remote)
    mine = inprocess.build(first)
    other = project(tmp_path / "other", remote)
    other.parquet("orders", {"id": [5, 6, 7, 8], "amount": [5, 6, 7, 8]})
    theirs = inprocess.build(other)
    shutil.copyfile(record_of(remote, theirs, "big"), record_of(remote, mine, "big"))
    second = project(tmp_path / "b", remote)
    ran = inprocess.build(second)
    assert ran.executed == {"big"}
    assert refusals(ran) == ["is the record of another action"]
    assert second.product("big").equals(first.product("big"))


def test_a_signature_that_is_not_of_the_record_is_refused(
    tmp_path: Path, remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of another record by the same writer, one that was flipped, and none."""
    friend = project(tmp_path / "friend", remote)
    key, public = keygen(tmp_path, friend, "friend")
    trust = f'trust = ["{public}"]\n'
    friend = project(tmp_path / "friend", remote, cache=trust)
    monkeypatch.setenv("RULES_CACHE_KEY_FILE", str(key))
    built = inprocess.build(friend)
    monkeypatch.delenv("RULES_CACHE_KEY_FILE")
    record, few = (record_of(remote, built, name) for name in ("big", "few"))
    data, theirs = record.read_bytes(), json.loads(few.read_bytes().partition(b"\n")[0])
    head, _, body = data.partition(b"\n")
    fields = json.loads(head)
    flipped = fields["signature"][:-4] + ("AAAA" if fields["signature"][-4:] != "AAAA" else "BBBB")
    forged = [
        fields | {"signature": theirs["signature"]},
        fields | {"signature": flipped},
        {name: one for name, one in fields.items() if name != "signature"},
        {"sha256": fields["sha256"]},
    ]
    for number, one in enumerate(forged):
        record.write_bytes(json.dumps(one, separators=(",", ":")).encode() + b"\n" + body)
        reader = project(tmp_path / f"reader{number}", remote, cache=trust)
        ran = inprocess.build(reader)
        assert ran.executed == {"big"}, one
        assert len(refusals(ran)) == 1, one
        assert ran.stderr.count("of the shared cache refused") == 1
        assert reader.product("big").equals(friend.product("big"))
    record.write_bytes(data)
    assert inprocess.build(project(tmp_path / "last", remote, cache=trust)).executed == set()


def keygen(tmp_path: Path, made: SampleProject, name: str) -> tuple[Path, str]:
    """Return the file of a fresh secret key, and the public one."""
    file = tmp_path / f"{name}.key"
    return file, inprocess.run(made, "cache", "keygen", str(file), "--json").document["public_key"]


def test_only_writers_with_a_trusted_key_are_believed(
    tmp_path: Path, remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = project(tmp_path / "stranger", remote)
    _, public = keygen(tmp_path, stranger, "friend")
    trust = f'trust = ["{public}"]\n'
    assert inprocess.build(stranger).executed == ALL  # unsigned
    reader = project(tmp_path / "reader", remote, cache=trust)
    ran = inprocess.build(reader)
    assert ran.executed == ALL
    assert set(refusals(ran)) == {"is not believed: nobody has signed it"}
    assert "refused" in ran.stderr

    monkeypatch.setenv("RULES_CACHE_KEY_FILE", str(tmp_path / "friend.key"))
    friend = project(tmp_path / "friend", remote, cache=trust)
    assert inprocess.build(friend).executed == ALL
    monkeypatch.delenv("RULES_CACHE_KEY_FILE")
    assert inprocess.build(project(tmp_path / "reader2", remote, cache=trust)).executed == set()

    other, _ = keygen(tmp_path, stranger, "other")
    monkeypatch.setenv("RULES_CACHE_KEY", other.read_text())
    shutil.rmtree(tmp_path / "remote")
    inprocess.build(project(tmp_path / "signs", remote))
    monkeypatch.delenv("RULES_CACHE_KEY")
    ran = inprocess.build(project(tmp_path / "reader3", remote, cache=trust))
    assert ran.executed == ALL
    assert set(refusals(ran)) == {"is not believed: its writer is not trusted"}


def test_a_key_that_is_taken_out_of_the_list_takes_back_what_it_has_signed(
    tmp_path: Path, remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = project(tmp_path / "one", remote)
    keys = dict(keygen(tmp_path, one, name) for name in ("left", "right"))
    (left, left_key), (right, right_key) = keys.items()
    both = f'trust = ["{left_key}", "{right_key}"]\n'
    monkeypatch.setenv("RULES_CACHE_KEY_FILE", str(left))
    writer = project(tmp_path / "writer", remote, cache=both)
    writer.edit("rules/few.sql", "> 4", "> 6")
    old = record_of(remote, inprocess.build(writer), "few")
    revoked = old.read_bytes()
    monkeypatch.delenv("RULES_CACHE_KEY_FILE")
    reader = project(tmp_path / "reader", remote, cache=both)
    reader.edit("rules/few.sql", "> 4", "> 6")
    assert inprocess.build(reader).executed == set()

    for made in (reader, writer):
        made.edit("rules.toml", f'"{left_key}", ', "")
    ran = inprocess.build(reader)
    assert ran.executed == ALL
    assert "4 results of writers that [cache] trust does not name are not believed any more" in ran.stderr
    assert set(refusals(ran)) == {"is not believed: its writer is not trusted"}
    assert inprocess.build(reader).executed == set()
    monkeypatch.setenv("RULES_CACHE_KEY_FILE", str(right))
    assert inprocess.build(writer, "--force", "few").executed == {"few"}  # its own results it has computed itself
    monkeypatch.delenv("RULES_CACHE_KEY_FILE")
    old.write_bytes(revoked)
    shutil.rmtree(reader.root / ".rules")
    assert "few" not in inprocess.build(reader).executed  # the other record of a writer that is trusted is beside it


def test_secret_keys_are_kept_nowhere(tmp_path: Path, remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = project(tmp_path / "a", remote)
    file, public = keygen(tmp_path, made, "own")
    assert file.stat().st_mode & 0o777 == 0o600
    secret = file.read_text().strip()
    monkeypatch.setenv("RULES_CACHE_KEY", secret)
    ran = inprocess.build(made, "--evidence", "full")
    assert secret not in ran.stdout + ran.stderr
    hidden = secret.partition(":")[2].encode()
    for place in (made.root / ".rules", tmp_path / "remote"):
        assert all(hidden not in one.read_bytes() for one in place.rglob("*") if one.is_file())
    assert any(public.encode() in one.read_bytes() for one in stored(remote, "actions"))
    monkeypatch.setenv("RULES_CACHE_KEY", secret[:-8])
    wrong = inprocess.run(project(tmp_path / "b", remote), "build", expect=2)
    assert "the key of this writer cannot be used" in wrong.stderr
    assert hidden[:-8].decode() not in wrong.stderr
    assert "no file is replaced" in inprocess.run(made, "cache", "keygen", str(file), expect=2).stderr
    assert "Is a directory" in inprocess.run(made, "cache", "keygen", f"{file}.of/", expect=2).stderr


def test_a_key_that_is_killed_while_it_is_made_is_whole_or_not_there(tmp_path: Path) -> None:
    made = SampleProject(tmp_path / "a")
    first = tmp_path / "first.key"
    steps = shared().run(made.root, "cache", "keygen", str(first), kill_at=-1).steps
    assert steps
    for number in range(len(steps)):
        file = tmp_path / f"{number}.key"
        assert shared().run(made.root, "cache", "keygen", str(file), kill_at=number).code != 0
        if not file.exists():
            assert inprocess.run(made, "cache", "keygen", str(file)).stdout.startswith("ed25519:")
        assert len(file.read_text()) == len(first.read_text())
        assert file.stat().st_mode & 0o777 == 0o600
    assert {one.suffix for one in tmp_path.iterdir()} == {"", ".key"}  # nothing is left of what was killed


def test_a_key_that_cannot_be_written_leaves_no_file(tmp_path: Path) -> None:
    limited = f"ulimit -f 0; exec {sys.executable} -m rules cache keygen {tmp_path}/own.key"
    ran = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "File too large" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_audit_of_other_builders_keeps_what_differs(tmp_path: Path, remote: str) -> None:
    """A writer that everybody believes has recorded a table that the rule does not yield."""
    liar = project(tmp_path / "liar", remote)
    liar.edit("rules/few.sql", "> 4", "> 6")
    lie = record_of(remote, inprocess.build(liar), "few").read_bytes().partition(b"\n")[2]
    truth = record_of(remote, inprocess.build(project(tmp_path / "a", remote)), "few")
    import hashlib

    told = json.loads(lie) | {"key": truth.parent.name + truth.stem}
    told["maker"] |= {"engine": "datafusion 99", "processor": "abacus"}
    body = json.dumps(told).encode()
    truth.write_bytes(json.dumps({"sha256": hashlib.sha256(body).hexdigest()}).encode() + b"\n" + body)
    made = project(tmp_path / "b", remote)
    assert inprocess.build(made).executed == set()
    assert inprocess.run(made, "audit", "--remote", "all", "--json", "-s", "big").document["checked"] == ["big"]
    found = inprocess.run(made, "audit", "--remote", "100%", "--json", expect=1).document
    assert [one["name"] for one in found["differing"]] == ["few"]
    message = found["differing"][0]["message"]
    assert "datafusion 99 there" in message
    assert "processor abacus there" in message
    (kept,) = (made.root / ".rules" / "evidence").glob("*/few/difference.json")
    facts = json.loads(kept.read_text())
    assert facts["made_by"]["engine"] == "datafusion 99"
    assert facts["action"] == told["key"]

    replayed = truth.read_bytes()
    mended = inprocess.build(made)  # and what an audit has found to be wrong is not believed again
    assert mended.executed == {"few"}
    assert refusals(mended) == ["is a record that an audit found to be wrong"]
    other = project(tmp_path / "c", remote)
    assert inprocess.build(other).executed == set()  # what is right was written over it
    for one in (made, other):
        assert one.product("few").column("id").to_pylist() == [3, 4]
    truth.write_bytes(replayed)
    shutil.rmtree(made.root / ".rules" / "objects")
    again = inprocess.build(made)
    assert again.executed == {"few"}
    assert refusals(again) == ["is a record that an audit found to be wrong"]


def test_what_nobody_uses_is_collected_and_what_is_damaged_found(tmp_path: Path, remote: str) -> None:
    made = project(tmp_path / "a", remote)
    built = inprocess.build(made)
    count = len(stored(remote, "actions")) + len(stored(remote, "objects"))
    verified = inprocess.run(made, "cache", "verify", "--remote", "--json").document
    assert (verified["checked"], verified["bad"]) == (count, [])
    flip(object_of(record_of(remote, built, "big")), 100)
    bad = inprocess.run(made, "cache", "verify", "--remote", "--json", expect=1).document["bad"]
    assert [one["problem"] for one in bad] == ["has other bytes than its name says"]
    kept = inprocess.run(made, "gc", "--remote", "--json").document
    assert (kept["removed"]["objects"], kept["kept"]["objects"]) == (0, count)
    foreign = tmp_path / "remote" / "rules-v1" / "objects" / "notes.txt"
    foreign.write_text("mine")
    old = time.time() - 40 * 86_400
    for file in [*stored(remote, "actions"), *stored(remote, "objects")]:
        os.utime(file, (old, old))
    assert inprocess.run(made, "gc", "--remote", "--dry-run", "--json").document["removed"]["objects"] == count
    assert inprocess.run(made, "gc", "--remote", "--json").document["removed"]["objects"] == count
    assert [*stored(remote, "actions"), *stored(remote, "objects")] == [foreign]


def test_what_no_bucket_could_hold_is_passed_over_in_a_folder(tmp_path: Path, remote: str) -> None:
    made = project(tmp_path / "a", remote)
    inprocess.build(made)
    actions, objects = (tmp_path / "remote" / "rules-v1" / kind for kind in ("actions", "objects"))
    count = len(stored(remote, "actions")) + len(stored(remote, "objects"))
    shard = next(objects.iterdir())
    outside = tmp_path / "outside" / f"{'1' * 62}.parquet"
    outside.parent.mkdir()
    outside.write_text("mine")
    os.utime(outside, (0, 0))
    (shard / "loop").symlink_to("loop")
    (shard / f"{'2' * 62}.parquet").symlink_to(f"{'2' * 62}.parquet")
    (shard / f"{'3' * 62}.parquet").symlink_to(outside)
    (objects / "cc").symlink_to(outside.parent)
    (actions / "up").symlink_to(actions)
    os.mkfifo(shard / f"{'4' * 62}.parquet")
    (shard / f"{'5' * 62}.parquet").mkdir()
    for name in ("a\nb", "a#3", os.fsdecode(b"\xff")):
        (actions / name).mkdir()
        (actions / name / name).write_text("{}")
    assert inprocess.run(made, "cache", "verify", "--remote", "--json").document["checked"] == count
    assert inprocess.run(made, "gc", "--remote", "--json").document["kept"]["objects"] == count
    assert outside.read_text() == "mine"


def test_what_the_system_says_of_a_folder_is_passed_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = project(tmp_path / "a", f"file://{tmp_path}/file/remote")
    ways: list[tuple[str, ...]] = [("build",), ("cache", "push")]
    for command in ways:
        ran = inprocess.run(made, *command, expect=int("push" in command))
        assert "the shared cache was not used any more: not a directory" in ran.stderr
        assert "4 results could not be sent" in ran.stderr
    assert ran.stdout == "nothing was sent\n"
    ways = [("gc", "--remote"), ("cache", "verify", "--remote")]
    for command in ways:
        assert "the shared cache cannot be used: not a directory" in inprocess.run(made, *command, expect=1).stderr


def test_a_folder_that_may_only_be_read_denies_access(tmp_path: Path) -> None:
    def refused(error: Exception) -> BucketError:
        def work() -> None:
            raise error

        with pytest.raises(BucketError) as raised:
            done(work)
        return raised.value

    text = f"Generic LocalFileSystem error: Unable to open file {tmp_path}/x#1: Read-only file system (os error 30)"
    assert isinstance(refused(GenericError(text)), DeniedError)
    assert isinstance(refused(OSError(errno.EACCES, "no", str(tmp_path))), DeniedError)
    assert str(refused(GenericError("Unable to copy data to file: No space left on device (os error 28)"))) == (
        "no space left on device"
    )


def test_what_is_in_use_is_renewed(tmp_path: Path, remote: str) -> None:
    inprocess.build(project(tmp_path / "a", remote))
    old = time.time() - 20 * 86_400
    for file in [*stored(remote, "actions"), *stored(remote, "objects")]:
        os.utime(file, (old, old))
    made = project(tmp_path / "b", remote)
    assert inprocess.build(made).executed == set()
    assert all(one.stat().st_mtime > old + 86_400 for one in [*stored(remote, "actions"), *stored(remote, "objects")])


def test_a_dead_builder_costs_its_lease(tmp_path: Path, remote: str) -> None:
    from cache.remote.obstore_bucket import ObstoreBucket

    built = inprocess.build(project(tmp_path / "a", remote))
    record = record_of(remote, built, "total")
    record.unlink()
    dead = Leases(ObstoreBucket(remote, 5.0), Persistent(5.0), 0.4)
    assert dead.claim(record.parent.name + record.stem) == "mine"
    ran = inprocess.build(project(tmp_path / "b", remote, cache='lease = "400ms"\n'))
    assert ran.executed == {"total"}
    assert stored(remote, "leases") == []


def test_a_lease_that_is_put_back_costs_its_time(tmp_path: Path, remote: str) -> None:
    """Also one of an action that is done: its record is looked for after the lease."""
    built = inprocess.build(project(tmp_path / "a", remote))
    record = record_of(remote, built, "total")
    lease = record.parents[2] / "leases" / record.parent.name / record.name
    lease.parent.mkdir(parents=True, exist_ok=True)
    for there in (True, False):
        lease.write_bytes(b'{"holder":"0123456789abcdef","seconds":0.3,"renewed":7}')
        if not there:
            record.unlink()
        ran = inprocess.build(project(tmp_path / f"b{there}", remote, cache='lease = "300ms"\n'))
        assert ran.executed == (set() if there else {"total"})
        assert ran.document["summary"]["failed"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("text", [b"", b"[]", b'{"x":' + b"[" * 1019, b'{"holder":"x","seconds":-1e308}'])
def test_a_lease_that_is_none_costs_no_more_than_one(tmp_path: Path, remote: str, text: bytes) -> None:
    record = record_of(remote, inprocess.build(project(tmp_path / "a", remote)), "total")
    record.unlink()
    lease = record.parents[2] / "leases" / record.parent.name / record.name
    lease.parent.mkdir(parents=True, exist_ok=True)
    lease.write_bytes(text)
    assert inprocess.build(project(tmp_path / "b", remote, cache='lease = "200ms"\n')).executed == {"total"}
    assert not lease.exists()


@pytest.mark.slow
def test_nobody_waits_for_ever(tmp_path: Path, remote: str) -> None:
    """A lease that is renewed and renewed, by a builder that is stuck or by somebody who means harm."""
    from cache.remote.obstore_bucket import ObstoreBucket

    record = record_of(remote, inprocess.build(project(tmp_path / "a", remote)), "total")
    record.unlink()
    stuck = Leases(ObstoreBucket(remote, 5.0), Persistent(5.0), 600.0)
    assert stuck.claim(record.parent.name + record.stem) == "mine"
    over = threading.Event()

    def renew() -> None:
        while not over.wait(0.05):
            for key in stuck.held:
                stuck.renew(key)

    renewing = threading.Thread(target=renew)
    renewing.start()
    try:
        ran = inprocess.build(project(tmp_path / "b", remote, cache='lease = "200ms"\n'))
    finally:
        over.set()
        renewing.join()
    assert ran.executed == {"total"}


def test_a_record_of_other_columns_is_refused(tmp_path: Path, remote: str) -> None:
    import hashlib

    built = inprocess.build(project(tmp_path / "a", remote))
    total, few = (record_of(remote, built, name) for name in ("total", "few"))
    told = json.loads(total.read_bytes().partition(b"\n")[2]) | {"key": few.parent.name + few.stem}
    body = json.dumps(told).encode()
    few.write_bytes(json.dumps({"sha256": hashlib.sha256(body).hexdigest()}).encode() + b"\n" + body)
    ran = inprocess.build(project(tmp_path / "b", remote))
    assert ran.executed == {"few"}
    assert refusals(ran) == ["is not consistent: it has other columns than the rule"]


def test_a_bucket_that_cannot_be_written_costs_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    made = project(tmp_path / "a", f"file://{tmp_path}/file/remote", cache='timeout = "100ms"\n')
    ran = inprocess.build(made)
    assert ran.executed == ALL
    assert ran.document["shared"]["off"]
    assert ran.stderr.count("warning: the shared cache") == 1


@pytest.mark.slow
def test_parts_that_are_here_and_in_no_record_are_recorded_with_their_table(tmp_path: Path, remote: str) -> None:
    """As after the index was lost: the table is known from the shared cache, and its files need not be fetched."""
    toml = f'\n[parts]\nmin_rows = 1\n[sources.days]\npath = "data/days"\n[cache]\nremote = "{remote}"\n'
    made = SampleProject(tmp_path / "a", toml=toml)
    for day in range(3):
        made.parquet(f"days/{day}", {"day": [day] * 4, "n": [1, 2, 3, 4]})
    made.sql("some", "SELECT d.day, d.n FROM days AS d WHERE d.n > 1")
    inprocess.build(made)
    for file in (made.root / ".rules").glob("index.sqlite*"):
        file.unlink()
    assert inprocess.build(made).statuses == {"some": "restored"}
    assert inprocess.run(made, "cache", "verify", "--json").document["bad"] == []
    inprocess.run(made, "gc", "--keep", "1")
    assert "(9 rows)" in inprocess.run(made, "show", "some").stdout
    assert made.product("some").num_rows == 9


@pytest.mark.slow
def test_parts_are_shared_one_by_one(tmp_path: Path, remote: str) -> None:
    def made(name: str, days: int) -> SampleProject:
        toml = f'\n[parts]\nmin_rows = 4\n[sources.days]\npath = "data/days"\n[cache]\nremote = "{remote}"\n'
        found = SampleProject(tmp_path / name, toml=toml)
        for day in range(days):
            found.parquet(f"days/d{day}", {"day": [day] * 3, "price": [day, day + 1, day + 2]})
        found.sql("dear", "SELECT d.day, d.price FROM days AS d WHERE d.price > 1")
        found.sql("sums", "SELECT d.day, SUM(d.price) AS price FROM days AS d GROUP BY d.day")
        return found

    first = made("a", 3)
    inprocess.build(first)
    second = made("b", 3)
    assert inprocess.build(second).executed == set()
    assert second.product("dear").equals(first.product("dear"))
    third = inprocess.build(made("c", 4))
    assert third.executed == {"dear", "sums"}
    assert {one["name"]: one["parts"]["run"] for one in third.document["products"]} == {"dear": 1, "sums": 1}
    record = record_of(remote, inprocess.build(first, "--force", "dear"), "dear")
    told_of(record, parquet({"day": [7], "price": [7]}), number=1)  # the part of the second day has two rows
    misled = made("e", 3)
    assert inprocess.build(misled).executed == {"dear"}
    record = record_of(remote, inprocess.build(first, "--force", "dear"), "dear")
    told_of(record, parquet({"day": [7, 7], "price": [7, 7]}), number=1)
    misled = made("f", 3)
    assert inprocess.build(misled).executed == set()
    inprocess.run(misled, "audit", expect=1)
    assert inprocess.build(misled, "--force", "dear").executed == {"dear"}
    assert misled.product("dear").equals(first.product("dear"))
    inprocess.run(misled, "audit")
    lazy = made("d", 3)
    inprocess.build(lazy, "--lazy")
    assert lazy.cli("show", "dear", "--format", "csv").stdout.count("\n") == 1 + 6


def test_nothing_to_do_opens_no_connection(tmp_path: Path, remote: str) -> None:
    made = project(tmp_path / "a", remote)
    made.build()
    shutil.rmtree(tmp_path / "remote")
    ran = made.started("build", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert "nothing to do" in ran.stdout
    assert not [name for name in ("obstore", "cryptography", "cache.remote", "shared") if name in ran.stderr]
    assert not (tmp_path / "remote").exists()


@pytest.mark.parametrize(
    ("cache", "told"),
    [
        ('remote = "ftp://host/x"', "'remote' is not the URL of a shared cache"),
        ('remote = "s3://user:pa55@bucket/x"', "'remote' is not the URL of a shared cache"),
        ('remote = "s3://bucket/x?key=s3cret"', "'remote' is not the URL of a shared cache"),
        ('remote = "s3://b"\nmode = "write"', "mode"),
        ('remote = "s3://b"\nlease = "soon"', "'lease' cannot be 'soon'"),
        ('remote = "s3://b"\ntrust = ["ed25519:abc"]', "'trust' holds something that is no public key"),
        ('remot = "s3://b"', "unknown key 'remot'"),
    ],
)
def test_a_wrong_table_is_refused_where_it_is(tmp_path: Path, cache: str, told: str) -> None:
    made = SampleProject(tmp_path / "a", toml=f"\n[cache]\n{cache}\n")
    ran = inprocess.run(made, "build", expect=2)
    assert told in ran.stderr
    assert "rules.toml:" in ran.stderr
    assert "pa55" not in ran.stderr
    assert "s3cret" not in ran.stderr


def test_without_the_client_it_is_said_once(tmp_path: Path, remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cache.remote.obstore_bucket", None)
    ran = inprocess.build(project(tmp_path / "a", remote))
    assert ran.executed == ALL
    assert ran.stderr.count("obstore is not installed") == 1
