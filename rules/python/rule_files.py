"""Python rule files: their declarations, remembered by the digests of the files they depend on, and calls of rules.

A file is imported only if it, or a file of the project that it imports, differs from the remembered one; a rule is
called only if its compiled form is not remembered either. So unchanged rules need neither Ibis nor the user's imports.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from cache.filedigest import file_digest
from cache.signatures import Signature
from compiler.fingerprint import digest_of, fingerprint
from rules.config.front_matter import RuleOptions
from rules.errors import FAILED, ForeignMemoError, UserError, Where
from rules.files.surrounding_state import surroundings_hold
from rules.python.faults import Misuse, fault_record, located, of_fault, shown_path
from rules.python.local_time import zone_read_by
from rules.python.packages import packages_of
from rules.python.surroundings import Reads, ReadsOfProject

if TYPE_CHECKING:
    from types import FrameType

    from sqlglot import exp

    from cache.index import Index
    from compiler.names.user_functions import Shape
    from compiler.schema import Schema
    from rules.config.project import Project, Value
    from rules.engine.protocol import EngineFunction
    from rules.files.file_digests import FileDigests
    from rules.python.declarations import PythonRule, Recording
    from rules.python.functions import RegisteredFunction
    from rules.python.importing import ProjectModules
    from rules.python.streaming import Stream

SchemaOf = Callable[["exp.Query"], "Schema"]


@dataclass(frozen=True)
class Declared:
    """A rule as declared by its file.

    digest: of all that calling it may depend on, except its inputs. streams: of a rule over streams, see `stream_of`.
    fault: its error, see `faults.of_fault`.
    """

    name: str
    line: int
    inputs: tuple[str, ...]
    options: RuleOptions
    digest: str
    streams: Mapping[str, Any] | None = None
    fault: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class DeclaredFunction:
    """A function of the project that the engine can call, as declared by its file.

    file: where its code is. names: of its parameters. signature: these, the result, then an aggregate's state, as a
    serialised Arrow schema. digest: of everything that decides its values. any_order: see `RegisteredFunction`. advice:
    a better form of it, and what to do. fault: why a rule cannot call it, see `error`.
    """

    name: str
    path: str
    file: str
    line: int
    shape: Shape
    names: tuple[str, ...]
    signature: bytes
    volatility: str
    any_order: bool
    digest: str
    advice: tuple[str, str] | None
    fault: Mapping[str, Any] | None = None

    @functools.cached_property
    def error(self) -> UserError | None:
        """Its error, one object for all rules that call it."""
        return None if self.fault is None else of_fault(self.fault)

    def for_engine(self, call: Callable[..., Any] | None = None) -> EngineFunction:
        """Return its form for the engine. call: left out if it is only used for planning."""
        import pyarrow as pa

        from rules.engine.protocol import EngineFunction, planned_only

        types = tuple(pa.ipc.read_schema(pa.py_buffer(self.signature)).types)
        count = len(self.names)
        inputs, output, state = types[:count], types[count], types[count + 1 :]
        return EngineFunction(self.name, self.shape, inputs, output, self.volatility, call or planned_only, state)


class PythonFiles:
    """The Python rule files of one project, imported at most once each."""

    def __init__(self, project: Project, files: FileDigests, index: Index, compiler: str) -> None:
        """Import nothing yet. compiler: the identity of the compiler, part of every memo."""
        self._project = project
        self._root = os.fspath(project.root)
        self._files = files
        self._index = index
        self._compiler = compiler
        self._lock = threading.RLock()
        self._modules: ProjectModules | None = None
        self._rules: dict[str, dict[str, PythonRule]] = {}
        self._recordings: dict[str, Recording] = {}
        self._variables: dict[str, dict[str, str]] = {}
        self._reads = ReadsOfProject(self._root, self._file_of, self._digest_if_any)

    def declared(self, path: str) -> tuple[list[Declared], list[DeclaredFunction]]:
        """Return the rules of a file, and the functions that it declares or imports. Raises `UserError`."""
        memo = self._memo(path)
        record = self._index.memo("parsed", [memo]).get(memo)
        if record is None or not self._holds(record):
            self._import(path)
            record = self._remember(path)
        functions = [
            DeclaredFunction(
                **{**one, "names": tuple(one["names"]), "signature": base64.b64decode(one["signature"])}, path=path
            )
            for one in record["functions"]
        ]
        return _declared(record), functions

    def function(self, declared: DeclaredFunction) -> RegisteredFunction:
        """Return a function itself, imported if it has not been. Raises `UserError`."""
        with self._lock:
            if declared.path not in self._rules:
                self._import(declared.path)
            recorded = self._recordings.get(declared.file)
            functions = {one.name: one for one in recorded.functions} if recorded is not None else {}
            found: RegisteredFunction | None = functions.get(declared.name)
            if found is None or self._digest_of(found, declared.file) != declared.digest:
                raise ForeignMemoError(declared.name)
            return found

    def located(self, error: BaseException, path: str, line: int | None = None) -> UserError:
        """Return an exception of the project's code as an error with its place."""
        return located(error, self._root, path, line)

    def known_names(self, path: str) -> list[str]:
        """Return the names of the rules that a file declared at its last successful import."""
        memo = self._names_memo(path)
        record = self._index.memo("parsed", [memo]).get(memo)
        return list(record["names"]) if record is not None else []

    def call(
        self, path: str, name: str, inputs: Mapping[str, Schema], schema_of: SchemaOf, *, fuse: bool
    ) -> tuple[exp.Query, Declared]:
        """Call a rule; return its query, and the rule's declaration now that everything it imports is known.

        inputs: schemas, by parameter. schema_of: returns the schema of a query over the inputs. Raises `UserError`.
        """
        from rules.python.calling import RuleCall

        if path not in self._rules:
            self._import(path)
        rule = self._rules[path][name]
        assert self._modules is not None
        call = RuleCall(rule, inputs, schema_of, lambda wanted: self._variable(None, wanted))
        try:
            with self._modules.visible(path), self._reads.noted():
                query = call.query(fuse=fuse)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise located(error, self._root, path, rule.line) from error
        return query, next(one for one in _declared(self._remember(path)) if one.name == name)

    def _import(self, path: str) -> None:
        """Import a file. Raises `UserError`."""
        from rules.python.importing import ProjectModules

        if not self._project.runs_python:
            message = f"{path} is not run, because nobody has allowed it here"
            hint = "allow the language server to run Python of this project, or run rules check"
            raise UserError(message, code="python-not-allowed", where=Where(path), hint=hint, exit_code=FAILED)
        if self._modules is None:
            self._modules = ProjectModules(self._root, self._read, self._running)
        try:
            self._modules.module(path)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: a rule file cannot end the program
            raise located(error, self._root, path) from error
        rules: dict[str, PythonRule] = {}
        for rule in self._recordings[path].rules:
            if rule.name in rules:
                message = f"two rules of this file are named '{rule.name}'"
                hint = "rename one of them: @rule(name=…)"
                where = Where(path, rule.line)
                raise UserError(message, code="duplicate-name", where=where, hint=hint, exit_code=FAILED)
            rules[rule.name] = rule
        self._rules[path] = rules

    @contextlib.contextmanager
    def _running(self, path: str) -> Iterator[None]:
        """Collect the declarations and dependencies of a file's code while it runs."""
        from rules.python.declarations import calling, recording

        importing = _Importing(lambda name: self._variable(path, name))
        with recording() as declared, calling(importing), self._reads.noted():
            self._recordings[path] = declared
            yield

    def _file_of(self, frame: FrameType) -> str | None:
        return None if self._modules is None else self._modules.file_of(frame)

    def _digest_if_any(self, path: str) -> str | None:
        try:
            return self._files.digest(path)
        except OSError:
            return None

    def _read(self, path: str) -> bytes:
        """Read a file, which must be the one whose digest is remembered. Raises `UserError`."""
        digest = self._digest(path)
        with open(os.path.join(self._root, path), "rb") as file:
            data = file.read()
        if digest_of(data) != digest or file_digest(os.path.join(self._root, path)) != digest:
            message = f"{path} changed while it was read"
            hint = "run the command again"
            raise UserError(message, code="rule-changed", where=Where(path), hint=hint, exit_code=FAILED)
        return data

    def _digest(self, path: str) -> str:
        try:
            return self._files.digest(path)
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}", code="unreadable", where=Where(path)) from error

    def _remember(self, path: str) -> dict[str, Any]:
        """Remember the declarations and imports of a file."""
        assert self._modules is not None
        with self._modules.shown():
            return self._remembered(path, self._modules)

    def _remembered(self, path: str, modules: ProjectModules) -> dict[str, Any]:
        # Digesting a function imports the modules that it will import.
        rules = [
            [rule.name, rule.line, list(rule.inputs), msgspec.to_builtins(rule.options), self._streams(rule, path)]
            for rule in self._rules[path].values()
        ]
        functions: dict[str, list[dict[str, Any]]] = {}
        while missing := sorted(modules.traced(path).files & self._recordings.keys() - functions.keys()):
            functions |= {
                file: [self._described(one, file) for one in self._recordings[file].functions] for file in missing
            }
        traced = modules.traced(path)
        self._files.absent |= traced.absent
        packages = packages_of(traced.installed)
        renewed = {
            one.record for one in packages if one.record is not None and not self._is_now(one.record, one.digest)
        }
        for one in traced.loaded_before | renewed:  # this process has older code: whoever comes next imports it anew
            self._files.note(one, Signature(-1, -1, -1, -1), "", settled=False)
        reads = Reads()
        for one in sorted(traced.files):
            reads.add(self._reads.of(one))
            reads.add(zone_read_by(os.path.join(self._root, one), self._digest_if_any))
        self._watch(reads)
        path_of_modules = Reads(folders=traced.found_in, variables=traced.found_by)
        self._watch(path_of_modules)
        record: dict[str, Any] = {
            "digest": self._digest(path),
            "reads": asdict(reads),
            "path": asdict(path_of_modules),
            "imports": {one: self._digest(one) for one in sorted(traced.files - {path})},
            "absent": sorted(traced.absent),
            "packages": [[one.name, one.state, one.record, one.digest] for one in packages],
            "variables": {
                name: value
                for one in sorted(traced.files)
                for name, value in sorted(self._variables.get(one, {}).items())
            },
            "rules": rules,
            "functions": [one for _, described in sorted(functions.items()) for one in described],
        }
        names = {"names": [rule.name for rule in self._rules[path].values()]}
        self._index.remember("parsed", {self._memo(path): record, self._names_memo(path): names})
        return record

    def _watch(self, reads: Reads) -> None:
        """Let changes of what was read be noticed by later commands."""
        missing = {path for path, digest in reads.files.items() if digest is None}
        self._files.absent |= {path for path in missing if not self._files.exists(path)}
        self._files.read_by_python |= reads.files.keys()
        self._files.folders |= reads.folders
        self._files.environment |= reads.variables

    def _is_now(self, path: str, digest: str | None) -> bool:
        try:
            return self._files.digest(path) == digest
        except OSError:
            return False

    def _streams(self, rule: PythonRule, path: str) -> dict[str, Any] | None:
        """Return the declaration of a rule over streams, and the digest of its code, or its error."""
        if rule.streams is None:
            return None
        import pyarrow as pa

        from rules.python.function_digest import digest_of_function

        schema = pa.schema(list(rule.streams.output))
        fault = None
        try:
            code = digest_of_function(rule.function, self._is_ours, volatile=rule.options.volatile)
        except Exception as error:  # noqa: BLE001 — whatever it is, it is that rule's alone
            fault = fault_record(located(error, self._root, path, rule.line))
            code = fingerprint(fault)
        meaning = {"code": code, "output": [str(kind) for _, kind in rule.streams.output], "pyarrow": pa.__version__}
        by_part = list(rule.streams.by_part)
        if by_part:  # else the digest is that of versions that knew no such declaration
            meaning["by_part"] = [rule.inputs.index(name) for name in by_part]
        if any(not columns for columns in rule.streams.reads.values()):
            meaning["rows"] = "counted"  # earlier versions gave it no rows of what it reads no column of
        return {
            "fault": fault,
            "output": base64.b64encode(schema.serialize().to_pybytes()).decode(),
            "reads": {name: list(columns) for name, columns in rule.streams.reads.items()},
            "digest": fingerprint(meaning),
            **({"by_part": by_part} if by_part else {}),
        }

    def rule(self, path: str, name: str) -> PythonRule:
        """Return a rule itself, imported if it has not been. Raises `UserError`."""
        with self._lock:
            if path not in self._rules:
                self._import(path)
            return self._rules[path][name]

    def _digest_of(self, function: RegisteredFunction, file: str) -> str:
        assert self._modules is not None
        with self._modules.shown():
            return str(self._described(function, file)["digest"])

    def _described(self, function: RegisteredFunction, file: str) -> dict[str, Any]:
        """Return the record of a function, also of one that cannot be called."""
        from importlib.metadata import version

        import pyarrow as pa

        from rules.python.advising import advice
        from rules.python.function_digest import digest_of_function

        types = [*function.inputs, function.output, *function.state]
        signature = pa.schema([pa.field(str(number), kind) for number, kind in enumerate(types)])
        fault = advised = None
        try:
            declared = function.volatility == "volatile"
            code = digest_of_function(function.function, self._is_ours, volatile=declared)
            advised = advice(function)
        except Exception as error:  # noqa: BLE001 — whatever it is, it is that function's alone
            fault = fault_record(located(error, self._root, file, function.line))
            code = fingerprint(fault)
        facts: dict[str, Any] = {"code": code, "kind": function.kind, "types": [str(kind) for kind in types]}
        if function.kind != "python":
            facts["pyarrow"] = pa.__version__
        if function.kind == "pandas":
            facts["pandas"] = version("pandas")
        if function.shape == "aggregate":
            facts["state"] = len(function.state)
            facts["any_order"] = function.any_order
        return {
            "name": function.name,
            "file": file,
            "line": function.line,
            "shape": function.shape,
            "names": function.names,
            "signature": base64.b64encode(signature.serialize().to_pybytes()).decode(),
            "volatility": function.volatility,
            "any_order": function.any_order,
            "advice": advised,
            "fault": fault,
            "digest": fingerprint({**facts, "volatility": function.volatility}),
        }

    def _is_ours(self, file: str) -> bool:
        loose = self._modules is not None and self._modules.is_loose_file(file)
        return loose or shown_path(file, self._root) is not None

    def _memo(self, path: str) -> str:
        return f"python {path} {self._digest(path)} {self._compiler}"

    def _names_memo(self, path: str) -> str:
        return f"python names {self._index.root} {path}"

    def _holds(self, record: Mapping[str, Any]) -> bool:
        """Whether importing a file would have the same effect as when it was remembered."""
        if any(os.path.exists(os.path.join(self._root, path)) for path in record["absent"]):
            return False
        variables = {name: repr(self._project.variables.get(name)) for name in record["variables"]}
        if variables != record["variables"]:
            return False
        if not all(path is None or self._is_now(path, digest) for _, _, path, digest in record["packages"]):
            return False
        reads, path_of_modules = Reads(**record["reads"]), Reads(**record["path"])
        if {path: self._digest_if_any(path) for path in reads.files} != reads.files:
            return False
        if not all(surroundings_hold(self._root, one.folders, one.variables) for one in (reads, path_of_modules)):
            return False
        try:
            found = {path: self._files.digest(path) for path in record["imports"]}
        except OSError:
            return False
        self._files.absent |= set(record["absent"])
        self._watch(reads)
        self._watch(path_of_modules)
        return bool(found == record["imports"])

    def _variable(self, path: str | None, name: str) -> Value:
        """Return a project variable, and note that importing `path` depends on it."""
        variables = self._project.variables
        if name not in variables:
            from compiler.suggestions import suggestion

            hint = suggestion(name, variables) or "declare it in rules.toml under [vars]"
            raise Misuse(f"unknown variable '{name}'", hint)
        if path is not None:
            self._variables.setdefault(path, {})[name] = repr(variables[name])
        return variables[name]


