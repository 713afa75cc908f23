"""A web server on loopback with the files that a test gives it, which goes wrong where the test wants it to."""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

SLOW = 1.5
"""Seconds that an answer takes which is to be too slow."""


class Web:
    """Files of a web server, by name, and what was asked of it.

    tags: what the ETag of a file is made of: "strong" or "weak" of its bytes, "time" as nginx makes it, None for none.
    ranges: whether a part of a file can be had. sent: bytes of answers so far.
    """

    def __init__(self, tags: str | None = "strong", *, ranges: bool = False) -> None:
        self.files: dict[str, bytes] = {}
        self.tags, self.ranges, self.sent = tags, ranges, 0
        self.written = time.time() - 86_400
        """When all files were last written."""
        self.wrong: Callable[[str, str], str | None] = lambda method, name: None  # noqa: ARG005
        """Method and name of a request → what goes wrong with it, or None."""
        self.url = ""
        self._requests: list[str] = []

    def asked(self) -> list[str]:
        """Return the requests since the last call, as METHOD NAME."""
        found, self._requests = self._requests, []
        return found

    def note(self, method: str, name: str) -> None:
        """Note a request."""
        self._requests.append(f"{method} {name}")

    def tag(self, data: bytes) -> str | None:
        """Return the ETag of a file with these bytes."""
        digest = hashlib.sha256(data).hexdigest()[:20]
        if self.tags == "time":
            return f'"{int(self.written):x}-{len(data):x}"'
        return {"strong": f'"{digest}"', "weak": f'W/"{digest}"', None: None}[self.tags]


def _part(data: bytes, asked: str | None) -> tuple[int | None, bytes]:
    """Return where the bytes begin that a client asks for, None if it asks for all, and these bytes."""
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", asked or "")
    if found is None:
        return None, data
    return int(found[1]), data[int(found[1]) : int(found[2]) + 1]


@contextlib.contextmanager
def web_server(web: Web) -> Iterator[Web]:
    """Serve the files; `web.url` is the server's address, without a slash at its end."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            name = unquote(self.path).lstrip("/")
            web.note(self.command, name)
            wrong = web.wrong(self.command, name)
            data = web.files.get(name)
            if data is None or wrong == "404":
                self.send_error(404)
                return
            if wrong in {"500", "403"}:
                self.send_error(int(wrong))
                return
            tag = '"another"' if wrong == "tag" else web.tag(data)
            if self.headers.get("If-Match") not in {None, tag}:
                self.send_error(412)
                return
            size = len(data)
            place, data = _part(data, self.headers.get("Range") if web.ranges else None)
            self.send_response(200 if place is None else 206)
            if place is not None:
                self.send_header("Content-Range", f"bytes {place}-{place + len(data) - 1}/{size}")
            if tag is not None:
                self.send_header("ETag", tag)
            if web.written:
                self.send_header("Last-Modified", formatdate(web.written, usegmt=True))
            self.send_header("Content-Length", str(len(data) * 2 if wrong == "longer" else len(data)))
            self.end_headers()
            if self.command == "HEAD":
                return
            if wrong == "slow":
                time.sleep(SLOW)
            if wrong == "corrupt":
                data = bytes([data[0] ^ 1]) + data[1:]
            web.sent += len(data)
            with contextlib.suppress(OSError):
                self.wfile.write(data[: len(data) // 2] if wrong == "truncated" else data)

        do_GET = do_HEAD = _serve  # noqa: N815 — names of http.server

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    web.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
