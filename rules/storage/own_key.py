"""The key by which the processes of a user know again what they have recorded in stores: see `cache.own_records`.

It is made once, for all projects of the user, and it never leaves the machine: `rules/key` in the folder for the state
of programs ($XDG_STATE_HOME, else ~/.local/state). Who removes it loses a few milliseconds a rule, once.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from cache.own_records import KEY_BYTES

_OTHERS = 0o077
"""What the group and all others may do."""


def own_key() -> bytes | None:
    """Return the key of this user, made if there is none; None where none can be kept for this user alone."""
    try:
        folder = _folder()
        if folder is None:
            return None
        path = folder / "key"
        if not os.path.lexists(path):
            _make(path)
        return _read(path)
    except (OSError, RuntimeError):  # what cannot be written or read, or a user of whom nothing is known
        return None


def _folder() -> Path | None:
    """Return the folder of the key; None without a home, which is never made. Raises RuntimeError if none is known."""
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():  # as the XDG Base Directory Specification wants it
        home = Path(os.environ.get("HOME", "~")).expanduser()
        if not (home.is_absolute() and home.is_dir()):
            return None
        state = home / ".local" / "state"
    return state / "rules"


def _make(path: Path) -> None:
    """Make a key, unless another process has just done so. Raises OSError."""
    import secrets  # once for each user

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with contextlib.ExitStack() as held:
        made = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        held.callback(draft.unlink)
        with os.fdopen(made, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)  # whole or not at all, and never in place of another


def _read(path: Path) -> bytes | None:
    """Return the key in a file, None if somebody else may know or have chosen it. Raises OSError."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        state = os.fstat(file.fileno())
        is_private = stat.S_ISREG(state.st_mode) and state.st_uid == os.geteuid() and not state.st_mode & _OTHERS
        key = file.read(KEY_BYTES + 1) if is_private else b""
    return key if len(key) == KEY_BYTES else None
