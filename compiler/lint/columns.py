"""R001 to R003: columns without a table, ambiguous columns, columns and aliases that do not exist."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from compiler.lint.findings import Edit, Fix, Found, token_span
from compiler.lint.query_view import Subject, shown
from compiler.lint.quoting import as_prefix, in_sql
from compiler.names.lexical import Scope, from_items, item_name
from compiler.names.name_meaning import Meaning
from compiler.names.repeated_names import repeated_reads
from compiler.names.resolve import fold
from compiler.names.unaliased_tables import home_of
from compiler.suggestions import column_suggestion
from compiler.tree.walk import find_all

_SHOWN = 8


def bare_columns(subject: Subject) -> list[Found]:
    """SELECT amount FROM orders AS o → R001; → R002 if two tables have an amount, R003 if none has."""
    tables = _resolved_tables(subject)
    hints = _Hints()
    found: list[Found] = []
    for column, scopes in subject.names.bare:
        meaning = subject.meanings[id(column)]
        name = fold(column.this)
        if meaning.kind == "ambiguous" and not _is_left_out(column):
            holders = [subject.alias_text(item) or shown(item) for item in meaning.holders]
            hint = "write " + " or ".join(f"{holder}.{in_sql(name)}" for holder in holders[:_SHOWN])
            found.append(subject.found("R002", column.this, f"column '{name}' is ambiguous", hint))
        elif meaning.kind == "unknown":
            found.append(subject.found("R003", column.this, f"unknown column '{name}'", _near(name, meaning, hints)))
        elif meaning.kind in ("column", "unsure") and not _is_left_out(column):
            hidden = meaning.kind == "column" and _is_hidden(meaning, scopes)
            found.append(_unqualified(subject, column, meaning, tables, hidden=hidden))
    return found


def repeated_names(subject: Subject) -> list[Found]:
    """SELECT x.s FROM (SELECT t.s, u.s FROM …) AS x → R002."""
    reads = repeated_reads(subject.query, subject.names, subject.sight)
    return [subject.found("R002", read.node, read.message, read.hint) for read in reads]


def qualified_columns(subject: Subject) -> list[Found]:
    """SELECT o.amuont FROM orders AS o → R003; SELECT x.amount FROM orders AS o → R004."""
    found: list[Found] = []
    hints = _Hints()
    for reference in subject.names.references:
        columns = subject.sight.columns(reference.item)
        identifier = reference.column.parts[1]
        if columns is None or not isinstance(identifier, exp.Identifier) or fold(identifier) in columns:
            continue
        name = fold(identifier)
        hint = hints.near(name, columns) or f"columns of {shown(reference.item)}: {_listed(columns)}"
        found.append(subject.found("R003", identifier, f"unknown column '{name}'", hint))
    for column in subject.names.free:
        root = column.parts[0]
        select = column.find_ancestor(exp.Select)
        scope = [shown(one) for one in from_items(select)[0]] if isinstance(select, exp.Select) else []
        if home_of(column) is not None:
            continue
        if not isinstance(root, exp.Identifier) or _may_be_struct(subject, column, fold(root)):
            continue
        name = fold(root)
        hint = hints.near(name, scope) or f"in scope: {', '.join(sorted(scope)) or 'no table'}"
        found.append(subject.found("R004", root, f"unknown table or alias '{name}'", hint))
    return found


class _Hints:
    """Suggestions, as long as there are only a few: each costs a look at every known name."""

    def __init__(self) -> None:
        self._left = 50

    def near(self, name: str, known: Iterable[str]) -> str | None:
        self._left -= 1
        return column_suggestion(name, known) if self._left >= 0 else None


def _may_be_struct(subject: Subject, column: exp.Column, name: str) -> bool:
    """Whether `name.b` can be the field b of a column of any table in scope."""
    select = column.find_ancestor(exp.Select)
    while isinstance(select, exp.Select):
        for item in from_items(select)[0]:
            columns = subject.sight.columns(item)
            if columns is None or name in columns:
                return True
        select = select.find_ancestor(exp.Select)
    return False


def _is_hidden(meaning: Meaning, scopes: tuple[Scope, ...]) -> bool:
    """Whether a table nearer to a column has the alias of the one that the column is of."""
    return any(item_name(meaning.holders[0]) in scope for scope in scopes[: meaning.distance])


def _unqualified(
    subject: Subject, column: exp.Column, meaning: Meaning, tables: dict[int, str] | None, *, hidden: bool
) -> Found:
    name = fold(column.this)
    message = f"column '{name}' has no table before it"
    select = column.find_ancestor(exp.Select)
    items = from_items(select)[0] if isinstance(select, exp.Select) else []
    case = "single" if len(items) == 1 and meaning.distance == 0 else ""
    item = meaning.holders[0] if meaning.kind == "column" else None
    alias = subject.alias_text(item) if item is not None else None
    if item is None:
        known = [subject.alias_text(one) or shown(one) for one in meaning.holders]
        hint = f"put the table's alias before it: {' or '.join(known[:_SHOWN])}"
        return subject.found("R001", column.this, message, hint, case=case)
    if alias is None:
        hint = "give the table it comes from an alias, and put that before it"
        return subject.found("R001", column.this, message, hint, case=case)
    if hidden:
        hint = (
            f"another table that is nearer is called {alias}, too: give one of them another alias, and put that before"
        )
        return subject.found("R001", column.this, message, hint, case=case)
    place = token_span(column.this)
    assert place is not None
    start, end = place
    own = as_prefix(subject.text[start:end])
    written = f"{alias}.{own}"
    agreed = tables is None or tables.get(start) == item_name(item)
    edit = Edit(start, start, f"{alias}.") if own == subject.text[start:end] else Edit(start, end, written)
    fix = Fix(f"write {written}", (edit,)) if agreed else None
    return subject.found("R001", column.this, message, f"write {written}", fix, case)


def _is_left_out(column: exp.Column) -> bool:
    """Whether a column is in the list of * EXCEPT (…), which takes only names."""
    return isinstance(column.parent, exp.Star) and column.arg_key == "except_"


def _resolved_tables(subject: Subject) -> dict[int, str] | None:
    """Return the table to which the build assigns each column, by the position of the column's name."""
    from compiler.names.qualify_fixups import as_written

    if subject.executed is None:
        return None
    found: dict[int, str] = {}
    for column in find_all(subject.executed, exp.Column):
        place = token_span(column.this) if isinstance(column.this, exp.Identifier) else None
        if place is not None and column.table:
            found[place[0]] = as_written(column.table)
    return found


def _near(name: str, meaning: Meaning, hints: _Hints) -> str | None:
    return hints.near(name, meaning.known) or (f"known columns: {_listed(meaning.known)}" if meaning.known else None)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
