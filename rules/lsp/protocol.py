"""The protocol as pygls has it, but for two things of texts: in what units places are counted, and who edits texts.

Without this, pygls agrees with an editor on the units that it likes best, and it edits texts in lines as Python splits
them, which end at a form feed or U+2028 too: what the server then has is not what the editor shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsprotocol import types as lsp
from pygls.protocol import LanguageServerProtocol, lsp_method

if TYPE_CHECKING:
    from collections.abc import Generator


class Protocol(LanguageServerProtocol):
    """Places are counted in UTF-16, which every editor knows, and texts are edited in `rules.lsp.texts` alone."""

    @lsp_method(lsp.INITIALIZE)
    def lsp_initialize(self, params: lsp.InitializeParams) -> Generator[Any, Any, lsp.InitializeResult]:
        """Begin, whatever other units the editor knows."""
        if params.capabilities.general is not None:
            params.capabilities.general.position_encodings = None
        return (yield from super().lsp_initialize(params))

    @lsp_method(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: lsp.DidChangeTextDocumentParams) -> Generator[Any, Any, None]:
        """Hand an edit on as the editor sent it."""
        yield self.fm.features[lsp.TEXT_DOCUMENT_DID_CHANGE], (params,), None
