"""What helps writing: completion, signatures, quick fixes, renames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsprotocol import types as lsp

from rules.lsp.actions import actions
from rules.lsp.completion import complete, described
from rules.lsp.renaming import renamable, rename
from rules.lsp.server import diagnostic, refusing
from rules.lsp.signatures import call_at, shown
from rules.lsp.texts import Text

if TYPE_CHECKING:
    from rules.lsp.server import RulesServer


def register(server: RulesServer) -> None:
    """Let a server help writing."""
    options = lsp.CompletionOptions(trigger_characters=[".", "$"], resolve_provider=True)
    server.feature(lsp.TEXT_DOCUMENT_COMPLETION, options)(_completed)
    server.feature(lsp.COMPLETION_ITEM_RESOLVE)(_resolved)
    server.feature(lsp.TEXT_DOCUMENT_SIGNATURE_HELP, lsp.SignatureHelpOptions(trigger_characters=["(", ","]))(
        _signature
    )
    server.feature(
        lsp.TEXT_DOCUMENT_CODE_ACTION,
        lsp.CodeActionOptions(code_action_kinds=[lsp.CodeActionKind.QuickFix, lsp.CodeActionKind.SourceFixAll]),
    )(server.thread()(_fixes))
    server.feature(lsp.TEXT_DOCUMENT_PREPARE_RENAME)(_prepared)
    server.feature(lsp.TEXT_DOCUMENT_RENAME, lsp.RenameOptions(prepare_provider=True))(server.thread()(_renamed))


def _completed(ls: RulesServer, params: lsp.CompletionParams) -> lsp.CompletionList:
    asked = ls.asked(params.text_document)
    items = complete(asked[0], asked[1], asked[2].offset(params.position)) if asked is not None else []
    return lsp.CompletionList(is_incomplete=False, items=items)


def _resolved(ls: RulesServer, item: lsp.CompletionItem) -> lsp.CompletionItem:
    return described(ls.bench, item) if ls.bench is not None else item


def _signature(ls: RulesServer, params: lsp.SignatureHelpParams) -> lsp.SignatureHelp | None:
    asked = ls.asked(params.text_document)
    if asked is None:
        return None
    bench, path, text = asked
    offset = text.offset(params.position)
    query = bench.sql_at(path, offset)
    call = call_at(query, offset) if query is not None else None
    found = shown(call, bench.signatures) if call is not None else None
    if found is None:
        return None
    parameters = [lsp.ParameterInformation(found.text[start:end]) for start, end in found.parameters]
    said = lsp.MarkupContent(lsp.MarkupKind.Markdown, found.description)
    one = lsp.SignatureInformation(found.text, said, parameters)
    beyond = len(parameters)  # of all parameters: none is marked
    argument = found.argument if found.argument is not None else beyond
    return lsp.SignatureHelp([one], active_signature=0, active_parameter=argument)


def _fixes(ls: RulesServer, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    asked = ls.asked(params.text_document)
    if asked is None:
        return []
    bench, path, text = asked
    start, end = text.offset(params.range.start), text.offset(params.range.end)
    return [
        lsp.CodeAction(
            one.title,
            lsp.CodeActionKind.QuickFix if one.finding is not None else lsp.CodeActionKind.SourceFixAll,
            diagnostics=[diagnostic(one.finding, text)] if one.finding is not None else None,
            is_preferred=one.preferred,
            edit=lsp.WorkspaceEdit(changes={params.text_document.uri: [text.changed_to(one.after)]}),
        )
        for one in actions(bench, path, start, end)
    ]


def _prepared(ls: RulesServer, params: lsp.PrepareRenameParams) -> lsp.Range | None:
    asked = ls.asked(params.text_document)
    if asked is None:
        return None
    with refusing():
        one = renamable(asked[0], asked[1], asked[2].offset(params.position))
    return asked[2].range(one.start, one.end)


def _renamed(ls: RulesServer, params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
    asked = ls.asked(params.text_document)
    if asked is None:
        return None
    bench, path, text = asked
    with refusing():
        found = rename(bench, path, text.offset(params.position), params.new_name)
    changes: list[Any] = []
    for file, edits in sorted(found.edits.items()):
        here = Text(bench.text(file))
        identifier = lsp.OptionalVersionedTextDocumentIdentifier(ls.uri_of(file))
        changes.append(lsp.TextDocumentEdit(identifier, [here.edit(one) for one in edits]))
    if found.moved is not None:
        was, now = found.moved
        changes.append(lsp.RenameFile(ls.uri_of(was), ls.uri_of(now)))
    return lsp.WorkspaceEdit(document_changes=changes)
