"""Faults of the engine that a build works around: the product is what SQL says, not what the raw engine gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.projects import SampleProject


@pytest.mark.parametrize("words", ["RIGHT JOIN", "RIGHT OUTER JOIN"])
def test_a_right_join_keeps_the_rows_without_a_match(tmp_path: Path, words: str) -> None:
    project = SampleProject(tmp_path, sources=["a", "b"])
    project.parquet("a", {"k": [1, 2, 3], "x": [10, None, 30]})
    project.parquet("b", {"s": [1, 2, 4], "x": [7, 8, 9]})
    project.sql(
        "unmatched",
        f"SELECT b.s, a.x AS ax, b.x AS bx FROM a {words} b ON a.k = b.s WHERE a.x IS NULL ORDER BY b.s",
    )
    project.build()
    assert project.product("unmatched").to_pydict() == {"s": [2, 4], "ax": [None, None], "bx": [8, 9]}
