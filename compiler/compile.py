"""Step 2 of 7, compile: a rule's text becomes its executed form, canonical AST, read sets, schema and fingerprint.

`compiler/parse_rule.py` needs the text alone, `compile_rule` the schemas of the inputs too, so rules are parsed first,
ordered, then compiled inputs first. Both results are plain data that the index memoises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sqlglot import exp
from sqlglot.errors import SqlglotError, TokenError

from compiler.analysis.lineage import column_edges
from compiler.analysis.readset import read_sets
from compiler.analysis.shape import shape
from compiler.analysis.traits import traits, volatile_calls
from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.canonical.form import LOGICAL, PASSES, canonical
from compiler.compiled import Compiled, CompiledQuery, EngineIdentity, Options, Tier
from compiler.dialects.traced import Traced
from compiler.engine_sql import timestamps
from compiler.engine_sql.corrections import corrections
from compiler.engine_sql.form import for_engine
from compiler.engine_sql.normal_forms import Form, NormalForm, normalise
from compiler.engine_sql.recursion import require_flat_recursion
from compiler.engine_sql.set_types import require_like_types
from compiler.engine_sql.workarounds.row_order import has_open_order, in_canonical_order
from compiler.errors import SqlError
from compiler.fingerprint import digest_of, fingerprint
from compiler.fingerprint_parts import fingerprint_parts
from compiler.names.lexical import resolve_names
from compiler.names.named_arguments import by_position
from compiler.names.output_names import name_outputs
from compiler.names.qualify import InputSchemas, pruned, qualified
from compiler.names.resolve import bind_tables, bind_variables
from compiler.names.unknown_functions import require_known_functions, volatile_error
from compiler.names.user_functions import OwnFunction, with_own_calls
from compiler.planned_schema import PlannedSchemas
from compiler.schema import Schema, SchemaPlanner
from compiler.sql import functions
from compiler.sql.dialect import DIALECT, parse, render
from compiler.sql.encode import encode
from compiler.suggestions import suggestion
from compiler.tree.big_stack import with_deep_stack
from compiler.tree.nesting import is_huge, require_depth
from compiler.tree.walk import nodes
from compiler.variables import Value, literal

T = TypeVar("T")


@dataclass
class Compiler:
    """Compiles rules of one project, inputs first; `schemas` grows with each product."""

    schemas: InputSchemas
    variables: Mapping[str, Value]
    engine: EngineIdentity
    planner: SchemaPlanner
    known_schema: Callable[[str], Schema | None]
    own: Mapping[str, OwnFunction] = field(default_factory=dict)

    def compile_rule(
        self,
        source: str | exp.Query,
        options: Options,
        resolve: Callable[[str], str | None],
        executed: exp.Query | None = None,
    ) -> Compiled:
        """Compile one rule whose inputs' schemas are in `schemas`, from its text or as a freshly made tree.

        executed: what to execute instead, another tree of the same meaning. Raises `SqlError`.
        """
        if isinstance(source, str) and options.dialect is not None:
            return self._of_translation(
                source, options, lambda text, ours: self.compile_rule(text, ours, resolve), resolve
            )

        def work() -> Compiled:
            query = parse(source) if isinstance(source, str) else source
            form, scans, volatile = self._executed(query, options, resolve)
            tree, inputs = canonical(form, self.schemas.known, volatile=volatile)
            meaning, lineage = render(form), column_edges(form)
            _require_key(options, form.named_selects)
            # A canonical tree shows no more than the authored query: what it cannot depend on, the query cannot either.
            narrow = read_sets(tree)
            facts = Facts({str(number): self.schemas.known[name] for number, name in enumerate(inputs)})
            types = Types(resolve_names(tree), facts.schemas)
            found, encoded = traits(tree, types), encode(tree)
            parts = fingerprint_parts(form, encoded, options, found, corrections(tree, facts), self.engine, self.own)
            sql, scans, schema = self._runnable(form, meaning, scans, options, resolve, executed)
            return Compiled(
                fingerprint=fingerprint(parts),
                inputs=inputs,
                reads=tuple(tuple(sorted(narrow[str(number)])) for number in range(len(inputs))),
                scans=scans,
                schema=schema,
                sql=sql,
                meaning=meaning,
                canonical=encoded,
                parts=parts,
                traits=found,
                shape=shape(tree, inputs, types, volatile=volatile or options.volatile),
                lineage=lineage,
            )

        return self._located(source, work)

    def translate(self, text: str, dialect: str, resolve: Callable[[str], str | None]) -> Traced:
        """Return a rule in another dialect in our SQL. Raises `SqlError`, in the author's text."""
        from compiler.dialects.translation import Surroundings, translated  # only rules in other dialects pay for it

        variables = {name: literal(value) for name, value in self.variables.items()}
        around = Surroundings(self.schemas, resolve, variables, self.own.keys())
        return self._located(text, lambda: translated(text, dialect, around))

    def _of_translation(
        self,
        text: str,
        options: Options,
        work: Callable[[str, Options], T],
        resolve: Callable[[str], str | None],
    ) -> T:
        """Return what `work` makes of a rule in another dialect: of its translation. Raises `SqlError`."""
        from compiler.dialects.translation import located

        assert options.dialect is not None
        source = self.translate(text, options.dialect, resolve)
        try:
            return work(source.text, replace(options, dialect=None))
        except SqlError as error:
            raise located(error, source, text) from None

    def _located(self, source: str | exp.Query, work: Callable[[], T]) -> T:
        """Return `work()`; what it raises becomes a `SqlError` with a place, at least that of the statement."""
        try:
            with self._own_functions():
                return with_deep_stack(work)
        except RecursionError:
            error = SqlError("nested too deeply", hint="compute part of it in a CTE", code="too-deep")
            error.line, error.column = _start(source)
            raise error from None
        except SqlglotError as refused:
            error = SqlError(f"cannot be compiled: {str(refused).splitlines()[0]}")
            error.line, error.column = _start(source)
            raise error from refused
        except SqlError as error:
            if error.line is None:
                error.line, error.column = _start(source)
            raise

    def foresee(
        self,
        text: str,
        options: Options,
        resolve: Callable[[str], str | None],
        ready: exp.Query | None = None,
    ) -> Schema | None:
        """Return the schema of a rule; None where it is too large to be planned in good time.

        ready: the qualified tree of its text, if `is_settled` before it was qualified, which is consumed. Raises the
        `SqlError` that `compile_rule` would, in a third of its time.
        """
        if options.dialect is not None:
            return self._of_translation(text, options, lambda ours, rest: self.foresee(ours, rest, resolve), resolve)

        def work() -> Schema | None:
            if ready is not None:
                executed, scans = self._narrowed(ready)
            else:
                tree = parse(text)
                if is_huge(tree):
                    return None
                executed, scans, _ = self._executed(tree, options, resolve)
            executed, _ = for_engine(executed, self.schemas.known)
            sql = render(executed)
            return self._schema(scans, executed, sql)

        return self._located(text, work)

    def compile_query(
        self, source: str | exp.Query, resolve: Callable[[str], str | None], *, volatile: bool = True
    ) -> CompiledQuery:
        """Compile a query that is run once and not kept: one whose outputs have no names, too.

        source: its text, or a freshly made tree, which is consumed. volatile: whether it may be. Raises `SqlError`.
        """

        def work() -> CompiledQuery:
            query = parse(source) if isinstance(source, str) else source
            name_outputs(query)
            ordered = query.args.get("order") is not None
            executed, scans, _ = self._executed(query, Options(volatile=volatile), resolve)
            meaning = render(executed)
            executed, _ = for_engine(executed, self.schemas.known)
            sql = render(executed)
            return CompiledQuery(sql, meaning, scans, self._schema(scans, executed, sql), ordered)

        return self._located(source, work)

    def schema_of(self, query: exp.Query, resolve: Callable[[str], str | None]) -> Schema:
        """Return the schema of a freshly made tree, a part of a rule; it is consumed. Raises `SqlError`."""

        def work() -> Schema:
            executed = pruned(qualified(self._bound(query, resolve), self.schemas))
            scans = {name: tuple(sorted(columns)) for name, columns in read_sets(executed).items()}
            executed, _ = for_engine(executed, self.schemas.known)
            meaning = render(executed)
            return self._schema(scans, executed, meaning)

        try:
            with self._own_functions():
                return with_deep_stack(work)
        except (RecursionError, SqlglotError) as error:
            raise SqlError(f"cannot be compiled: {str(error).splitlines()[0]}") from error

    def normal_forms(self, compiled: Compiled, options: Options) -> tuple[NormalForm, ...]:
        """Return the predicates of a rule that are in another form than its options ask for; see `NormalForm`."""
        return self.working(lambda: self._normalise(self.tree_of(compiled), options))

    def tree_of(self, compiled: Compiled) -> exp.Query:
        """Return what a rule means as a tree that is qualified and pruned. Call it, and what takes it, in `working`."""
        return pruned(qualified(with_own_calls(parse(compiled.meaning), self.own), self.schemas))

    def run_as(
        self,
        form: exp.Query,
        schemas: Mapping[str, Schema],
        order: Sequence[str] | None = None,
        normal: Form | None = None,
    ) -> tuple[str, dict[str, tuple[str, ...]], Schema]:
        """Return a qualified tree, which is consumed, as SQL for the engine, the columns that it scans, its schema.

        schemas: of all inputs of the tree. order: the columns to order the rows by. normal: the form of its predicates,
        if the rule asks for one. Call it in `working`. Raises `SqlError`.
        """
        scans = {name: tuple(sorted(columns)) for name, columns in read_sets(form).items()}
        known = InputSchemas()
        known.known.update(schemas)
        if normal is not None:
            normalise(form, normal, known.known)
        form, _ = for_engine(form, known.known)
        sql = render(form)
        schema = replace(self, schemas=known)._schema(scans, form, sql)  # noqa: SLF001 — of its own class
        if order is not None or has_open_order(form):
            sql = render(in_canonical_order(form, tuple(order or ()), schema))
        return sql, scans, schema

    def working(self, work: Callable[[], T]) -> T:
        """Return `work()`, called where the project's functions are known and the stack is large."""
        with self._own_functions():
            return with_deep_stack(work)

    def _own_functions(self) -> AbstractContextManager[None]:
        return functions.declared(
            {
                name: functions.Function(name, frozenset({one.shape}), one.volatility, one.any_order)
                for name, one in self.own.items()
            }
        )

    def query_digest(self, meaning: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """Return what this compiler makes of a rule that an earlier version of it compiled.

        `parts["query"]`, the inputs, and the names of the corrections that an earlier result needs. meaning: as in
        `Compiled`. Raises `SqlError`, also where an input is not known any more.
        """

        def work() -> tuple[str, tuple[str, ...], tuple[str, ...]]:
            executed = pruned(qualified(with_own_calls(parse(meaning), self.own), self.schemas))
            tree, inputs = canonical(executed, self.schemas.known)
            plainer, names = canonical(
                executed, self.schemas.known, passes=tuple(one for one in PASSES if one not in LOGICAL)
            )
            facts = Facts({str(number): self.schemas.known[name] for number, name in enumerate(names)})
            return digest_of(encode(tree)), inputs, tuple(corrections(plainer, facts))

        try:
            with self._own_functions():
                return with_deep_stack(work)
        except (RecursionError, SqlglotError, KeyError) as error:
            raise SqlError(f"cannot be compiled any more: {error}") from error

    def _bound(self, query: exp.Query, resolve: Callable[[str], str | None]) -> exp.Query:
        """Return a freshly parsed query with its inputs, variables and calls bound, in place.

        Its literals keep their digits. Raises `SqlError`.
        """
        require_depth(query)
        bind_tables(query, resolve, self.schemas.known)
        literals = {name: literal(value) for name, value in self.variables.items()}
        named = bind_variables(query, literals)
        assert isinstance(named, exp.Query)
        bound = with_own_calls(by_position(named, self.own), self.own)
        timestamps.widen_literals(bound)
        require_known_functions(bound)
        return bound

    def _runnable(
        self,
        form: exp.Query,
        meaning: str,
        scans: dict[str, tuple[str, ...]],
        options: Options,
        resolve: Callable[[str], str | None],
        instead: exp.Query | None,
    ) -> tuple[str, dict[str, tuple[str, ...]], Schema]:
        """Return what the engine runs, the columns that it scans, and the schema. instead: another tree to run."""
        normalised = self._normalise(form, options)
        form, rewritten = for_engine(form, self.schemas.known)
        sql = render(form) if rewritten or normalised else meaning
        schema = self._schema(scans, form, sql)
        if instead is not None:
            form = pruned(qualified(self._bound(instead, resolve), self.schemas))
            scans = {name: tuple(sorted(columns)) for name, columns in read_sets(form).items()}
            self._normalise(form, options)
            form, _ = for_engine(form, self.schemas.known)
        ordered = options.tier == Tier.CANONICAL or has_open_order(form)
        if ordered:
            form = in_canonical_order(form, options.order if options.tier == Tier.CANONICAL else options.key, schema)
        return render(form) if ordered or instead is not None else sql, scans, schema

    def _normalise(self, form: exp.Query, options: Options) -> tuple[NormalForm, ...]:
        return normalise(form, options.normalize, self.schemas.known) if options.normalize is not None else ()

    def _executed(
        self, query: exp.Query, options: Options, resolve: Callable[[str], str | None]
    ) -> tuple[exp.Query, dict[str, tuple[str, ...]], bool]:
        """Return the executed form of a freshly parsed query, the columns that it scans, and whether it is volatile."""
        bound = self._bound(query, resolve)
        volatile = bool(volatile_calls(bound))
        if volatile and not options.volatile:
            raise volatile_error(bound)
        return *self._narrowed(qualified(bound, self.schemas)), volatile

    def _narrowed(self, query: exp.Query) -> tuple[exp.Query, dict[str, tuple[str, ...]]]:
        """Return a qualified query without what nothing reads, in place, and the columns that it scans."""
        executed = pruned(query)
        require_like_types(executed, Facts(self.schemas.known))
        scans = {name: tuple(sorted(columns)) for name, columns in read_sets(executed).items()}
        require_flat_recursion(executed, resolve_names, lambda part: self._schema_of_part(scans, part))
        return executed, scans

    def _schema_of_part(self, scans: Mapping[str, tuple[str, ...]], part: exp.Query) -> Schema:
        """Return the schema of a part of an executed form, which is consumed. Raises `SqlError`."""
        part, _ = for_engine(part, self.schemas.known)
        return self._schema(scans, part, render(part))

    def _schema(self, scans: Mapping[str, tuple[str, ...]], executed: exp.Query, sql: str) -> Schema:
        planned = PlannedSchemas(self.schemas.known, self.engine, self.planner, self.known_schema, self.own)
        return planned.schema(scans, executed, sql)


def is_settled(query: exp.Query) -> bool:
    """Whether a query whose inputs and variables are bound is qualified as it is.

    Other queries a `Compiler` rewrites before, or refuses, or they call functions of the project or volatile ones.
    """
    for node in nodes(query):
        if isinstance(node, exp.Literal):
            if node.is_string and timestamps.is_beyond(node.name):
                return False
        elif isinstance(node, exp.Kwarg) or (isinstance(node, exp.Func) and functions.is_volatile(node)):
            return False  # a function that the engine does not have counts as volatile
    return True


def _start(source: str | exp.Query) -> tuple[int | None, int | None]:
    """Return the place of the statement's first token, for errors without a place of their own."""
    if not isinstance(source, str):
        return None, None
    try:
        token = DIALECT().tokenize(source)[0]
    except (TokenError, IndexError):
        return 1, 1
    return token.line, max(1, token.col - (token.end - token.start))


def _require_key(options: Options, names: list[str]) -> None:
    for what, columns in (("key", options.key), ("order_by", options.order_by)):
        for column in columns:
            if column not in names:
                hint = suggestion(column, names) or f"output columns: {', '.join(names)}"
                message = f"{what} column '{column}' is not an output column"
                raise SqlError(message, hint=hint, code=f"unknown-{what}")
    if options.tier == Tier.CANONICAL and not options.order:
        message = "tier 2 orders the product by its key, and no key is declared"
        raise SqlError(message, hint='add key = ["…"] or order_by = ["…"]', code="missing-key")
