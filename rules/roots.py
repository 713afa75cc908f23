"""Where things are: the project's root, its store. Light, because the no-op path needs it."""

from __future__ import annotations

import os
from pathlib import Path

from rules.errors import UserError

FILE = "rules.toml"


def find_root(start: Path) -> Path:
    """Return the nearest folder at or above `start` that holds rules.toml. Raises `UserError`."""
    if not start.is_dir():
        raise UserError(f"there is no folder {start}", code="no-project")
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
    raise UserError(f"no {FILE} in {start} or above", code="no-project", hint="rules init makes a project here")


def store_root(root: Path) -> Path:
    """Return where the store of a project is: `.rules`, or the folder that RULES_STORE names."""
    elsewhere = os.environ.get("RULES_STORE")
    return Path(elsewhere).resolve() if elsewhere else root / ".rules"
