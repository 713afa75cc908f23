"""An index that stays open: what nobody wrote is not read again, and whatever anybody wrote is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import pytest

from cache.decoding import Decoded
from cache.errors import StoreError
from cache.index import Index
from cache.records import Artifact, Product, ProductRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("ab01", "ab02", "ab03")
HEADS = ("one", "two")
BULK = re.compile(r"^SELECT .* FROM (products|artifacts|compiled)")


def product(name: str, artifact: str = "ab01") -> Product:
    return Product(name, artifact, "key", "print", "memo", ProductRecord({"query": "q"}, ()), 0.5, "b1")


def artifact(name: str, rows: int = 3) -> Artifact:
    return Artifact(name, rows, 100, "digest", {"id": ("int64", "d1")})


@dataclass
class Watched:
    """An index that is watched, and the tables that were read since the last look at them."""

    index: Index
    path: Path
    statements: list[str]

    def products(self) -> dict[str, Product]:
        return self.index.products_and_checks()

    def artifacts(self) -> dict[str, Artifact]:
        return self.index.artifacts_in_use(NAMES)

    def heads(self) -> dict[str, str]:
        return self.index.all_of(
            "head", HEADS, lambda some: self.index.compiled_heads(some or ()), lambda _, text: text[:10]
        )

    def everything(self) -> tuple[object, ...]:
        return self.products(), self.artifacts(), self.heads()

    def fresh(self) -> tuple[object, ...]:
        """Return the same as another connection reads it."""
        with Index(self.path, existing=True) as index:
            heads = {memo: text[:10] for memo, text in index.compiled_heads(HEADS).items()}
            return index.products_and_checks(), index.artifacts(NAMES), heads

    def read(self) -> list[str]:
        found = [match[1] for one in self.statements if (match := BULK.match(one))]
        self.statements.clear()
        return found


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    path = tmp_path / "index.sqlite"
    with Index(path) as index:
        for name in NAMES[:2]:
            index.add_artifact(artifact(name), "b1")
        for name in ("b", "a", "a.check"):
            index.set_product(product(name))
        index.remember_compiled([("one", {"head": 1}, b"body", {"edges": []})])
    with Index(path) as index:
        index.decoded = Decoded()
        index.watch()
        statements: list[str] = []
        index._connection.set_trace_callback(statements.append)  # noqa: SLF001 — what is read is the claim
        yield Watched(index, path, statements)


def test_what_nobody_wrote_is_read_once(watched: Watched) -> None:
    first = watched.everything()
    assert first == watched.fresh()
    assert sorted(set(watched.read())) == ["artifacts", "compiled", "products"]
    assert list(watched.products()) == ["a", "a.check", "b"]
    assert watched.index.artifacts_in_use(NAMES[:2])["ab01"] is first[1]["ab01"]  # type: ignore[index]
    assert watched.index.all_of("head", HEADS[:1], lambda _: {}, lambda _, text: text) == first[2]
    assert watched.read() == []


def test_only_what_this_connection_wrote_is_read_again(watched: Watched) -> None:
    index, before = watched.index, watched.everything()
    watched.read()
    index.set_product(product("b", "ab02"))
    index.set_product(product("c"))
    index.drop_products(["a"])
    index.add_artifact(artifact("ab01", rows=4), "b2")
    index.add_artifact(artifact("ab03"), "b2")
    index.forget_artifact("ab02")
    index.remember_compiled([("two", {"head": 2}, b"body", {"edges": []})])
    assert watched.everything() == watched.fresh()
    assert list(watched.products()) == ["a.check", "b", "c"]
    assert watched.products()["a.check"] is before[0]["a.check"]  # type: ignore[index]
    index.forget_compiled()
    assert watched.heads() == {}
    assert watched.everything() == watched.fresh()


def test_what_is_undone_was_never_there(watched: Watched) -> None:
    before = watched.everything()

    def fail() -> None:
        with watched.index.transaction():
            watched.index.set_product(product("b", "ab02"))
            watched.index.add_artifact(artifact("ab03"), "b2")
            assert watched.products()["b"].artifact == "ab02"
            assert "ab03" in watched.artifacts()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert watched.everything() == before == watched.fresh()


def test_it_is_known_whether_anybody_else_wrote(watched: Watched) -> None:
    watched.everything()
    watched.index.set_product(product("b", "ab02"))
    assert watched.index.is_own()
    with Index(watched.path, existing=True) as other:
        other.products()
        assert watched.index.is_own()
        other.add_artifact(artifact("ab03"), "b9")
    assert not watched.index.is_own()


def test_records_that_are_equal_stay_the_same_objects_when_the_index_is_opened_anew(watched: Watched) -> None:
    before = watched.everything()
    assert watched.index.decoded is not None
    watched.index.decoded.doubt_all()
    with Index(watched.path, existing=True) as other:
        other.decoded = watched.index.decoded
        other.watch()
        watched.index.set_product(product("b", "ab02"))
        now = other.products_and_checks()
        assert now["a"] is before[0]["a"]  # type: ignore[index]
        assert now["b"].artifact == "ab02"


def test_what_is_damaged_is_refused_also_when_it_is_read_again(watched: Watched) -> None:
    watched.everything()
    watched.index._many("UPDATE products SET record = 'x' WHERE name = ?", [("b",)])  # noqa: SLF001 — a bad disk
    with pytest.raises((StoreError, msgspec.MsgspecError)):
        watched.products()
    with pytest.raises((StoreError, msgspec.MsgspecError)):
        watched.products()
