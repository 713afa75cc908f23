"""A server of S3 on loopback (moto, in an environment of its own), and a proxy before it that goes wrong on purpose."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import socket
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import S3Store

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "shared"
_FAULTS = ("500", "timeout", "truncated", "corrupt", "lost")
_SLOW = 1.5
"""Seconds that a request takes which is to time out."""


def moto_server() -> Path | None:
    """Return the program of the server, None where it is not installed."""
    place = Path(os.environ.get("RULES_ENV_DIR") or ROOT).resolve() / ".venv-s3" / "bin" / "moto_server"
    return place if place.is_file() else None


@contextlib.contextmanager
def s3_server() -> Iterator[int]:
    """Run a server with an empty bucket; yields its port."""
    program = moto_server()
    if program is None:
        pytest.skip("moto is not installed: python3 tasks.py test installs it")
    port = _free_port()
    with subprocess.Popen(
        [program, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _make_bucket(port)
            yield port
        finally:
            process.kill()


def environment(port: int) -> dict[str, str]:
    """Return the variables that lead a client of S3 to a port of this machine."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "a-test-key",
        "AWS_SECRET_ACCESS_KEY": "a-secret-that-nobody-prints",
        "AWS_REGION": "us-east-1",
    }


def iceberg_options(port: int) -> dict[str, str]:
    """Return the same as the options of pyiceberg's file systems."""
    names = {
        "s3.endpoint": "AWS_ENDPOINT_URL",
        "s3.access-key-id": "AWS_ACCESS_KEY_ID",
        "s3.secret-access-key": "AWS_SECRET_ACCESS_KEY",
        "s3.region": "AWS_REGION",
    }
    keys = environment(port)
    return {option: keys[name] for option, name in names.items()}


Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


@dataclass
class Faults:
    """What a proxy does to requests. share: of requests that go wrong; only: what may go wrong; seen: counts.

    delay: seconds before each answer; line: bytes a second for all answers together, 0 for as many as there are;
    keep: the beginning of the paths of what never changes, which the proxy then answers by itself once it has it;
    ranges: whether a request for a part of an object is answered with that, and not with all of it;
    sent: bytes of answers to GET, by path.
    """

    share: float = 0.0
    only: tuple[str, ...] = _FAULTS
    seed: int = 0
    delay: float = 0.0
    line: float = 0.0
    keep: str | None = None
    ranges: bool = True
    sent: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    requests: list[tuple[str, str]] = field(default_factory=list)
    choose: Callable[[str, str], str | None] | None = None
    """Method and path → what goes wrong with a request, in place of chance."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()
        self._line_free = 0.0
        self._kept: dict[str, Answer] = {}

    def wait_for_line(self, size: int) -> None:
        """Return once the line has carried so many bytes after all that was sent before."""
        if self.line:
            with self._lock:
                now = time.monotonic()
                self._line_free = until = max(now, self._line_free) + size / self.line
            time.sleep(until - now)

    def answer(self, method: str, path: str, ask: Callable[[], Answer]) -> Answer:
        """Return what the server answers, or answered before if that is kept."""
        if self.keep is None or method != "GET" or not path.startswith(self.keep):
            return ask()
        if path not in self._kept:
            self._kept[path] = ask()
        return self._kept[path]

    def of(self, method: str, path: str) -> str | None:
        """Return what goes wrong with a request."""
        with self._lock:
            self.requests.append((method, path.partition("?")[0]))
            wrong = self._chosen(method, path)
            self.seen[wrong or "none"] += 1
        return wrong

    def _chosen(self, method: str, path: str) -> str | None:
        if self.choose is not None:
            return self.choose(method, path)
        return self._random.choice(self.only) if self._random.random() < self.share else None


@contextlib.contextmanager
def faulty(port: int, faults: Faults) -> Iterator[int]:
    """Run a proxy before a server; yields its port.

    Conditional writes are passed on one at a time: the server looks and writes, and S3 does both at once.
    """
    conditional = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            time.sleep(faults.delay)
            wrong = faults.of(self.command, self.path)
            if wrong == "500":
                self._answer(500, {}, b"<Error><Code>InternalError</Code></Error>")
                return
            if wrong == "timeout":
                time.sleep(_SLOW)
                self.close_connection = True
                return
            with conditional if self.headers.get("If-None-Match") else contextlib.nullcontext():
                status, headers, data = faults.answer(self.command, self.path, lambda: self._passed_on(body))
            if wrong == "lost":
                self.close_connection = True
                return
            if wrong == "corrupt" and data and self.command == "GET" and status in {200, 206}:
                place = len(data) // 2
                data = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            if self.command == "GET":
                faults.sent[self.path.partition("?")[0]] += len(data)
            faults.wait_for_line(len(data))
            self._answer(status, headers, data, cut=wrong == "truncated" and self.command == "GET")

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815 — names of http.server

        def _passed_on(self, body: bytes) -> Answer:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            try:
                left_out = {"connection", *(() if faults.ranges else ("range",))}
                passed = {name: value for name, value in self.headers.items() if name.lower() not in left_out}
                connection.request(self.command, self.path, body, passed)
                answer = connection.getresponse()
                return answer.status, dict(answer.getheaders()), answer.read()
            finally:
                connection.close()

        def _answer(self, status: int, headers: dict[str, str], data: bytes, *, cut: bool = False) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in {"content-length", "connection", "transfer-encoding", "date", "server"}:
                    self.send_header(name, value)
            length = headers.get("Content-Length", str(len(data))) if self.command == "HEAD" else str(len(data))
            self.send_header("Content-Length", length)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(data[: len(data) // 2] if cut else data)
            self.close_connection = self.close_connection or cut

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: Any) -> None:
        """A client that hung up is none of ours."""


def objects(port: int, prefix: str = "") -> list[str]:
    """Return the names of all objects in the bucket."""
    import re

    url = f"http://127.0.0.1:{port}/{BUCKET}?list-type=2&max-keys=100000&prefix={prefix}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        return re.findall(r"<Key>([^<]+)</Key>", answer.read().decode())


def content(port: int, name: str) -> bytes:
    """Return an object."""
    return bytes(obstore.get(client(port), name).bytes())


def put(port: int, name: str, data: bytes) -> None:
    """Write an object."""
    _request(port, "PUT", f"/{BUCKET}/{name}", data)


def client(port: int) -> S3Store:
    """Return another client of the bucket, that may do all."""
    settings = environment(port)
    return S3Store(
        BUCKET,
        endpoint=settings["AWS_ENDPOINT_URL"],
        access_key_id=settings["AWS_ACCESS_KEY_ID"],
        secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
        region=settings["AWS_REGION"],
        client_options={"allow_http": True},
    )


def use(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead the clients of this process to a port."""
    for name, value in environment(port).items():
        monkeypatch.setenv(name, value)


def _make_bucket(port: int) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            _request(port, "PUT", f"/{BUCKET}", b"")
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def _request(port: int, method: str, path: str, data: bytes) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, data)
        answer = connection.getresponse()
        answer.read()
        assert answer.status < 300, (method, path, answer.status)
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
