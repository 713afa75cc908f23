"""Sessions of a Spark Connect server: how long it is waited for, the settings they have, and how its jobs are ended."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import uuid
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rules.engine.protocol import EngineError
from rules.engine.spark.identity import COMPARED, SETTINGS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PATIENCE = 60.0
"""Seconds that a server has to take a connection: one with much to do is slow to, and a dead one refuses it at once."""
_IMPATIENCE = 5.0
"""Seconds that it has in the minute after it has let so many pass: no machine may be there, which refuses nothing."""
_RETRIES, _LONGEST_PAUSE = 10, 10.0
"""So often a call is tried again whose connection broke, after pauses of at most so many seconds: a minute in all."""
_ENDING = 10.0
"""Seconds to wait until jobs are ended."""
_DEFAULT_PORT = "15002"
_making = threading.Lock()
"""Sessions are made one after another: the builder of the client keeps the last one in a global."""
_silent: dict[str, float] = {}
"""Servers that did not answer, and until when they have little time to."""


@contextlib.contextmanager
def open_session(remote: str) -> Iterator[SparkSession]:
    """Open a session of its own with the settings that results depend on. Raises `EngineError`, and the client's."""
    require_listening(remote)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas, which no query here uses
        from pyspark.sql.connect.session import SparkSession as Connect

        address = remote.rstrip("/")
        separator = ";" if "/;" in address else "/;"
        with _making:
            session: Any = Connect(f"{address}{separator}session_id={uuid.uuid4()}")
    try:
        session.client.set_retry_policies([_policy(remote)])
        _configure(session)
        _require_version(session, remote)
        yield session
    finally:
        with contextlib.suppress(Exception):  # the server may be the one that is gone
            session.client.release_session()
        with contextlib.suppress(Exception):
            session.client.close()


def require_listening(remote: str) -> None:
    """Raise `EngineError` if nobody answers: the client itself would try again for ten minutes."""
    patience = _IMPATIENCE if time.monotonic() < _silent.get(remote, 0.0) else PATIENCE
    try:
        socket.create_connection(_address(remote), timeout=patience).close()
    except OSError as error:
        if isinstance(error, TimeoutError):
            _silent[remote] = time.monotonic() + PATIENCE
        raise EngineError(unanswered(remote)) from error
    _silent.pop(remote, None)


def unanswered(remote: str) -> str:
    """Return the sentence about a server that does not answer."""
    return f"the Spark server at {shown(remote)} does not answer; the next build goes on from what is stored"


def shown(remote: str) -> str:
    """Return an address without its parameters, which may hold a token."""
    return remote.partition("/;")[0]


def end_jobs(session: SparkSession) -> None:
    """End the jobs of a session. Who asks for it waits a while only, as the server may not answer any more."""

    def end() -> None:
        with contextlib.suppress(Exception):  # a server that is gone runs nothing any more
            session.interruptAll()

    asking = threading.Thread(target=end, daemon=True)
    asking.start()
    asking.join(_ENDING)


def _address(remote: str) -> tuple[str, int]:
    host, _, port = remote.removeprefix("sc://").partition("/")[0].rpartition(":")
    if not host:
        host, port = port, _DEFAULT_PORT
    return host, int(port)


def _policy(remote: str) -> Any:
    """Return the client's policy of trying again, which gives up at once on a server that is not there any more."""
    from pyspark.sql.connect.client.retries import DefaultPolicy

    class WhileItListens(DefaultPolicy):
        def can_retry(self, error: BaseException) -> bool:
            return super().can_retry(error) and not _is_refused(remote)

    return WhileItListens(max_retries=_RETRIES, max_backoff=int(_LONGEST_PAUSE * 1000))


def _is_refused(remote: str) -> bool:
    try:
        socket.create_connection(_address(remote), timeout=1).close()
    except ConnectionRefusedError:
        return True
    except OSError:  # which may pass
        return False
    return False


def _configure(session: Any) -> None:
    """Set all settings in one call. The client's own `conf.set` warns of those that a later version may not have."""
    from pyspark.sql.connect import proto

    pairs = [proto.KeyValue(key=key, value=value) for key, value in SETTINGS.items()]
    request = proto.ConfigRequest
    session.client.config(request.Operation(set=request.Set(pairs=pairs)))


def _require_version(session: SparkSession, remote: str) -> None:
    if session.version != COMPARED:
        raise EngineError(
            f"the server at {shown(remote)} is Spark {session.version}; results were compared only with {COMPARED}"
        )
