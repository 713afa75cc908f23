"""Names that derived tables and CTEs yield twice: refused where one is read, else the same as with unique names."""

from __future__ import annotations

from functools import cache

import pyarrow as pa
import pytest

from compiler.compiled import Compiled
from compiler.errors import SqlError
from compiler.lint.check import World, check_rule
from compiler.names.qualify import InputSchemas
from properties.repeated import Twin, twin_query
from rules.storage.types import to_schema
from support.compiling import TestCompiler
from support.forms import StoredDatabase, difference

TABLES = {
    "t": pa.table({"i": [1, 2, 3, None], "s": ["a", "b", None, "d"], "v": [1, 1, 20, 30]}),
    "u": pa.table({"i": [1, 2, 4, 4], "s": ["a", "x", "d", None], "w": [5, None, 7, 7]}),
    "k": pa.table({"i": [2, 3, 3], "v": [1, None, 20], "z": [0, 9, 9]}),
}


@cache
def world() -> World:
    schemas = InputSchemas()
    for name, table in TABLES.items():
        schemas.add(name, to_schema(table.schema))
    return World(schemas, {name: name for name in TABLES}.get, tuple(TABLES), {})


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> StoredDatabase:
    return StoredDatabase(TABLES, tmp_path_factory.mktemp("repeated") / "database")


def check_twins(database: StoredDatabase, seeds: range) -> tuple[int, int]:
    """Check the twins of some seeds; return how many repeated a name, unread, and how many read one."""
    compiler = TestCompiler({name: table.schema for name, table in TABLES.items()})
    unread = read = 0
    for seed in seeds:
        twin = twin_query(seed)
        if twin.ambiguous:
            check_refused(compiler, twin, seed)
            read += 1
        else:
            unread += check_alike(compiler, database, twin, seed)
    return unread, read


def edges(compiled: Compiled) -> set[tuple[str | None, str, str, str]]:
    return {(edge.output, edge.input, edge.column, edge.kind) for edge in compiled.lineage}


def check_refused(compiler: TestCompiler, twin: Twin, seed: int) -> None:
    with pytest.raises(SqlError) as refused:
        compiler.compile(twin.repeated)
    assert refused.value.code == "ambiguous-column", (seed, twin.repeated, refused.value.message)
    assert refused.value.line is not None
    found = check_rule(twin.repeated, world()).found
    assert "R002" in {one.code for one in found}, (seed, twin.repeated, found)


def check_alike(compiler: TestCompiler, database: StoredDatabase, twin: Twin, seed: int) -> bool:
    unique, repeated = compiler.compile(twin.unique), compiler.compile(twin.repeated)
    where = (seed, twin.repeated, twin.unique)
    assert repeated.fingerprint == unique.fingerprint, where
    assert repeated.reads == unique.reads, where
    assert repeated.inputs == unique.inputs, where
    assert edges(repeated) == edges(unique), where
    product = database.executed(repeated)
    ordered = "ORDER BY" in twin.repeated and "RANK" not in twin.repeated
    assert difference(database.executed(unique), product, ordered=ordered) is None, where
    try:
        authored = [database.authored(twin.repeated), database.authored(twin.unique)]
    except Exception:  # noqa: BLE001 — the engine refuses most repeated names, in plain Exceptions
        return True
    # It has faults of its own, by which the twins differ on the bare engine; and rows of a UNION tie in any order.
    assert any(difference(one, product.rename_columns(one.column_names), ordered=False) is None for one in authored), (
        where
    )
    return True


@pytest.mark.slow
def test_repeated_names_that_nobody_reads_change_nothing(database: StoredDatabase) -> None:
    unread, read = check_twins(database, range(90))
    assert unread > 40
    assert read > 4


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("start", range(10_000, 30_000, 1000))
def test_many_repeated_names(database: StoredDatabase, start: int) -> None:
    check_twins(database, range(start, start + 1000))
