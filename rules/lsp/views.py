"""What names mean and where they are: hover, definitions, references, symbols, tokens, types, lenses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types as lsp

from rules.errors import UserError
from rules.lsp.hovers import hover
from rules.lsp.navigation import Spot, definitions, references, symbols_at
from rules.lsp.texts import Text

if TYPE_CHECKING:
    from rules.lsp.server import RulesServer
    from rules.lsp.workbench import Workbench

_TOKENS = {"table": 0, "column": 1, "cte": 2, "alias": 3, "variable": 4, "local": 1}
_LEGEND = ["class", "property", "type", "parameter", "macro"]
_SYMBOLS = {"cte": lsp.SymbolKind.Function, "column": lsp.SymbolKind.Field}


def register(server: RulesServer) -> None:
    """Let a server answer what names mean."""
    server.feature(lsp.TEXT_DOCUMENT_HOVER)(_hovered)
    server.feature(lsp.TEXT_DOCUMENT_DEFINITION)(_defined)
    server.feature(lsp.TEXT_DOCUMENT_REFERENCES)(server.thread()(_referenced))
    server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)(_symbols)
    server.feature(
        lsp.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, lsp.SemanticTokensLegend(token_types=_LEGEND, token_modifiers=[])
    )(_tokens)
    server.feature(lsp.TEXT_DOCUMENT_INLAY_HINT)(_hints)
    server.feature(lsp.TEXT_DOCUMENT_CODE_LENS)(_lenses)


def _hovered(ls: RulesServer, params: lsp.HoverParams) -> lsp.Hover | None:
    asked = ls.asked(params.text_document)
    found = hover(asked[0], asked[1], asked[2].offset(params.position)) if asked is not None else None
    if asked is None or found is None:
        return None
    said, one = found
    return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, said), asked[2].range(one.start, one.end))


def _defined(ls: RulesServer, params: lsp.DefinitionParams) -> list[lsp.Location]:
    asked = ls.asked(params.text_document)
    if asked is None:
        return []
    bench, path, text = asked
    at = symbols_at(bench, path, text.offset(params.position))
    spots = [spot for one in at for spot in definitions(bench, path, one.symbol)]
    other = [spot for spot in spots if (spot.path, spot.start) != (path, at[0].start)]
    return [_location(ls, spot) for spot in dict.fromkeys(other[:1] or spots[:1])]


def _referenced(ls: RulesServer, params: lsp.ReferenceParams) -> list[lsp.Location]:
    asked = ls.asked(params.text_document)
    if asked is None:
        return []
    bench, path, text = asked
    at = symbols_at(bench, path, text.offset(params.position))
    found = references(bench, path, at[0].symbol) if at else []
    wanted = [(file, one) for file, one in found if params.context.include_declaration or not one.defines]
    return [_location(ls, Spot(file, one.start, one.end)) for file, one in wanted]


def _symbols(ls: RulesServer, params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
    asked = ls.asked(params.text_document)
    outline = asked[0].outline(asked[1], stale=True) if asked is not None else None
    if asked is None or outline is None:
        return []
    bench, path, text = asked
    found = []
    for one in outline.occurrences:
        kind = _SYMBOLS.get(one.symbol.kind) if one.defines else None
        if kind is not None and (one.symbol.kind == "cte" or one.symbol.owner == bench.product(path)):
            place = text.range(one.start, one.end)
            found.append(lsp.DocumentSymbol(one.symbol.name, kind, place, place))
    return found


def _tokens(ls: RulesServer, params: lsp.SemanticTokensParams) -> lsp.SemanticTokens:
    asked = ls.asked(params.text_document)
    outline = asked[0].outline(asked[1]) if asked is not None else None
    data: list[int] = []
    line, character, last = 0, 0, -1
    for one in outline.occurrences if outline is not None else ():
        if asked is None or one.start < last:
            continue
        place, last = asked[2].range(one.start, one.end), one.end
        if place.start.line != place.end.line:
            continue
        same = place.start.line == line
        data += [place.start.line - line, place.start.character - (character if same else 0)]
        data += [place.end.character - place.start.character, _TOKENS[one.symbol.kind], 0]
        line, character = place.start.line, place.start.character
    return lsp.SemanticTokens(data)


def _hints(ls: RulesServer, params: lsp.InlayHintParams) -> list[lsp.InlayHint]:
    asked = ls.asked(params.text_document)
    outline = asked[0].outline(asked[1]) if asked is not None else None
    if asked is None or outline is None or asked[0].known is None:
        return []
    bench, path, text = asked
    schema = asked[0].known.schemas.get(bench.product(path))
    types = {one.name: one.type for one in schema.columns} if schema is not None else {}
    named = [one for one in outline.occurrences if one.defines and one.symbol.owner == bench.product(path)]
    return [
        lsp.InlayHint(text.position(one.end), f": {types[one.symbol.name]}", lsp.InlayHintKind.Type)
        for one in named
        if one.symbol.name in types
    ]


def _lenses(ls: RulesServer, params: lsp.CodeLensParams) -> list[lsp.CodeLens]:
    asked = ls.asked(params.text_document)
    if asked is None or not asked[1].endswith(".sql"):
        return []
    bench, path, _ = asked
    top, name = lsp.Range(lsp.Position(0, 0), lsp.Position(0, 0)), bench.product(path)
    titles = [_reach_of(bench, name)] if bench.plan is not None else []
    found = [lsp.CodeLens(top, lsp.Command(title, "rules.explain", arguments=[name])) for title in titles if title]
    more = [("preview", "rules.preview"), ("lineage", "rules.lineage")]
    uri = params.text_document.uri
    return [*found, *(lsp.CodeLens(top, lsp.Command(title, command, arguments=[uri])) for title, command in more)]


def _reach_of(bench: Workbench, name: str) -> str:
    """Return what the saved edit of a rule reaches, as the last plan has it; "" for a rule that it does not know."""
    plan = bench.plan
    judgements = plan.judgements if plan is not None else {}
    if plan is None or name not in judgements:
        return ""
    below = plan.session.dag.readers
    pending, seen = [name], {name}
    while pending:
        for one in below.get(pending.pop(), ()):
            if one not in seen:
                seen.add(one)
                pending.append(one)
    ahead = [one for one in seen if one in judgements and judgements[one].verdict != "clean"]
    if not ahead:
        return "up to date"
    return f"edit reaches {len(ahead)} product{'' if len(ahead) == 1 else 's'}"


def _location(ls: RulesServer, spot: Spot) -> lsp.Location:
    assert ls.bench is not None
    try:
        text = Text(ls.bench.text(spot.path))
    except UserError:
        text = Text("")
    return lsp.Location(ls.uri_of(spot.path), text.range(spot.start, spot.end))
