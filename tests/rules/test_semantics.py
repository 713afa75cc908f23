"""docs/semantics.md says where rules differ from the bare engine; each line is a case that is built and run here."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rules.config.profiles import PROFILES
from rules.engine.session import make_session
from rules.storage.types import stored_schema
from support.compiling import TestCompiler
from support.forms import StoredDatabase
from support.inprocess import InProcess
from support.refusals import assert_refused_alike
from support.semantics import DOCUMENT, SemanticsCase, semantics_cases, with_tables

CASES = {f"{case.file}: {case.name}": case for case in semantics_cases()}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_rule_means_what_the_document_says(tmp_path: Path, case: SemanticsCase) -> None:
    if case.facts["list"] == "relative" and "rows" in case.facts:  # as a build runs it, without building
        tables = case.arrow_tables()
        database = StoredDatabase(tables, tmp_path / "database")
        compiled = TestCompiler({name: table.schema for name, table in tables.items()}).compile(case.sql)
        assert case.rows_of(database.executed(compiled)) == case.rows("rows")
        return
    project = InProcess(tmp_path, sources=case.tables)
    for name, table in case.arrow_tables().items():
        target = project.root / "data" / f"{name}.parquet"
        target.parent.mkdir(exist_ok=True)
        pq.write_table(table, target)
    project.sql("product", case.sql)
    if "error" in case.facts:
        done = project.cli("build")
        assert done.returncode == 1, done.stdout
        assert case.facts["error"] in done.stderr
        assert "product.sql:" in done.stderr
        assert_refused_alike(project, case.facts["error"])
    else:
        project.build()
        assert case.rows_of(project.product("product")) == case.rows("rows")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_bare_engine_still_does_otherwise(tmp_path: Path, case: SemanticsCase) -> None:
    if case.facts["list"] == "relative" and not {"engine rows", "engine error"} & case.facts.keys():
        pytest.skip("a relative of a case, which the engine may read rightly")
    session = make_session(PROFILES["prod_fast"])
    session.sql("SET datafusion.optimizer.enable_topk_aggregation = true").collect()
    for name, table in case.arrow_tables().items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
        schema = stored_schema(table.schema)
        session.register_parquet(name, str(tmp_path / f"{name}.parquet"), schema=schema)
    if "engine error" in case.facts:
        with pytest.raises(Exception, match=r"\w") as raised:  # the engine raises ValueError and plain Exception
            session.sql(case.sql).to_arrow_table()
        assert case.facts["engine error"] in str(raised.value)
        return
    found = case.rows_of(session.sql(case.sql).to_arrow_table())
    assert found == case.rows("engine rows")
    assert "rows" not in case.facts or found != case.rows("rows")


def test_the_document_lists_each_case() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == with_tables(text), "write it anew: PYTHONPATH=tests python -m support.semantics"
