"""The check of one rule: text, options and known inputs → findings and output columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp
from sqlglot.errors import SqlglotError

from compiler.analysis.types import Types
from compiler.compile import is_settled
from compiler.dialects.written_kinds import WrittenKinds
from compiler.errors import SqlError
from compiler.lint.codes import OF_ERRORS
from compiler.lint.columns import bare_columns, qualified_columns, repeated_names
from compiler.lint.expressions import calls, misread_operators, not_in_nullable, typed
from compiler.lint.findings import Found, Lines
from compiler.lint.foreign import habits
from compiler.lint.joins import implicit_cross_joins
from compiler.lint.ordering import order_dependence
from compiler.lint.query_view import Check, Subject
from compiler.lint.stars import stars, unnamed_columns
from compiler.lint.translated import in_author, untranslated
from compiler.lint.unused import unused_ctes
from compiler.names.lexical import resolve_names
from compiler.names.name_meaning import Sight
from compiler.names.qualify import InputSchemas, qualified
from compiler.names.qualify_fixups import without_parentheses
from compiler.names.resolve import bind_tables, bind_variables, fold, outside_tables
from compiler.schema import Column
from compiler.sql.dialect import parse, variable_name
from compiler.suggestions import suggestion
from compiler.tree.big_stack import with_deep_stack
from compiler.tree.nesting import is_huge, require_depth
from compiler.tree.walk import bare_copy, find_all, output_leaf
from compiler.variables import Value, literal

CHECKS: tuple[Check, ...] = (
    bare_columns,
    qualified_columns,
    repeated_names,
    stars,
    unnamed_columns,
    calls,
    order_dependence,
    not_in_nullable,
    implicit_cross_joins,
    misread_operators,
    unused_ctes,
    typed,
    habits,
)

UNKNOWN = "unknown"
"""The type of a column whose type only the engine knows."""


MOST_FIXED = 1 << 18
"""The most characters of a rule that is fixed: proving a fix correct takes several times as long as checking."""


@dataclass(frozen=True)
class World:
    """The surroundings that a rule is checked against."""

    schemas: InputSchemas = field(default_factory=InputSchemas)
    """The columns of the inputs, as far as they are known."""
    resolve: Callable[[str], str | None] | None = None
    """Table name as written → the project's name; None outside a project, where every name may be a table."""
    names: tuple[str, ...] = ()
    """The names of all inputs, for suggestions."""
    variables: Mapping[str, Value] | None = None
    """The project's variables; None outside a project."""
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The keys of the inputs that declare one."""
    functions: frozenset[str] = frozenset()
    """The names of the project's own functions."""
    dialect: str | None = None
    """The dialect that the project comes from, one of `compiler.sql.foreign_table.DIALECTS`."""


@dataclass(frozen=True)
class Checked:
    """The findings in a rule, and its output columns, None if they are unknown."""

    found: tuple[Found, ...]
    columns: tuple[Column, ...] | None
    refused: bool = False
    """Whether it is in another dialect, and some of it has no counterpart here."""
    ready: exp.Query | None = None
    """The qualified tree of a text in our own SQL, if that is what `Compiler.foresee` takes; nothing here needs it."""


def check_rule(
    text: str, world: World, *, volatile: bool = False, dialect: str | None = None, query: exp.Query | None = None
) -> Checked:
    """Check a rule. Text that cannot be parsed is a finding too; no text raises an error.

    dialect: the one that it is in, see `compiler.compiled.Options`. query: its tree, if it was parsed in our own, which
    is consumed.
    """

    def work() -> Checked:
        if dialect is None:
            return _check(text, world, volatile=volatile, query=query)
        return _check_translation(text, world, dialect, volatile=volatile)

    try:
        checked = with_deep_stack(work)
    except RecursionError:
        error = SqlError("nested too deeply", hint="compute part of it in a CTE", code="too-deep")
        return Checked((of_error(error, Lines(text)),), None)
    if len(text) <= MOST_FIXED:
        return checked
    return replace(checked, found=tuple(replace(one, fix=None) for one in checked.found))


def of_error(error: SqlError, lines: Lines) -> Found:
    """Return an error of the compiler as a finding; one without a place is put at the start of the text."""
    start = lines.offset(error.line or 1, error.column or 1)
    end = start
    while end < len(lines.text) and (lines.text[end].isalnum() or lines.text[end] == "_"):
        end += 1
    return Found(OF_ERRORS.get(error.code, "R902"), start, max(end, start + 1), error.message, error.hint)


