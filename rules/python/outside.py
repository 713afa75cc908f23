"""Imports from outside of a project: installed packages, and *loose* modules, which are edited like the project's own.

A module is loose if it was not installed but lies in a folder on the path (`PYTHONPATH`, `sys.path`, an editable
installation). It is imported as Python does, and leaves `sys.modules` with the code that imported it, so that a process
that lives on imports it anew when it was edited.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from rules.python.packages import is_loose, note_package
from rules.python.search_path import Searched, SearchPath
from rules.python.untouched import note_untouched

OURS = frozenset({"rules", "compiler", "cache", "graph"})
"""The top-level names of this package's modules."""


@dataclass
class Reached:
    """What imports reach. files: of loose modules, absolute paths; installed: names of other modules.

    loaded_before: files among these whose code this process had before, so that it may be that of an older file.
    """

    files: set[str] = field(default_factory=set)
    loaded_before: set[str] = field(default_factory=set)
    installed: set[str] = field(default_factory=set)


class _FromSource(SourceFileLoader):
    """Compiles a file as it is. Python takes the code it has kept if only a file's second and size are the same."""

    def get_code(self, fullname: str) -> CodeType:
        """See `importlib.abc.InspectLoader`."""
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


class _LooseFinder:
    """Finds modules as the other finders do, and has the loose ones loaded from their source."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target) if finder is not self else None
            if spec is not None:
                if type(spec.loader) is SourceFileLoader and is_loose(name, spec.origin):
                    spec.loader = _FromSource(spec.loader.name, spec.loader.path)
                return spec
        return None


class Outside:
    """Imports from outside of one project. Its loose modules are in `sys.modules` only while its code runs."""

    def __init__(self, prefix: str, root: str) -> None:
        """prefix: the top-level name of the project's own modules. root: the project's folder."""
        self._prefix = prefix
        self.path = SearchPath(root)
        self.searched: dict[str, Searched] = {}
        """By importing module, the folders that its imports looked through."""
        self.imported: dict[str, set[str]] = {}
        """By importing module, the dotted names that it imported."""
        self.files: dict[str, str] = {}
        """Of loose modules: file → name."""
        self._loose: dict[str, ModuleType] = {}
        self._used: dict[str, set[str]] = {}
        self._before: set[str] = set()
        self._lock = threading.RLock()
        self._showing = 0
        note_untouched()

    def imports(self, importer: str, name: str, globals: Any, locals: Any, fromlist: Any) -> Any:  # noqa: A002
        """Import a module as Python does, and note who did, and which loose modules came with it."""
        with self._lock, self.shown(), _loose_from_source():
            self.searched.setdefault(importer, Searched()).add(self.path.look())
            before = set(sys.modules.copy())
            module = builtins.__import__(name, globals, locals, fromlist, 0)
            note_untouched()
            for one in (name, *(f"{name}.{part}" for part in fromlist or () if f"{name}.{part}" in sys.modules)):
                self.imported.setdefault(importer, set()).add(one)
                self._take_imported(one, before)
            for one in sys.modules.keys() - before:
                self._take(one, before)
            return module

    def found(self, importer: str, name: str) -> None:
        """Note a module that has come by other means than `import`, or that another thread has imported meanwhile."""
        with self._lock:
            if name not in self._loose:
                self._take(name, {name})
            if name in self._loose:
                self.imported.setdefault(importer, set()).add(name)

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Let loose modules be found in `sys.modules` meanwhile."""
        with self._lock:
            self._showing += 1
            for name, module in self._loose.items():
                sys.modules.setdefault(name, module)
        try:
            yield
        finally:
            with self._lock:
                self._showing -= 1
                for name, module in self._loose.items():
                    if not self._showing and sys.modules.get(name) is module and name not in self._before:
                        sys.modules.pop(name)

    def reached(self, names: Iterable[str]) -> Reached:
        """Return what imports of modules, by name, reach: files of loose modules, and installed modules."""
        found = Reached()
        pending, seen = list(names), set[str]()
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            pending += [name.rpartition(".")[0]] if "." in name else []
            if name not in self._loose:
                found.installed.add(name)
                continue
            file = str(self._loose[name].__file__)
            found.files.add(file)
            found.loaded_before |= {file} if name in self._before else set()
            pending += self._used[name]
        tops = {name.partition(".")[0] for name in self._loose}
        found.installed = {
            name
            for name in found.installed
            if (top := name.partition(".")[0]) not in OURS and (top not in tops or _is_compiled(name))
        }
        return found

    def _take_imported(self, name: str, before: set[str]) -> None:
        """Note a module that code which counts imports: if it is not loose, its package."""
        self._take(name, before)
        if name not in self._loose and name.partition(".")[0] not in OURS:
            note_package(name)

    def _take(self, name: str, before: set[str]) -> None:
        """Note a module, and the packages around it, if they are loose."""
        module = sys.modules.get(name)
        file = getattr(module, "__file__", None)
        top = name.partition(".")[0]
        if module is None or name in self._loose or top in OURS or top == self._prefix:
            return
        if "." in name:
            self._take(name.rpartition(".")[0], before)
        if file is None or not is_loose(name, file):
            return
        self._loose[name] = module
        self.files[file] = name
        if name in before:
            self._before.add(name)
        self._used[name] = _imports_of(name, module)
        for one in self._used[name]:
            self._take_imported(one, before)


def _is_compiled(name: str) -> bool:
    """Whether a module beside loose ones has a file of its own that is no text."""
    return getattr(sys.modules.get(name), "__file__", None) is not None


@contextlib.contextmanager
def _loose_from_source() -> Iterator[None]:
    finder = _LooseFinder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def _imports_of(name: str, module: ModuleType) -> set[str]:
    """Return the modules that the text of a module imports, anywhere in it, and those below it that are there."""
    found = {one for one in sys.modules if one.startswith(f"{name}.")}
    try:
        tree = ast.parse(Path(str(module.__file__)).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = str(module.__package__ or "").split(".")
            kept = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*kept, *([node.module] if node.module else [])])
            found |= {base, *(f"{base}.{one.name}" for one in node.names if f"{base}.{one.name}" in sys.modules)}
    return {one for one in found if one}
