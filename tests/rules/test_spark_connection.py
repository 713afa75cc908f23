"""A server that is slow to take a connection is not a dead one, and a dead one is known at once. No Spark is needed."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from rules.engine.protocol import EngineError
from rules.engine.spark import connection
from rules.engine.spark.connection import require_listening


@contextlib.contextmanager
def busy_server(seconds: float) -> Iterator[str]:
    """Yield the address of a server that takes no more connections for so long, as one whose queue of them is full."""
    with contextlib.ExitStack() as opened:
        server = opened.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = server.getsockname()
        with contextlib.suppress(TimeoutError):
            while True:
                waiting = opened.enter_context(socket.socket())
                waiting.settimeout(0.2)
                waiting.connect(address)

        def take() -> None:
            with contextlib.suppress(OSError):  # once it is closed
                while True:
                    opened.callback(server.accept()[0].close)

        timer = threading.Timer(seconds, take)
        timer.start()
        try:
            yield f"sc://127.0.0.1:{address[1]}"
        finally:
            timer.cancel()
            server.shutdown(socket.SHUT_RDWR)


@pytest.mark.slow
def test_a_server_that_is_slow_to_answer_is_waited_for() -> None:
    with busy_server(11) as remote:
        began = time.monotonic()
        require_listening(remote)
        assert time.monotonic() - began > 10


def test_a_server_that_is_not_there_is_known_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        remote = f"sc://127.0.0.1:{free.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(EngineError, match="does not answer"):
            require_listening(remote)
        assert time.monotonic() - began < 5


@pytest.mark.slow
def test_a_machine_that_never_answers_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PATIENCE", 2.0)
    monkeypatch.setattr(connection, "_IMPATIENCE", 0.1)
    with busy_server(60) as remote:
        began = time.monotonic()
        for _ in range(4):
            with pytest.raises(EngineError, match="does not answer"):
                require_listening(remote)
        assert 2 < time.monotonic() - began < 4
