"""Step 2 of 7, compile: a rule's text becomes its executed form, canonical AST, read sets, schema and fingerprint.

`parse` needs the text alone, `compile_rule` the schemas of the inputs too, so rules are parsed first, ordered, then
compiled inputs first. Both results are plain data that the index memoises.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlglot import exp

from compiler import functions
from compiler.canonical import canonical
from compiler.deep import with_deep_stack
from compiler.dialect import parse, render
from compiler.encode import encode
from compiler.errors import SqlError
from compiler.fingerprint import digest_of, fingerprint
from compiler.positions import located, position
from compiler.qualify import InputSchemas, pruned, qualified
from compiler.readset import read_sets
from compiler.resolve import bind_tables, bind_variables, suggestion, table_names, variable_names
from compiler.schema import Schema, SchemaPlanner
from compiler.traits import Traits, traits

Value = int | float | str | bool | datetime.date | datetime.datetime
"""The value of a project variable, as TOML types it."""


@dataclass(frozen=True)
class Parsed:
    """What the text alone tells: the tables a rule reads and the project variables it uses, as it writes them."""

    tables: tuple[str, ...]
    variables: tuple[str, ...]


@dataclass(frozen=True)
class Options:
    """A rule's options that can change its result."""

    volatile: bool = False
    tier: int = 0
    key: tuple[str, ...] = ()


@dataclass(frozen=True)
class EngineIdentity:
    """What of the engine is part of a fingerprint.

    settings: those that can change any result (optimizer flags). float_settings: those that can change only float
    aggregates and order-dependent constructs (partitions, batch size, memory limit).
    """

    version: str
    settings: Mapping[str, object]
    float_settings: Mapping[str, object]


@dataclass(frozen=True)
class Compiled:
    """A compiled rule.

    inputs: names of the inputs, by position in the canonical AST; reads: for each of them the sorted columns of its
    read set. scans: for each input of the executed form the columns the engine is shown, a superset of the read set.
    sql: the executed form. canonical: the encoded canonical AST. parts: what the fingerprint covers, for reasons.
    """

    fingerprint: str
    inputs: tuple[str, ...]
    reads: tuple[tuple[str, ...], ...]
    scans: Mapping[str, tuple[str, ...]]
    schema: Schema
    sql: str
    canonical: bytes
    parts: Mapping[str, object]
    traits: Traits


def parse_rule(text: str) -> Parsed:
    """Parse a rule's text. Raises `SqlError`."""

    def work() -> Parsed:
        query = parse(text)
        return Parsed(tuple(table_names(query)), tuple(variable_names(query)))

    return with_deep_stack(work)


@dataclass
class Compiler:
    """Compiles rules of one project, inputs first; `schemas` grows with each product."""

    schemas: InputSchemas
    variables: Mapping[str, Value]
    engine: EngineIdentity
    planner: SchemaPlanner
    known_schema: Callable[[str], Schema | None]

    def compile_rule(self, text: str, options: Options, resolve: Callable[[str], str | None]) -> Compiled:
        """Compile one rule whose inputs' schemas are in `schemas`. Raises `SqlError`."""
        return with_deep_stack(lambda: self._compile(text, options, resolve))

    def _compile(self, text: str, options: Options, resolve: Callable[[str], str | None]) -> Compiled:
        query = parse(text)
        start = position(query)
        bind_tables(query, resolve, self.schemas.known)
        literals = {name: literal(value) for name, value in self.variables.items()}
        bound = bind_variables(query, literals)
        assert isinstance(bound, exp.Query)
        _require_known_functions(bound)
        facts = traits(bound)
        if facts.volatile and not options.volatile:
            raise _volatile_error(bound)
        executed = pruned(qualified(bound, self.schemas))
        scans = {name: tuple(sorted(columns)) for name, columns in read_sets(executed).items()}
        tree, inputs = canonical(executed, volatile=bool(facts.volatile))
        narrow = read_sets(tree)
        reads = tuple(tuple(sorted(narrow[str(number)])) for number in range(len(inputs)))
        names = executed.named_selects
        _require_key(options, names, start)
        encoded = encode(tree)
        parts = self._parts(encoded, names, options, facts)
        sql = render(_in_canonical_order(executed, options.key) if options.tier == 2 else executed)  # noqa: PLR2004
        print_ = fingerprint(parts)
        return Compiled(
            fingerprint=print_,
            inputs=inputs,
            reads=reads,
            scans=scans,
            schema=self._schema(print_, inputs, scans, sql, start),
            sql=sql,
            canonical=encoded,
            parts=parts,
            traits=facts,
        )

    def _parts(self, encoded: bytes, names: list[str], options: Options, facts: Traits) -> dict[str, object]:
        sensitive = facts.float_sensitive or facts.order_dependent
        return {
            "query": digest_of(encoded),
            "columns": names,
            "tier": options.tier,
            "key": list(options.key) if options.tier == 2 else [],  # noqa: PLR2004 — only tier 2 sorts by the key
            "volatile": options.volatile,
            "engine": self.engine.version,
            "settings": {**self.engine.settings, **(self.engine.float_settings if sensitive else {})},
        }

    def _schema(
        self,
        print_: str,
        inputs: tuple[str, ...],
        scans: Mapping[str, tuple[str, ...]],
        sql: str,
        start: tuple[int | None, int | None],
    ) -> Schema:
        """Return the product's schema: remembered for this fingerprint and these input types, else planned."""
        types = [
            [(column.name, column.type) for column in self.schemas.known[name].columns if column.name in scans[name]]
            for name in (*inputs, *sorted(set(scans) - set(inputs)))
        ]
        key = fingerprint({"fingerprint": print_, "types": types})
        known = self.known_schema(key)
        if known is not None:
            return known
        shown = {name: (self.schemas.known[name], frozenset(columns)) for name, columns in scans.items()}
        try:
            return self.planner.plan_schema(sql, shown, key)
        except SqlError as error:
            if error.line is None:
                error.line, error.column = start
            raise


