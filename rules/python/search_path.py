"""Where Python looks for modules from outside of a project, so that one that comes to hide another is noticed.

Folders of PYTHONPATH, and those that a project's code puts first on `sys.path`, are searched before all others. What
was found in a folder that is edited like the project's may also come to be hidden by what is installed.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from dataclasses import dataclass, field

from rules.files.surrounding_state import state_of_folder, state_of_variable

_VARIABLE = "PYTHONPATH"
_INSTALLED = re.compile(r"[/\\](?:site|dist)-packages[/\\]?$")
_STANDARD = frozenset(os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))


@dataclass
class Searched:
    """Folders that an import may look through, absolute. first: before the standard library. later: all others."""

    first: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)

    def add(self, other: Searched) -> None:
        """Take the folders of another one too."""
        self.first |= other.first
        self.later |= other.later


class SearchPath:
    """The path of modules, with the state that each of its folders had when it was first searched."""

    def __init__(self, root: str) -> None:
        """root: of the project, whose own modules are found by other means."""
        program = os.path.dirname(sys.argv[0]) if sys.argv else ""
        self._left_out = {os.path.realpath(root), os.path.realpath(program)}
        self._states: dict[str, str | None] = {}
        self._variable = state_of_variable(_VARIABLE)

    def look(self) -> Searched:
        """Return the folders that an import would look through now."""
        found = Searched(first={os.path.abspath(one) for one in os.environ.get(_VARIABLE, "").split(os.pathsep) if one})
        folders = found.first
        for one in filter(None, sys.path):
            if _is_standard(one):
                folders = found.later
            elif os.path.realpath(one) not in self._left_out:
                folders.add(os.path.abspath(one))
        for folder in (found.first | found.later) - self._states.keys():
            self._states[folder] = state_of_folder(folder)
        return found

    def folders(self, searched: Searched, *, loose: bool) -> dict[str, str | None]:
        """Return the states of the folders on which it depends what imports find.

        loose: whether they found a module that was not installed.
        """
        return {one: self._states[one] for one in sorted(searched.first | (searched.later if loose else set()))}

    def variables(self) -> dict[str, str | None]:
        """Return the states of the environment variables on which it depends what imports find."""
        return {_VARIABLE: self._variable}


def _is_standard(folder: str) -> bool:
    """Whether a folder on the path is the standard library's, its extension modules' or its archive."""
    real = os.path.realpath(folder)
    if _INSTALLED.search(real):
        return False
    return real in _STANDARD or os.path.dirname(real) in _STANDARD or real.endswith(".zip")
