"""A fresh clone takes from the shared cache what other builders have compiled: few requests, and no rule compiled."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cache.remote.packs import Entry, packed, unpacked
from support import inprocess
from support.projects import SampleProject

COUNT = 24
CHECKS = 3  # of the keys of r03 and of orders, and of amounts


def project(root: Path, remote: str, *, cache: str = "") -> SampleProject:
    """Return a project with enough rules that a fresh clone asks for packs; each reads the one before it but four."""
    check = '{ name = "amounts", sql = "SELECT o.id FROM orders AS o WHERE o.amount < 0" }'
    contract = f'[contracts.orders]\nkey = ["id"]\nchecks = [{check}]'
    made = SampleProject(root, sources=["orders"], toml=f'\n[cache]\nremote = "{remote}"\n{cache}\n{contract}\n')
    made.parquet("orders", {"id": [1, 2, 3, 4], "amount": [1, 2, 3, 4]})
    for number in range(COUNT):
        above = f"r{number - 4:02}" if number >= 4 else "orders"
        made.sql(f"r{number:02}", f"SELECT a.id, a.amount + {number} AS amount FROM {above} AS a")
    made.sql("r03", '-- /// rule\n-- key = ["id"]\n-- ///\n' + "SELECT a.id, a.amount + 3 AS amount FROM orders AS a")
    return made


@pytest.fixture
def remote(tmp_path: Path) -> str:
    return f"file://{tmp_path}/remote"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the texts of rules that this process compiles, as they are compiled. Helpers are not started."""
    from compiler.compile import Compiler

    texts: list[str] = []
    compile_rule = Compiler.compile_rule

    def noted(self: Compiler, text: Any, *rest: Any) -> Any:
        texts.append(str(text))
        return compile_rule(self, text, *rest)

    monkeypatch.setattr(Compiler, "compile_rule", noted)
    return texts


def packs(remote: str) -> list[Path]:
    return sorted((Path(remote.removeprefix("file://")) / "rules-v1" / "packs").rglob("*.pack"))


def address(pack: Path) -> str:
    return pack.parent.name + pack.stem


@pytest.mark.slow
def test_a_fresh_clone_compiles_nothing(tmp_path: Path, remote: str, compiled: list[str]) -> None:
    first, second = project(tmp_path / "a", remote), project(tmp_path / "b", remote)
    inprocess.build(first)
    assert len(compiled) == COUNT + CHECKS
    compiled.clear()
    taken = inprocess.build(second)
    assert taken.executed == set()
    assert compiled == []
    assert (taken.document["shared"]["hits"], taken.document["shared"]["misses"]) == (
        COUNT + 2,
        0,
    )  # both keys are one action
    for number in range(COUNT):
        assert second.product(f"r{number:02}").equals(first.product(f"r{number:02}"))
    assert second.cli("lineage", "r05.amount").stdout == first.cli("lineage", "r05.amount").stdout
    assert "nothing to do" in inprocess.run(second, "build").stdout


@pytest.mark.slow
def test_an_edited_rule_is_compiled_alone_and_its_memo_joins_the_others(
    tmp_path: Path, remote: str, compiled: list[str]
) -> None:
    inprocess.build(project(tmp_path / "a", remote))
    compiled.clear()
    for folder in ("b", "c"):
        edited = project(tmp_path / folder, remote)
        edited.edit("rules/r23.sql", "+ 23", "+ 24")
        assert inprocess.build(edited).executed == ({"r23"} if folder == "b" else set())
    assert len(compiled) == 1
    assert inprocess.build(project(tmp_path / "d", remote)).executed == set()  # those of the first text are there, too
    assert len(compiled) == 1


@pytest.mark.slow
def test_a_new_column_above_compiles_its_readers_only(tmp_path: Path, remote: str, compiled: list[str]) -> None:
    inprocess.build(project(tmp_path / "a", remote))
    compiled.clear()
    edited = project(tmp_path / "b", remote)
    edited.edit("rules/r15.sql", "a.id,", "a.id, 1 AS one,")
    assert inprocess.build(edited).executed == {"r15"}
    assert len(compiled) == 2  # r15, and r19, the types of whose input are others


