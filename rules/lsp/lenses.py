"""What the lenses above a rule do: preview, lineage, the reason of its verdict."""

from __future__ import annotations

from typing import Any

from lsprotocol import types as lsp

from rules.errors import UserError
from rules.lsp.previews import preview
from rules.lsp.server import RulesServer, refusing  # the server looks up the annotations of commands


def register(server: RulesServer) -> None:
    """Let a server do what its lenses offer."""
    server.command("rules.preview")(server.thread()(_previewed))
    server.command("rules.lineage")(server.thread()(_traced))
    server.command("rules.explain")(_explained)


def _previewed(ls: RulesServer, uri: str, *place: Any) -> dict[str, Any] | None:  # pygls knows no defaults
    asked = ls.asked(lsp.TextDocumentIdentifier(uri))
    if asked is None:
        return None
    bench, path, text = asked
    with refusing():
        offset = text.offset(_place(place)) if place else None
        found = preview(bench, path, offset)
    ls.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Info, f"{found.what}\n{found.text}"))
    return {"name": found.what, "columns": list(found.columns), "rows": list(found.rows), "text": found.text}


def _place(given: tuple[Any, ...]) -> lsp.Position:
    """Return a place as a client gave it: a line, and a character unless it is the first. Raises `UserError`."""
    if len(given) > 2 or any(not isinstance(one, int) or one < 0 for one in given):  # noqa: PLR2004 — line, character
        message = f"{', '.join(map(str, given))} is no place in a text"
        raise UserError(message, code="place", hint="lines and characters are numbers from 0")
    return lsp.Position(*given, *([0] if len(given) == 1 else []))


def _traced(ls: RulesServer, uri: str) -> dict[str, Any] | None:
    from rules.inspect.lineage import find_columns, trace
    from rules.report.lineage import Question, answer, column_tree

    asked = ls.asked(lsp.TextDocumentIdentifier(uri))
    if asked is None:
        return None
    with refusing():
        if not asked[0].allows_all(asked[0].project()):
            hint = "allow the language server to run Python of this project"
            raise UserError("lineage needs what rules in Python declare", code="python-not-allowed", hint=hint)
        traced = trace(asked[0].root, lambda _: None)
        _, names = find_columns(traced, asked[0].product(asked[1]), asked[0].root)
        lines = [line for one in names for line in column_tree(answer(traced.lineage, one, Question()), None)]
    text = "\n".join(lines)
    ls.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Info, text))
    return {"text": text}


def _explained(ls: RulesServer, name: str) -> dict[str, Any] | None:
    plan = ls.bench.plan if ls.bench is not None else None
    judgement = plan.judgements.get(name) if plan is not None else None
    if judgement is None:
        return None
    text = f"{name}: {judgement.verdict}: {judgement.reason}"
    ls.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Info, text))
    return {"verdict": judgement.verdict, "reason": judgement.reason}
