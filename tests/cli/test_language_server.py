"""`rules lsp`, asked by a client over its standard streams, as editors ask it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException

from support import inprocess
from support.language_client import Editor
from support.projects import SampleProject

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

LARGE = """-- /// rule
-- description = "Large orders"
-- ///
SELECT o.id, o.region, o.amount * 2 AS twice
FROM orders AS o
WHERE o.amount > $least
"""
TOTAL = """WITH eu AS (SELECT l.id, l.twice FROM large AS l WHERE l.region = 'EU')
SELECT e.id, SUM(e.twice) AS total FROM eu AS e GROUP BY e.id
"""
STARRED = "SELECT * FROM large AS l\n"
PASSED = "SELECT l.id, l.twice FROM large AS l\n"


@pytest.fixture
def sample(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["orders"], toml="\n[vars]\nleast = 10\n")
    sample.parquet("orders", {"id": [1, 2, 3], "region": ["EU", "US", "EU"], "amount": [10.5, 20.0, 30.0]})
    for name, text in (("large", LARGE), ("total", TOTAL), ("passed", PASSED)):
        sample.write(f"rules/{name}.sql", text)
    inprocess.build(sample)
    return sample


def edited(project: SampleProject, session: Callable[[Editor], Coroutine[Any, Any, None]], **options: Any) -> None:
    """Run a session of an editor that has every rule open."""

    async def run() -> None:
        editor = Editor(project)
        await editor.start(**options)
        try:
            for path in sorted((project.root / "rules").glob("*.sql")):
                editor.open(f"rules/{path.name}")
            await editor.until(lambda found: len(found) >= len(list((project.root / "rules").glob("*.sql"))))
            await session(editor)
        finally:
            await editor.stop()

    asyncio.run(run())


async def helped(editor: Editor, path: str) -> None:
    """Write a call, and see how its function is called."""
    editor.type(path, "SELECT SUBSTR('(', l.id, ) AS part FROM large AS l")
    place, found = editor.at(path, "l.id, |"), None
    params = lsp.SignatureHelpParams(editor.document(path), place)
    async with asyncio.timeout(90):  # known after the first plan
        while found is None:
            found = await editor.client.text_document_signature_help_async(params)
            await asyncio.sleep(0.05)
    assert found.signatures[0].label == "substr(str, start_pos[, length])"
    assert [one.label for one in found.signatures[0].parameters or ()] == ["str", "start_pos", "length"]
    assert found.active_parameter == 2
    answer = await editor.client.text_document_completion_async(lsp.CompletionParams(editor.document(path), place))
    assert isinstance(answer, lsp.CompletionList)
    item = next(one for one in answer.items if one.label == "date_trunc")
    assert item.detail == "date_trunc(precision, expression)"
    resolved = await editor.client.completion_item_resolve_async(item)
    assert isinstance(resolved.documentation, lsp.MarkupContent)
    assert "precision" in resolved.documentation.value


@pytest.mark.slow
def test_names_mean_the_same_everywhere(sample: SampleProject) -> None:
    async def session(editor: Editor) -> None:
        async def definition(path: str, marked: str) -> tuple[str, int, int]:
            params = lsp.DefinitionParams(editor.document(path), editor.at(path, marked))
            found = await editor.client.text_document_definition_async(params)
            assert isinstance(found, list)
            (one,) = found
            assert isinstance(one, lsp.Location)
            start = one.range.start
            return one.uri.removeprefix(f"{sample.root.as_uri()}/"), start.line, start.character

        assert await definition("rules/total.sql", "l.tw|ice") == ("rules/large.sql", 3, 39)
        assert await definition("rules/total.sql", "FROM la|rge") == ("rules/large.sql", 0, 0)
        assert await definition("rules/total.sql", "e.tw|ice") == ("rules/total.sql", 0, 27)
        assert await definition("rules/total.sql", "FROM e|u") == ("rules/total.sql", 0, 5)
        assert await definition("rules/large.sql", "FROM or|ders") == ("rules.toml", 3, 9)
        assert (await definition("rules/large.sql", "$le|ast"))[0] == "rules.toml"

        async def said(path: str, marked: str) -> str:
            params = lsp.HoverParams(editor.document(path), editor.at(path, marked))
            found = await editor.client.text_document_hover_async(params)
            assert found is not None
            assert isinstance(found.contents, lsp.MarkupContent)
            return found.contents.value

        column = await said("rules/total.sql", "l.tw|ice")
        assert "**large.twice** float64" in column
        assert "`large.twice` = `o.amount * 2`" in column
        assert "  - `orders.amount`" in column
        assert "read by passed, total" in column
        rule = await said("rules/total.sql", "FROM la|rge")
        assert "Large orders" in rule
        assert "- `id` int64" in rule

        place = editor.at("rules/large.sql", "AS tw|ice")
        params = lsp.ReferenceParams(
            lsp.ReferenceContext(include_declaration=True), editor.document("rules/large.sql"), place
        )
        found = await editor.client.text_document_references_async(params)
        assert sorted(one.uri.rsplit("/", 1)[-1] for one in found or ()) == ["large.sql", "passed.sql", "total.sql"]

        symbols = await editor.client.text_document_document_symbol_async(
            lsp.DocumentSymbolParams(editor.document("rules/total.sql"))
        )
        assert [one.name for one in symbols or ()] == ["eu", "id", "total"]
        whole = lsp.Range(lsp.Position(0, 0), lsp.Position(9, 0))
        hints = await editor.client.text_document_inlay_hint_async(
            lsp.InlayHintParams(editor.document("rules/large.sql"), whole)
        )
        assert [one.label for one in hints or ()] == [": int64", ": string", ": float64"]
        tokens = await editor.client.text_document_semantic_tokens_full_async(
            lsp.SemanticTokensParams(editor.document("rules/large.sql"))
        )
        assert tokens is not None
        assert len(tokens.data) == 5 * 12

    edited(sample, session)


@pytest.mark.slow
def test_diagnostics_are_those_of_check_while_typing(sample: SampleProject) -> None:
    async def session(editor: Editor) -> None:
        def codes(found: dict[str, list[lsp.Diagnostic]], path: str) -> list[object]:
            return [one.code for one in found.get(path, [])]

        await editor.until(lambda found: not any(found.values()))
        editor.type("rules/large.sql", LARGE.replace("o.amount * 2", "o.amuont * 2"))
        await editor.until(lambda found: codes(found, "rules/large.sql") == ["R003"])
        assert "amount" in editor.diagnostics[editor.uri("rules/large.sql")][0].message
        editor.type("rules/large.sql", LARGE.replace("AS twice", "AS double_amount"))  # its readers break
        await editor.until(lambda found: codes(found, "rules/total.sql") == ["R003"])
        await editor.until(lambda found: codes(found, "rules/large.sql") == [])
        assert inprocess.run(sample, "check").code == 0  # nothing of it is saved
        editor.save("rules/large.sql")
        await editor.until(lambda found: codes(found, "rules/total.sql") == ["R003"])
        cold = inprocess.run(sample, "check", "--json", expect=1).document["findings"]
        shown = [
            (path, one.code, one.range.start.line + 1, one.range.start.character + 1)
            for path in ("rules/large.sql", "rules/passed.sql", "rules/total.sql")
            for one in editor.diagnostics[editor.uri(path)]
        ]
        assert shown == [(one["path"], one["code"], one["line"], one["column"]) for one in cold]
        for text in ("SELECT", "\0", "(" * 3000, "-- /// rule\n-- tier = 9\n-- ///\nSELECT 1 AS a"):
            editor.type("rules/large.sql", text)
            await editor.until(lambda found: len(found["rules/large.sql"]) == 1)
        editor.type("rules/large.sql", LARGE)
        await editor.until(lambda found: not any(found.values()))

    edited(sample, session)


@pytest.mark.slow
def test_files_that_others_change_are_noticed(sample: SampleProject, tmp_path: Path) -> None:
    """By another editor, which replaces files, or a branch checked out: this editor tells nothing of it."""

    def replaced(path: str, text: str) -> None:
        beside = tmp_path / "beside"
        beside.write_text(text)
        beside.replace(sample.root / path)

    async def session(editor: Editor) -> None:
        await editor.until(lambda found: not any(found.values()))
        replaced("rules/added.sql", "SELECT l.id, l.twcie FROM large AS l")
        await editor.until(lambda found: [one.code for one in found.get("rules/added.sql", [])] == ["R003"])
        replaced("rules/added.sql", "SELECT l.id, l.twice FROM large AS l")
        await editor.until(lambda found: not any(found.values()))
        toml = sample.read("rules.toml")
        replaced("rules.toml", f'{toml}"\U0001f600" = nothing\n')
        await editor.until(lambda found: len(found.get("rules.toml", [])) == 1)
        (broken,) = editor.diagnostics[editor.uri("rules.toml")]
        assert broken.range.start.character == len('"_" = ') + 1  # in units of UTF-16
        replaced("rules.toml", toml)
        for number in range(20):
            replaced(f"rules/wrong{number}.sql", "SELECT l.id, l.twcie FROM large AS l")
        await editor.until(lambda found: sum(map(bool, found.values())) == 20)
        for number in range(20):
            (sample.root / f"rules/wrong{number}.sql").unlink()
        await editor.until(lambda found: not any(found.values()))

    edited(sample, session)


@pytest.mark.slow
def test_findings_of_settings_stay_where_they_are_while_these_are_edited(sample: SampleProject) -> None:
    """A check reads rules.toml as it is saved; editors move what they show of it, as lines are written above it."""
    sample.write("rules.toml", sample.read("rules.toml") + '[contracts.large]\nkey = ["nope"]\n')

    async def session(editor: Editor) -> None:
        await editor.until(lambda found: len(found.get("rules.toml", [])) == 1)
        (shown,) = editor.diagnostics[editor.uri("rules.toml")]
        editor.open("rules.toml")
        editor.type("rules.toml", f"# a\n# b\n{sample.read('rules.toml')}")
        editor.type("rules/passed.sql", "SELECT l.id, l.twcie FROM large AS l")
        await editor.until(lambda found: len(found["rules/passed.sql"]) == 1)
        assert editor.diagnostics[editor.uri("rules.toml")] == [shown]

    edited(sample, session)


@pytest.mark.slow
def test_fixes_completions_and_lenses(sample: SampleProject) -> None:
    sample.write("rules/passed.sql", "SELECT * FROM large AS l WHERE id > 1\n")

    async def session(editor: Editor) -> None:
        path = "rules/passed.sql"
        await editor.until(lambda found: len(found[path]) == 2)
        line = lsp.Range(lsp.Position(0, 0), lsp.Position(0, 40))
        params = lsp.CodeActionParams(editor.document(path), line, lsp.CodeActionContext([]))
        found = [
            one
            for one in await editor.client.text_document_code_action_async(params) or ()
            if isinstance(one, lsp.CodeAction)
        ]
        made = {one.title: editor.applied(one.edit)[path] for one in found}
        assert made["Expand every *"] == "SELECT l.id, l.region, l.twice FROM large AS l WHERE id > 1\n"
        assert made["Qualify all columns"] == "SELECT * FROM large AS l WHERE l.id > 1\n"
        assert len(found) == 5

        async def labels(text: str, marked: str) -> list[str]:
            editor.type(path, text)
            params = lsp.CompletionParams(editor.document(path), editor.at(path, marked))
            found = await editor.client.text_document_completion_async(params)
            assert isinstance(found, lsp.CompletionList)
            return [one.label for one in found.items]

        assert await labels("SELECT l. FROM large AS l", "l.|") == ["id", "region", "twice"]
        assert await labels("SELECT 1 AS a FROM ", "FROM |") == ["large", "orders", "total"]
        assert await labels("SELECT 1 AS a FROM orders AS x WHERE x.id > $", "$|") == ["$least"]
        everything = await labels("SELECT  FROM orders AS x", "SELECT | FROM")
        assert {"x.id", "sum", "date_trunc"} <= set(everything)
        assert "tags" in await labels("-- /// rule\n-- t\n-- ///\nSELECT 1 AS a", "-- t|")

        await helped(editor, path)
        editor.type(path, "SELECT l.id + 1 AS id FROM large AS l\n")
        editor.save(path)
        lenses: dict[str, lsp.Command] = {}
        async with asyncio.timeout(90):  # the plan comes after the check
            while "edit reaches 1 product" not in lenses:
                answer = await editor.client.text_document_code_lens_async(lsp.CodeLensParams(editor.document(path)))
                lenses = {one.command.title: one.command for one in answer or () if one.command is not None}
                await asyncio.sleep(0.05)
        done: dict[str, Any] = {
            title: await editor.client.workspace_execute_command_async(
                lsp.ExecuteCommandParams(one.command, one.arguments)
            )
            for title, one in lenses.items()
        }
        assert done["edit reaches 1 product"]["verdict"] == "run"
        assert done["preview"]["rows"] == [{"id": 2}, {"id": 3}, {"id": 4}]
        assert "large.id" in done["lineage"]["text"]
        arguments = [editor.uri("rules/total.sql"), 0, 6]
        shown = await editor.client.workspace_execute_command_async(
            lsp.ExecuteCommandParams("rules.preview", arguments)
        )
        assert shown is not None
        assert (shown["name"], shown["columns"]) == ("total.eu", ["id", "twice"])
        assert shown["rows"] == [{"id": 1, "twice": 21.0}, {"id": 3, "twice": 60.0}]

    edited(sample, session)


@pytest.mark.slow
def test_what_is_asked_before_the_next_check_is_answered_from_the_text(sample: SampleProject) -> None:
    async def session(editor: Editor) -> None:
        async def asked() -> list[str]:
            place = editor.at("rules/large.sql", "AS tw|ice")
            context = lsp.ReferenceContext(include_declaration=True)
            params = lsp.ReferenceParams(context, editor.document("rules/large.sql"), place)
            found = await editor.client.text_document_references_async(params)
            return sorted(one.uri.rsplit("/", 1)[-1] for one in found or ())

        editor.type("rules/passed.sql", PASSED.replace("SELECT", "SELECT SELECT"))
        await editor.until(lambda found: len(found["rules/passed.sql"]) > 0)
        assert await asked() == ["large.sql", "total.sql"]
        params = lsp.RenameParams(
            editor.document("rules/large.sql"), editor.at("rules/large.sql", "AS tw|ice"), "other"
        )
        with pytest.raises(JsonRpcException, match=r"passed\.sql cannot be compiled, so nothing is renamed"):
            await editor.client.text_document_rename_async(params)
        editor.type("rules/passed.sql", PASSED)
        assert await asked() == ["large.sql", "passed.sql", "total.sql"]

    edited(sample, session)


@pytest.mark.slow
def test_edits_come_where_the_editor_makes_them(sample: SampleProject) -> None:
    """Whatever else is in the text: what Python ends a line at and editors do not, halves of characters, emoji."""
    path = "rules/large.sql"

    async def session(editor: Editor) -> None:
        for odd in ("\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\ud800", "\U0001f600", "\r\n"):
            editor.type(path, f"-- {odd}\nSELECT '{odd}' AS a, o.id,\n o.amount AS \"{odd}\" FROM orders AS o\n")
            editor.replace(path, "amount", "amuont")
            editor.replace(path, "o.id", "o.id + 1 AS b")
            await editor.until(lambda found: [one.code for one in found[path]] == ["R003"])
            (one,) = editor.diagnostics[editor.uri(path)]
            assert one.range == lsp.Range(editor.at(path, "o.|amuont"), editor.at(path, "o.amuont|")), repr(odd)
            editor.replace(path, "amuont", "amount")
            await editor.until(lambda found: not found[path])
        assert not editor.shown

    edited(sample, session)


@pytest.mark.slow
def test_what_an_editor_shows_beside_a_file_is_not_the_file(sample: SampleProject) -> None:
    async def session(editor: Editor) -> None:
        editor.show_version("rules/large.sql", "SELECT o.amuont FROM orders AS o")
        editor.type("rules/total.sql", TOTAL.replace("l.twice", "l.twcie"))
        await editor.until(lambda found: any(one.code == "R003" for one in found["rules/total.sql"]))
        assert not editor.diagnostics[editor.uri("rules/large.sql")]

    edited(sample, session)


@pytest.mark.slow
def test_renames_reach_all_readers_and_change_no_meaning(
    sample: SampleProject, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {one["name"]: one["fingerprint"] for one in inprocess.run(sample, "plan", "--json").document["products"]}

    async def session(editor: Editor) -> None:
        async def rename(path: str, marked: str, new: str) -> dict[str, str]:
            params = lsp.RenameParams(editor.document(path), editor.at(path, marked), new)
            return editor.applied(await editor.client.text_document_rename_async(params))

        column = await rename("rules/total.sql", "l.tw|ice", "doubled")
        assert column == {
            "rules/large.sql": LARGE.replace("AS twice", "AS doubled"),
            "rules/passed.sql": PASSED.replace("l.twice", "l.doubled AS twice"),
            "rules/total.sql": TOTAL.replace("l.twice", "l.doubled AS twice"),
        }
        cte = await rename("rules/total.sql", "FROM e|u", "europe")
        assert cte == {"rules/total.sql": TOTAL.replace("WITH eu", "WITH europe").replace("FROM eu", "FROM europe")}
        rule = await rename("rules/total.sql", "FROM la|rge", "big")
        assert rule == {
            "rules/big.sql": LARGE,
            "rules/passed.sql": PASSED.replace("large", "big"),
            "rules/total.sql": TOTAL.replace("large", "big"),
        }
        for path, marked, new in (
            ("rules/large.sql", "AS tw|ice", "region"),  # it has such a column
            ("rules/total.sql", "FROM la|rge", "orders"),
            ("rules/large.sql", "WHERE o.am|ount", "sum"),  # of a source
        ):
            with pytest.raises(JsonRpcException):
                await rename(path, marked, new)
        for place in ((-1, 0), (0, -1), ("x",), (0, 0, 0)):
            wanted = lsp.ExecuteCommandParams("rules.preview", [editor.uri("rules/large.sql"), *place])
            with pytest.raises(
                JsonRpcException, match="is no place in a text; lines and characters are numbers from 0"
            ):
                await editor.client.workspace_execute_command_async(wanted)
        editor.type("rules/passed.sql", STARRED)
        editor.save("rules/passed.sql")
        await editor.until(lambda found: any(one.code == "R005" for one in found["rules/passed.sql"]))
        with pytest.raises(JsonRpcException, match=r"passed\.sql would mean something else"):
            await rename("rules/large.sql", "AS tw|ice", "doubled")
        editor.type("rules/passed.sql", PASSED)
        editor.save("rules/passed.sql")
        (sample.root / "rules" / "large.sql").unlink()
        for path, text in rule.items():
            sample.write(path, text)

    edited(sample, session)
    assert "Traceback" not in capfd.readouterr().err  # what is refused is said to the editor alone
    after = inprocess.run(sample, "plan", "--json").document["products"]
    assert {one["name"].replace("big", "large"): one["fingerprint"] for one in after} == before
    assert [one["verdict"] for one in after if one["name"] != "big"] == ["clean", "clean"]


@pytest.mark.slow
def test_sql_in_python_is_known_where_it_is_in_the_file(sample: SampleProject) -> None:
    text = (
        "import rules\nfrom rules import rule\n\n\n@rule\ndef counted(large):\n"
        "    return rules.sql('SELECT l.region, l.twcie FROM large AS l')\n"
    )
    path = "rules/counted.py"
    sample.write(path, text)

    async def session(editor: Editor) -> None:
        editor.open(path)
        await editor.until(lambda found: any("twcie" in one.message for one in found.get(path, [])))
        wrong = next(one for one in editor.diagnostics[editor.uri(path)] if "twcie" in one.message)
        assert (wrong.range.start, wrong.code) == (editor.at(path, "l.|twcie"), "R003")
        document = editor.document(path)
        hovered = await editor.client.text_document_hover_async(lsp.HoverParams(document, editor.at(path, "l.reg|ion")))
        assert hovered is not None
        assert isinstance(hovered.contents, lsp.MarkupContent)
        assert hovered.contents.value.startswith("**large.region** string")
        place = lsp.DefinitionParams(document, editor.at(path, "FROM lar|ge"))
        found = await editor.client.text_document_definition_async(place)
        assert isinstance(found, list)
        assert [getattr(one, "uri", None) for one in found] == [editor.uri("rules/large.sql")]
        params = lsp.CompletionParams(document, editor.at(path, "l.|twcie"))
        answer = await editor.client.text_document_completion_async(params)
        assert isinstance(answer, lsp.CompletionList)
        assert [one.label for one in answer.items] == ["id", "region", "twice"]
        params = lsp.CompletionParams(document, editor.at(path, "imp|ort rules"))
        answer = await editor.client.text_document_completion_async(params)
        assert isinstance(answer, lsp.CompletionList)
        assert not answer.items
        rename = lsp.RenameParams(editor.document("rules/large.sql"), editor.at("rules/large.sql", "o.reg|ion"), "area")
        with pytest.raises(JsonRpcException, match=r"counted\.py calls large.region by its name, too"):
            await editor.client.text_document_rename_async(rename)

    edited(sample, session)


@pytest.mark.slow
def test_python_is_run_only_where_that_is_allowed(sample: SampleProject) -> None:
    ran = sample.root / "ran"
    code = f"from pathlib import Path\nfrom rules import rule\nPath({str(ran)!r}).touch()\nprint('ran')\n"
    sample.write("rules/own.py", f"{code}\n@rule\ndef own(orders):\n    return orders.select('id')\n")

    async def session(editor: Editor) -> None:
        await editor.until(lambda found: "rules/own.py" in found)
        assert "nobody has allowed it" in editor.diagnostics[editor.uri("rules/own.py")][0].message
        editor.type("rules/total.sql", "SELECT o.nothing FROM own AS o")
        editor.save("rules/total.sql")
        await editor.until(lambda found: "rules/own.py" in found)
        for command in ("rules.lineage", "rules.preview"):
            with pytest.raises(JsonRpcException):
                await editor.client.workspace_execute_command_async(
                    lsp.ExecuteCommandParams(command, [editor.uri("rules/total.sql")])
                )

    edited(sample, session)
    assert not ran.exists()

    async def trusting(editor: Editor) -> None:
        await editor.until(lambda found: any(one.code == "R003" for one in found["rules/total.sql"]))

    edited(sample, trusting, runsPython=True)
    assert ran.exists()
