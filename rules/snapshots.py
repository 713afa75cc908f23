"""States that a command recognises an unchanged project by, as a build, a compilation and a check left them.

A snapshot (see `rules.compiling.snapshots_taken`) has every file that was looked at, with its signature and digest, and
what was found. As long as all of it still holds there is nothing to do, and nothing heavier than sqlite3 is imported to
find out. What does not hold, or cannot be known, goes the long way; a wrong "no" only costs time.
"""

from __future__ import annotations

import functools
import os
import stat
import sys
import time
from typing import TYPE_CHECKING, Any

from cache.errors import StoreError
from cache.signatures import SEAL_NS, Signature, is_settled, signature
from rules.files.locations import is_url
from rules.files.project_paths import beginning, heir_of, is_rule_file, own_folder, root_key
from rules.files.surrounding_state import surroundings_hold

if TYPE_CHECKING:
    from cache.index import Index

FORMAT = 11
_AT_ONCE = 16
"""Sources that are asked for side by side."""
_FEW = 8
"""Rules that are looked at one by one after an edit; more of them at once are more than an edit."""
_PATIENCE = 4.0
"""Seconds for which a server of sources is asked whether anything has changed; then the long way asks it again."""
_PACKAGES = (
    "cache", "cache/remote", "compiler", "compiler/analysis", "compiler/canonical", "compiler/coverage",
    "compiler/dialects", "compiler/diff", "compiler/engine_errors", "compiler/engine_sql",
    "compiler/engine_sql/workarounds", "compiler/engine_sql/workarounds/subqueries", "compiler/ibis", "compiler/lint",
    "compiler/names", "compiler/parts", "compiler/spark", "compiler/spread", "compiler/sql", "compiler/tree", "graph",
    "rules", "rules/commands", "rules/compiling", "rules/config", "rules/engine", "rules/engine/spark",
    "rules/exporting", "rules/files", "rules/formats", "rules/importing", "rules/inspect", "rules/lint",
    "rules/loading", "rules/lsp", "rules/openlineage", "rules/planning", "rules/publishing", "rules/python",
    "rules/report", "rules/running", "rules/site", "rules/sources", "rules/storage", "rules/terminal", "rules/testing",
    "rules/watching",
)  # fmt: skip
_TOOLS = ("sqlglot", "ibis", "datafusion", "pyarrow", "xxhash", "numpy")


def open_index(root: str, store: str) -> Index:
    """Open the index that a store has, in memory if it cannot be written. Raises `StoreError`, also if it has none."""
    from cache.index import Index
    from cache.ownership import may_open_index

    if not may_open_index(store):
        raise StoreError(f"the store {store} has no index that may be opened")  # the long way says why
    path = f"{store}/index.sqlite"
    writable = os.access(store, os.W_OK) and os.access(path, os.W_OK)
    key, heir = root_key(root, store), heir_of(root, store)
    return Index(path, root=key, heir=heir, existing=True, in_memory=not writable)


def last_build(root: str, store: str, index: Index, profile: str) -> tuple[dict[str, Any], list[str]] | None:
    """Return the state that the last complete build left, and the paths of the rules in SQL that were edited since.

    None if anything else has changed.
    """
    record = index.snapshot("built")
    if record is None or record["format"] != FORMAT or record["profile"] != profile or record["store"] != store:
        return None
    edited = _edited(root, record, index, most=_FEW)
    if edited is None or not _products_hold(root, record["products"]):
        return None
    if record["outside"] and not _outside_holds(record):  # last, as servers take longest
        return None
    return record, edited


def as_compiled(root: str, index: Index) -> dict[str, Any] | None:
    """Return the last compiled state when nothing has changed since, else None."""
    record = index.snapshot("compiled")
    current = record is not None and record["format"] == FORMAT and _holds(root, record, index)
    return record if current else None


def last_check(root: str, index: Index) -> tuple[dict[str, Any], list[str]] | None:
    """Return the state that the last check left, and the paths of the few rules in SQL that were edited since.

    None if anything else has changed.
    """
    record = index.snapshot("checked")
    if record is None or record["format"] != FORMAT:
        return None
    edited = _edited(root, record, index, most=_FEW)
    if edited is None:
        return None
    if record["last_seen"] and index.memo("schemas", record["last_seen"]) != record["last_seen"]:
        return None
    return record, edited


def _holds(root: str, record: dict[str, Any], index: Index) -> bool:
    return _edited(root, record, index, most=0) is not None


def _edited(root: str, record: dict[str, Any], index: Index, *, most: int) -> list[str] | None:
    """Return the rules in SQL that have another text than in a state; None if these are more than so many.

    None, too, if anything else is otherwise.
    """
    if record["tools"] != tools() or not surroundings_hold(root, record["read_folders"], record["environment"]):
        return None
    edited = _edited_files(root, record, index, most)
    if edited is None or not _listings_hold(root, record):
        return None
    if not set(record["read_by_python"]).isdisjoint(edited):
        return None
    folders = tuple(f"{folder.rstrip('/')}/" for folder in record["folders"])
    return edited if all(path.startswith(folders) and path.endswith(".sql") for path in edited) else None


def _outside_holds(record: dict[str, Any]) -> bool:
    """Whether the objects of sources on object stores and web servers are those that they were: one listing for each.

    Only a build has to know: what is checked and compiled depends on no more than their columns.
    """
    from rules.sources.object_stores import ObjectStores, OutsideError, side_by_side

    stores = ObjectStores(_PATIENCE)
    known = {path: Signature(*taken) for path, *taken, _ in record["files"]}

    def holds(one: tuple[str, str | None, list[str]]) -> bool:
        path, declared, files = one
        try:
            found = stores.signatures(path, declared)
            return list(found) == files and all(known[url] == taken for url, taken in found.items())
        except OutsideError:
            return False  # the long way says what is wrong

    return all(side_by_side(holds, record["outside"], _AT_ONCE))


