"""Run a query once over products, as last committed, and sources, as they are now. Nothing of it is stored.

A source that no build has read as it is now is read into a folder of this process, which goes when the query ends.
"""

from __future__ import annotations

import posixpath
import re
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from sqlglot import exp

from cache.errors import ObjectError
from cache.index import Index
from cache.objects import Objects
from cache.table_files import files_of
from cache.table_files import schema_of as stored_schema_of
from compiler.compile import Compiler
from compiler.compiled import CompiledQuery
from compiler.engine_errors.running import failed
from compiler.engine_sql.timestamps import explained_overflow
from compiler.errors import SqlError
from compiler.names.cte_query import query_of_cte
from compiler.names.qualify import InputSchemas
from compiler.names.resolve import table_names
from compiler.names.user_functions import OwnFunction
from compiler.parse_rule import parse_rule
from compiler.suggestions import suggestion
from compiler.tree.big_stack import with_deep_stack
from rules.arrow import plain_type
from rules.config.front_matter import read_options
from rules.config.project import read_text
from rules.engine.local import LOCAL
from rules.engine.protocol import EngineError, EngineInput, EngineQuery
from rules.errors import UserError, UserErrors, Where
from rules.files.file_digests import FileDigests
from rules.files.project_paths import DEFAULT_PROFILE
from rules.inspect.stored_tables import committed
from rules.loading.dialects import with_dialect
from rules.loading.input_binding import make_resolver
from rules.loading.load_rules import load_rules
from rules.loading.rule import RuleSet
from rules.loading.rule_folders import rule_files
from rules.loading.rule_texts import user_error
from rules.running.query_runner import callable_function
from rules.sources.contents import Sources
from rules.storage.types import to_arrow, to_schema

if TYPE_CHECKING:
    from rules.config.project import Project
    from rules.engine.protocol import Engine, EngineFunction
    from rules.python.rule_files import DeclaredFunction
    from rules.storage.store import Store

_PLACE = "query"
"""In place of a path, in errors of a query that is in no file."""


@dataclass(frozen=True)
class Question:
    """A query to run. text: as its author wrote it; path: of its file; tree: to run in place of the text."""

    text: str
    path: str = _PLACE
    tree: exp.Query | None = None


