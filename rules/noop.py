"""The no-op path of the command line: an unchanged project is recognised, and the answer printed, before any import.

See `rules.snapshots` for how it is recognised. Where nothing but the texts of a few rules is otherwise, these are
compiled, and the answer is the same if none of them means anything else (`rules.planning.same_meaning`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cache.errors import StoreError
from rules.files.project_paths import store_of
from rules.snapshots import any_absent, last_build, open_index

if TYPE_CHECKING:
    from rules.terminal.output import Output


def answered(root: str, profile: str, output: Output, *, planning: bool = False, lazy: bool = False) -> bool:
    """Recognise an unchanged project, and say so. A plan has more to say of checks that fail, and is not answered.

    lazy: tables that are still in the shared cache alone need not be fetched; nor does a plan fetch them.
    """
    store = store_of(root)
    if not os.path.exists(f"{store}/index.sqlite"):
        return False

    try:
        with open_index(root, store) as index:
            found = last_build(root, store, index, profile)
            if found is None or (planning and found[0]["failing"]):
                return False
            state, edited = found
            if edited and not _mean_the_same(root, profile, state, edited, output, planning=planning):
                return False
            if not (lazy or planning) and None in state["products"].values() and any_absent(root, state["products"]):
                return False
            for failure in state["failing"].values():
                output.message(failure["warning"])
            if output.as_json:
                from rules.report.runs import build_document
                from rules.running.results import clean_report

                output.document(build_document(clean_report(index, state["failing"])))
            elif output.verbosity >= 0:
                from rules.report.runs import nothing_to_do

                output.result([nothing_to_do(len(state["products"]))])
    except (StoreError, LookupError, TypeError, ValueError, AttributeError):
        return False  # the long way meets the same trouble, if it is one of the index, and explains it
    return True


def _mean_the_same(
    root: str, profile: str, state: dict[str, Any], edited: list[str], output: Output, *, planning: bool
) -> bool:
    """Whether rules that were edited since a state mean what they meant then, as far as a short look can tell."""
    from pathlib import Path

    from rules.errors import UserError, UserErrors
    from rules.planning.same_meaning import mean_the_same

    if None in state["products"].values():
        return False
    try:
        return mean_the_same(Path(root), profile, state, edited, output.message, building=not planning)
    except (UserError, UserErrors):
        return False  # the long way meets the same trouble, and says so
