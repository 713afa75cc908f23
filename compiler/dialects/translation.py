"""A rule in another dialect → the same rule in our SQL, or the refusal of what is not known to mean the same.

    the author's text, read by SQLGlot's parser of the dialect
    → plainer words of the same dialect (`compiler.dialects.constructs`)
    → our grammar (`compiler.dialects.transcription`), which must group operators as the dialect does
    → our meaning: what the dialect's habits and functions differ in is written out, by the types of the inputs

All steps edit one text, so comments and layout stay, and every error has its place in the author's text. What is
compiled is the last text, which is also what `rules translate` writes: both have one fingerprint.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, takewhile

from sqlglot import exp

from compiler.dialects.calls import counterpart
from compiler.dialects.constructs import CONSTRUCTS, refused
from compiler.dialects.extents import Extents
from compiler.dialects.grouping import require_same_grouping
from compiler.dialects.habits import HABITS
from compiler.dialects.reading import Reading, read
from compiler.dialects.strictness import unsettled
from compiler.dialects.text_habits import like_escapes, string_escapes
from compiler.dialects.traced import Rewrite, Traced, line_and_column, offset_of
from compiler.dialects.transcription import transcribed
from compiler.dialects.view import Habit, View, shown
from compiler.dialects.written_kinds import WrittenKinds
from compiler.errors import SqlError
from compiler.names.qualify import InputSchemas, qualified
from compiler.names.resolve import bind_tables, bind_variables, outside_tables
from compiler.schema import Schema
from compiler.sql import functions
from compiler.sql.dialect import parse
from compiler.sql.foreign_calls import meanings
from compiler.sql.foreign_table import DIALECTS, TITLES
from compiler.sql.other_engines import NO_COUNTERPART, function_hint
from compiler.sql.same_functions import same_functions
from compiler.tree.walk import LEAVES, bare_copy, nodes

_ROUNDS = 40
_WRITTEN = (like_escapes, string_escapes)
"""The habits that transcription has settled, as it knows what the author's literals are."""


@dataclass(frozen=True)
class Surroundings:
    """What a rule is translated with: the schemas of its inputs, the project's variables, and its own functions.

    resolve: table name as written → the project's name. variables: as literals.
    """

    schemas: InputSchemas
    resolve: Callable[[str], str | None]
    variables: Mapping[str, exp.Expr] = field(default_factory=dict)
    own: Collection[str] = ()


@dataclass(frozen=True)
class Finding:
    """What of a text has no counterpart here: a code of `rules check`, the place in the author's text, and a hint."""

    code: str
    start: int
    end: int
    message: str
    hint: str | None

    def error(self, original: str) -> SqlError:
        """Return it as an error in the author's text."""
        line, column = line_and_column(original, self.start)
        return SqlError(self.message, line=line, column=column, hint=self.hint, code="foreign-sql")


@dataclass(frozen=True)
class Translation:
    """What became of a text: our SQL as far as it goes, and what has no counterpart. No findings: all of it has."""

    source: Traced
    findings: tuple[Finding, ...]


def located(error: SqlError, source: Traced, original: str) -> SqlError:
    """Return an error in a translated text as one in the author's."""
    if error.line is not None:
        offset = offset_of(source.text, error.line, error.column or 1)
        error.line, error.column = line_and_column(original, source.origin(offset))
    return error


def sketched(original: str, dialect: str) -> Traced:
    """Return a text in our grammar, before anything is known of its inputs: its tables and variables are the same.

    Raises `SqlError`, in the author's text.
    """
    return transcribed(_plainer(original, dialect), {}, original)


def translated(original: str, dialect: str, around: Surroundings) -> Traced:
    """Return a text in our SQL. Call it where the stack is large. Raises `SqlError`, in the author's text."""
    found = translation(original, dialect, around)
    if found.findings:
        raise found.findings[0].error(original)
    return found.source


def translation(original: str, dialect: str, around: Surroundings) -> Translation:
    """Return our SQL for a text and all that has no counterpart.

    Raises `SqlError`, in the author's text, for one that cannot be read, or whose names mean nothing.
    """
    reading = _plainer(original, dialect)
    columns = _columns(parse_in(transcribed(reading, {}, original), original), around)
    source = transcribed(reading, columns, original)
    require_same_grouping(reading, source, original)
    found = [*_calls(source, dialect, around, original)]
    source, left = _meant(source, dialect, around, original)
    unique = {(one.start, one.message): one for one in (*found, *left)}
    return Translation(source, tuple(unique[key] for key in sorted(unique)))


