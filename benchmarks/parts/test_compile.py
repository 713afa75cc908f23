"""Compiling one rule, of each kind that the generated project has, and one of TPC-DS's longest."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.compile_cost import ROOT
from benchmarks.generated import queries
from compiler.parse_rule import parse_rule
from support.compiling import TestCompiler
from support.tpcds import schemas

RULES = queries(200)
KINDS = {"staging": "stg_001", "join": max(RULES, key=lambda name: len(RULES[name])), "aggregation": "agg_000"}


@pytest.mark.parametrize("kind", KINDS)
def test_parse(benchmark: Any, kind: str) -> None:
    """Find out which tables a rule reads."""
    assert benchmark(parse_rule, RULES[KINDS[kind]]).tables


@pytest.mark.parametrize("kind", KINDS)
def test_compile(benchmark: Any, compiler: TestCompiler, kind: str) -> None:
    """From text to canonical AST, read set, lineage and fingerprint."""
    assert benchmark(compiler.compile, RULES[KINDS[kind]]).fingerprint


def test_compile_long(benchmark: Any) -> None:
    """One query of TPC-DS."""
    text = (ROOT / "fixtures" / "tpcds" / "rules" / "q64.sql").read_text(encoding="utf-8")
    assert benchmark.pedantic(TestCompiler(schemas()).compile, [text], rounds=3, warmup_rounds=1).fingerprint
