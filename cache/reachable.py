"""What is reachable from what in a store: what names an artifact, in every project root that shares the store.

Artifacts are named by

* a *pointer*: it is the last committed table of a product, or the failing rows of a check. The links in the folders of
  products, and the snapshots by which a no-op is recognised, are about these tables and no others;
* an *input*: it is what a product's last execution read, a product or an ingested source. Whether a changed input holds
  the same rows in another order is found out by comparing it with that table;
* a *partial*: it is a partial result that a product was made of, part by part. Without it, the part is computed again;
* a *build*: it is in the log, and `rules diff` and `rules show` can be asked for it. What a product was after a build
  is what the latest build up to it says that lists the product: a selection leaves the others as they were;
* a *pin*: a build, or one product of it, that a person wants to keep;
* a *source*: files of this content were ingested to it, by whichever root and however long ago. It is ingested again if
  it is gone, so this needs no object to stay. What products read now is an input.

Actions and bags name artifacts too, and are forgotten with them: see `Index.forget_artifact`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from cache.index import Index
    from cache.store_index import StoreIndex

Kind = Literal["pointer", "input", "partial", "source", "build"]
KINDS: tuple[Kind, ...] = ("pointer", "input", "partial", "source", "build")
Reason = Literal["product", "input", "pin", "build", "age"]
REASONS: tuple[Reason, ...] = ("product", "input", "pin", "build", "age")
REMOVED = "removed"
"""The status in a build of a product that the project no longer has."""


class Reference(NamedTuple):
    """Something that names an artifact."""

    kind: Kind
    owner: str
    """A product or check, or the digest of a source's content."""
    root: str = ""
    """Of a pointer, an input or a partial: the project root, "" for the one whose folder holds the store."""
    build: str = ""
    """Of a build: its name."""


def references(index: Index, kinds: Collection[Kind] = KINDS) -> dict[str, list[Reference]]:
    """Return what names each artifact, in all project roots.

    Raises `DamagedIndexError`, rather than leave out what cannot be read, and `StoreError`.
    """
    found: dict[str, list[Reference]] = {}

    def add(artifact: str | None, reference: Reference) -> None:
        if artifact is not None:
            found.setdefault(artifact, []).append(reference)

    if "pointer" in kinds:
        for root, name, table in index.pointers():
            add(table, Reference("pointer", name, root))
    for kind, root, name, entry in _made_of(index, kinds):
        add(entry, Reference(kind, name, root))
    if "source" in kinds:
        for content, table in index.ingested():
            add(table, Reference("source", content))
    if "build" in kinds:
        for build, name, result in index.every_result():
            add(result, Reference("build", name, build=build))
    return _with_parts(index, found)


def _made_of(index: Index, kinds: Collection[Kind]) -> Iterator[tuple[Kind, str, str, str | None]]:
    """Yield what products were made of, as far as that is asked for: kind, root, name, artifact."""
    if "input" not in kinds and "partial" not in kinds:
        return
    for root, name, record in index.every_record():
        for entry in dict.fromkeys(one.artifact for one in record.inputs) if "input" in kinds else ():
            yield "input", root, name, entry
        for entry in record.partials if "partial" in kinds else ():
            yield "partial", root, name, entry


def _with_parts(index: Index, found: dict[str, list[Reference]]) -> dict[str, list[Reference]]:
    """Return what names each artifact, where what names a table in parts names its parts, too."""
    named = {artifact: list(references) for artifact, references in found.items()}
    for artifact, parts in index.every_part():
        for part in parts if artifact in found else ():
            named.setdefault(part, []).extend(found[artifact])
    return named


def after_builds(index: StoreIndex, builds: Collection[str]) -> dict[str, dict[str, str]]:
    """Return which table each product was when a build had ended, whether or not it was a part of it.

    By build, then product. A product that has been removed since, which no later build lists, is left out.
    """
    rows = index.timeline()
    last = {(row.root, row.product): place for place, row in enumerate(rows)}
    current = {(root, name) for root, name, _ in index.pointers()}
    found: dict[str, dict[str, str]] = {}
    state: dict[str, str] = {}
    first = 0
    for place, row in enumerate(rows):
        if place and rows[place - 1].build != row.build:
            first = place
            if rows[place - 1].root != row.root:
                state = {}
        if row.product is not None:
            if row.status == REMOVED:
                state.pop(row.product, None)
            elif row.artifact is not None:
                state[row.product] = row.artifact
        if row.build in builds and (place + 1 == len(rows) or rows[place + 1].build != row.build):
            found[row.build] = {
                name: artifact
                for name, artifact in state.items()
                if (row.root, name) in current or last[row.root, name] >= first
            }
    return found


def reasons(index: StoreIndex, builds: Mapping[str, Reason]) -> dict[str, Reason]:
    """Return the artifacts that must stay, and why: the first of `REASONS` that applies.

    builds: those whose tables are to stay, and why. Pins are heeded in any case. While the objects of these are in the
    store, nothing that is up to date has to run again. Raises as `references` does.
    """
    found: dict[str, Reason] = {}

    def add(artifact: str, reason: Reason) -> None:
        if artifact not in found or REASONS.index(reason) < REASONS.index(found[artifact]):
            found[artifact] = reason

    for artifact, named in references(index, ["pointer", "input", "partial"]).items():
        add(artifact, "product" if any(one.kind == "pointer" for one in named) else "input")
    pins = index.pins()
    states = after_builds(index, {*builds, *(pin.build for pin in pins)})
    for pin in pins:
        for name, artifact in states.get(pin.build, {}).items():
            if pin.product in {"", name}:
                add(artifact, "pin")
    for build, reason in builds.items():
        for artifact in states.get(build, {}).values():
            add(artifact, reason)
    for artifact, parts in index.every_part():
        for part in parts if artifact in found else ():
            add(part, found[artifact])
    return found


def reachable(index: StoreIndex, builds: Collection[str] = ()) -> set[str]:
    """Return the artifacts that the project roots need as they are now, and those that pins and some builds need.

    Raises as `references` does.
    """
    return set(reasons(index, dict.fromkeys(builds, "build")))


def objects_of(artifacts: Iterable[str]) -> set[str]:
    """Return the names of the objects that hold artifacts: each is one object, of its own name.

    That of a table in parts is a folder with links to the objects of its parts, which are artifacts themselves.
    """
    return set(artifacts)