def _check(text: str, world: World, *, volatile: bool, query: exp.Query | None = None) -> Checked:
    lines = Lines(text)
    try:
        query = without_parentheses(query or parse(text), derive=False)
        require_depth(query)
    except SqlError as error:
        return Checked((of_error(error, lines),), None)
    found = [*_unknown_tables(query, world), *_unknown_variables(query, world)]
    try:
        names = resolve_names(query)
    except SqlError as error:
        return Checked((*_located(found), of_error(error, lines)), None)
    executed, types, problem, settled = _executed(query, world)
    ready = executed if settled and not found else None
    subject = Subject(
        text=text,
        query=query,
        names=names,
        sight=(sight := Sight(names, world.schemas.known)),
        meanings={id(column): sight.meaning(column, scopes) for column, scopes in names.bare},
        owners={id(one.column): one.item for one in names.references if one.distance == 0},
        executed=executed,
        types=types,
        volatile=volatile,
        keys=world.keys,
        functions=world.functions,
        kinds=WrittenKinds(executed, world.schemas.known),
        dialect=world.dialect,
    )
    for check in CHECKS:
        found += check(subject)
    if problem is not None:
        found += unsaid(of_error(problem, lines), found)
    return Checked(_located(found), _columns(subject), ready=ready)


def _check_translation(text: str, world: World, dialect: str, *, volatile: bool) -> Checked:
    source, wrong = untranslated(text, world, dialect)
    if isinstance(wrong, SqlError):
        return Checked((of_error(wrong, Lines(text)),), None, refused=True)
    if source is None:
        return Checked(wrong, None, refused=bool(wrong))
    checked = _check(source.text, replace(world, dialect=None), volatile=volatile)
    return replace(checked, found=in_author(checked.found, source, text), ready=None)


def _located(found: list[Found]) -> tuple[Found, ...]:
    """Sort findings by place, each once: `qualify` copies expressions to where their aliases are used."""
    unique = {(one.start, one.code, one.message): one for one in found}
    return tuple(unique[key] for key in sorted(unique))


def unsaid(problem: Found, found: Iterable[Found]) -> list[Found]:
    """Return why a query cannot be qualified or planned, unless a check has reported it, at its place or elsewhere."""
    said = any(one.code == problem.code or (one.start == problem.start and one.code in _BREAKING) for one in found)
    return [] if said else [problem]


_BREAKING = frozenset({"R002", "R003", "R004", "R011"})


def _unknown_tables(query: exp.Query, world: World) -> list[Found]:
    """Bind every table that is known, in place, and report the others."""
    if world.resolve is None:
        return []
    found: list[Found] = []
    for table in outside_tables(query):
        written = fold(table.this)
        name = world.resolve(written)
        if name is not None and not table.args.get("db"):
            continue
        message = f"unknown input '{written}'" if name is None else f"'{table.sql()}' has a schema"
        hint = suggestion(written, world.names) or "an input is a source of rules.toml or another rule"
        place = table.this.meta
        found.append(Found("R004", place["start"], place["end"] + 1, message, hint))
    if not found:
        bind_tables(query, world.resolve, world.names)
    return found


def bind_known(query: exp.Query, world: World) -> None:
    """Bind the tables of a query if all of them are known, in place."""
    _unknown_tables(query, world)


def _unknown_variables(query: exp.Query, world: World) -> list[Found]:
    if world.variables is None:
        return []
    found: list[Found] = []
    for node in find_all(query, exp.Parameter):
        name = variable_name(node) or ""
        if name not in world.variables:
            hint = suggestion(name, world.variables) or "declare it in rules.toml under [vars]"
            start = node.meta["start"] - 1  # SQLGlot gives the place of the name, right after the $
            found.append(Found("R020", start, start + 1 + len(name), f"unknown variable '${name}'", hint))
    return found


def _executed(query: exp.Query, world: World) -> tuple[exp.Query | None, Types | None, SqlError | None, bool]:
    """Return the qualified query and its types, or its error, or neither if too little is known.

    Also whether it `is_settled`.
    """
    outside = outside_tables(query)
    if is_huge(query):
        return None, None, None, False
    if world.resolve is None or any(not table.db or table.name not in world.schemas.known for table in outside):
        return None, None, None, False
    literals = {name: literal(value) for name, value in (world.variables or {}).items()}

    def authored() -> exp.Query:
        bound = bind_variables(bare_copy(query, positions=True), literals)
        assert isinstance(bound, exp.Query)
        return bound

    try:
        bound = authored()
        settled = is_settled(bound)
        executed = qualified(bound, world.schemas, authored)
        return executed, Types(resolve_names(executed), world.schemas.known), None, settled
    except SqlError as error:
        return None, None, error, False
    except (SqlglotError, RecursionError) as error:
        said = f"cannot be compiled: {(str(error) or 'nested too deeply').splitlines()[0]}"
        return None, None, SqlError(said), False


def _columns(subject: Subject) -> tuple[Column, ...] | None:
    """Return the output columns, with those types that are certain."""
    if subject.executed is not None and subject.types is not None:
        leaf = output_leaf(subject.executed)
        assert leaf is not None
        alone = leaf is subject.executed
        return tuple(
            Column(item.alias_or_name, (subject.types.of(item) if alone else None) or UNKNOWN) for item in leaf.selects
        )
    names = subject.sight.outputs(subject.query)
    unnamed = unnamed_columns(subject)
    return tuple(Column(name, UNKNOWN) for name in names) if names is not None and not unnamed else None
