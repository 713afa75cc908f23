"""Proof that a rename changes no meaning: the text after it, with the name put back in its tree, is the one before."""

from __future__ import annotations

from typing import NamedTuple

from sqlglot import exp
from sqlglot.errors import SqlglotError

from compiler.canonical.form import canonical
from compiler.errors import SqlError
from compiler.fingerprint import digest_of
from compiler.lint.check import World
from compiler.names.lexical import resolve_names
from compiler.names.qualify import pruned, qualified
from compiler.names.resolve import bind_tables, bind_variables
from compiler.schema import INPUT_DB, Column, Schema
from compiler.sql.dialect import parse
from compiler.sql.encode import encode
from compiler.tree.big_stack import with_deep_stack
from compiler.tree.nesting import is_huge
from compiler.tree.walk import output_leaf
from compiler.variables import literal


class Renamed(NamedTuple):
    """A column of a table that has another name; or, without columns, a table."""

    table: str
    """Its name after the rename."""
    was: str
    """The table's name before."""
    column: str = ""
    column_was: str = ""


def meaning(text: str, world: World, back: Renamed | None = None, product: str = "") -> tuple[str, ...] | None:
    """Return what a text means in a world; None if it does not compile.

    Texts of equal meaning give equal values, whatever their inputs are called; the names of outputs count. back: a
    rename that is undone in the tree. product: the rule that the text is of, whose output is renamed back, too.
    """

    def work() -> tuple[str, ...]:
        query = parse(text)
        if is_huge(query) or world.resolve is None:
            raise RecursionError
        bind_tables(query, world.resolve, ())
        bound = bind_variables(query, {name: literal(value) for name, value in (world.variables or {}).items()})
        assert isinstance(bound, exp.Query)
        executed = qualified(bound, world.schemas)
        if back is not None:
            _undo(executed, back, product)
        executed = pruned(executed)
        outputs = executed.named_selects
        tree, inputs = canonical(executed, world.schemas.known if back is None else _before(world, back))
        names = [back.was if back is not None and one == back.table else one for one in inputs]
        return digest_of(encode(tree)), *names, "", *outputs

    try:
        return with_deep_stack(work)
    except (SqlError, SqlglotError, RecursionError, KeyError):
        return None


def _undo(executed: exp.Query, back: Renamed, product: str) -> None:
    """Give the columns of a qualified query, in place, the names that they had before."""
    if not back.column:
        return
    names = resolve_names(executed)
    for reference in names.references:
        item, identifier = reference.item, reference.column.parts[1]
        ours = isinstance(item, exp.Table) and item.db == INPUT_DB and item.name == back.table
        if ours and identifier.name == back.column:
            identifier.set("this", back.column_was)
    if product != back.table:
        return
    leaf = output_leaf(executed)
    for bare, _ in names.bare:  # of a qualified query, ORDER BY alone has names without a table: those of outputs
        around = bare.find_ancestor(exp.Query)
        if bare.name == back.column and (around is executed or around is leaf):
            bare.this.set("this", back.column_was)
    for one in leaf.selects if leaf is not None else ():
        if isinstance(one, exp.Alias) and one.alias == back.column:
            one.args["alias"].set("this", back.column_was)


def _before(world: World, back: Renamed) -> dict[str, Schema]:
    known = dict(world.schemas.known)
    schema = known.get(back.table)
    if schema is not None and back.column:
        columns = (Column(back.column_was if one.name == back.column else one.name, one.type) for one in schema.columns)
        known[back.table] = Schema(tuple(columns), schema.arrow)
    return known