@pytest.mark.slow
def test_a_flipped_byte_of_a_pack_is_refused_and_said(tmp_path: Path, remote: str, compiled: list[str]) -> None:
    inprocess.build(project(tmp_path / "a", remote))
    intact = {pack: pack.read_bytes() for pack in packs(remote)}
    assert len(intact) == 2
    for number, place in enumerate((40, 200, -1)):
        for pack, data in intact.items():
            pack.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place:][1:])
        compiled.clear()
        made = project(tmp_path / f"b{number}", remote)
        built = inprocess.build(made)
        assert built.executed == set()  # the records are there one by one
        assert len(compiled) == COUNT + CHECKS
        reasons = {one["reason"]: one["count"] for one in built.document["shared"]["refused"]}
        assert sum(reasons.values()) == 2
        assert all("damaged" in reason for reason in reasons)
        assert "refused" in built.stderr
        assert {pack: unpacked(pack.read_bytes(), address(pack)) for pack in packs(remote)}  # written anew


@pytest.mark.slow
def test_packs_that_are_too_much_together_are_left_as_they_are(
    tmp_path: Path, remote: str, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    inprocess.build(project(tmp_path / "a", remote))
    before = {pack: unpacked(pack.read_bytes(), address(pack)) for pack in packs(remote)}
    compiled.clear()
    monkeypatch.setattr("rules.storage.shared_packs._MOST_KEPT", 1000)
    made = project(tmp_path / "b", remote)
    made.edit("rules/r20.sql", "a.id,", "a.id, 1 AS one,")
    built = inprocess.build(made)
    assert built.executed == {"r20"}  # the records are there one by one
    assert len(compiled) == COUNT + CHECKS
    assert refusals(built) == {"is a pack, and all packs together are larger than this command keeps": 2}
    for pack, entries in before.items():  # what was not kept has not been lost
        there = unpacked(pack.read_bytes(), address(pack))
        assert {(one.name, one.key) for one in entries} < {(one.name, one.key) for one in there}


def refusals(built: inprocess.Ran) -> dict[str, int]:
    return {one["reason"]: one["count"] for one in built.document["shared"]["refused"]}


@pytest.mark.slow
def test_a_pack_under_the_name_of_another_is_refused(tmp_path: Path, remote: str) -> None:
    inprocess.build(project(tmp_path / "a", remote))
    one, other = packs(remote)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    built = inprocess.build(project(tmp_path / "b", remote))
    assert built.executed == set()
    assert [(one["reason"], one["count"]) for one in built.document["shared"]["refused"]] == [
        ("is the pack of another name", 2)
    ]


def rewritten(remote: str, change: Callable[[list[Any]], None]) -> int:
    """Change the memos in a pack, as somebody does who can write to the bucket; return how many were."""
    from cache.remote.envelopes import enclosed, opened
    from rules.compiling.shared_memos import _DOMAIN

    count = 0
    for pack in packs(remote):
        entries = []
        for entry in unpacked(pack.read_bytes(), address(pack)):
            try:
                memos = msgspec.msgpack.decode(opened(entry.data, _DOMAIN).body)
            except msgspec.DecodeError:  # the record of an action
                entries.append(entry)
                continue
            before = msgspec.msgpack.encode(memos)
            change(memos)
            after = msgspec.msgpack.encode(memos)
            count += after != before
            entries.append(Entry(entry.name, entry.key, entry.written, enclosed(after, _DOMAIN, None)))
        data = packed(address(pack), entries)
        assert data is not None
        pack.write_bytes(data)
    return count


def resealed(text: str, **changes: Any) -> str:
    """Return a sealed record with other members."""
    from cache.sealing import sealed, unsealed

    record = unsealed(text)
    assert record is not None
    return sealed(record | changes)


NESTED = '{"more":' + "[" * 100_000
CHANGES: list[Callable[[Any], Any]] = [
    lambda row: [row[0], resealed(row[1], fingerprint="0" * 32), row[2], row[3]],
    lambda row: [row[0], resealed(row[1], inputs=["orders", "orders"]), row[2], row[3]],
    lambda row: [row[0], resealed(row[1], schema={"columns": [["id", "int64"]], "arrow": "AAAA"}), row[2], row[3]],
    lambda row: [row[0], resealed(row[1], reads="nothing"), row[2], row[3]],
    lambda row: [row[0], row[1], zlib.compress(b"{}"), row[3]],
    lambda row: [row[0], row[1], b"no zlib", row[3]],
    lambda row: [row[0], row[1], row[2], resealed(row[3], edges=[["id", "orders", "id", "value", 99]])],
    lambda row: [row[0], row[1][:-10] + '"0000000"}', row[2], row[3]],
    lambda row: [row[0], row[1]],
    lambda row: [row[0], NESTED, row[2], row[3]],
    lambda row: [row[0], row[1], zlib.compress(NESTED.encode()), row[3]],
    lambda row: [row[0], row[1], zlib.compress(b'{"sql":"\xff"}'), row[3]],
    lambda row: [row[0], row[1], row[2], NESTED],
]


@pytest.mark.slow
def test_a_memo_that_does_not_fit_together_is_dropped(tmp_path: Path, remote: str, compiled: list[str]) -> None:
    inprocess.build(project(tmp_path / "a", remote))
    intact = {pack: pack.read_bytes() for pack in packs(remote)}
    for number, changed in enumerate(CHANGES):
        for pack, data in intact.items():
            pack.write_bytes(data)

        def change(memos: list[Any], changed: Callable[[Any], Any] = changed) -> None:
            memos[2] = [changed(row) for row in memos[2]]

        assert rewritten(remote, change) == COUNT + 1  # and those of the contract of orders
        compiled.clear()
        built = inprocess.run(project(tmp_path / f"b{number}", remote), "plan", "--json")
        assert len(compiled) == COUNT + CHECKS
        assert f"{COUNT + 1} answers of the shared cache refused" in built.stderr


@pytest.mark.slow
def test_a_memo_that_lies_is_found_out_before_anything_runs(tmp_path: Path, remote: str, compiled: list[str]) -> None:
    """One of r23 says that it is r22 that is meant: the records of that writer could say as much."""
    first = project(tmp_path / "a", remote)
    inprocess.build(first)
    found: dict[str, Any] = {}

    def look(memos: list[Any]) -> None:
        found[memos[0]] = memos[2][0]

    rewritten(remote, look)
    from cache.filedigest import file_digest

    victim, model = (file_digest(first.root / f"rules/{name}.sql") for name in ("r23", "r22"))

    def change(memos: list[Any]) -> None:
        if memos[0] == victim:
            memos[2] = [[found[victim][0], *found[model][1:]]]

    assert rewritten(remote, change) == 1
    second = project(tmp_path / "b", remote)
    second.parquet("orders", {"id": [1, 2, 3], "amount": [7, 8, 9]})  # so that it runs
    compiled.clear()
    built = inprocess.build(second)
    assert "the store's memo of r23 differs from what its text compiles to" in built.stderr
    assert "r23" in built.executed
    assert second.product("r23").column("amount").to_pylist() == [one + 3 + 7 + 11 + 15 + 19 + 23 for one in (7, 8, 9)]
    third = project(tmp_path / "c", remote)
    third.parquet("orders", {"id": [1, 2, 3], "amount": [7, 8, 9]})
    compiled.clear()
    assert inprocess.build(third).executed == set()  # what was found out is not in the pack any more
    assert compiled == []
    assert third.product("r23").equals(second.product("r23"))


def test_what_was_compiled_before_can_be_sent(
    tmp_path: Path, remote: str, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project(tmp_path / "a", remote)
    monkeypatch.setenv("RULES_CACHE_MODE", "off")
    inprocess.build(made)
    monkeypatch.delenv("RULES_CACHE_MODE")
    assert inprocess.run(made, "cache", "push", "--json").document["unsent"] == 0
    compiled.clear()
    taken = inprocess.build(project(tmp_path / "b", remote))
    assert taken.executed == set()
    assert compiled == []
    assert taken.document["shared"]["misses"] == 0


@pytest.mark.slow
def test_what_an_audit_found_to_be_wrong_leaves_the_packs(tmp_path: Path, remote: str) -> None:
    from cache.remote.action_records import decoded as read
    from cache.remote.action_records import encoded

    inprocess.build(project(tmp_path / "a", remote))
    lies = 0
    for pack in packs(remote):  # r23 is said to be what r22 is
        entries = {entry.name: entry for entry in unpacked(pack.read_bytes(), address(pack))}
        if b'"file_digest"' not in entries["r23"].data:
            continue
        truth, model = (entries[name] for name in ("r23", "r22"))
        told = msgspec.structs.replace(read(model.data, model.key, ()).record, key=truth.key)
        lie = encoded(told, None)
        assert lie is not None
        data = packed(address(pack), (entries | {"r23": msgspec.structs.replace(truth, data=lie)}).values())
        assert data is not None
        pack.write_bytes(data)
        (tmp_path / "remote" / "rules-v1" / "actions" / truth.key[:2] / f"{truth.key[2:]}.json").write_bytes(lie)
        lies += 1
    assert lies == 1
    made = project(tmp_path / "b", remote)
    assert inprocess.build(made).executed == set()
    assert made.product("r23").equals(made.product("r22"))
    found = inprocess.run(made, "audit", "--remote", "100%", "--json", expect=1).document
    assert [one["name"] for one in found["differing"]] == ["r23"]
    assert inprocess.build(made).executed == {"r23"}
    other = project(tmp_path / "c", remote)
    assert inprocess.build(other).executed == set()
    assert not other.product("r23").equals(other.product("r22"))