def _edited_files(root: str, record: dict[str, Any], index: Index, most: int) -> list[str] | None:
    """Return the files that have other bytes than in a state; None if one is gone, or if they are more than so many."""
    fresh: dict[str, Signature] = {}
    edited: list[str] = []
    for path, size, written, changed, inode, digest in record["files"]:
        if is_url(path):
            continue
        began = time.time_ns()
        file = path if path.startswith("/") else f"{root}/{path}"
        try:
            seen = os.stat(file)
            same = (seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino, seen.st_size) == (written, changed, inode, size)
            if same and stat.S_ISREG(seen.st_mode):  # as nearly all are
                continue
            now = signature(file)
        except OSError:
            return None
        from cache.filedigest import file_digest  # only a file that may have changed is read

        if now.size != size or file_digest(file) != digest:
            edited.append(path)
            if len(edited) > most:
                return None
        elif is_settled(now, began):
            fresh[path] = now
    if fresh:
        _refresh(record, fresh, index)
    return edited


def _refresh(record: dict[str, Any], settled: dict[str, Signature], index: Index) -> None:
    """Remember the signatures of files that were read and found unchanged, so that they need not be read again."""
    fresh = {**record, "files": [[path, *settled.get(path, taken), digest] for path, *taken, digest in record["files"]]}
    try:
        index.refresh_snapshot(record, fresh)
    except StoreError:
        return  # read-only or busy: the next no-op reads these files again
    record.update(fresh)


def _listings_hold(root: str, record: dict[str, Any]) -> bool:
    """Whether no rule file and no source file has come or gone, and nothing that a Python file would have imported."""
    if any(os.path.exists(os.path.join(root, path)) for path in record["absent"]):
        return False
    known = {path for path, *_ in record["files"]}
    found = 0
    pending = [(os.path.join(root, folder), beginning(folder), frozenset[str]()) for folder in record["folders"]]
    while pending:
        folder, shown, linked = pending.pop()
        try:
            entries = os.scandir(folder)
        except OSError:
            return False
        with entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                path = f"{shown}{entry.name}"
                if entry.is_dir():
                    place = linked
                    if entry.is_symlink():
                        real = os.path.realpath(entry.path)
                        if real in linked:
                            return False  # a link that leads back to itself: the long way says so
                        place = linked | {real}
                    pending.append((entry.path, f"{path}/", place))
                elif is_rule_file(entry.name):
                    if path not in known:
                        return False
                    found += 1
    if found != record["rule_files"]:
        return False
    return all(files == [path] for path, _, files in record["sources"]) or _source_listings_hold(root, record)


def _source_listings_hold(root: str, record: dict[str, Any]) -> bool:
    from pathlib import Path

    from rules.files.source_listing import list_files

    try:
        return all(
            list(list_files(Path(root), path, declared, record["extensions"])) == files
            for path, declared, files in record["sources"]
        )
    except OSError:
        return False


def any_absent(root: str, products: dict[str, list[int] | None]) -> bool:
    """Whether the table of a product is still in the shared cache alone."""
    folder = product_folder(root)
    return any(as_built is None and not product_object(folder, name) for name, as_built in products.items())


def _products_hold(root: str, products: dict[str, list[int] | None]) -> bool:
    folder = product_folder(root)
    return all(
        _holds_product(product_object(folder, name), as_built, folder, name) for name, as_built in products.items()
    )


def _holds_product(found: list[int], as_built: list[int] | None, folder: str, name: str) -> bool:
    """Whether a product is as it was built. None: its table was left in the shared cache, and may be here by now."""
    if as_built is None:
        return found[2:] == [SEAL_NS] if found else os.path.lexists(f"{folder}{name}.parquet")
    return found == [*as_built, SEAL_NS]


def product_folder(root: str) -> str:
    """Return the folder of a project's products, with the slash at its end."""
    return f"{own_folder(root)}/products/"


def product_object(folder: str, name: str) -> list[int]:
    """Return what identifies the object that a product's link leads to, and when it was last written; [] for none.

    A table in parts is a folder of links; [] if one of its parts was written since.
    """
    place = f"{folder}{name}.parquet"
    try:
        status = os.stat(place)
        if stat.S_ISDIR(status.st_mode):
            with os.scandir(place) as parts:
                if any(part.stat().st_mtime_ns != SEAL_NS for part in parts):
                    return []
    except OSError:
        return []
    return [status.st_ino, status.st_size, status.st_mtime_ns]


@functools.cache
def tools() -> list[list[Any]]:
    """What computes the results, known without importing it: where each package lies, and signatures of its files.

    Looked at once in a process, which goes on with the code that it has imported, whatever is installed later: what it
    remembers must not pass for the work of that.
    """
    found: list[list[Any]] = [["python", sys.version]]
    for name in _TOOLS:
        spec = next((spec for finder in sys.meta_path if (spec := finder.find_spec(name, None))), None)
        if spec is None or spec.origin is None:
            continue
        taken = os.stat(spec.origin)
        found.append([name, spec.origin, taken.st_size, taken.st_mtime_ns])
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for package in _PACKAGES:
        with os.scandir(os.path.join(root, package)) as entries:
            files = [(entry.name, entry.stat()) for entry in entries if entry.name.endswith((".py", ".sql"))]
        found += [
            [name, status.st_size, status.st_mtime_ns] for name, status in sorted(files, key=lambda item: item[0])
        ]
    return found
