"""Steps 2 and 3 of 7: compile each rule, inputs first, and remember the result by everything it was made from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from cache.records import Product
from compiler.compiled import Compiled, Options
from compiler.errors import SqlError
from compiler.fingerprint import fingerprint
from compiler.schema import Schema, schema_of
from rules.compiling.compile_memos import CompileMemos
from rules.compiling.compiled_records import Head, as_read, to_records
from rules.compiling.compiled_rule import CompiledCheck, CompiledContract, CompiledRule, from_head
from rules.compiling.compiler_upgrade import was_upgraded
from rules.compiling.kept_rules import KeptRules, KnownRule
from rules.compiling.lazy_planner import LazyPlanner
from rules.compiling.promised_columns import require_promised
from rules.compiling.unchanged_rules import Facts, Unchanged
from rules.config.front_matter import option_where
from rules.config.profiles import Profile
from rules.config.project import Project
from rules.engine.fallbacks import is_of
from rules.engine.protocol import Engine
from rules.errors import UserError, Where
from rules.loading.compiler_identity import COMPILER
from rules.loading.contracts import check_error, contract_where
from rules.loading.input_binding import make_resolver
from rules.loading.rule import Check, Rule, options_record
from rules.loading.rule_texts import require_own_text, user_error
from rules.loading.tiers import missing_key
from rules.python.rule_files import Declared, DeclaredFunction, PythonFiles, stream_of

if TYPE_CHECKING:
    from sqlglot.expressions import Query

    from compiler.compile import Compiler
    from compiler.coverage.outcomes import Question
    from compiler.engine_sql.normal_forms import NormalForm
    from compiler.parts.reading import Reading
    from graph.dag import Dag
    from rules.storage.store import Store

_RECENT = 8
"""Rules whose results are kept for a moment: each input of a rule is asked about by itself."""


class Tables(NamedTuple):
    """The tables of a project."""

    names: list[str]
    """Of all sources and products."""
    last: Mapping[str, Product]
    """The last states of products and checks; of all that are compiled, at least."""
    few: bool = False
    """Whether these are far from all, as nothing else is looked at."""


class Work:
    """One run of the compiler over one project, and the memos it has to record.

    trust_engine: whether results of another version of the engine count too. known: the schemas of the inputs so far,
    as the index stores them. Only rules that are compiled need more of them.
    """

    def __init__(
        self,
        project: Project,
        profile: Profile,
        store: Store,
        tables: Tables,
        *,
        python: PythonFiles,
        functions: Mapping[str, DeclaredFunction],
        engine: Engine,
    ) -> None:
        self.known: dict[str, Mapping[str, Any]] = {}
        self._names = tables.names
        self.resolve = make_resolver(tables.names)
        self._facts: Facts | None = None
        self.trust_engine = False
        self.project = project
        self.profile = profile
        self._python = python
        self._functions = functions
        self._index = store.index
        self._last = tables.last
        self.memos = CompileMemos(store.index, {product.memo for product in self._last.values()}, few=tables.few)
        self.engine = engine
        self.identity = engine.identity(profile)
        parts = [self.identity.version, self.identity.settings, self.identity.float_settings]
        self._context = fingerprint({"compiler": COMPILER, "engine": parts})
        self._compiler: Compiler | None = None
        self._recent: dict[str, tuple[Rule, tuple[Rule, Compiled]]] = {}
        self._kept = store.memory.part(KeptRules)
        self._kept.index = store.index

    def compile(self, rule: Rule, *, again: bool = False) -> CompiledRule:
        """Return a compiled rule, from the index if it is known and need not be compiled again. Raises `UserError`."""
        known = None if again else self._known_again(rule)
        if known is not None:
            return known
        memo = self.memo(rule)
        head = None if again else self.memos.head(memo)
        stored = head
        if head is None:
            rule, result = self._compiled(rule)
            memo = self.memo(rule)
            head, body, lineage = to_records(result)
            self.memos.remember(memo, head, body, lineage)
        compiled = from_head(
            rule,
            memo,
            head,
            partial(self._kept.edges, memo),
            keeps_order=self.profile.keeps_order,
        )
        self._require_sound(compiled)
        last = self._last.get(rule.name)
        if last is not None and not again and compiled.is_sensitive:
            before = last.record.parts.get("settings", {})
            own = {key: value for key, value in before.items() if key not in self.identity.settings}
            if is_of(
                self.profile.of_tier(rule.options.tier or 0, sensitive=True), own
            ):  # memory did not suffice: what was made otherwise is not made again for it
                compiled = compiled.made_with({**self.identity.settings, **own})
        if again:
            return compiled
        if last is not None and was_upgraded(
            compiled.node, last, self._index, self._compiler_of, trust_engine=self.trust_engine
        ):
            compiled = replace(compiled, node=replace(compiled.node, formerly=last.fingerprint))
        if not (rule.in_python or head.parts.get("functions")):
            self._kept.rules[rule.name] = KnownRule(
                rule, self._tables_of(rule), last, stored or as_read(head), compiled
            )
        return compiled

    def recall(
        self, sources: Mapping[str, Mapping[str, Any]], rules: Mapping[str, Rule], dag: Dag, broken: Iterable[str]
    ) -> Unchanged:
        """Know some sources, and what this process compiled in earlier runs that were made from the same.

        Return the rules that are made from the very same, among those that are not known to be broken.
        """
        self.know_sources(sources)
        variables = {name: repr(value) for name, value in self.project.variables.items()}
        made_from = (self._context, self.trust_engine, self.profile, variables, sorted(self._functions))
        self._kept.begin(made_from)
        facts = Facts(made_from, self._names, rules, dict(self.known), self._last, self.memos.in_use)
        self._facts = facts
        return self._kept.last.unchanged(facts, dag, broken)

    def know_sources(self, schemas: Mapping[str, Mapping[str, Any]]) -> None:
        """Take the schemas of sources."""
        self.known |= {name: self._kept.source(name, schema) for name, schema in schemas.items()}

    def keep(self, compiled: Mapping[str, CompiledRule]) -> None:
        """Keep what all rules are compiled to for the next run of this process."""
        if self._facts is not None:
            self._kept.last.keep(self._facts, compiled, self._kept.rules)

    def _known_again(self, rule: Rule) -> CompiledRule | None:
        """Return what this process knows a rule to be compiled to, if it still is made from the very same."""
        known = self._kept.rules.get(rule.name)
        if known is None or known.rule is not rule or known.last is not self._last.get(rule.name):
            return None
        tables = self._tables_of(rule)
        same = all(was[0] == now[0] and was[1] is now[1] for was, now in zip(known.tables, tables, strict=True))
        if not same or self.memos.head(known.compiled.memo) != known.head:
            return None
        return known.compiled

    def _tables_of(self, rule: Rule) -> list[tuple[str | None, Mapping[str, Any]]]:
        """Return the names of a rule's inputs, with their schemas."""
        names = map(self.resolve, rule.parsed.tables)
        return [(name, self.known[name]) for name in names if name is not None]

    def _compiled(self, asked: Rule) -> tuple[Rule, Compiled]:
        """Compile a rule; return it as it is declared now, and the result. Raises `UserError`."""
        rule = asked
        inputs = [name for table in rule.parsed.tables if (name := self.resolve(table)) is not None]
        try:
            compiler = self._compiler_of(inputs)
            if rule.streams is not None:
                from rules.python.streaming import compile_stream

                known = {table: schema_of(self.known[self.resolve(table) or ""]) for table in rule.parsed.tables}
                result = compile_stream(compiler, stream_of(rule.streams), known, options_of(rule), self.resolve)
            elif rule.in_python:
                rule, meant, executed = self._call(rule, compiler)
                result = compiler.compile_rule(meant, options_of(rule), self.resolve, executed)
            else:
                result = compiler.compile_rule(rule.text(self.project), options_of(rule), self.resolve)
        except SqlError as error:
            raise self._located(error, rule) from error
        if not self.memos.believed:
            self._recent[asked.name] = asked, (rule, result)
            if len(self._recent) > _RECENT:
                del self._recent[next(iter(self._recent))]
        return rule, result

    def readings(self, rule: Rule, names: Iterable[str]) -> dict[str, Reading]:
        """Return how a rule that is no rule over streams reads some of its inputs, whose schemas are known.

        No memo is believed. Raises `UserError`.
        """
        from compiler.parts.readings import readings

        rule, result = self._compiled_now(rule)
        return readings(result, self._compiler_of(result.scans), options_of(rule), names)

    def questions(self, rule: Rule) -> list[Question]:
        """Return what counts the outcomes of a rule that is no rule over streams, whose inputs' schemas are known.

        No memo is believed. Raises `UserError`.
        """
        from compiler.coverage.outcomes import questions

        _, result = self._compiled_now(rule)
        return questions(result, self._compiler_of(result.scans))

    def _compiled_now(self, rule: Rule) -> tuple[Rule, Compiled]:
        """Return a rule and what this process has compiled of it. Raises `UserError`."""
        self.memos.believed = False
        known, made = self._recent.get(rule.name, (None, None))
        if made is None or known is not rule:
            if rule.sql is None and not rule.in_python:
                require_own_text(self.project, rule, self._index)
            made = self._compiled(rule)
        return made

    def normal_forms(self, rule: Rule) -> tuple[NormalForm, ...]:
        """Return the predicates of a rule that are in another form than it asks for. Raises `UserError`.

        Nothing of it is remembered, and no memo is believed.
        """
        if rule.options.normalize is None:
            return ()
        self.memos.believed = False
        rule, result = self._compiled(rule)
        return self._compiler_of(result.scans).normal_forms(result, options_of(rule))

    def foresee(self, rule: Rule, ready: Query | None = None) -> Schema | None:
        """Return the columns of a rule in SQL, which is planned but not compiled any further. Raises `SqlError`.

        ready: as `Compiler.foresee` takes it. None if it is too large to be planned in good time.
        Its inputs must be known.
        """
        inputs = [name for table in rule.parsed.tables if (name := self.resolve(table)) is not None]
        return self._compiler_of(inputs).foresee(rule.text(self.project), options_of(rule), self.resolve, ready)

    def promised(self, rule: Rule, found: CompiledRule) -> CompiledRule:
        """Check a compiled rule against its contract, and compile its checks. Raises `UserError`."""
        require_promised(self.project, rule, found.table, self.known)
        self.known[rule.name] = found.table
        checks = tuple(self._compile_check(rule, check) for check in rule.checks)
        return replace(found, checks=checks) if checks else found

    def compile_contract(self, rule: Rule) -> CompiledContract:
        """Check an opened source against its contract, and compile its checks. Raises `UserError`."""
        require_promised(self.project, rule, self.known[rule.name], self.known)
        return CompiledContract(rule, tuple(self._compile_check(rule, check) for check in rule.checks))

    def forget_but(self, rules: Collection[Rule]) -> None:
        """Keep in this process what some rules, and their checks, were compiled to, and nothing else."""
        names = {rule.name for rule in rules}
        names.update(check.rule.name for rule in rules for check in rule.checks)
        self._kept.forget_but(names)

    def is_new(self, rule: Rule) -> bool:
        """Whether the last state of a rule's product was made from another text, or by another compiler."""
        last = self._last.get(rule.name)
        return last is None or last.record.text != rule.digest or last.record.compiler != COMPILER

    def memo(self, rule: Rule) -> str:
        """Return the memo key of a rule: everything that its compilation depends on. Its inputs must be known."""
        inputs = []
        for table in rule.parsed.tables:
            name = self.resolve(table)
            assert name is not None
            inputs.append([table, name, self.known[name]["columns"]])
        variables = {name: repr(self.project.variables.get(name)) for name in rule.parsed.variables}
        # The functions that a rule in Python calls are known only when it is called: any may matter.
        called = self._functions if rule.in_python else rule.parsed.functions
        own = {
            name: [self._functions[name].digest, self._functions[name].names]
            for name in called
            if name in self._functions
        }
        return fingerprint(
            {
                "text": rule.digest,
                "context": self._context,
                "inputs": inputs,
                "vars": variables,
                # Not all of them are in the text: rules.toml may declare the key.
                "options": options_record(rule),
                **({"functions": own} if own else {}),
                **({} if self._fuses(rule) or not rule.in_python else {"fuse": False}),
            }
        )

    def _require_sound(self, compiled: CompiledRule) -> None:
        """Refuse a rule that calls an unusable function of the project. Raises `UserError`."""
        called = compiled.node.parts.get("functions", {})
        for name in sorted(called):
            error = self._functions[name].error if name in self._functions else None
            if error is not None:
                raise error

    def _compiler_of(self, inputs: Iterable[str]) -> Compiler:
        """Return the compiler, which knows those of `inputs` that exist."""
        if self._compiler is None:
            self._compiler = self._new_compiler()
        for name in inputs:
            if name in self.known:
                self._compiler.schemas.add(name, schema_of(self.known[name]))
        return self._compiler

    def _new_compiler(self) -> Compiler:
        # A run that compiles nothing does without SQLGlot, which takes as long to import as it takes to read a project.
        from compiler.compile import Compiler
        from compiler.names.qualify import InputSchemas
        from compiler.names.user_functions import OwnFunction

        return Compiler(
            InputSchemas(),
            self.project.variables,
            self.identity,
            LazyPlanner(self.engine, self.profile, self.memos.learn, self._functions.values()),
            self.memos.schema,
            {
                name: OwnFunction(name, one.names, one.volatility, one.digest, one.shape, one.any_order)
                for name, one in self._functions.items()
            },
        )

    def compile_again(self, rule: Rule) -> tuple[Head, bytes, Any]:
        """Return the memo of a rule as it should be: head, body and lineage. Raises `UserError`.

        From here on the index's memos of texts do not count.
        """
        self.memos.believed = False
        if rule.sql is None and not rule.in_python:
            require_own_text(self.project, rule, self._index)
        self.compile(rule, again=True)
        return self.memos.take_back()

    def _fuses(self, rule: Rule) -> bool:
        """Whether the operations of a rule in Ibis become as few SELECTs as can be."""
        own = rule.options.fuse_selects
        return self.profile.fuse_selects if own is None else own

    def _call(self, rule: Rule, compiler: Compiler) -> tuple[Rule, Query, Query | None]:
        """Call a rule in Python; return its declaration now, its query, and the query to execute instead, if any."""

        def call(*, fuse: bool) -> tuple[Query, Declared]:
            return self._python.call(rule.path, rule.name, inputs, schema_of_part, fuse=fuse)

        def schema_of_part(query: Query) -> Schema:
            return compiler.schema_of(query, self.resolve)

        inputs = {table: schema_of(self.known[self.resolve(table) or ""]) for table in rule.parsed.tables}
        meant, declared = call(fuse=True)
        executed = None if self._fuses(rule) else call(fuse=False)[0]
        return replace(rule, digest=declared.digest, line=declared.line), meant, executed

    def _located(self, error: SqlError, rule: Rule) -> UserError:
        located = user_error(error, rule.path)
        if rule.in_python:
            located.where = Where(rule.path, rule.line)
            located.facts.setdefault("rule", rule.name)
        elif error.code == "unknown-key":  # the compiler sees no front matter
            located.where = contract_where(self.project, rule, "key")
        elif error.code == "unknown-order_by":
            located.where = option_where(rule.text(self.project), rule.path, "order_by")
        elif error.code == "missing-key":
            return missing_key(self.project, self.profile, rule)
        return located

    def _compile_check(self, rule: Rule, check: Check) -> CompiledCheck:
        """Compile a check of a product whose schema is known. Raises `UserError` at its declaration."""
        try:
            return CompiledCheck(check, self.compile(check.rule))
        except UserError as error:
            raise check_error(self.project, rule, check.draft, error) from error


def options_of(rule: Rule) -> Options:
    """Return the options of a rule that can change its result."""
    one = rule.options
    return Options(one.volatile, rule.tier, one.key, one.order_by, one.normalize, one.dialect)
