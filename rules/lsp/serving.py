"""The language server with all that it answers."""

from __future__ import annotations

import logging

from pygls.protocol import json_rpc

from rules.errors import UserError
from rules.lsp import documents, lenses, views, writing
from rules.lsp.server import RulesServer


def make_server() -> RulesServer:
    """Return the server, which speaks once it is started."""
    json_rpc.logger.addFilter(_is_no_refusal)
    server = RulesServer()
    for one in (documents, views, writing, lenses):
        one.register(server)
    return server


def _is_no_refusal(record: logging.LogRecord) -> bool:
    """Whether a message for the log is none of a refused request: the editor is told why, and that is no fault."""
    error = record.exc_info[1] if record.exc_info else None
    return error is None or not isinstance(error.__cause__, UserError)
