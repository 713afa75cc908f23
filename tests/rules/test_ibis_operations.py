"""Operations for which Ibis has nothing that the engine can run, said otherwise: what they compute."""

from __future__ import annotations

import datetime
import hashlib
import sys
from typing import Any

import pytest

from support.inprocess import build
from support.projects import SampleProject

MOMENT = datetime.datetime(2024, 5, 6, 7, 8, 9, 123456)
EARLY = datetime.datetime(1960, 1, 1, 0, 0, 59, 999999)
OPERATIONS: dict[str, tuple[str, list[Any]]] = {
    "millisecond": ("t.at.millisecond()", [123, 999, None]),
    "microsecond": ("t.at.microsecond()", [123456, 999999, None]),
    "sign": ("t.f.sign()", [-1.0, 1.0, None]),
    "sign_of_integers": ("t.i.sign()", [1, -1, None]),
    "hexdigest": (
        "t.s.hexdigest('sha256')",
        [hashlib.sha256(b"abc").hexdigest(), hashlib.sha256(b"").hexdigest(), None],
    ),
    "md5": (
        "t.s.hexdigest('md5')",
        ["900150983cd24fb0d6963f7d28e17f72", "d41d8cd98f00b204e9800998ecf8427e", None],  # RFC 1321
    ),
    "hashbytes": ("t.s.hashbytes('sha256')", [hashlib.sha256(b"abc").digest(), hashlib.sha256(b"").digest(), None]),
    "as_date": ("t.d.as_date('%d.%m.%Y')", [datetime.date(2024, 2, 29), datetime.date(1999, 12, 31), None]),
    "timestamp_of_parts": (
        "ibis.timestamp(t.i.abs() + 2000, 2, 3, 4, 5, 6)",
        [datetime.datetime(2007, 2, 3, 4, 5, 6), datetime.datetime(2007, 2, 3, 4, 5, 6), None],
    ),
    "maxs": ("t.a.maxs()", [3, None, None]),
    "mins": ("t.a.mins()", [1, None, None]),
    "capitalize": ("t.s.capitalize()", ["Abc", "", None]),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    sample = SampleProject(tmp_path_factory.mktemp("operations") / "project", sources=["t"])
    sample.parquet(
        "t",
        {
            "n": [0, 1, 2],
            "at": [MOMENT, EARLY, None],
            "f": [-2.5, 3.0, None],
            "i": [7, -7, None],
            "s": ["abc", "", None],
            "d": ["29.02.2024", "31.12.1999", None],
            "a": [[1, None, 3], [], None],
        },
    )
    rules = [f"@rule\ndef {name}(t):\n    return t.select('n', x={ibis})\n" for name, (ibis, _) in OPERATIONS.items()]
    sample.write("rules/operations.py", "\n\n".join(["import ibis\n\nfrom rules import rule\n", *rules]))
    build(sample, "-k", expect=None)
    return sample


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_computes_what_ibis_says(project: SampleProject, name: str) -> None:
    rows = sorted(project.product(name).to_pylist(), key=lambda row: row["n"])
    assert [row["x"] for row in rows] == OPERATIONS[name][1]


def test_the_connection_of_ibis_is_not_used(project: SampleProject) -> None:
    assert project.product("sign").num_rows == 3
    assert "ibis.backends.sql.compilers.datafusion" in sys.modules
    assert "ibis.backends.datafusion" not in sys.modules
