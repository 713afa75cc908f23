"""Where things are: the project's root, its store, its rule files. Light, because the no-op path needs it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rules.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

OWN_FOLDER = ".rules"
FILE = "rules.toml"
DEFAULT_PROFILE = "prod_fast"


def profile_name() -> str:
    """Return the profile that is used where none is named: RULES_PROFILE, or the default one."""
    return os.environ.get("RULES_PROFILE") or DEFAULT_PROFILE


def find_root(start: str) -> Path:
    """Return the nearest folder at or above `start` that holds rules.toml. Raises `UserError`."""
    from pathlib import Path

    folder = os.path.realpath(start)
    if not os.path.isdir(folder):
        raise UserError(f"there is no folder {folder}", code="no-project")
    found = root_above(folder)
    if found is None:
        raise UserError(f"no {FILE} in {folder} or above", code="no-project", hint="rules init makes a project here")
    return Path(found)


def root_above(folder: str) -> str | None:
    """Return the nearest folder at or above `folder`, a path without links, that holds rules.toml."""
    while not os.path.isfile(os.path.join(folder, FILE)):
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
    return folder


def is_text(path: str) -> bool:
    """Whether a path is UTF-8: in place of other bytes Python has lone surrogates, which cannot be encoded."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def store_of(root: str) -> str:
    """Return where the store of a project is: `.rules`, or the folder that RULES_STORE names. Raises `UserError`."""
    elsewhere = os.environ.get("RULES_STORE")
    if elsewhere and not is_text(elsewhere):
        message = f"RULES_STORE names the folder {elsewhere}, which is not UTF-8"
        raise UserError(message, code="store", hint="name another one: the engine and the index take no such names")
    return os.path.realpath(os.path.expanduser(elsewhere)) if elsewhere else own_folder(root)


def own_folder(root: str) -> str:
    """Return the project root's own folder: its products are there, and its store unless RULES_STORE names another."""
    return os.path.join(root, OWN_FOLDER)


def root_key(root: str, store: str) -> str:
    """Return by which name a store knows a project root: its path, or "" where the store is the root's own folder.

    A project that is moved together with its store thus keeps its products and its history.
    """
    return "" if store == own_folder(root) else root


def heir_of(root: str, store: str) -> str:
    """Return the key of the root that takes over what a store of the former version knew of no root.

    It is the project in whose own folder the store is, else the first that asks.
    """
    above = os.path.dirname(store)
    return "" if store == own_folder(above) and os.path.exists(os.path.join(above, FILE)) else root_key(root, store)


def store_root(root: Path) -> Path:
    """Return the same as a path object."""
    from pathlib import Path

    return Path(store_of(str(root)))


def writable_file(root: Path, path: str) -> Path:
    """Return a file of a project that a command is to write, links followed. Raises `UserError` if they lead out."""
    target = (root / path).resolve()
    if not target.is_relative_to(root.resolve()):
        hint = f"change {target} itself, or put a copy in the project"
        raise UserError(f"{path} is a link out of the project, which is not written", code="unwritable", hint=hint)
    return target


def beginning(folder: str) -> str:
    """Return what the paths of the files in a rule folder begin with: nothing in that of the project itself."""
    return "" if folder == "." else f"{folder.rstrip('/')}/"


def is_rule_file(name: str) -> bool:
    """Whether a file of a rule folder is a rule file, by its name; _helpers.py is there to be imported only."""
    return name.endswith(".sql") or (name.endswith(".py") and not name.startswith("_"))
