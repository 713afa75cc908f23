"""A tree survives being written as bytes, and the bytes depend on nothing but the tree."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlglot import exp

from compiler.errors import SqlError
from compiler.sql.dialect import parse, render
from compiler.sql.encode import decode, encode
from support.compiling import TestCompiler
from support.databases import TABLES
from support.pairs import load_pairs
from support.tpch import FIXTURE

DIALECT_CASES = Path(__file__).resolve().parents[2] / "fixtures" / "sql" / "dialect.sql"
TEXTS = [
    *(sql for kind in ("equal", "unequal") for pair in load_pairs(kind) for sql in (pair.first, pair.second)),
    *(path.read_text() for path in sorted((FIXTURE / "rules").glob("*.sql"))),
    *(line.rstrip(";") for line in DIALECT_CASES.read_text(encoding="utf-8").splitlines() if line.endswith(";")),
]


def trees() -> list[exp.Query]:
    found = []
    for text in TEXTS:
        with contextlib.suppress(SqlError):  # the dialect has its own tests; here only what it accepts
            found.append(parse(text))
    return found


@pytest.mark.slow
def test_every_parsed_tree_round_trips() -> None:
    parsed = trees()
    assert len(parsed) > 1500
    for tree in parsed:
        data = encode(tree)
        back = decode(data)
        assert encode(back) == data
        for ordered in tree.find_all(exp.Ordered):
            ordered.set("desc", ordered.args.get("desc") or None)  # ASC says nothing
        assert render(back) == render(tree)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("SELECT 1 AS v", "SELECT '1' AS v"),
        ("SELECT TRUE AS v", "SELECT FALSE AS v"),
        ("SELECT NULL AS v", "SELECT FALSE AS v"),
        ("SELECT a AS v FROM t UNION SELECT b FROM t", "SELECT a AS v FROM t UNION ALL SELECT b FROM t"),
        ('SELECT "a" AS v FROM t', 'SELECT "A" AS v FROM t'),
        ("SELECT a FROM t ORDER BY a", "SELECT a FROM t ORDER BY a DESC"),
        ("SELECT a FROM t ORDER BY a", "SELECT a FROM t ORDER BY a NULLS FIRST"),
        ("SELECT DISTINCT a FROM t", "SELECT a FROM t"),
        ("SELECT CAST(a AS INT) AS v FROM t", "SELECT TRY_CAST(a AS INT) AS v FROM t"),
        ("SELECT CAST(a AS DECIMAL(10, 2)) AS v FROM t", "SELECT CAST(a AS DECIMAL(10, 3)) AS v FROM t"),
        ("SELECT 1.0 AS v", "SELECT 1.00 AS v"),
        ("SELECT '' AS v", "SELECT ' ' AS v"),
        ("SELECT a FROM t GROUP BY ALL", "SELECT a FROM t GROUP BY a"),
    ],
)
def test_different_trees_have_different_bytes(first: str, second: str) -> None:
    assert encode(parse(first)) != encode(parse(second))


def test_positions_and_comments_stay_out() -> None:
    assert encode(parse("SELECT a -- one\nFROM t")) == encode(parse("/* two */ SELECT   a FROM\n\n t"))


FINGERPRINTS = """
import sys
from support.compiling import TestCompiler
from support.databases import TABLES
from support.pairs import load_pairs
compiler = TestCompiler(TABLES)
for pair in load_pairs("equal")[:: int(sys.argv[1])]:
    print(pair.name, compiler.compile(pair.second).fingerprint)
"""


def fingerprints(seed: str, step: int = 4) -> str:
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": f"{root}{os.pathsep}{root / 'tests'}"}
    command = [sys.executable, "-c", FINGERPRINTS, str(step)]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_fingerprints_do_not_depend_on_the_hash_seed() -> None:
    compiler = TestCompiler(TABLES)
    here = "".join(f"{p.name} {compiler.compile(p.second).fingerprint}\n" for p in load_pairs("equal")[::4])
    assert len(here.splitlines()) > 50
    assert fingerprints("1") == here
    assert fingerprints("4711") == here