@dataclass(frozen=True)
class Answer:
    """The columns and the rows of a query; the rows come as they are computed, once."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


@contextmanager
def answered(project: Project, store: Store, question: Question, engine: Engine = LOCAL) -> Iterator[Answer]:
    """Compile a query, and run it as its rows are read. Raises `UserError`, then and while they are read."""
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="rules-")))
        yield _Asked(project, store, engine, folder, held).answer(question)


def question_of_source(project: Project, name: str) -> Question | None:
    """Return the query of all rows of a source, None if there is none of that name."""
    found = make_resolver(project.sources)(name)
    if found is None:
        return None
    query = exp.select(exp.Star()).from_(exp.Table(this=exp.to_identifier(found, quoted=True)), copy=False)
    return Question(f"SELECT * FROM {name}", tree=query)


def question_of_cte(project: Project, store: Store, name: str) -> Question | None:
    """Return the query of RULE.CTE, from the rule's file as it is now; None if there is no such rule in SQL.

    Raises `UserError`.
    """
    product, *inside = name.split(".")
    paths = rule_files(project.root, project.rule_folders)
    files = [path for path in paths if posixpath.basename(path) == f"{product}.sql"]
    if not files or not all(inside):
        return None
    text = read_text(project.root / files[0], files[0])
    if with_dialect(project, files[0], read_options(text, files[0])).dialect is not None:
        message = f"{product} is in another dialect, of which no CTE can be shown"
        hint = f"rules translate {files[0]} --write makes it a rule in our SQL"
        raise UserError(message, code="unsupported", where=Where(files[0]), hint=hint)
    try:
        tree = query_of_cte(text, inside)
    except SqlError as error:
        refusal = user_error(error, files[0])
        if error.code == "unknown-cte":
            what = f"{product} has neither a check nor a CTE '{'.'.join(inside)}'"
            refusal = UserError(what, code="unknown-product", where=Where(files[0]), hint=error.hint)
        raise refusal from error
    last = store.products.get(product)
    if last is not None and last.record.text != FileDigests(project.root, store.index).digest(files[0]):
        store.say(f"note: {files[0]} was edited since {product} was last built; this is its text as it is now")
    return Question(text, files[0], tree)


class _Asked:
    """What one query reads and calls. folder: for what lasts as long as it; held: what is closed then."""

    def __init__(self, project: Project, store: Store, engine: Engine, folder: Path, held: ExitStack) -> None:
        self._project = project
        self._store = store
        self._engine = engine
        self._folder = folder
        self._held = held
        self._profile = project.profile(DEFAULT_PROFILE)
        self._files = FileDigests(project.root, store.index)
        self._known = Sources(project, store.index, store.objects, self._files)
        self._fresh: Sources | None = None
        self._opened: dict[str, Sources] = {}
        self._products: dict[str, Path] = {}
        self._schemas = InputSchemas()

    def answer(self, question: Question) -> Answer:
        """Return the answer to a question, of which nothing has run yet."""
        resolve = make_resolver([*self._project.sources, *self._store.products])
        loaded: RuleSet | None = None
        try:
            tables, calls = _read(question)
            loaded = load_rules(self._project, self._store.index, self._files) if calls else None
            own = {name: one for name, one in loaded.functions.items() if name in calls} if loaded is not None else {}
            for table in tables:
                self._open(resolve(table))
            compiled = self._compiler(own).compile_query(question.tree or question.text, resolve)
        except SqlError as error:
            raise self._located(error, question, loaded) from error
        faults: list[UserError] = []
        functions = (
            [callable_function(loaded.python, one, faults) for one in own.values()] if loaded is not None else []
        )
        schema = pa.schema([field.with_type(plain_type(field.type)) for field in to_arrow(compiled.schema)])
        rows = self._rows(compiled, schema, functions, faults, question)
        self._held.callback(rows.close)  # so that the engine stops when the reader does
        return Answer(schema, rows)

    def _compiler(self, own: Mapping[str, DeclaredFunction]) -> Compiler:
        declared = {
            name: OwnFunction(name, one.names, one.volatility, one.digest, one.shape, one.any_order)
            for name, one in own.items()
        }
        planner = self._engine.planner(self._profile, lambda *_: None, [one.for_engine() for one in own.values()])
        engine = self._engine.identity(self._profile)
        return Compiler(self._schemas, self._project.variables, engine, planner, lambda _: None, declared)

    def _open(self, name: str | None) -> None:
        """Make the columns of an input known; one that does not exist is refused where the query names it."""
        if name is None:
            return
        if name in self._project.sources:
            sources = self._known if self._known.is_known(name) and self._is_sound(name) else self._reading()
            self._opened[name] = sources
            self._schemas.add(name, sources.open([name])[name].schema)
        else:
            self._products[name] = committed(self._store, name)[0]
            self._schemas.add(name, to_schema(stored_schema_of(self._products[name])))

    def _is_sound(self, name: str) -> bool:
        """Whether the object of an ingested source, if it is one, holds what was written."""
        artifact = self._known.open([name])[name].artifact
        try:
            if artifact is not None:
                self._store.verify(artifact)
        except ObjectError:
            return False
        return True

    def _reading(self) -> Sources:
        """Return sources that are read into this query's folder."""
        if self._fresh is None:
            objects = Objects(self._folder / "store")
            objects.create()
            self._held.callback(objects.close)
            index = self._held.enter_context(Index(self._folder / "store" / "index.sqlite"))
            self._fresh = Sources(self._project, index, objects, self._files, self._known.copies)
        return self._fresh

    def _rows(
        self,
        compiled: CompiledQuery,
        schema: pa.Schema,
        functions: Sequence[EngineFunction],
        faults: Sequence[UserError],
        question: Question,
    ) -> Generator[pa.RecordBatch]:
        inputs = tuple(self._input(name, columns) for name, columns in compiled.scans.items())
        query = EngineQuery(compiled.sql, inputs, self._profile, tuple(functions))
        try:
            self._require_unchanged()
            batches = self._engine.stream(query, schema, self._folder)
            with closing(batches):
                yield from batches
            self._require_unchanged()
        except EngineError as error:
            self._require_unchanged()  # a file that was swapped is the cause, whatever the engine makes of it
            if faults:
                raise faults[0] from error
            schemas = {entry.name: entry.schema for entry in inputs}
            said = explained_overflow(str(error), compiled.meaning, schemas, question.text)
            raise user_error(said or failed(str(error), question.text), question.path) from error

    def _input(self, name: str, columns: tuple[str, ...]) -> EngineInput:
        schema = self._schemas.known[name]
        if name in self._products:
            return EngineInput(name, files_of(self._products[name]), schema, columns)
        sources = self._opened[name]
        return EngineInput(name, sources.paths(name), schema, columns, sources.constants(name))

    def _require_unchanged(self) -> None:
        """Raise `UserError` unless the tables and files that a query reads are those that were looked at."""
        for name in self._products:
            committed(self._store, name)
        for name, sources in self._opened.items():
            sources.require_unchanged(name)

    def _located(self, error: SqlError, question: Question, loaded: RuleSet | None) -> UserError:
        """Return what is wrong with a query, and of a product that was never built how it is.

        loaded: the rules, if the query calls what may be a function of the project.
        """
        refusal = user_error(error, question.path)
        if question.path == _PLACE:
            refusal.message = refusal.message.replace("a rule is one query, and", "only a query can be run here, and")
            refusal.hint = refusal.hint and refusal.hint.replace("a rule is one", "run one")
        files = [file.path for name, file in loaded.rules.items() if name in loaded.unloaded] if loaded else []
        broken = sorted({path for path in files if path.endswith(".py")})
        if error.code == "unknown-function" and broken:
            refusal.hint = f"{', '.join(broken)} cannot be read, which may declare it; rules check says why"
        name = _unknown_input(error)
        if name is None:
            return refusal
        rules = unbuilt(self._project, self._store)
        product = make_resolver(rules)(name)
        if product is not None:
            refusal.message, refusal.code = f"the product '{product}' has not been built yet", "not-built"
            refusal.hint = f"rules build -s +{product}"
        elif refusal.hint is None or not refusal.hint.startswith("did you mean"):
            known = [*self._project.sources, *self._store.products, *rules]
            refusal.hint = suggestion(name, known) or "rules ls lists the products; sources are declared in rules.toml"
        return refusal


def unbuilt(project: Project, store: Store) -> list[str]:
    """Return the rules whose products were never built. Raises nothing: what cannot be read has none."""
    try:
        rules = load_rules(project, store.index, FileDigests(project.root, store.index)).rules
    except (UserError, UserErrors):
        return []
    return [name for name in rules if name not in store.products]


def _read(question: Question) -> tuple[Sequence[str], Sequence[str]]:
    """Return the tables that a query reads, and the functions it calls that the engine does not have."""
    if question.tree is None:
        parsed = parse_rule(question.text)
        return parsed.tables, parsed.functions
    tree = question.tree
    return with_deep_stack(
        lambda: (table_names(tree), sorted({str(call.name).lower() for call in tree.find_all(exp.Anonymous)}))
    )


def _unknown_input(error: SqlError) -> str | None:
    """Return the table that a query reads and that is no input, where that is what is wrong with it."""
    found = re.fullmatch(r"unknown input '(.*)'", error.message) if error.code == "unknown-input" else None
    return found[1] if found is not None else None