def parse_in(source: Traced, original: str) -> exp.Query:
    """Return the tree of a text in our grammar. Raises `SqlError`, in the author's text."""
    try:
        return parse(source.text)
    except SqlError as error:
        error.hint = error.hint or "write it otherwise: docs/dialects.md lists constructs and what to write for them"
        raise located(error, source, original) from None


def _plainer(original: str, dialect: str) -> Reading:
    """Return a text without the constructs that only the dialect has. Raises `SqlError`."""
    source = Traced.of(original)
    for _ in range(_ROUNDS):
        reading = read(source, dialect, original)
        edits = [edit for construct in CONSTRUCTS for edit in construct(reading)]
        if not edits:
            break
        source = source.rewritten(edits)
    _require_all_names(original, reading, dialect)
    problem = refused(reading)
    if problem is not None:
        raise reading.error(*problem, original)
    return reading


def _require_all_names(original: str, reading: Reading, dialect: str) -> None:
    """Refuse a text of which a name was lost on the way: no construct may drop anything."""
    before = read(Traced.of(original), dialect, original)
    kept = reading.text.lower()
    for name in before.tree.find_all(exp.Identifier):
        if name.name.lower() not in kept:  # a column of a PIVOT is called after its value and its aggregate
            raise before.error(name, f"'{name.name}' is in a construct that has no counterpart here", None, original)


def _columns(query: exp.Query, around: Surroundings) -> dict[str, str]:
    """Return the names of the inputs' columns, by what they are regardless of case, where that is one name."""
    found: dict[str, set[str]] = {}
    for table in outside_tables(query):
        schema: Schema | None = around.schemas.known.get(around.resolve(table.name) or "")
        for name in schema.names if schema is not None else ():
            found.setdefault(name.lower(), set()).add(name)
    return {key: names.pop() for key, names in found.items() if len(names) == 1}


def _calls(source: Traced, dialect: str, around: Surroundings, original: str) -> Iterator[Finding]:
    """Find the author's calls of functions that the engine has and that are not known to mean the same."""
    known, title = same_functions(dialect), TITLES[dialect]
    query = parse_in(source, original)
    for call in query.find_all(exp.Func):
        name = functions.function_name(call)
        if name is None or name in around.own or name in known or functions.lookup(name) is None:
            continue
        if any(row.speaks(dialect) for row in meanings().get(name, ())):
            continue
        message = f"'{name}' is not known to mean the same here and in {title}"
        hint = "write it in a rule of its own in our SQL, or with functions that docs/dialects.md lists"
        yield _at(source, call, Extents(source.text), "R021", message, hint)


def _at(source: Traced, node: exp.Expr, extents: Extents, code: str, message: str, hint: str | None) -> Finding:
    place = extents.of(node)
    around = node
    while place is None and around.parent is not None:
        start = next((one._meta["start"] for one in around.walk() if one._meta and "start" in one._meta), None)  # noqa: SLF001 — `.meta` would make one
        place = (start, start + 1) if start is not None else None
        around = around.parent
    start, end = place or (0, 1)
    first = source.origin(start)
    return Finding(code, first, max(first + 1, source.origin(end - 1) + 1), message, hint)


def _meant(source: Traced, dialect: str, around: Surroundings, original: str) -> tuple[Traced, list[Finding]]:
    """Return the text with what the dialect means written out, and what cannot be."""
    done: set[tuple[str, str, int, int]] = set()
    for _ in range(_ROUNDS):
        view = _view(source, dialect, around, original, done)
        for habit in HABITS:
            if habit not in _WRITTEN:
                habit(view)
        habits = [
            one
            for one in view.found
            if _key(source, view, one) not in done and not is_written(source, view.extents, one.node)
        ]
        edits = [(one, Rewrite(start, end, (text,), aligned=True)) for one in habits for start, end, text in one.edits]
        foreign = list(_foreign(view, around))
        calls = [
            (None, Rewrite(start, end, (text,), aligned=True))
            for _, _, edit in foreign
            if edit
            for start, end, text in (edit,)
        ]
        chosen = _apart([*edits, *calls], source.text)
        if not chosen:
            left = [_at(source, one.at, view.extents, one.code, one.message, one.hint) for one in habits]
            left += [_unknown(source, view, call, name, dialect) for call, name, _ in foreign]
            left += [_at(source, node, view.extents, code, said, hint) for node, code, said, hint in unsettled(view)]
            return source, left
        done |= {_key(source, view, one) for one, _ in chosen if one is not None}
        source = source.rewritten(edit for _, edit in chosen)
    raise AssertionError("the habits of a dialect rewrite one another")


