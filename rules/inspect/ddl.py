"""A product's contract as DDL: its inferred columns, and what its error checks guarantee of them."""

from __future__ import annotations

import ibis.backends.sql.dialects  # noqa: F401 — registers the dialects that SQLGlot does not have
from ibis.common.exceptions import UnsupportedBackendType
from ibis.expr.schema import Schema as IbisSchema
from sqlglot import exp

from compiler.schema import Schema
from rules.config.contract import Contract, spelled
from rules.errors import UserError
from rules.loading.check_queries import accepted_literal
from rules.python.schemas import ibis_type
from rules.storage.types import to_arrow


def ddl(product: str, schema: Schema, contract: Contract, dialect: str) -> str:
    """Return CREATE TABLE for a product. Raises `UserError` for a type that the dialect lacks.

    What is only warned of is no guarantee, and left out.
    """
    strict = {name for name, one in contract.columns.items() if (one.severity or contract.severity) != "warn"}
    key = contract.key if contract.severity != "warn" else ()
    columns = []
    for field, column in zip(to_arrow(schema), schema.columns, strict=True):
        declared = contract.columns.get(column.name) if column.name in strict else None
        nullable = column.name not in key and not (declared is not None and declared.not_null)
        definition = _definition(column.name, ibis_type(field.type)(nullable=nullable), spelled(column.type), dialect)
        if declared is not None:
            for constraint in _constraints(column.name, declared.accepted, declared.references):
                definition.append("constraints", exp.ColumnConstraint(kind=constraint))
        columns.append(definition)
    if key:
        columns.append(exp.PrimaryKey(expressions=[exp.to_identifier(name, quoted=True) for name in key]))
    name = exp.to_identifier(product, quoted=True).sql(dialect)
    body = ",\n".join(
        f"  {column.sql(dialect)}" for column in columns
    )  # SQLGlot's layout takes three lines for one name
    return f"CREATE TABLE {name} (\n{body}\n)"


def _definition(name: str, dtype: object, shown: str, dialect: str) -> exp.Expr:
    message = f"{dialect} has no type for column '{name}', which is {shown}"
    try:
        definition: exp.Expr = IbisSchema({name: dtype}).to_sqlglot_column_defs(dialect)[0]
    except UnsupportedBackendType as error:
        raise UserError(message, code="type", hint="choose another --dialect, or cast the column") from error
    if any(part.this == exp.DataType.Type.UNKNOWN for part in definition.find_all(exp.DataType)):
        raise UserError(message, code="type", hint="choose another --dialect, or cast the column")
    return definition


def _constraints(name: str, accepted: tuple[object, ...], references: str) -> list[exp.Expr]:
    found: list[exp.Expr] = []
    if accepted:
        values = [accepted_literal(value) for value in accepted]
        test = exp.In(this=exp.column(name, quoted=True), expressions=values)
        found.append(exp.CheckColumnConstraint(this=test))
    if references:
        table, _, column = references.partition(".")
        there = exp.Schema(this=exp.table_(table, quoted=True), expressions=[exp.to_identifier(column, quoted=True)])
        found.append(exp.Reference(this=there))
    return found
