"""A PostgreSQL server of a test's own: in a temporary folder, on a socket there, ended by its process id."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

_STARTS_WITHIN = 30.0
_UNTIL_CLOSED = '"$@" & server=$!; read -r _; kill -INT "$server"; wait "$server"'
"""Runs a server until this process closes its input, or is killed; SIGINT ends sessions and stops it at once."""
_SETTINGS = ("listen_addresses=", "fsync=off", "synchronous_commit=off", "autovacuum=off", "jit=off")


def binaries() -> Path | None:
    """Return the folder of the newest PostgreSQL server that is installed, None where there is none."""
    on_path = shutil.which("initdb")
    if on_path is not None and shutil.which("postgres", path=str(Path(on_path).parent)):
        return Path(on_path).parent
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda path: float(path.parent.name), default=None)


@contextmanager
def postgresql() -> Iterator[str]:
    """Start a server; yield how to connect to it. It sorts and compares text by its bytes, as the engine does."""
    folder = binaries()
    assert folder is not None, "no PostgreSQL server is installed"
    root = Path(tempfile.mkdtemp(prefix="judge-"))  # a short name: that of a socket is limited to 107 bytes
    user = _server_user()
    try:
        if user is not None:
            os.chown(root, user, -1)
        data = root / "data"
        made = (folder / "initdb", "-D", data, "-U", "judge", "--auth=trust", "--locale=C", "--encoding=UTF8", "-N")
        subprocess.run(made, user=user, cwd=root, check=True, stdout=subprocess.DEVNULL)
        settings = [word for setting in (*_SETTINGS, f"unix_socket_directories={root}") for word in ("-c", setting)]
        command = ["sh", "-c", _UNTIL_CLOSED, "sh", str(folder / "postgres"), "-D", str(data), *settings]
        with (root / "log").open("w") as log:
            server = subprocess.Popen(command, user=user, cwd=root, stdin=subprocess.PIPE, stdout=log, stderr=log)
            assert server.stdin is not None
            try:
                address = f"host={root} user=judge dbname=postgres"
                _wait_for(address, server, root / "log")
                yield address
            finally:
                server.stdin.close()
                server.wait(30)
    finally:
        shutil.rmtree(root)


def _server_user() -> int | None:
    """Return the user to run as; the server refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    raise AssertionError("the server does not run as root, and there is no other user")


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while True:
        try:
            psycopg.connect(address).close()
        except psycopg.OperationalError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        else:
            return
