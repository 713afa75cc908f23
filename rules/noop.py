"""The no-op path: an unchanged project is recognised from stat signatures and the index alone.

A complete build leaves a snapshot: every file it looked at, with its signature and digest, and every product with its
object. As long as all of that still holds there is nothing to do, and nothing heavier than sqlite3 is imported to find
out. Whatever does not hold, or cannot be told, goes the long way; a wrong "no" only costs time.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

from cache.signatures import Signature, is_settled, signature

if TYPE_CHECKING:
    from pathlib import Path

    from cache.index import Index
    from rules.load import FileDigests
    from rules.profiles import Profile
    from rules.project import Project
    from rules.results import BuildReport
    from rules.store import Store

_FORMAT = 1
_TOOLS = ("sqlglot", "ibis", "datafusion", "pyarrow", "xxhash", "numpy")


def snapshot(project: Project, profile: Profile, files: FileDigests, report: BuildReport, store: Store) -> dict[str, Any]:
    """Return the state that a complete build leaves."""
    from rules.sources import list_files

    configuration = "rules.toml"
    files.digest(configuration)
    return {
        "format": _FORMAT,
        "tools": _tools(),
        "profile": profile.name,
        "folders": list(project.rule_folders),
        "sources": {name: [source.path, source.format, list_files(project.root, source)] for name, source in project.sources.items()},
        "files": [[path, *taken, digest] for path, (taken, digest) in files.seen.items()],
        "products": {name: [result.artifact, result.bytes] for name, result in report.results.items()},
        "store": str(store.objects.root),
    }


def up_to_date(root: Path, store: Path, index: Index, profile: str) -> int | None:
    """Return the number of products when nothing has changed since the snapshot, else None."""
    record = index.snapshot()
    if record is None or record["format"] != _FORMAT or record["profile"] != profile or record["store"] != str(store):
        return None
    if record["tools"] != _tools() or not _files_hold(root, record, index) or not _listings_hold(root, record):
        return None
    return len(record["products"]) if _products_hold(store, record["products"]) else None


def _files_hold(root: Path, record: dict[str, Any], index: Index) -> bool:
    fresh: dict[str, Signature] = {}
    for path, *taken, digest in record["files"]:
        try:
            now = signature(os.path.join(root, path))
        except OSError:
            return False
        if list(now) == taken and is_settled(now):
            continue
        from cache.filedigest import file_digest  # only a file that may have changed is read

        if now.size != taken[0] or file_digest(os.path.join(root, path)) != digest:
            return False
        fresh[path] = now
    settled = {path: now for path, now in fresh.items() if is_settled(now)}
    if settled:
        _refresh(record, settled, index)
    return True


def _refresh(record: dict[str, Any], settled: dict[str, Signature], index: Index) -> None:
    """Remember the signatures of files that were read and found unchanged, so that they need not be read again."""
    import sqlite3

    record["files"] = [
        [path, *settled.get(path, taken), digest] for path, *taken, digest in record["files"]
    ]
    try:
        index.set_snapshot(record)
    except sqlite3.OperationalError:
        return  # read-only or busy: the next no-op reads these files again


def _listings_hold(root: Path, record: dict[str, Any]) -> bool:
    """Whether no rule file and no source file has come or gone."""
    known = {path for path, *_ in record["files"]}
    found = 0
    pending = [(os.path.join(root, folder), folder.rstrip("/")) for folder in record["folders"]]
    while pending:
        folder, shown = pending.pop()
        try:
            entries = os.scandir(folder)
        except OSError:
            return False
        with entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                path = f"{shown}/{entry.name}"
                if entry.is_dir():
                    pending.append((entry.path, path))
                elif entry.name.endswith(".sql"):
                    if path not in known:
                        return False
                    found += 1
    if found != len(record["products"]):
        return False
    plain = all(files == [path] for path, _, files in record["sources"].values())
    return plain or _source_listings_hold(root, record)


def _source_listings_hold(root: Path, record: dict[str, Any]) -> bool:
    from rules.project import Source
    from rules.sources import list_files

    return all(
        list(list_files(root, Source(path=path, format=format_))) == files
        for path, format_, files in record["sources"].values()
    )


def _products_hold(store: Path, products: dict[str, list[Any]]) -> bool:
    folder = os.path.join(store, "products")
    for name, (artifact, size) in products.items():
        link = f"{folder}/{name}.parquet"
        try:
            if os.readlink(link) != f"../objects/{artifact[:2]}/{artifact[2:]}.parquet" or os.stat(link).st_size != size:
                return False
        except OSError:
            return False
    return True


def _tools() -> list[list[Any]]:
    """What computed the results, known without importing it: where each package lies, and signatures of its files."""
    found: list[list[Any]] = [["python", sys.version]]
    for name in _TOOLS:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        taken = os.stat(spec.origin)
        found.append([name, spec.origin, taken.st_size, taken.st_mtime_ns])
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for package in ("rules", "rules/commands", "rules/engine", "compiler", "compiler/passes", "cache", "graph"):
        with os.scandir(os.path.join(root, package)) as entries:
            files = [(entry.name, entry.stat()) for entry in entries if entry.name.endswith((".py", ".sql"))]
        found += [[name, status.st_size, status.st_mtime_ns] for name, status in sorted(files, key=lambda item: item[0])]
    return found
