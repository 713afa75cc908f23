"""Collect garbage: mark what stays, forget the rest, and remove its objects.

Order of one step, which a `kill -9` may end anywhere: the index forgets artifacts, in one transaction that survives a
power loss, and then their objects are removed. Between the two an object is an *orphan*: no record names it, a build
that computes the same table takes it over, and the next collection removes it. The other order would leave records of
objects that are gone.

Nothing is locked while it is marked. A step holds the locks of the store (`cache.locks`) while it removes what the step
before has forgotten, and forgets what is next; between two steps, without the locks, the index is synchronised. A step
looks first whether anything was committed since it was marked; then it is marked again. See docs/store.md.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import stat
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cache.own_names import is_build, is_part
from cache.reachable import objects_of, reasons
from cache.removal import remove_evidence
from cache.retention import Choice, Fate, choose, recomputable, strongest
from cache.signatures import SEAL_NS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from cache.housekeeping import Limits, Size
    from cache.objects import Objects
    from cache.reachable import Reason
    from cache.store_index import StoreIndex

GRACE_SECONDS = 3600
"""How old a file that no lock protects must be before it is taken for garbage."""
_SHELF = re.compile(r"[0-9a-f]{2}")
_FILE = re.compile(r"[0-9a-f]+\.parquet")


@dataclass(frozen=True)
class Policy:
    """How much is kept. builds: of each root the newest so many, whatever else; limits: what each root asks.

    ordered: whether a person has said just this, so that what the roots ask does not count.
    """

    builds: int = 1
    evidence: int = 1
    """Of each root the evidence of the newest so many builds stays, and of others within half of `spare`."""
    ordered: bool = False
    limits: Mapping[str, Limits] = field(default_factory=dict)
    spare: float | None = None
    """What is not needed may take up this share of what is, the index included; None for nothing."""
    index_bytes: int = 0
    """How large the index is when it holds nothing that can be left out."""
    max_bytes: int | None = None
    """Of all artifacts; it replaces `spare`."""


@dataclass(frozen=True)
class Marked:
    """What a collection would do. commits: what `Index.commits` returned then."""

    choice: Choice
    sizes: Mapping[str, Size]
    orphans: Mapping[str, int]
    """Bytes of objects that no record names, by artifact."""
    evidence: tuple[str, ...]
    """The builds whose evidence goes."""
    needed_bytes: int
    commits: int
    builds: Mapping[str, Reason]


@dataclass
class Tally:
    """Artifacts and their bytes by fate; evidence: of how many builds."""

    artifacts: Counter[Fate] = field(default_factory=Counter)
    bytes: Counter[Fate] = field(default_factory=Counter)
    evidence: int = 0

    def add(self, fate: Fate, size: int) -> None:
        """Count an artifact."""
        self.artifacts[fate] += 1
        self.bytes[fate] += size

    def listed(self) -> list[tuple[Fate, int]]:
        """Return fates with how many artifacts they met, in the order of reports."""
        return [(fate, self.artifacts[fate]) for fate in strongest(self.artifacts)]


def mark(
    index: StoreIndex, objects: Objects, policy: Policy, *, now: float | None = None, thorough: bool = True
) -> Marked:
    """Decide what stays, from one state of the index. thorough: look for orphans, too, which lists all objects.

    Raises `DamagedIndexError`, rather than take what cannot be read for garbage, `StoreError` and OSError.
    """
    moment = time.time() if now is None else now
    commits = index.commits()
    with index.reading():
        builds = kept_builds(index, policy, moment)
        needed = reasons(index, builds)
        sizes = index.sizes()
        needed.update(_recent(index, objects, sizes, builds, needed))
        sources = [state for _, _, record in index.every_record() for state in record.inputs if state.artifact is None]

        def costs() -> dict[str, float]:
            optional = [artifact for artifact in sizes if artifact not in needed or needed[artifact] == "age"]
            live = {artifact for artifact in needed if needed[artifact] != "age"}
            return recomputable(index.states(optional), live, sources)

        needed_bytes = sum(size.bytes for artifact, size in sizes.items() if artifact in needed)
        budget, strict = policy.max_bytes, policy.max_bytes is not None
        if budget is None and policy.spare is not None:
            budget = needed_bytes + int((needed_bytes + policy.index_bytes) * policy.spare)
        tables = dict(index.every_part())
        choice = choose(sizes, needed, costs, _ages(index), tables, budget=budget, strict=strict)
        orphans = _orphans(objects, sizes, moment) if thorough else {}
        room = int((needed_bytes + policy.index_bytes) * (policy.spare or 0.0) / 2)
        evidence = _old_evidence(index, objects.root, builds, (policy.evidence, room), moment)
    return Marked(choice, sizes, orphans, evidence, needed_bytes, commits, builds)


def kept_builds(index: StoreIndex, policy: Policy, now: float) -> dict[str, Reason]:
    """Return the builds whose tables stay, by the policy and by what each root asks, and why."""
    found: dict[str, Reason] = {}
    seen: Counter[str] = Counter()
    for root, build, started in reversed(index.every_build()):
        seen[root] += 1
        limits = policy.limits.get(root)
        most = max(policy.builds, (limits and limits.keep_builds) or 0)
        if seen[root] <= most:
            found[build] = "build"
        elif limits and limits.keep_seconds is not None and _moment(started) >= now - limits.keep_seconds:
            found[build] = "age"
    return found


def forget(index: StoreIndex, marked: Marked, artifacts: list[str]) -> None:
    """Forget artifacts that were marked to go, in one transaction. Call with both locks of the store held."""
    known = [artifact for artifact in artifacts if artifact in marked.choice.going]
    if known:
        index.forget_artifacts(known)


def remove(index: StoreIndex, objects: Objects, marked: Marked, artifacts: list[str], removed: Tally) -> None:
    """Remove the objects of artifacts once it has survived that they are forgotten. Call with both locks held.

    One that was recorded again meanwhile stays. Raises `StoreError`, and OSError for what cannot be removed.
    """
    again = index.artifacts(artifacts)
    gone = [artifact for artifact in artifacts if artifact not in again]
    objects.remove(objects_of(gone))
    for artifact in gone:
        fate = marked.choice.going.get(artifact, "unknown")
        removed.add(fate, marked.sizes[artifact].bytes if artifact in marked.sizes else marked.orphans[artifact])


def clear_evidence(root: Path, builds: tuple[str, ...], removed: Tally) -> None:
    """Remove the evidence of builds. Call with the lock of builds held. What cannot be removed stays."""
    for build in builds:
        with contextlib.suppress(OSError):
            remove_evidence(root / "evidence" / build)
            removed.evidence += 1


def _recent(
    index: StoreIndex,
    objects: Objects,
    sizes: Mapping[str, Size],
    builds: Mapping[str, Reason],
    needed: Mapping[str, Reason],
) -> dict[str, Reason]:
    """Return what belongs to no product yet: results of kept builds, and sources ingested since the last build."""
    last = max((_moment(started) for _, _, started in index.every_build()), default=0.0)
    found: dict[str, Reason] = {}
    for artifact, size in sizes.items():
        if artifact in needed:
            continue
        if size.build:
            if builds.get(size.build) == "build":
                found[artifact] = "build"
            continue
        with contextlib.suppress(OSError):
            if objects.path(artifact).lstat().st_ctime > last:
                found[artifact] = "input"
    return found


def _ages(index: StoreIndex) -> dict[str, int]:
    """Return how many builds of the same root have come since artifacts were last of use."""
    order: dict[str, int] = {}
    seen: Counter[str] = Counter()
    for root, build, _ in reversed(index.every_build()):
        order[build] = seen[root]
        seen[root] += 1
    found: dict[str, int] = {}
    for build, _, artifact in index.every_result():
        if artifact is not None and build in order:
            found[artifact] = min(found.get(artifact, order[build]), order[build])
    return found


def _orphans(objects: Objects, sizes: Mapping[str, Size], now: float) -> dict[str, int]:
    """Return objects that no record names. One that is not sealed was not put there by us: it must be old to count."""
    return {
        name: status.st_size
        for name, status in every_object(objects, folders=True, known=objects_of(sizes))
        if status.st_mtime_ns == SEAL_NS or status.st_mtime < now - GRACE_SECONDS
    }


def every_object(
    objects: Objects, *, folders: bool = False, known: Collection[str] = ()
) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the name and the status of every file that is an object's by name and kind. Links are not followed.

    folders: those of tables in parts, too, which hold nothing but links to parts. known: names to leave out; nothing is
    asked of their files.
    """
    folder = objects.root / "objects"
    if not folder.is_dir():
        return
    with os.scandir(folder) as shelves:
        inside = sorted(one.name for one in shelves if _SHELF.fullmatch(one.name) and one.is_dir(follow_symlinks=False))
    for shelf in inside:
        with os.scandir(folder / shelf) as files:
            for file in sorted(files, key=lambda one: one.name):
                name = f"{shelf}{file.name.removesuffix('.parquet')}"
                if _FILE.fullmatch(file.name) and name not in known:
                    with contextlib.suppress(FileNotFoundError):
                        status = file.stat(follow_symlinks=False)
                        in_parts = folders and stat.S_ISDIR(status.st_mode) and _holds_links(file.path)
                        if stat.S_ISREG(status.st_mode) or in_parts:
                            yield name, status


