"""What a build, a compilation and a check leave behind, for `rules.snapshots` to recognise an unchanged project by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rules.files.project_paths import FILE
from rules.snapshots import FORMAT, product_folder, product_object, tools

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from rules.config.profiles import Profile
    from rules.config.project import Project
    from rules.files.file_digests import FileDigests
    from rules.sources.contents import Sources
    from rules.storage.store import Store


def built_snapshot(
    project: Project,
    profile: Profile,
    files: FileDigests,
    sources: Sources,
    store: Store,
    reads: Mapping[str, Collection[str]],
    failing: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the state that a complete build leaves.

    reads: the products that each product, or the check of a source, reads. failing: checks that failed and kept nothing
    back, by name, as plain data: a no-op says so again.
    """
    return {
        **_looked_at(project, files, sources),
        "profile": profile.name,
        "products": _products(project, reads),
        "reads": {name: sorted(read) for name, read in reads.items() if read},
        "store": str(store.objects.root),
        "failing": dict(failing),
    }


def rebuilt_snapshot(
    before: Mapping[str, Any],
    edited: Collection[str],
    project: Project,
    files: FileDigests,
    sources: Sources,
    reads: Mapping[str, Collection[str]],
    failing: Mapping[str, Any],
) -> dict[str, Any] | None:
    """Return the state that a build of what edits can reach leaves, if a complete one has left `before`.

    None if anything but the files of the edited rules was otherwise when it was read: it may concern other rules, too.
    reads, failing: as for a complete build, of the products that the edits can reach.
    """
    fresh = _unmoved(before, edited, files, sources)
    if fresh is None:
        return None
    read = {name: sorted(one) for name, one in reads.items()}
    return {
        **before,
        "files": [fresh.get(one[0], one) for one in before["files"]],
        "products": {**before["products"], **_products(project, reads)},
        "reads": {name: one for name, one in {**before["reads"], **read}.items() if one},
        "failing": dict(failing),
    }


def _products(project: Project, names: Iterable[str]) -> dict[str, Any]:
    """Return what identifies the objects of products among tables, None for those in the shared cache alone.

    Without the time: whoever writes to an object breaks its seal.
    """
    folder = product_folder(str(project.root))
    return {name: product_object(folder, name)[:2] or None for name in names if name not in project.sources}


def compiled_snapshot(
    project: Project, files: FileDigests, sources: Sources, memos: Mapping[str, str]
) -> dict[str, Any]:
    """Return the state in which every rule is compiled; memos: of the products."""
    tables = {name: sources.table(name).schema.names for name in sources.opened()}
    # As they come back from the index, so that an unchanged state is found equal.
    return {
        **_looked_at(project, files, sources),
        "products": dict(memos),
        "tables": {name: list(columns) for name, columns in tables.items()},
    }


def checked_snapshot(
    project: Project,
    files: FileDigests,
    sources: Sources,
    closed: list[list[Any]],
    last_seen: Mapping[str, Any],
    found: Mapping[str, Any],
    known: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the state in which every rule file is checked, with what was found in each.

    closed: path, format and files of the sources that could not be opened. last_seen: memos that columns were taken
    from. known: what a check of single rules needs to know of all others (see `rules.lint.check_reach`), None if none
    can be checked alone.
    """
    state = _looked_at(project, files, sources)
    state |= {"sources": [*state["sources"], *closed], "found": dict(found), "last_seen": dict(last_seen)}
    state["products"] = [path for path in found if path != FILE]
    state["known"] = known
    return state


def rechecked_snapshot(
    before: Mapping[str, Any],
    edited: Collection[str],
    files: FileDigests,
    sources: Sources,
    found: Mapping[str, Any],
    known: Mapping[str, Any],
) -> dict[str, Any] | None:
    """Return the state that a check of what edits can reach leaves, if a complete one has left `before`.

    None if anything but the edited files was otherwise when it was read. found, known: of the whole project.
    """
    fresh = _unmoved(before, edited, files, sources)
    if fresh is None:
        return None
    return {
        **before,
        "files": [fresh.get(one[0], one) for one in before["files"]],
        "found": dict(found),
        "known": known,
    }


def _unmoved(
    before: Mapping[str, Any], edited: Collection[str], files: FileDigests, sources: Sources
) -> dict[str, Any] | None:
    """Return the records of the files that were read, by path; None if any but the edited ones is not as `before`."""
    fresh = {path: [path, *taken, digest] for path, taken, digest in files.records()}
    known = {one[0]: one[-1] for one in before["files"]}
    if any(known.get(path) != one[-1] for path, one in fresh.items() if path not in edited):
        return None
    found = [[source.path, source.format, list(listed)] for source, listed in sources.listings()]
    outside = [[source.path, source.format, list(listed)] for source, listed in sources.outside()]
    if any(one not in before["sources"] for one in found) or any(one not in before["outside"] for one in outside):
        return None
    return fresh


def _looked_at(project: Project, files: FileDigests, sources: Sources) -> dict[str, Any]:
    """Return every file that was looked at, as it was then."""
    from rules.formats.registry import extensions

    files.digest(FILE)
    return {
        "format": FORMAT,
        "tools": tools(),
        "folders": list(project.rule_folders),
        # As they were found: a file that has come since is not in the results.
        "sources": [
            *([source.path, source.format, list(found)] for source, found in sources.listings()),
            *([one.path, one.format, list(one.files)] for one in project.patterns),
            *([pattern, None, list(found)] for pattern, found in files.matched.items()),
        ],
        "extensions": extensions(),
        "outside": [[source.path, source.format, list(found)] for source, found in sources.outside()],
        "files": [[path, *taken, digest] for path, taken, digest in files.records()],
        "rule_files": len(files.rule_files),
        "read_by_python": sorted(files.read_by_python.intersection(files.rule_files)),
        "absent": sorted(files.absent),
        "read_folders": dict(files.folders),
        "environment": dict(files.environment),
    }
