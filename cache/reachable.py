"""What is reachable from what in a store: what names an artifact, in every project root that shares the store.

Artifacts are named by

* a *pointer*: it is the last committed table of a product, or the failing rows of a check. The links in the folders of
  products, and the snapshots by which a no-op is recognised, are about these tables and no others;
* an *input*: it is what a product's last execution read, a product or an ingested source. Whether a changed input holds
  the same rows in another order is found out by comparing it with that table;
* a *partial*: it is a partial result that a product was made of, part by part. Without it, the part is computed again;
* a *build*: it is in the log, and `rules diff` and `rules show` can be asked for it;
* a *source*: files of this content were ingested to it, by whichever root and however long ago. It is ingested again if
  it is gone, so this needs no object to stay. What products read now is an input.

Actions and bags name artifacts too, and are forgotten with them: see `Index.forget_artifact`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

    from cache.index import Index

Kind = Literal["pointer", "input", "partial", "source", "build"]
KINDS: tuple[Kind, ...] = ("pointer", "input", "partial", "source", "build")


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
    if "input" in kinds:
        for root, name, record in index.every_record():
            for entry in dict.fromkeys(one.artifact for one in record.inputs):
                add(entry, Reference("input", name, root))
    if "partial" in kinds:
        for root, name, record in index.every_record():
            for one in record.partials:
                add(one, Reference("partial", name, root))
    if "source" in kinds:
        for content, table in index.ingested():
            add(table, Reference("source", content))
    if "build" in kinds:
        for build, name, result in index.every_result():
            add(result, Reference("build", name, build=build))
    return _with_parts(index, found)


def _with_parts(index: Index, found: dict[str, list[Reference]]) -> dict[str, list[Reference]]:
    """Return what names each artifact, where what names a table in parts names its parts, too."""
    named = {artifact: list(references) for artifact, references in found.items()}
    for artifact, parts in index.every_part():
        for part in parts if artifact in found else ():
            named.setdefault(part, []).extend(found[artifact])
    return named


def reachable(index: Index, builds: Collection[str] = ()) -> set[str]:
    """Return the artifacts that the project roots need as they are now, and those that some builds have left.

    While the objects of these are in the store, nothing that is up to date has to run again. Raises as `references`
    does.
    """
    return {
        artifact
        for artifact, named in references(index, ["pointer", "input", "partial", "build"]).items()
        if any(one.kind != "build" or one.build in builds for one in named)
    }