class _Importing:
    """The source of `sql` and `var` while a file is imported."""

    def __init__(self, variable: Callable[[str], Value]) -> None:
        self.var = variable

    def sql(self, written: Any, tables: dict[str, Any], dialect: str | None = None) -> Any:
        """Refuse: there are no inputs yet. Raises `Misuse`."""
        del written, tables, dialect
        raise Misuse("rules.sql can be used only inside a rule", "call it in the function, not outside it")


def stream_of(record: Mapping[str, Any]) -> Stream:
    """Return the declaration of a rule over streams."""
    import pyarrow as pa

    from rules.python.streaming import Stream

    output = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(record["output"])))
    return Stream(output, record["reads"], record["digest"])


def _declared(record: Mapping[str, Any]) -> list[Declared]:
    meaning = {"file": record["digest"], "imports": record["imports"], "variables": record["variables"]}
    if record["packages"]:
        meaning["packages"] = [[name, state] for name, state, *_ in record["packages"]]
    if any(record["reads"].values()):
        meaning["reads"] = record["reads"]
    source = fingerprint(meaning)
    return [
        Declared(
            name,
            line,
            tuple(inputs),
            msgspec.convert(options, RuleOptions),
            fingerprint({"file": source, "rule": name}),
            streams,
            None if streams is None else streams["fault"],
        )
        for name, line, inputs, options, streams in record["rules"]
    ]
