"""What edits can reach in a project that is else as its last complete build left it.

An edited rule can change its own product and those that read it, directly or through others; nothing else. A run that
looks at these alone, and takes the products that they read from the store, costs what the edit reaches, and not the
size of the project. `rules.snapshots` finds out that all else is as it was; whatever is beyond that goes the long way,
which looks at everything: a rule that comes or goes, a source or rules.toml that changed, a function in Python that a
reached rule calls, a check of a source that reads what is reached. So does every run over a small project.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cache.signatures import Signature
from rules.config.project import Project
from rules.files.file_digests import FileDigests
from rules.loading.product_names import name_of
from rules.loading.rule import Rule
from rules.snapshots import last_build
from rules.storage.store import Store

SMALL = 100
"""Products that are looked at in a few milliseconds, all of them, so that each build has all of them on record."""
_FEW = 50
"""Products that are never too many to be looked at alone."""
_MOST = 0.25
"""The share of a project's products beyond which looking at all of them costs no more."""


class BeyondReach(Exception):  # noqa: N818 — it is no error: the long way is gone instead
    """What edits can reach is not known without looking at everything, because of what is named."""


@dataclass(frozen=True)
class Reach:
    """The rules in SQL that edits can reach, and the project around them."""

    built: Mapping[str, Any]
    """The state that the last complete build left: see `rules.snapshots`."""
    edited: tuple[str, ...]
    """The files of the edited rules; none if there is nothing to do."""
    paths: tuple[str, ...]
    """The files of all rules that the edits reach."""

    @property
    def products(self) -> Sequence[str]:
        """Every product of the project, by name."""
        return list(self.built["products"])

    def require_enough(self, rules: Iterable[Rule]) -> None:
        """Raise `BeyondReach` for rules that may call functions of the project, which only Python knows."""
        if any(path.endswith(".py") for path, *_ in self.built["files"]):
            for rule in rules:
                if any(one.parsed.functions for one in rule.all):
                    raise BeyondReach(rule.name)

    def files(self, store: Store, project: Project) -> FileDigests:
        """Return digests of the project's files, of which the last build has seen all, with the rule files to load."""
        reached = set(self.paths)
        known = {
            path: (Signature(*taken), digest)
            for path, *taken, digest in self.built["files"]
            if path in reached or not path.endswith(".sql")  # no other query is looked at
        }
        found = FileDigests(project.root, store.index, known)
        found.only = [*self.paths]
        return found


def reach_of_edits(project: Project, profile: str, store: Store) -> Reach | None:
    """Return what edits since the last complete build can reach; None if that is not known of single rules.

    Call with the store's lock held, if it is to be built.
    """
    found = last_build(str(project.root), str(store.objects.root), store.index, profile)
    if found is None:
        return None
    built, edited = found
    if built["failing"] or None in built["products"].values():
        return None
    reached = few_readers({name_of(path) for path in edited}, built["reads"], len(built["products"]))
    if reached is None:
        return None
    folders = tuple(f"{folder.rstrip('/')}/" for folder in built["folders"])
    files = (one[0] for one in built["files"])
    paths = {name: path for path in files if (name := name_of(path)) in reached and _is_query(path, folders)}
    if paths.keys() != reached:  # one is a rule in Python, or a source whose checks read what was edited
        return None
    return Reach(built, tuple(edited), tuple(sorted(paths.values())))


def _is_query(path: str, folders: tuple[str, ...]) -> bool:
    return path.endswith(".sql") and path.startswith(folders)


def few_readers(names: set[str], reads: Mapping[str, Sequence[str]], total: int) -> set[str] | None:
    """Return these with all that read them; None if to look at these alone spares little.

    reads: what each reads. total: the number of all products.
    """
    if total < SMALL:
        return None
    found = _readers(names, reads)
    return found if len(found) <= max(_FEW, _MOST * total) else None


def _readers(names: set[str], reads: Mapping[str, Sequence[str]]) -> set[str]:
    """Return these with all that read them, directly or through others. reads: what each reads."""
    readers: dict[str, list[str]] = {}
    for name, read in reads.items():
        for one in read:
            readers.setdefault(one, []).append(name)
    found, pending = set(names), [*names]
    while pending:
        fresh = [one for one in readers.get(pending.pop(), ()) if one not in found]
        found.update(fresh)
        pending += fresh
    return found
