"""Reading and writing the index of a built project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.parts.built import RULES, Built
from cache.index import Index


def test_open(benchmark: Any, built: Built) -> None:
    """Open it and close it."""
    benchmark(lambda: Index(built.root / ".rules" / "index.sqlite", existing=True).close())


def test_products(benchmark: Any, built: Built) -> None:
    """Read the last state of every product."""
    assert len(benchmark(built.store.index.products)) == RULES


def test_heads(benchmark: Any, built: Built) -> None:
    """Read what is known of every compiled rule."""
    memos = [rule.memo for rule in built.prepared.compiled.rules.values()]
    assert len(benchmark(built.store.index.compiled_heads, memos)) == RULES


def test_artifacts(benchmark: Any, built: Built) -> None:
    """Read all artifacts."""
    names = {product.artifact for product in built.store.index.products().values()}
    assert set(benchmark(built.store.index.artifacts, names)) == names


def test_set_products(benchmark: Any, built: Built, tmp_path: Path) -> None:
    """Move the pointer of every product, each in a transaction of its own, as a build does."""
    products = built.store.index.products()
    with Index(tmp_path / "index.sqlite") as index:

        def write() -> None:
            for product in products.values():
                index.set_product(product)

        benchmark(write)
        assert index.products() == products


def test_remember_compiled(benchmark: Any, built: Built, tmp_path: Path) -> None:
    """Write what was compiled, in one transaction."""
    index, memos = built.store.index, [rule.memo for rule in built.prepared.compiled.rules.values()]
    heads, lineages = index.compiled_heads(memos), index.lineages(memos)
    records = [(memo, heads[memo], index.compiled_body(memo), lineages[memo]) for memo in memos]
    with Index(tmp_path / "index.sqlite") as fresh:
        benchmark(fresh.remember_compiled, records)
        assert fresh.compiled_heads(memos) == heads
