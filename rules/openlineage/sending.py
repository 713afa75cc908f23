"""Sends what a build did, after it has ended. Whatever goes wrong here is one warning and changes nothing else."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from rules.config.lineage_events import API_KEY
from rules.printable import without_secrets

if TYPE_CHECKING:
    from rules.openlineage.facts import BuildRun
    from rules.storage.store import Say

_SECONDS = 5.0
"""That a server may take for one event; it is not asked again."""


def send(build: BuildRun, say: Say) -> None:
    """Send the events of a build to the file or server that the project names."""
    where = build.settings.path or without_secrets(build.settings.url or "")
    try:
        from openlineage.client import OpenLineageClient

        from rules.openlineage.events import events_of
    except ImportError as error:
        hint = "python -m pip install 'leastwork-rules[openlineage]'"
        say(f"warning: no OpenLineage events went to {where}: {error.name} is not installed ({hint})")
        return
    logging.getLogger("openlineage").addHandler(logging.NullHandler())  # we say what is wrong ourselves
    try:
        client: Any = OpenLineageClient(transport=_transport(build))
        for event in events_of(build):
            client.emit(event)
    except (OSError, RuntimeError, ValueError, KeyError) as error:  # what the transports raise
        say(f"warning: not all OpenLineage events went to {where}: {_reason(error)}")


def _transport(build: BuildRun) -> Any:
    settings = build.settings
    if settings.path is not None:
        from openlineage.client.transport.file import FileConfig, FileTransport

        target = build.project.root / settings.path
        target.parent.mkdir(parents=True, exist_ok=True)
        return FileTransport(FileConfig(log_file_path=str(target), append=True))
    from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport, TokenProvider

    assert settings.url is not None
    key = os.environ.get(API_KEY)
    auth = ApiKeyTokenProvider({"apiKey": key}) if key else TokenProvider({})
    url = f"{settings.url.rstrip('/')}/"
    return HttpTransport(
        HttpConfig(url=url, endpoint=settings.endpoint.lstrip("/"), timeout=_SECONDS, retry={"total": 0}, auth=auth)
    )


def _reason(error: Exception) -> str:
    """Return why a server or file was not told, in a clause, without what a library says of its own objects."""
    answered = getattr(getattr(error, "response", None), "status_code", None)
    if answered is not None:
        return f"the server answered {answered}"
    if "Timeout" in type(error).__name__:
        return f"the server did not answer within {_SECONDS:g} s"
    if "Connection" in type(error).__name__:
        return "the server cannot be reached"
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return without_secrets(str(error)) or type(error).__name__
