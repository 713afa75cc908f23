"""`rules lsp` in a real editor: headless Neovim opens the flights project, sees findings, jumps, renames and saves."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from support.flights import built_flights
from support.projects import RULES, SampleProject

if TYPE_CHECKING:
    from pathlib import Path

NVIM = shutil.which("nvim")

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(NVIM is None, reason="no Neovim is installed: apt-get install neovim"),
]

PRELUDE = """
local found, patience = {}, 120000
local function finish() vim.fn.writefile({vim.json.encode(found)}, 'RESULT'); vim.cmd('qa!') end
local client = vim.lsp.start_client({name = 'rules', cmd = {'COMMAND', 'lsp'}, root_dir = vim.fn.getcwd()})
local function open(path)
  vim.cmd('edit ' .. path); vim.bo.filetype = 'sql'
  vim.lsp.buf_attach_client(0, client)
  vim.wait(patience, function()
    local one = vim.lsp.get_client_by_id(client)
    return one ~= nil and one.initialized == true and vim.lsp.buf_is_attached(0, client)
  end, 20)
end
local function seen(count)
  vim.wait(patience, function() return #vim.diagnostic.get(0) == count end, 20)
  return vim.tbl_map(function(one) return {one.lnum, one.col, one.message} end, vim.diagnostic.get(0))
end
local function at(pattern) vim.fn.cursor(1, 1); vim.fn.search(pattern, 'cW') end
local function ask(method, more)
  local params = vim.tbl_extend('force', vim.lsp.util.make_position_params(), more or {})
  for _ = 1, 300 do  -- until the first check is done
    local answers = vim.lsp.buf_request_sync(0, method, params, patience)
    local answer = answers and answers[client] and answers[client].result
    if answer and (not vim.tbl_islist(answer) or #answer > 0) then return answer end
    vim.wait(100)
  end
end
local ok, problem = pcall(function()
STEPS
end)
if not ok then found.problem = tostring(problem) end
finish()
"""


@pytest.fixture
def flights(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    return built_flights(tmp_path_factory, tmp_path / "flights")[0]


def edited(project: SampleProject, steps: str) -> dict[str, Any]:
    """Run steps in Neovim; return what they found."""
    assert NVIM is not None
    result, script = project.root.parent / "result.json", project.root.parent / "session.lua"
    text = PRELUDE.replace("RESULT", str(result)).replace("COMMAND", str(RULES)).replace("STEPS", steps)
    script.write_text(text)
    arguments = [NVIM, "--headless", "-u", "NONE", "-i", "NONE", "-n", "-S", str(script)]
    done = subprocess.run(arguments, cwd=project.root, capture_output=True, text=True, timeout=280, check=False)
    assert result.exists(), done.stderr
    found: dict[str, Any] = json.loads(result.read_text())
    assert "problem" not in found, found
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
