"""Step 7 of 7, store, what readers outside see: a product's link, to its object or to a file as its author wishes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.storage.writer_options import PLAIN

if TYPE_CHECKING:
    from pathlib import Path

    from cache.objects import Objects
    from cache.products import Products
    from rules.compiling.session import Session
    from rules.loading.rule import Rule
    from rules.storage.writer_options import WriterOptions

_FORMAT = 1
"""Version of how published files are written. Raise it to have them all written again."""


def writer_of(session: Session, rule: Rule) -> WriterOptions:
    """Return how the file of a rule's product is written: what the rule says, else what the profile says."""
    return rule.options.writer.over(session.profile.writer)


def publish(links: Products, objects: Objects | None, name: str, artifact: str, options: WriterOptions) -> None:
    """Let a product's link lead to its last committed table. Raises OSError.

    objects: where the object of the table is, None if that is absent. A file that is not the object's
    is written only if there is none of this table, written in this way.
    """
    if options == PLAIN or objects is None:
        links.publish(name, artifact)
        return
    import msgspec

    from compiler.fingerprint import fingerprint

    key = fingerprint({"artifact": artifact, "writer": msgspec.to_builtins(options), "format": _FORMAT})[:16]
    stored = objects.path(artifact)

    def make(target: Path) -> None:
        from rules.storage.published_files import write_published

        write_published(stored, target, options)

    links.publish(name, artifact, links.write(name, key, make))
