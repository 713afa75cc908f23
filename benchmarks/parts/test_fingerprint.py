"""Fingerprints: encoding a canonical AST, and hashing what decides a rule's result."""

from __future__ import annotations

from typing import Any

from benchmarks.generated import queries
from compiler.fingerprint import digest_of, fingerprint
from compiler.sql.encode import decode, encode
from support.compiling import TestCompiler

RULES = queries(200)
JOIN = max(RULES.values(), key=len)


def test_encode(benchmark: Any, compiler: TestCompiler) -> None:
    """Write a canonical AST as bytes."""
    data = compiler.compile(JOIN).canonical
    assert benchmark(encode, decode(data)) == data


def test_decode(benchmark: Any, compiler: TestCompiler) -> None:
    """Read it back."""
    data = compiler.compile(JOIN).canonical
    assert encode(benchmark(decode, data)) == data


def test_fingerprint(benchmark: Any, compiler: TestCompiler) -> None:
    """Hash a compiled rule's parts."""
    compiled = compiler.compile(JOIN)
    assert benchmark(lambda: (digest_of(compiled.canonical), fingerprint(compiled.parts)))[1] == compiled.fingerprint
