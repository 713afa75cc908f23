"""Whether git tracks the store: then who may push decides what is served from it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
"""Set while git runs a hook, for the hook's own folder."""
_SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
"""The repository is no more trusted than the store: nothing that its settings name is run."""


def warn_of_tracked(store: Path, say: Callable[[str], None]) -> None:
    """Say so if files of a store are tracked by git."""
    if is_tracked(store):
        say(
            f"warning: git tracks files of the store {store}, so whoever commits decides what is served from it; "
            f"git rm -r --cached {store.name} ends that (see SECURITY.md)"
        )


def is_tracked(store: Path) -> bool:
    """Whether git tracks a file of a store. Git is asked only where the store lies in a work tree."""
    if not any(os.path.lexists(folder / ".git") for folder in store.parents):
        return False
    environment = {name: value for name, value in os.environ.items() if name not in _HOOK}
    words = ["git", *_SAFE, "ls-files", "-z", "--cached", "--", f"{store.name}/"]
    try:
        found = subprocess.run(  # noqa: S603 — no shell, and a path after --
            words, cwd=store.parent, env=environment, capture_output=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return found.returncode == 0 and bool(found.stdout)
