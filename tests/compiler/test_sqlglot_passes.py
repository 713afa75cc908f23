"""Passes of SQLGlot that change what a query means are used nowhere: rewrites of our own do what they are for."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlglot import exp, parse_one
from sqlglot.optimizer.canonicalize import canonicalize
from sqlglot.optimizer.simplify import simplify

import compiler

UNSOUND = {
    "canonicalize", "merge_subqueries", "optimize", "pushdown_predicates", "simplify", "unnest_subqueries",
}  # fmt: skip
ROOT = Path(compiler.__file__).parents[1]


def imported(text: str) -> set[str]:
    """The modules and names of sqlglot.optimizer that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlglot.optimizer"):
            found |= {*(node.module or "").split("."), *(name.name for name in node.names)}
        elif isinstance(node, ast.Import):
            found |= {part for name in node.names for part in name.name.split(".")[2:]}
    return found


@pytest.mark.slow
def test_none_is_imported() -> None:
    modules = [path for package in ("compiler", "rules", "graph", "cache") for path in (ROOT / package).rglob("*.py")]
    used = [(path.name, imported(path.read_text(encoding="utf-8"))) for path in modules]
    assert [(name, names & UNSOUND) for name, names in used if names & UNSOUND] == []
    assert {"qualify", "canonicalize_internal_names"} <= {name for _, names in used for name in names}


def test_an_import_is_noticed() -> None:
    assert imported("from sqlglot.optimizer.simplify import simplify") & UNSOUND
    assert imported("from sqlglot.optimizer import optimize") & UNSOUND
    assert imported("import sqlglot.optimizer.simplify") & UNSOUND


@pytest.mark.parametrize(
    ("unsound", "sql", "kind"),
    [
        (simplify, "SELECT 1 AS x WHERE RANDOM() < 0.5 AND RANDOM() < 0.5", exp.Rand),
        (canonicalize, "SELECT CAST(CAST(x AS DATE) AS DATE) AS x FROM t", exp.Cast),
    ],
)
def test_they_still_lose_a_part_of_a_query(
    unsound: Callable[[exp.Expr], exp.Expr], sql: str, kind: type[exp.Expr]
) -> None:
    tree = parse_one(sql, dialect="postgres")
    before = len(list(tree.find_all(kind)))
    assert 0 < len(list(unsound(tree).find_all(kind))) < before
