"""What the measured steps work on: a generated project that was built, and whose next build is prepared after an edit.

Run them by: python3 tasks.py bench-parts
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from benchmarks import generated
from benchmarks.parts.built import RULES, Built
from benchmarks.versus.scenarios import Subject
from rules.build import prepare
from rules.config.project import load_project
from rules.planning.prepared import Request
from rules.storage.store import open_store
from support.compiling import TestCompiler
from support.generated import make_project
from support.inprocess import build


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """Build a project, and edit the rule that most depends on."""
    subject = Subject(RULES)
    project = make_project(tmp_path_factory.mktemp("parts") / "project", RULES)
    build(project)
    project.sql(subject.root, subject.texts({"equal root": 1})[subject.root])
    with open_store(project.root, print, building=True) as store:
        yield Built(project.root, subject.root, store, prepare(load_project(project.root), Request(), store))


@pytest.fixture(scope="session")
def compiler() -> TestCompiler:
    """Make a compiler that knows what generated rules read."""
    product = pa.schema([(name, pa.int64()) for name in ("id", "grp", "val", "rest")])
    tables = dict.fromkeys(generated.queries(RULES), product)
    return TestCompiler(tables | {name: generated.source(0, rows=1).schema for name in generated.SOURCES})
