"""Imports of a project's Python files under private names, so that they never clash with this package's modules.

A project may have a `graph.py`, a `cache/` or a folder `rules/`, as we do. Its modules therefore get private
names, and `import` inside them goes through `_Importer`: a name for which the project has a file is the project's,
beside the importing file first, then at the root; `rules` is ours, with the project's own modules below it; anything
else is an installed package, or a *loose* module: one in a folder on the path, which is edited like the project's.
Nothing outside these modules changes: no `sys.path`, no import hook, no cached bytecode.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import importlib.util
import itertools
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType
from typing import Any

from rules.python.ordering import HELPER, compile_ordered, ordered
from rules.python.outside import OURS, Outside
from rules.python.packages import is_loose
from rules.python.search_path import Searched

Running = Callable[[str], contextlib.AbstractContextManager[object]]
PREFIX = "_rules_project_"
"""The prefix of the names of all modules of projects."""
_numbers = itertools.count(1)


@dataclass
class Traced:
    """The files that importing a file loaded, by path relative to the project, and the paths that did not exist.

    loaded_before: files among these whose code this process had before, so that it may be that of an older file.
    installed: names of installed modules that were imported. found_in: the states of the folders that were searched for
    what is not the project's, by absolute path; found_by: those of variables that name such folders.
    """

    files: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    loaded_before: set[str] = field(default_factory=set)
    installed: set[str] = field(default_factory=set)
    found_in: dict[str, str | None] = field(default_factory=dict)
    found_by: dict[str, str | None] = field(default_factory=dict)


class ProjectModules:
    """The modules of one project. They leave `sys.modules` when this object is deleted."""

    def __init__(self, root: str, read: Callable[[str], bytes], running: Running) -> None:
        """Import nothing yet.

        read: returns the bytes of a file, by path relative to the project. running: entered while a file's code runs.
        Both are methods of this object's owner.
        """
        self._importer = _Importer(root, f"{PREFIX}{next(_numbers)}", read, running)
        weakref.finalize(self, _forget, self._importer.prefix)

    def module(self, path: str) -> ModuleType:
        """Return the module of a file, imported if it has not been. Raises whatever its code raises."""
        with self.visible(path):
            return self._importer.of_file(path)

    @contextlib.contextmanager
    def visible(self, path: str) -> Iterator[None]:
        """Let code imported from `path` run: modules found by means other than `import` are the project's too.

        The project is last on `sys.path` meanwhile. Afterwards the path is restored, and modules of the project
        that were found on it are removed, but remembered as imported.
        """
        before, paths, writes = set(sys.modules), list(sys.path), sys.dont_write_bytecode
        sys.path.append(self._importer.root)
        sys.dont_write_bytecode = True
        try:
            with self._importer.outside.shown():
                yield
        finally:
            sys.dont_write_bytecode = writes
            sys.path[:] = paths
            self._importer.take_back(path, sys.modules.keys() - before)

    def traced(self, path: str) -> Traced:
        """Return the files that a file has imported so far, directly and through others, itself included."""
        return self._importer.traced(path)

    def shown(self) -> contextlib.AbstractContextManager[None]:
        """Let loose modules be found in `sys.modules` meanwhile."""
        return self._importer.outside.shown()

    def file_of(self, frame: FrameType) -> str | None:
        """Return the file of a frame's code, relative to the project, if its module is the project's or loose."""
        return self._importer.file_of(frame)

    def is_loose_file(self, file: str) -> bool:
        """Whether a file is that of a loose module that was imported."""
        return file in self._importer.outside.files


class _Importer:
    """Imports modules under `prefix`: the file a/b.py of the project is the module PREFIX.a.b."""

    def __init__(self, root: str, prefix: str, read: Callable[[str], bytes], running: Running) -> None:
        self.prefix = prefix
        self.root = root
        # Held weakly: the modules hold this importer, and must not keep its owner alive.
        self._running = weakref.WeakMethod(running)
        self._read = weakref.WeakMethod(read)
        self._lock = threading.RLock()
        self._edges: dict[str, set[str]] = {}
        self._files: dict[str, str] = {}
        self._absent: dict[str, set[str]] = {}
        self.outside = Outside(prefix, root)
        self._builtins = {**vars(builtins), "__import__": self._import, HELPER: ordered}
        self._new(prefix, None, package=True)

    def of_file(self, path: str) -> ModuleType:
        with self._lock:
            name = self._name_of(path)
            module = self._ensure(name, name, path)
            if self._files.get(name) != path:
                raise ImportError(f"{path} and {self._files.get(name)} are modules of one name; rename one")
            return module

    def take_back(self, path: str, names: Iterable[str]) -> None:
        """Remove those of some modules that are the project's, as if `path` had imported them."""
        for name in names:
            file = getattr(sys.modules.get(name), "__file__", None)
            shown = os.path.relpath(file, self.root) if file else ".."
            parts = shown.split(os.sep)
            elsewhere = any(part.startswith(".") or part == "site-packages" for part in parts)
            if name == self.prefix or name.startswith(f"{self.prefix}."):
                continue
            if elsewhere:
                self.outside.found(self._name_of(path), name)
                continue
            sys.modules.pop(name)
            self._files[name] = "/".join(parts)
            self._edges.setdefault(self._name_of(path), set()).add(name)

    def file_of(self, frame: FrameType) -> str | None:
        name, file = str(frame.f_globals.get("__name__")), frame.f_code.co_filename
        if name in self._files:
            return self._files[name]
        outside = name.partition(".")[0] not in OURS and os.path.isabs(file) and is_loose(name, file)
        return self._relative(file) if outside else None

    def traced(self, path: str) -> Traced:
        found, searched = Traced(), Searched()
        pending, seen = [self._name_of(path)], set[str]()
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            found.absent |= self._absent.get(name, set())
            if name in self._files:
                found.files.add(self._files[name])
            found.installed |= self.outside.imported.get(name, set())
            searched.add(self.outside.searched.get(name, Searched()))
            pending += self._edges.get(name, ())
        reached = self.outside.reached(found.installed)
        found.files |= {self._relative(file) for file in reached.files}
        found.loaded_before |= {self._relative(file) for file in reached.loaded_before}
        if found.installed:
            found.found_in = self.outside.path.folders(searched, loose=bool(reached.files))
            found.found_by = self.outside.path.variables()
        found.installed = reached.installed
        return found

    def _relative(self, file: str) -> str:
        return os.path.relpath(file, self.root).replace(os.sep, "/")

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 — the signature of __import__
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Any = (),
        level: int = 0,
    ) -> Any:
        """Replace `__import__` in the project's modules."""
        importer = str((globals or {}).get("__name__", self.prefix))
        if level:
            package = str((globals or {})["__package__"]).split(".")
            if level > len(package) - 1:
                raise ImportError("attempted relative import beyond the project")
            private = ".".join([*package[: len(package) - level + 1], *([name] if name else [])])
        else:
            found = self._find(importer, name)
            if found is None:
                return self.outside.imports(importer, name, globals, locals, fromlist)
            private = found
        with self._lock:
            module = self._ensure(importer, private, name or private)
            if fromlist:
                self._import_names(importer, module, fromlist)
                return module
            return sys.modules[private.removesuffix(name) + name.partition(".")[0]]

    def _import_names(self, importer: str, module: ModuleType, names: Any) -> None:
        """From package import module: import the names that are not attributes yet."""
        if not hasattr(module, "__path__"):
            return
        wanted = module.__dict__.get("__all__", ()) if "*" in names else names
        ours = _ours().__all__ if module.__name__ == f"{self.prefix}.rules" else ()
        for name in wanted:
            if (
                name not in ours
                and name not in module.__dict__
                and self._location(f"{module.__name__}.{name}") is not None
            ):
                self._ensure(importer, f"{module.__name__}.{name}", name)

    def _find(self, importer: str, name: str) -> str | None:
        """Return the private name of the project's module `name`, None if the project has none."""
        top = name.partition(".")[0]
        if top == "rules":
            return f"{self.prefix}.{name}"
        if top in sys.stdlib_module_names or top in sys.builtin_module_names:
            return None
        folder = os.path.dirname(self._files.get(importer, ""))
        beside = [] if self._exists(os.path.join(folder, "__init__.py")) else [folder]
        own = self._files.get(importer)
        for place in dict.fromkeys([*beside, ""]):
            for shown in (f"{top}/__init__.py", f"{top}.py"):
                path = f"{place}/{shown}" if place else shown
                if path != own and self._exists(path):
                    return f"{self._package_name(place)}.{name}"
                self._absent.setdefault(importer, set()).add(path)
        for place in dict.fromkeys([*beside, ""]):
            path = f"{place}/{top}" if place else top
            if os.path.isdir(os.path.join(self.root, path)) and (top in OURS or not _is_installed(top, self.root)):
                return f"{self._package_name(place)}.{name}"
        return None

    def _ensure(self, importer: str, private: str, shown: str) -> ModuleType:
        """Return a module, imported with the packages around it, and note that `importer` depends on them."""
        parts = private.split(".")
        module = sys.modules[self.prefix]
        for end in range(2, len(parts) + 1):
            name = ".".join(parts[:end])
            self._edges.setdefault(importer, set()).add(name)
            known = sys.modules.get(name)
            if known is None:
                if not hasattr(module, "__path__"):
                    raise ModuleNotFoundError(f"No module named '{shown}'; '{parts[end - 2]}' is not a package")
                known = self._load_child(importer, module, parts[end - 1], shown)
            module = known
        return module

    def _load_child(self, importer: str, parent: ModuleType, child: str, shown: str) -> ModuleType:
        name = f"{parent.__name__}.{child}"
        path = self._location(name)
        if path is None and name == f"{self.prefix}.rules":
            path = ""
        if path is None:
            shown_path = "/".join(_shown(part) for part in name.split(".")[1:])
            self._absent.setdefault(importer, set()).update({f"{shown_path}.py", f"{shown_path}/__init__.py"})
            if parent.__name__ == f"{self.prefix}.rules":
                return importlib.import_module(f"rules.{child}")  # this package's own, such as rules.arrow
            raise ModuleNotFoundError(f"No module named '{shown}'", name=shown)
        module = self._load(name, path or None)
        setattr(parent, child, module)
        return module

    def _load(self, name: str, path: str | None) -> ModuleType:
        """Make a module from a file, or a package from a folder without one."""
        package = path is None or path.endswith("/__init__.py")
        module = self._new(name, path, package=package)
        if name == f"{self.prefix}.rules":  # this package, with the project's own modules below it
            module.__dict__["__getattr__"] = lambda wanted: getattr(_ours(), wanted)
        if path is None:
            return module
        full = os.path.join(self.root, path)
        try:
            read, running = self._read(), self._running()
            if read is None or running is None:
                raise ImportError(f"{path} is imported too late: the project is closed")  # noqa: TRY301 — undone below
            code = compile_ordered(read(path), full)
            with running(path):
                exec(code, module.__dict__)  # noqa: S102 — a rule file is a program
        except BaseException:
            sys.modules.pop(name, None)
            raise
        return module

    def _new(self, name: str, path: str | None, *, package: bool) -> ModuleType:
        module = ModuleType(name)
        spec = ModuleSpec(name, None, is_package=package)
        facts = {
            "__builtins__": self._builtins,
            "__spec__": spec,
            "__package__": name if package else name.rpartition(".")[0],
        }
        if package:
            facts["__path__"] = []  # so that nothing else finds and imports its contents
        if path is not None:
            facts["__file__"] = os.path.join(self.root, path)
            self._files[name] = path
        module.__dict__.update(facts)
        sys.modules[name] = module
        return module

    def _location(self, name: str) -> str | None:
        """Return the path of a module's file, "" for a folder without one, None if there is neither."""
        path = "/".join(_shown(part) for part in name.split(".")[1:])
        for candidate in (f"{path}/__init__.py", f"{path}.py"):
            if self._exists(candidate):
                return candidate
        return "" if os.path.isdir(os.path.join(self.root, path)) else None

    def _exists(self, path: str) -> bool:
        return os.path.isfile(os.path.join(self.root, path))

    def _name_of(self, path: str) -> str:
        return f"{self._package_name(os.path.dirname(path))}.{_hidden(os.path.basename(path).removesuffix('.py'))}"

    def _package_name(self, folder: str) -> str:
        parts = [part for part in folder.split("/") if part] if not folder.startswith("/") else folder.split("/")
        return ".".join([self.prefix, *(_hidden(part) for part in parts)])


def _hidden(part: str) -> str:
    """Return a part of a path as part of a module's name, which ends at a dot."""
    return part.replace(".", "\u2024") or "\u2215"


def _ours() -> ModuleType:
    """Return the package `rules` that users import; it is loaded, but these folders must not depend on it."""
    return sys.modules["rules"]


def _shown(part: str) -> str:
    return part.replace("\u2024", ".").replace("\u2215", "")


def _is_installed(top: str, root: str) -> bool:
    """Whether a name is an installed package's; the project is on the path while its code runs."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    if spec is None or spec.origin is not None:
        return spec is not None
    return any(os.path.dirname(place) != root for place in spec.submodule_search_locations or ())


def _forget(prefix: str) -> None:
    for name in [name for name in sys.modules if name == prefix or name.startswith(f"{prefix}.")]:
        sys.modules.pop(name, None)
