"""`rules gc`: remove tables that nothing needs any more from the store."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from rules.config.project import load_project
from rules.errors import FAILED, REPLACED, UserError
from rules.files.project_paths import find_root
from rules.report.runs import document
from rules.storage.store import open_store
from rules.terminal.arguments import not_negative
from rules.wording import byte_size, plural

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from rules.storage.collecting import Collected
    from rules.storage.store import Store
    from rules.terminal.output import Output

_EPILOG = """What stays: the tables that products are now, in every project that shares the store, and those
that they were made from; tables of the last build, or with --keep of more, and of the builds that
[store] keep in rules.toml covers; pinned ones (rules pin). With [store] max_size others stay, too,
as long as they fit. A build collects a little by itself."""
_WHY = {
    "product": "are products",
    "input": "are what products were made from",
    "pin": "are pinned",
    "build": "are of the last builds",
    "age": "are as young as [store] keep says",
    "cache": "fit into [store] max_size",
    "recomputable": "could be computed again",
    "lost": "could not be computed again now",
    "unknown": "were in no record",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.epilog = _EPILOG
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument(
        "--remote",
        action="store_true",
        help="collect in the shared cache, what nobody has used for as long as [cache] keep says (default: 30 days)",
    )
    parser.add_argument(
        "--keep",
        type=not_negative,
        metavar="BUILDS",
        help="keep what the last so many builds left, whatever [store] says (default: 1, and what [store] says)",
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Collect."""
    if options.remote:
        return _sweep(options, output)
    project = load_project(find_root(options.project))
    with whole_index(), open_store(project.root, output.message, building=False, asked=True, collecting=True) as store:
        from cache.collection import Policy
        from rules.storage.collecting import collect, foresee, waiting

        keep = options.keep
        policy = Policy() if keep is None else Policy(builds=keep, evidence=max(keep, 1), ordered=True)
        if options.dry_run:
            found = foresee(store, project.limits, policy)
        else:
            waiting(store, output.message)
            found = collect(store, project.limits, policy)
        copies = _copies(store, project.downloads, dry_run=options.dry_run)
    if output.as_json:
        output.document(
            document("gc", status="ok", dry_run=options.dry_run, **_fields(found), downloads=copies._asdict())
        )
    elif output.verbosity >= 0:
        output.result([*_lines(found, dry_run=options.dry_run), *copies.lines(dry_run=options.dry_run)])
    return 0


class _Copies(NamedTuple):
    """Bytes of copies of objects from elsewhere: those that go, and those that stay."""

    removed: int
    kept: int

    def lines(self, *, dry_run: bool) -> list[str]:
        if not self.removed and not self.kept:
            return []
        verb = "would be removed" if dry_run else "removed"
        return [f"copies of objects: {byte_size(self.removed)} {verb}, {byte_size(self.kept)} kept"]


def _copies(store: Store, most: int, *, dry_run: bool) -> _Copies:
    """Keep the copies of objects within `[store] downloads`, or say what that would remove."""
    from cache.downloads import Downloads
    from rules.storage.collecting import PATIENCE
    from rules.storage.download_limit import trim_downloads

    downloads = Downloads(store.objects.root)
    if dry_run:
        return _Copies(*downloads.beyond(most))
    return _Copies(trim_downloads(store, most, PATIENCE), downloads.bytes())


def _sweep(options: argparse.Namespace, output: Output) -> int:
    """Collect in the shared cache."""
    if options.keep is not None:
        hint = "[cache] keep says how long what nobody uses stays there"
        raise UserError("--keep counts builds of a store, and --remote is about no store", code="usage", hint=hint)
    root = find_root(options.project)
    load_project(root)
    from rules.storage.shared_keeping import sweep_shared

    found = sweep_shared(root, dry_run=options.dry_run)
    if output.as_json:
        removed = {"objects": found.removed, "bytes": found.removed_bytes}
        kept = {"objects": found.kept, "bytes": found.kept_bytes}
        output.document(document("gc", status="ok", dry_run=options.dry_run, removed=removed, kept=kept))
    elif output.verbosity >= 0:
        done = "would be removed from the shared cache" if options.dry_run else "removed from the shared cache"
        total = f"{plural(found.removed, 'object')} {done}, {byte_size(found.removed_bytes)}"
        output.result([f"{total}; {found.kept:,} kept, {byte_size(found.kept_bytes)}"])
    return 0


@contextlib.contextmanager
def whole_index() -> Iterator[None]:
    """Remove nothing by an index that is damaged: what it no longer names may be needed. Raises `UserError`."""
    try:
        yield
    except UserError as error:
        if error.code != REPLACED:
            raise
        hint = "rules build restores what it can; collect after that"
        message = f"{error.message}; nothing was removed from the store"
        raise UserError(message, code="damaged-index", hint=hint, exit_code=FAILED) from error


def _fields(found: Collected) -> dict[str, Any]:
    removed, kept = found.removed, found.kept
    return {
        "removed": {
            "objects": sum(removed.artifacts.values()),
            "bytes": sum(removed.bytes.values()),
            "reasons": {fate: {"objects": count, "bytes": removed.bytes[fate]} for fate, count in removed.listed()},
        },
        "kept": {
            "objects": sum(kept.artifacts.values()),
            "bytes": sum(kept.bytes.values()),
            "reasons": {fate: {"objects": count, "bytes": kept.bytes[fate]} for fate, count in kept.listed()},
        },
        "evidence": removed.evidence,
        "index": {"before": found.index_before, "after": found.index_after},
    }


def _lines(found: Collected, *, dry_run: bool) -> list[str]:
    removed, kept = found.removed, found.kept
    done = "would be removed" if dry_run else "removed"
    total = f"{plural(sum(removed.artifacts.values()), 'object')} {done}, {byte_size(sum(removed.bytes.values()))}"
    lines = [f"{total}; {sum(kept.artifacts.values()):,} kept, {byte_size(sum(kept.bytes.values()))}"]
    for tally, verb in ((removed, "go" if dry_run else "gone"), (kept, "kept")):
        lines += [
            f"  {verb:<5}{count:>7,}  {byte_size(tally.bytes[fate]):>9}  that {_WHY[fate]}"
            for fate, count in tally.listed()
        ]
    if found.index_after < found.index_before:
        lines.append(f"  index: {byte_size(found.index_before)}, now {byte_size(found.index_after)}")
    return lines
