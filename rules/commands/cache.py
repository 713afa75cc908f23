"""`rules cache verify`: read every stored object and compare it with what was written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from rules.errors import FAILED
from rules.files.project_paths import find_root
from rules.report.runs import document
from rules.storage.store import open_store
from rules.wording import plural

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from rules.storage.verification import BadObject, Verified
    from rules.terminal.output import Output

_EPILOG = """A build reads no table that it need not read: by its time stamp it sees whether one was touched.
verify reads them all, whatever their stamps say."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.epilog = _EPILOG
    parser.add_argument("action", choices=("verify",), metavar="verify", help="compare all objects with their digests")
    parser.add_argument(
        "--repair", action="store_true", help="remove what is bad, so that the next build makes it again"
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Verify; 1 when an object is bad, also where it is repaired."""
    root = find_root(options.project)
    with open_store(root, output.message, building=options.repair) as store:
        from rules.storage.verification import verify_store

        found = verify_store(store, repair=options.repair)
    if output.as_json:
        status = "failed" if found.bad else "ok"
        bad = [_fields(one, root) for one in found.bad]
        output.document(document("cache", status=status, checked=found.checked, bad=bad))
    else:
        output.result([*(_line(one, root) for one in found.bad), *([_summary(found)] if output.verbosity >= 0 else ())])
    return FAILED if found.bad else 0


def _fields(one: BadObject, root: Path) -> dict[str, Any]:
    return {
        "artifact": one.artifact,
        "path": os.path.relpath(one.path, root),
        "problem": one.problem,
        "products": list(one.products),
        "repaired": one.repaired,
        "message": one.told or None,
    }


def _line(one: BadObject, root: Path) -> str:
    of = f" of {', '.join(one.products)}" if one.products else ""
    done = "removed" if one.repaired and one.problem != "missing" else one.told
    return f"{one.problem:<8} {os.path.relpath(one.path, root)}{of}{f' ({done})' if done else ''}"


def _summary(found: Verified) -> str:
    if not found.bad:
        return f"{plural(found.checked, 'object')} verified"
    left = sum(not one.repaired for one in found.bad)
    hint = "rules cache verify --repair removes them" if left else "rules build makes them again"
    return f"{len(found.bad):,} of {plural(found.checked, 'object')} bad; {hint}"