def literal(value: Value) -> exp.Expr:
    """Return a project variable's value as a typed SQL literal."""
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, int | float):
        if isinstance(value, float) and not math.isfinite(value):
            raise SqlError(f"a variable cannot be {value}", code="variable-type")
        number = exp.Literal.number(repr(abs(value)))
        return exp.Neg(this=number) if math.copysign(1, value) < 0 else number
    if isinstance(value, str):
        return exp.Literal.string(value)
    if isinstance(value, datetime.datetime):
        kind = "TIMESTAMP" if value.tzinfo is None else "TIMESTAMPTZ"
        return exp.cast(exp.Literal.string(value.isoformat(sep=" ")), kind)
    return exp.cast(exp.Literal.string(value.isoformat()), "DATE")


def _require_known_functions(query: exp.Expr) -> None:
    for node in query.find_all(exp.Anonymous, exp.AnonymousAggFunc):
        name = functions.function_name(node) or ""
        if functions.lookup(name) is None:
            hint = functions.suggest(name)
            raise located(
                node,
                f"unknown function '{name}'",
                hint=f"did you mean '{hint}'?" if hint else None,
                code="unknown-function",
            )


def _volatile_error(query: exp.Expr) -> SqlError:
    node = next(node for node in query.find_all(exp.Func) if functions.is_volatile(node))
    name = functions.function_name(node) or node.sql()
    return located(
        node,
        f"'{name}' is volatile: its result changes from run to run",
        hint="declare volatile = true in the rule's options (it then runs in every build), or pass the value as a $var",
        code="undeclared-volatile",
    )


def _require_key(options: Options, names: list[str], start: tuple[int | None, int | None]) -> None:
    for column in options.key:
        if column not in names:
            hint = suggestion(column, names) or f"output columns: {', '.join(names)}"
            message = f"key column '{column}' is not an output column"
            raise SqlError(message, line=start[0], column=start[1], hint=hint, code="unknown-column")
    if options.tier == 2 and not options.key:  # noqa: PLR2004
        raise SqlError("tier 2 orders the product by its key, and no key is declared", line=1, column=1, hint="add key = [...]")


def _in_canonical_order(query: exp.Query, key: tuple[str, ...]) -> exp.Query:
    """Order the product by its key, then by every other column, so that even a key with duplicates leaves one order."""
    names = query.named_selects
    columns = [exp.column(name, table="product", quoted=True) for name in names]
    order = [*key, *(name for name in names if name not in key)]
    wrapped = exp.select(*columns).from_(query.copy().subquery("product"))
    return wrapped.order_by(*(exp.Ordered(this=exp.column(name, table="product", quoted=True)) for name in order))
