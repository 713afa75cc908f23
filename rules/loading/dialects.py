"""Step 1 of 7, load, for dialects: which one a rule's SQL is in.

The most specific place counts: the rule itself, then the innermost folder that has one in rules.toml, then the project.
"""

from __future__ import annotations

import posixpath
import re

import msgspec

from rules.config.front_matter import RuleOptions, block_lines
from rules.config.project import Project

OURS = "datafusion"
_OPTION = re.compile(r"--\s*dialect\s*=")


def declared_dialect(project: Project, path: str) -> str | None:
    """Return the dialect that rules.toml gives to a rule file; None for ours. path: relative to the project."""
    if path in project.spoken:
        return project.spoken[path]
    found = _of_folder(project, path) or project.dialect
    return None if found == OURS else found


def _of_folder(project: Project, path: str) -> str | None:
    folders = {posixpath.normpath(written): table.dialect for written, table in project.folders.items()}
    around = [one for one in folders if folders[one] is not None and (one == "." or path.startswith(f"{one}/"))]
    return folders[max(around, key=len)] if around else None


def is_ours(project: Project, path: str, options: RuleOptions) -> bool:
    """Whether a rule says that it is in our SQL, or rules.toml for its folder. options: as the file has them."""
    said: str | None = options.dialect if options.dialect is not None else _of_folder(project, path)
    return said == OURS


def with_dialect(project: Project, path: str, options: RuleOptions) -> RuleOptions:
    """Return a rule's options with the dialect that its SQL is in, None for ours."""
    found = options.dialect if options.dialect is not None else declared_dialect(project, path)
    return msgspec.structs.replace(options, dialect=None if found == OURS else found)


def in_ours(text: str, path: str, *, declared: bool) -> str:
    """Return a translated text whose options say so. declared: whether rules.toml gives the file a dialect."""
    lines = text.split("\n")
    block = block_lines(text, path)
    said = f'-- dialect = "{OURS}"'
    if block is None:
        return f"-- /// rule\n{said}\n-- ///\n{text}" if declared else text
    first, last = block
    options = [line for line in lines[first + 1 : last] if not _OPTION.match(line.strip())]
    options += [said] if declared else []
    kept = [lines[first], *options, lines[last]] if options else []
    return "\n".join([*lines[:first], *kept, *lines[last + 1 :]])
