"""The language server with all that it answers."""

from __future__ import annotations

from rules.lsp import documents, lenses, views, writing
from rules.lsp.server import RulesServer


def make_server() -> RulesServer:
    """Return the server, which speaks once it is started."""
    server = RulesServer()
    for one in (documents, views, writing, lenses):
        one.register(server)
    return server
