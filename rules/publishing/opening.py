"""Which code opens a target of which kind. Clients of buckets and databases are imported only for those."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rules.files.project_paths import own_folder

if TYPE_CHECKING:
    from rules.config.project import Project
    from rules.config.publish_settings import Destination
    from rules.publishing.target import OpenTarget
    from rules.storage.store import Store


def opener_of(project: Project, destination: Destination, store: Store) -> OpenTarget:
    """Return what opens a target."""
    if destination.kind == "postgresql":
        from rules.publishing.postgresql import opened_database

        return partial(opened_database, destination, store.say)
    from rules.publishing.files_target import folder_of, opened_files

    kept_out = [store.objects.root, Path(own_folder(str(project.root)))]
    if destination.kind in {"delta", "iceberg"}:
        table = destination.table
        place = table.to if "://" in table.to else folder_of(destination, project.root, kept_out)
        if destination.kind == "delta":
            from rules.publishing.delta_target import opened_delta

            return partial(opened_delta, place, table, store.say)
        from rules.publishing.iceberg_target import opened_iceberg

        return partial(opened_iceberg, place, table, store.say)
    return partial(opened_files, destination, project.root, kept_out, store.say)
