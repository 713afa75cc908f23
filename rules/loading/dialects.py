"""Step 1 of 7, load, for dialects: which one a rule's SQL is in.

The most specific place counts: the rule itself, then the innermost folder that has one in rules.toml, then the project.
"""

from __future__ import annotations

import posixpath

import msgspec

from rules.config.front_matter import RuleOptions
from rules.config.project import Project

OURS = "datafusion"


def declared_dialect(project: Project, path: str) -> str | None:
    """Return the dialect that rules.toml gives to a rule file; None for ours. path: relative to the project."""
    if path in project.spoken:
        return project.spoken[path]
    folders = {posixpath.normpath(written): table.dialect for written, table in project.folders.items()}
    around = [one for one in folders if folders[one] is not None and (one == "." or path.startswith(f"{one}/"))]
    found = folders[max(around, key=len)] if around else project.dialect
    return None if found == OURS else found


def with_dialect(project: Project, path: str, options: RuleOptions) -> RuleOptions:
    """Return a rule's options with the dialect that its SQL is in, None for ours."""
    found = options.dialect if options.dialect is not None else declared_dialect(project, path)
    return msgspec.structs.replace(options, dialect=None if found == OURS else found)
