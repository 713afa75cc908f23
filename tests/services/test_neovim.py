"""`rules lsp` in a real editor: headless Neovim opens the flights project, sees findings, jumps, renames and saves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.flights import built_flights
from support.neovim import MARK, NVIM, edited, recording, sessions
from support.projects import FIXTURES, SampleProject

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(NVIM is None, reason="no Neovim is installed: apt-get install neovim"),
]


@pytest.fixture
def flights(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    return built_flights(tmp_path_factory, tmp_path / "flights")[0]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The sessions of fixtures/neovim, all in one Neovim."""
    project, _ = built_flights(tmp_path_factory, tmp_path_factory.mktemp("sessions") / "flights")
    return sessions(project)


def facts(recorded: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    one = recorded[name]
    assert "problem" not in one, one
    found: dict[str, Any] = one["facts"]
    return found


def test_a_session(flights: SampleProject) -> None:
    found = edited(
        flights,
        """
        open('rules/intermediate/aircraft_rotations.sql')
        at('flown_flights'); found.definition = ask('textDocument/definition')[1].uri
        at('f\\\\.tailnum,'); vim.fn.search('tailnum', 'cW')
        found.column = ask('textDocument/definition')[1].uri
        found.hover = ask('textDocument/hover').contents.value
        at('f\\\\.dep_delay'); vim.cmd('normal! 2lcwdep_dleay')
        found.typo = seen(3)
        vim.cmd('undo'); found.mended = seen(0)
        at('chained')
        local edit = ask('textDocument/rename', {newName = 'linked'})
        vim.lsp.util.apply_workspace_edit(edit, 'utf-16'); vim.cmd('wall')
        found.renamed = vim.fn.getline(1, '$')
        """,
    )
    assert found["definition"].endswith("/rules/intermediate/flown_flights.sql")
    assert found["column"].endswith("/rules/intermediate/flown_flights.sql")
    assert "**flown_flights.tailnum** string" in found["hover"]
    assert "clean_flights.tailnum" in found["hover"]
    assert [(column, message.partition(";")[0]) for _, column, message in found["typo"]] == [
        (10, "unknown column 'dep_dleay'"),
        (6, "unknown column 'dep_delay'"),
        (14, "unknown column 'dep_delay'"),
    ]
    assert not found["mended"]
    assert "WITH linked AS (" in found["renamed"]
    assert not any("chained" in line for line in found["renamed"])
    plan = flights.json("plan")
    assert {one["verdict"] for one in plan["products"]} == {"clean"}


def test_a_rule_is_renamed_with_its_readers(flights: SampleProject) -> None:
    found = edited(
        flights,
        """
        open('rules/staging/clean_planes.sql')
        open('rules/intermediate/plane_ages.sql')
        at('clean_planes')
        local edit = ask('textDocument/rename', {newName = 'sound_planes'})
        found.count = #edit.documentChanges
        vim.lsp.util.apply_workspace_edit(edit, 'utf-16'); vim.cmd('silent wall')
        """,
    )
    assert found["count"] > 1
    assert (flights.root / "rules" / "staging" / "sound_planes.sql").exists()
    plan = flights.json("plan")
    ahead = {one["name"]: one["verdict"] for one in plan["products"] if one["verdict"] != "clean"}
    assert set(ahead) <= {"sound_planes"}


def test_a_quick_fix_mends_the_line(recorded: dict[str, dict[str, Any]]) -> None:
    found = facts(recorded, "quick fix")
    assert "seats" in found["found"][0]
    assert found["line"] == "p.seats,"
    assert not found["left"]


def test_a_column_is_renamed_with_its_readers(recorded: dict[str, dict[str, Any]]) -> None:
    found = facts(recorded, "rename of a column")
    assert found["count"] == 2
    assert found["reader"] == "2013 - p.built_year AS age_years"
    assert not found["own"]
    assert not found["others"]


def test_hovers_say_what_a_name_means(recorded: dict[str, dict[str, Any]]) -> None:
    found = facts(recorded, "hover")
    assert "**clean_planes** (rule)" in found["table"]
    assert "- `built_in` " in found["table"]
    assert "**clean_planes.manufacturer** string" in found["column"]
    assert "planes.manufacturer" in found["column"]


def test_columns_and_parameters_are_offered(recorded: dict[str, dict[str, Any]]) -> None:
    found = facts(recorded, "completion and signatures")
    assert found["columns"] == ["tailnum", "manufacturer", "model", "seats", "age_years"]
    assert found["signature"] == "date_part(part, expression)"
    assert found["parameter"] == 1


def test_references_are_found_across_files(recorded: dict[str, dict[str, Any]]) -> None:
    found = facts(recorded, "references")
    assert found["rule"]["plane_ages.sql"] == 1
    assert found["column"] == {"clean_planes.sql": 1, "plane_ages.sql": 1}


def test_a_lens_says_what_a_saved_edit_reaches(recorded: dict[str, dict[str, Any]]) -> None:
    titles = facts(recorded, "code lens")["titles"]
    assert titles[0].startswith("edit reaches ")
    assert titles[1:] == ["preview", "lineage"]


def test_a_cte_is_previewed(recorded: dict[str, dict[str, Any]]) -> None:
    found = facts(recorded, "preview")
    assert found["name"] == "plane_ages.aged"
    assert found["columns"] == ["tailnum", "manufacturer", "model", "seats", "age_years"]
    assert found["count"] == 20
    assert found["shown"]


@pytest.mark.parametrize(
    ("name", "words"), [("broken file", "expected table name"), ("front matter", "tgas"), ("rules.toml", "pth")]
)
def test_what_is_wrong_is_found_and_goes_away(recorded: dict[str, dict[str, Any]], name: str, words: str) -> None:
    found = facts(recorded, name)
    assert any(words in one for one in found.get("broken") or found["found"])
    assert not found["mended"]


def test_the_docs_have_the_recording(recorded: dict[str, dict[str, Any]]) -> None:
    docs = (FIXTURES.parent / "docs" / "editors.md").read_text(encoding="utf-8")
    assert docs.partition(MARK)[2] == recording(recorded), "run fixtures/make_editor_recording.py"
