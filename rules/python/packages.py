"""Installed packages that a project's Python files use: what tells one state of a package from another.

The version of a package from an index identifies it. One from a folder or a repository may change and keep its
version, so the digests of its files count too. What a package requires is a part of its state.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from cache.filedigest import file_digest
from compiler.fingerprint import fingerprint

_COVERED = frozenset({"ibis", "sqlglot", "datafusion"})
"""Modules whose versions are part of every memo as it is."""
_INSTALLED = re.compile(r"[/\\](?:site|dist)-packages[/\\]")
_STANDARD = tuple(f"{os.path.realpath(sysconfig.get_path(name))}{os.sep}" for name in ("stdlib", "platstdlib"))


@dataclass(frozen=True)
class Package:
    """An installed package. state: its version, with the digests of its files if these may change beside it.

    record: the file that pip writes anew with each installation, an absolute path; None if there is none. digest: of
    that file as it was when the package was looked up. A module that belongs to no package (a `.so` or a lone `.pyc` on
    the path) is one of its own: its file stands for the record.
    """

    name: str
    state: str
    record: str | None
    digest: str | None


def packages_of(modules: Iterable[str]) -> list[Package]:
    """Return the packages that modules (by dotted name) belong to, and all that these require, by name."""
    found: dict[str, Package] = {}
    for top in sorted({module.partition(".")[0] for module in modules} - _COVERED):
        if top not in sys.stdlib_module_names:
            found |= {one.name: one for one in _with_required(top) or _without_package(top)}
    return [found[name] for name in sorted(found)]


def note_package(module: str) -> None:
    """Look up the package of a module while it can be found: a rule file may change the path for a moment."""
    top = module.partition(".")[0]
    if top not in sys.stdlib_module_names and top not in _COVERED and not _with_required(top):
        _without_package(top)


def state_of(module: str) -> str:
    """Return what tells the package of a module, and all that it requires, from other states; "" if that is unknown."""
    top = module.partition(".")[0]
    found = () if top in sys.stdlib_module_names else _with_required(top)
    if not found:
        files = [] if top in sys.stdlib_module_names else [one.state for one in _without_package(top)]
        return " ".join([str(getattr(sys.modules.get(top), "__version__", "")), *files])
    own, *required = found
    return " ".join([own.state, *(f"{one.name} {one.state}" for one in required)])


def is_loose(name: str, file: str | None) -> bool:
    """Whether a module's file was not installed: it is Python in a folder on the path, which anybody may edit."""
    if file is None or not file.endswith(".py") or name == "__main__":
        return False
    real = os.path.realpath(file)
    if _INSTALLED.search(real) or real.startswith(_STANDARD):
        return False
    place = Path(real)
    return not _holds_packages(str(place.parents[name.count(".") + (place.name == "__init__.py")]))


@functools.cache
def _holds_packages(folder: str) -> bool:
    """Whether packages were installed into a folder, as `pip install --target` does."""
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.endswith(".dist-info") for entry in entries)
    except OSError:
        return False


def _without_package(top: str) -> list[Package]:
    """Return the modules of a top-level name that belongs to no package, without those that are followed by their text.

    A file is looked at once in a process, which goes on with what it has loaded.
    """
    names = sorted(name for name in sys.modules.copy() if name == top or name.startswith(f"{top}."))
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in names}
    return [_lone_module(name, file) for name, file in files.items() if file is not None and not is_loose(name, file)]


@functools.cache
def _lone_module(name: str, file: str) -> Package:
    path = Path(file).resolve()
    digest = file_digest(path) if path.is_file() else None
    return Package(name, str(digest), str(path), digest)


@functools.cache
def _with_required(top: str) -> tuple[Package, ...]:
    """Return the package of a top-level module, then what it requires; () if it was not installed as a package.

    Looked up once in a process, which goes on with the code that it has imported.
    """
    found: dict[str, Package] = {}
    pending = _names(top)
    while pending:
        name = pending.pop(0)
        try:
            distribution = metadata.distribution(name)
        except (metadata.PackageNotFoundError, ValueError):
            continue
        name = _plain(distribution.name)
        if name not in found:
            found[name] = _package(name, distribution)
            pending += _required(distribution)
    first, *rest = found.values() or (None,)
    return () if first is None else (first, *sorted(rest, key=lambda one: one.name))


def _names(top: str) -> list[str]:
    """Return the names of the packages that a top-level module is of."""
    try:  # most are called like their module, and looking at all packages takes half a second
        files = metadata.distribution(top).files or []
        if any(file.parts[0].partition(".")[0] == top for file in files):
            return [top]
    except (metadata.PackageNotFoundError, ValueError):
        pass
    return sorted(_all_names().get(top, []))


@functools.cache
def _all_names() -> Mapping[str, list[str]]:
    """Return the names of all packages by their top-level modules, from the files of all packages."""
    return metadata.packages_distributions()


def _package(name: str, distribution: metadata.Distribution) -> Package:
    state, record = distribution.version, None
    files = distribution.files or []
    for file in files:
        if file.name == "RECORD" and file.parent.suffix == ".dist-info":
            record = os.path.realpath(str(file.locate()))
    if distribution.read_text("direct_url.json") is not None:
        hashes = {str(file): file.hash.value for file in files if file.hash is not None}
        own = {path: value for path, value in hashes.items() if ".dist-info/" not in path}
        state = f"{state} {fingerprint(own)}"
    return Package(name, state, record, None if record is None else file_digest(record))


def _required(distribution: metadata.Distribution) -> list[str]:
    from packaging.requirements import InvalidRequirement, Requirement  # here: builds without Python need not wait

    found = []
    for line in distribution.requires or []:
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            found.append(wanted.name)
    return found


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
