"""The names that only we give: files of any other name are never removed or replaced, see `cache.removal`."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TEMPORARY = re.compile(r"[0-9a-f]{32}(\.parquet(#\d+)?)?")
"""A file, link or folder in tmp/; with #1 behind it, one that the engine had not finished."""
PARTIAL = re.compile(r"[0-9a-f]{64}\.partial")
"""The beginning of a file in tmp/ that is fetched from a shared cache."""
OBJECT = re.compile(r"[0-9a-f]{2,}\.parquet")
PART = re.compile(r"part-\d{5,}\.parquet")
BUILD = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{6}")
"""A build's folder in evidence/."""
BESIDE = re.compile(r"\..+\.[0-9a-f]{32}\.new")
"""A file, link or exported folder that was to replace another when its process was killed."""
DOWNLOAD = re.compile(r"[0-9a-f]{32}")
"""The folder of a file in downloads/, named by the digest of its bytes."""
WRITTEN = re.compile(r"[^\W\d]\w*-[0-9a-f]{16}\.parquet")
"""A product's table as its author wishes it, see `cache.products`."""
GENERATION = re.compile(r"[0-9a-f]{32}")
"""A version of a published table: a folder of exported files."""
EXPORTED = re.compile(r"part-\d{5,}-[0-9a-f]{12}\.[a-z.0-9]+")
"""A file of an exported folder, see `exported_name`."""
PAGE_OF_DATA = re.compile(r"(table-[A-Za-z0-9_]+|build-[0-9]{8}T[0-9]{6}-[0-9a-f]{6})\.js")
"""A file of a site, see `rules.site.pages`."""


def is_temporary(name: str) -> bool:
    """Whether a name in tmp/ is one that we give."""
    return TEMPORARY.fullmatch(name) is not None


def is_partial(name: str) -> bool:
    """Whether a name in tmp/ is that of the beginning of a file."""
    return PARTIAL.fullmatch(name) is not None


def is_part(name: str) -> bool:
    """Whether a name is that of a link in the folder of a table in parts."""
    return PART.fullmatch(name) is not None


def is_build(name: str) -> bool:
    """Whether a name in evidence/ is a build's."""
    return BUILD.fullmatch(name) is not None


def is_download(name: str) -> bool:
    """Whether a name in downloads/ is that of a file's folder."""
    return DOWNLOAD.fullmatch(name) is not None


def is_written(name: str) -> bool:
    """Whether a file is a product's published file, by its name."""
    return WRITTEN.fullmatch(name) is not None


def exported_name(number: int, artifact: str, extension: str) -> str:
    """Return the name of the file that holds part `number` of an exported table. extension: with the dot."""
    return f"part-{number:05d}-{artifact[:12]:0<12}{extension}"


def is_exported(name: str) -> bool:
    """Whether a file in an exported folder has a name that only we give."""
    return EXPORTED.fullmatch(name) is not None


def is_page_of_data(name: str) -> bool:
    """Whether a file of a site is the data of one table or build, by its name."""
    return PAGE_OF_DATA.fullmatch(name) is not None


def name_beside(target: Path) -> Path:
    """Return a name for what is to replace `target`; `clear_beside` removes what is left of that name."""
    return target.with_name(f".{shortened(target.name)}.{os.urandom(16).hex()}.new")


def beside(target: Path) -> list[Path]:
    """Return what is beside `target` and was to replace it. Raises OSError."""
    start = f".{shortened(target.name)}."
    with os.scandir(target.parent) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(start) and BESIDE.fullmatch(entry.name)]
    return [target.with_name(name) for name in names if len(name) == len(start) + 36]


def shortened(name: str) -> str:
    """Return the beginning of a name, which leaves room for more: a file's name has 255 bytes at most."""
    return os.fsencode(name)[:80].decode(errors="ignore")
