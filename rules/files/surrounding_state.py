"""States of folders and environment variables that a project's Python reads. Light, because the no-op path needs it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def state_of_folder(path: str) -> str | None:
    """Return a digest of the names in a folder, without hidden ones and compiled code; None if there is nothing.

    Of a file that somebody looked for, a digest of its size.
    """
    from cache.filedigest import digest_of_bytes

    try:
        names = sorted(name for name in os.listdir(path) if not name.startswith(".") and name != "__pycache__")
    except NotADirectoryError:
        return digest_of_bytes(b"\0%d" % os.stat(path).st_size) if os.path.isfile(path) else None
    except OSError:
        return None
    return digest_of_bytes("\0".join(names).encode(errors="surrogateescape"))


def state_of_variable(name: str) -> str | None:
    """Return a digest of the value of an environment variable, None if it is not set."""
    from cache.filedigest import digest_of_bytes

    value = os.environ.get(name)
    return None if value is None else digest_of_bytes(value.encode(errors="surrogateescape"))


def surroundings_hold(root: str, folders: Mapping[str, str | None], variables: Mapping[str, str | None]) -> bool:
    """Whether folders, by path relative to the project, and environment variables are as they were."""
    return all(state_of_variable(name) == state for name, state in variables.items()) and all(
        state_of_folder(os.path.join(root, path)) == state for path, state in folders.items()
    )
