"""Tables of PostgreSQL as the catalogue has them, and what of one is kept when another takes its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rules.errors import FAILED, UserError
from rules.publishing.postgresql_types import literal, quoted

Rows = list[tuple[Any, ...]]
Query = Callable[[str], Rows]
_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table", "p": "a partitioned table",
          "S": "a sequence", "c": "a type", "i": "an index"}  # fmt: skip


class Relation(NamedTuple):
    """A relation of the schema. kind: r for a plain table; columns: names and types."""

    name: str
    oid: int
    kind: str
    columns: tuple[tuple[str, str], ...]


def relations(query: Query, schema: str) -> dict[str, Relation]:
    """Return all relations of a schema."""
    rows = query(f"""
        SELECT c.relname::text, c.oid::bigint, c.relkind::text, a.attname::text, format_type(a.atttypid, a.atttypmod)
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE n.nspname = {literal(schema)}
        ORDER BY c.relname, a.attnum""")
    found: dict[str, Relation] = {}
    for name, oid, kind, column, type_name in rows:
        was = found.get(name, Relation(name, oid, kind, ()))
        columns = (*was.columns, (column, type_name)) if column is not None else was.columns
        found[name] = was._replace(columns=columns)
    return found


def described(relation: Relation) -> str:
    """Return what a relation is that is no plain table."""
    return _KINDS.get(relation.kind, "something else than a table")


def digest_query(table: str) -> str:
    """Return a query of a text that says what a table holds, in any order of its rows.

    Of 64 bits a row, by the server: it finds changes by others, and tells two tables of the same server apart.
    """
    return f"""SELECT count(*)::text || ':' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text
               FROM ONLY {table} AS t"""


def require_unreferenced(query: Query, relation: Relation, shown: str) -> None:
    """Refuse a table whose rows others refer to by foreign keys: all are about to be other rows. Raises `UserError`."""
    rows = query(f"""
        SELECT conname::text || ' of ' || conrelid::regclass::text FROM pg_catalog.pg_constraint
        WHERE contype = 'f' AND confrelid = {relation.oid} AND conrelid <> {relation.oid} ORDER BY 1""")
    if rows:
        message = f"{shown} is referred to by the foreign key {rows[0][0]}"
        hint = "its rows cannot be replaced while that exists; drop it"
        raise UserError(message, code="referenced", hint=hint, exit_code=FAILED)


def require_replaceable(query: Query, relation: Relation, shown: str) -> None:
    """Refuse to replace a table that other columns would take from those who depend on it. Raises `UserError`."""
    views = query(f"""
        SELECT DISTINCT r.ev_class::regclass::text FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
        WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
          AND d.refobjid = {relation.oid} AND r.ev_class <> {relation.oid} ORDER BY 1""")
    if views:
        names = ", ".join(str(row[0]) for row in views)
        message = f"the columns of {shown} change, and these views read it: {names}"
        hint = "drop them, publish, and make them again; or let the rule keep its columns"
        raise UserError(message, code="dependents", hint=hint, exit_code=FAILED)
    guarded = query(f"""
        SELECT CASE WHEN c.relrowsecurity OR EXISTS (SELECT 1 FROM pg_catalog.pg_policy WHERE polrelid = c.oid)
                    THEN 'row security' ELSE 'triggers' END
        FROM pg_catalog.pg_class c WHERE c.oid = {relation.oid}
          AND (c.relrowsecurity OR EXISTS (SELECT 1 FROM pg_catalog.pg_policy WHERE polrelid = c.oid)
               OR EXISTS (SELECT 1 FROM pg_catalog.pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal))""")
    if guarded:
        message = f"the columns of {shown} change, and it has {guarded[0][0]}, which a new table would not have"
        hint = "drop the table yourself, publish, and declare them again"
        raise UserError(message, code="dependents", hint=hint, exit_code=FAILED)


def kept_statements(query: Query, relation: Relation, fresh: str, columns: Sequence[str]) -> list[str]:
    """Return what gives a new table the owner, grants and comments of the one that it replaces.

    fresh: the new table, as SQL; columns: its own.
    """
    oid, statements = relation.oid, []
    ((owner, acl),) = query(f"""
        SELECT CASE WHEN pg_get_userbyid(relowner) = current_user THEN NULL ELSE pg_get_userbyid(relowner)::text END,
               relacl IS NOT NULL
        FROM pg_catalog.pg_class WHERE oid = {oid}""")
    if acl:
        statements.append(f"REVOKE ALL ON TABLE {fresh} FROM PUBLIC")
    grants = query(f"""
        SELECT a.privilege_type::text, a.grantee::bigint, pg_get_userbyid(a.grantee)::text, a.is_grantable, NULL::text
        FROM pg_catalog.pg_class c, aclexplode(c.relacl) a WHERE c.oid = {oid} AND a.grantee <> c.relowner
        UNION ALL
        SELECT a.privilege_type::text, a.grantee::bigint, pg_get_userbyid(a.grantee)::text, a.is_grantable,
               t.attname::text
        FROM pg_catalog.pg_attribute t, aclexplode(t.attacl) a WHERE t.attrelid = {oid} AND NOT t.attisdropped""")
    for privilege, grantee, role, grantable, column in grants:
        if column is None or column in columns:
            what = privilege if column is None else f"{privilege} ({quoted(column)})"
            whom = quoted(role) if grantee else "PUBLIC"
            option = " WITH GRANT OPTION" if grantable else ""
            statements.append(f"GRANT {what} ON TABLE {fresh} TO {whom}{option}")
    comments = query(f"""
        SELECT a.attname::text, d.description FROM pg_catalog.pg_description d
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND d.objsubid > 0
        WHERE d.classoid = 'pg_class'::regclass AND d.objoid = {oid}""")
    for column, text in comments:
        if column is None:
            statements.append(f"COMMENT ON TABLE {fresh} IS {literal(text)}")
        elif column in columns:
            statements.append(f"COMMENT ON COLUMN {fresh}.{quoted(column)} IS {literal(text)}")
    if owner is not None:
        statements.append(f"ALTER TABLE {fresh} OWNER TO {quoted(owner)}")
    return statements


def index_statements(query: Query, relation: Relation, schema: str) -> dict[str, str]:
    """Return the names of a table's constraints and indexes, with what makes them again once it is replaced."""
    oid, table = relation.oid, f"{quoted(schema)}.{quoted(relation.name)}"
    constraints = query(f"""
        SELECT conname::text, pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint
        WHERE conrelid = {oid} AND contype IN ('p', 'u', 'c', 'x', 'f') ORDER BY contype = 'f', 1""")
    indexes = query(f"""
        SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_catalog.pg_index i
        WHERE i.indrelid = {oid}
          AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint c
                          WHERE c.conindid = i.indexrelid AND c.conrelid = {oid})
        ORDER BY 1""")
    made = {name: f"ALTER TABLE {table} ADD CONSTRAINT {quoted(name)} {text}" for name, text in constraints}
    return {**made, **dict(indexes)}
