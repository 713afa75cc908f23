"""The history that the site shows: builds, what each did, and what each product was after them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from cache.untrusted import decode
from rules.running.evidence import KEPT_BUILDS, LINES, Line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rules.storage.store import Store

_BUILDS = 60
"""Builds that are shown, the latest."""
_OPERATORS = 40
"""Operators of one execution that are shown."""


@dataclass(frozen=True)
class History:
    """The latest builds, oldest first, and what they did.

    results: by build, [product, status, changed, reason, seconds] of all products that were not clean. of_product:
    [number of the build, status, seconds of its execution, rows, changed]. latest: status, reason and build. operators:
    [depth, name, rows, seconds] of the last execution that is known.
    """

    builds: list[dict[str, Any]]
    results: dict[str, list[list[Any]]]
    of_product: dict[str, list[list[Any]]]
    latest: dict[str, tuple[str, str, str]]
    operators: dict[str, list[list[Any]]]


def read_history(store: Store, products: Iterable[str]) -> History:
    """Return the history of a project."""
    wanted = set(products)
    listed = [one for one in reversed(store.index.builds(_BUILDS)) if one[3] != "running"]
    history = History([], {}, {}, {}, _operators(store.objects.root, wanted, [one[0] for one in reversed(listed)]))
    rows_of = {build: store.index.results(build) for build, *_ in listed}
    artifacts = store.index.artifacts({row[5] for rows in rows_of.values() for row in rows if row[5] is not None})
    for number, (build, started, seconds, status, summary) in enumerate(listed):
        rounded = None if seconds is None else round(seconds, 6)
        history.builds.append(
            {"build": build, "started": started, "seconds": rounded, "status": status, "summary": summary}
        )
        shown = history.results[build] = []
        for name, became, changed, reason, took, artifact in rows_of[build]:
            spent = round(took, 6) if became in {"executed", "failed"} and took is not None else None
            if became != "clean":
                shown.append([name, became, int(bool(changed)), reason, spent])
            if name in wanted:
                rows = artifacts[artifact].rows if artifact in artifacts else None
                event = [number, became, spent, rows, int(bool(changed))]
                history.of_product.setdefault(name, []).append(event)
                history.latest[name] = became, reason, build
    return history


def _operators(root: Path, wanted: set[str], builds: Iterable[str]) -> dict[str, list[list[Any]]]:
    """Return where the time of the last execution of each product went, as far as evidence of it is kept."""
    found: dict[str, list[list[Any]]] = {}
    decoder = msgspec.json.Decoder(Line)
    for build in list(builds)[:KEPT_BUILDS]:
        if wanted <= found.keys():
            break
        try:
            lines = (root / "evidence" / build / LINES).read_bytes().splitlines()
        except OSError:  # none was kept of it
            continue
        for text in reversed(lines):
            try:
                line = decode(decoder, text)
            except ValueError:  # a killed build left it unfinished
                continue
            if line.name in wanted and line.name not in found and line.operators:
                found[line.name] = [
                    [one.depth, one.name, one.rows, None if one.seconds is None else round(one.seconds, 6)]
                    for one in line.operators[:_OPERATORS]
                ]
    return found