def _apart(edits: Iterable[tuple[Habit | None, Rewrite]], text: str) -> list[tuple[Habit | None, Rewrite]]:
    """Return edits that do not overlap: of those within one another, the outer.

    One that repeats what is within it waits until that is written out: only the first copy would still be the author's.
    """
    every = sorted(edits, key=lambda each: (each[1].start, -each[1].end))
    chosen: list[tuple[Habit | None, Rewrite]] = []
    for at, one in enumerate(every):
        within = takewhile(lambda other: other[1].start < one[1].end, islice(every, at + 1, None))  # noqa: B023 — used at once
        if any(_is_inside(inner[1], one[1]) and _repeats(one[1], inner[1], text) for inner in within):
            continue
        if not chosen or one[1].start >= chosen[-1][1].end:
            chosen.append(one)
    return chosen


def _is_inside(inner: Rewrite, outer: Rewrite) -> bool:
    bounds = (outer.start, outer.end)
    return outer.start <= inner.start and inner.end <= outer.end and bounds != (inner.start, inner.end)


def _repeats(outer: Rewrite, inner: Rewrite, text: str) -> bool:
    """Whether the text that an edit writes has more copies of what another edit changes than the text it replaces."""
    changed = text[inner.start : inner.end]
    written = "".join(piece for piece in outer.pieces if isinstance(piece, str))
    return written.count(changed) > text[outer.start : outer.end].count(changed)


def _key(source: Traced, view: View, habit: Habit) -> tuple[str, str, int, int]:
    """Return what stays the same of a habit when its expression is written out: where the author wrote it."""
    return view_key(source, view.extents, habit.code, habit.node)


def is_written(source: Traced, extents: Extents, node: exp.Expr) -> bool:
    """Whether an operation or call is none of the author's: its operator or name was written here."""
    place = extents.of(node)
    if place is None:
        return False
    inner = [one for child in node.iter_expressions() if (one := extents.of(child)) is not None]
    at = place[0]
    while at < place[1]:
        within = next((end for start, end in inner if start <= at < end), None)
        if within is not None:
            at = within
        elif source.text[at] in " \n\t()":
            at += 1
        else:
            return not source.copied[at]
    return not source.copied[place[0]]


def view_key(source: Traced, extents: Extents, code: str, node: exp.Expr) -> tuple[str, str, int, int]:
    """Return the key of a habit at a node; see `_key`."""
    start, end = extents.of(node) or (0, 1)
    return code, type(node).__name__, source.origin(start), source.origin(end - 1)


def _view(
    source: Traced, dialect: str, around: Surroundings, original: str, done: Collection[tuple[str, str, int, int]]
) -> View:
    """Return what the habits look at. Raises `SqlError` for names that mean nothing."""
    query = parse_in(source, original)
    bound = bare_copy(query, positions=True)
    try:
        bind_tables(bound, around.resolve, around.schemas.known)
        with_values = bind_variables(bound, dict(around.variables))
        assert isinstance(with_values, exp.Query)
        executed = qualified(with_values, around.schemas)
    except SqlError as error:
        raise located(error, source, original) from None
    kinds = WrittenKinds(executed, around.schemas.known)
    extents = Extents(source.text)
    every = [node for node in nodes(query) if type(node) not in LEAVES] + list(query.find_all(exp.Literal))
    view = View(source.text, query, dialect, kinds.kind, extents, every)
    view.type_of, view.is_output, view.names = kinds.of, kinds.is_output, kinds.names
    view.settled = lambda code, node: view_key(source, extents, code, node) in done or is_written(source, extents, node)
    return view


def _foreign(view: View, around: Surroundings) -> Iterator[tuple[exp.Expr, str, tuple[int, int, str] | None]]:
    """Yield the calls of functions that the engine does not have, with what to write instead where it is known."""
    for call in view.every(exp.Anonymous, exp.AnonymousAggFunc):
        name = functions.function_name(call) or ""
        if functions.lookup(name) is None and name not in around.own:
            found = counterpart(call, name, view.kind, view.dialect, view.extents, own=True)
            yield call, name, found[1] if found is not None else None


def _unknown(source: Traced, view: View, call: exp.Expr, name: str, dialect: str) -> Finding:
    hint = function_hint(name, dialect)
    known = f"'{name}' of {TITLES[dialect]} with these arguments has no counterpart here"
    message = known if hint is not None and hint.startswith("write") else f"unknown function '{name}'"
    return _at(source, call, view.extents, "R021", message, shown(hint or NO_COUNTERPART))


__all__ = ["DIALECTS", "Finding", "Surroundings", "Translation", "located", "sketched", "translated", "translation"]
