"""Serves a folder of files to browsers on this machine, and to nobody else."""

from __future__ import annotations

import http.server
from functools import partial
from typing import TYPE_CHECKING, Any

from rules.errors import FAILED, UserError

if TYPE_CHECKING:
    from pathlib import Path

_HOST = "127.0.0.1"


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder. Pages of other sites cannot read them by a name of theirs that leads here."""

    def parse_request(self) -> bool:
        """Refuse requests for another host: a name that somebody else's server may have given this address."""
        if not super().parse_request():
            return False
        host = self.headers.get("Host", "").rpartition(":")[0]
        if host not in {_HOST, "localhost"}:
            self.send_error(421)
            return False
        return True

    def end_headers(self) -> None:
        """Let browsers ask again each time, and believe the types of files."""
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def list_directory(self, path: Any) -> None:
        """Show no list of files."""
        del path
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as the base class calls it
        """Say nothing of single requests."""


def server_of(folder: Path, port: int) -> http.server.ThreadingHTTPServer:
    """Return a server of a folder, which listens already. port: 0 for any that is free. Raises `UserError`."""
    try:
        return http.server.ThreadingHTTPServer((_HOST, port), partial(_Handler, directory=str(folder)))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"port {port} cannot be listened on: {reason}"
        raise UserError(message, code="port", hint="--port 0 takes any that is free", exit_code=FAILED) from error


def address_of(server: http.server.ThreadingHTTPServer) -> str:
    """Return where browsers find a server."""
    return f"http://{_HOST}:{server.server_address[1]}/"