def _holds_links(folder: str) -> bool:
    """Whether a folder holds the links of a table in parts, and nothing else. Raises OSError."""
    with os.scandir(folder) as entries:
        return all(entry.is_symlink() and is_part(entry.name) for entry in entries)


def _old_evidence(
    index: StoreIndex, root: Path, builds: Mapping[str, Reason], most: tuple[int, int], now: float
) -> tuple[str, ...]:
    """Return the builds whose evidence nothing needs: neither kept nor pinned, and no product's last.

    most: of each root the newest so many builds keep theirs in any case, and others while it takes up so many bytes.
    """
    folder = root / "evidence"
    if not folder.is_dir() or folder.is_symlink():
        return ()
    needed = {*builds, *(pin.build for pin in index.pins()), *index.pointed_builds()}
    needed |= kept_builds(index, Policy(builds=most[0]), now).keys()
    known = {build for _, build, _ in index.every_build()}
    found, room = [], most[1]
    with os.scandir(folder) as entries:
        listed = [one for one in entries if is_build(one.name) and one.is_dir(follow_symlinks=False)]
    for entry in sorted(listed, key=lambda one: one.name, reverse=True):
        # A build that is not recorded may be an audit, or about to begin.
        young = entry.name not in known and entry.stat(follow_symlinks=False).st_mtime >= now - GRACE_SECONDS
        if entry.name in needed or young:
            continue
        room -= size_of(entry.path) if room > 0 else 0
        if room <= 0:
            found.append(entry.name)
    return tuple(sorted(found))


def size_of(folder: str) -> int:
    """Return the bytes of the files in a folder, which may be removed meanwhile. Links are not followed."""
    total = 0
    for inside, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(f"{inside}/{name}").st_size
    return total


def _moment(started: str) -> float:
    try:
        return dt.datetime.fromisoformat(started).timestamp()
    except ValueError:
        return 0.0
