"""PIVOT → one aggregate with a FILTER for each value; UNPIVOT → UNION ALL of one SELECT for each column.

A pivot whose values are not listed has columns that depend on its rows, and is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from compiler.dialects.reading import Reading
from compiler.dialects.traced import Piece, Rewrite
from compiler.sql.foreign_table import DIALECTS

_TWO = 2


@dataclass(frozen=True)
class _Pivot:
    """A pivot: where its input is written, what it asks for, and whether the columns of groups are listed."""

    source: tuple[int, int]
    node: exp.Pivot
    field: exp.In
    aggregates: list[exp.Expr]


def statement_pivots(reading: Reading) -> Iterator[Rewrite]:
    """PIVOT t ON s IN ('x') USING sum(n) GROUP BY g, of DuckDB; UNPIVOT t ON a, b INTO NAME k VALUE v."""
    for node in reading.tree.find_all(exp.Pivot):
        place, source = reading.tokens_of(node), reading.span(node.this) if isinstance(node.this, exp.Expr) else None
        if place is None or source is None:
            continue
        first = reading.tokens_of(node.this)
        assert first is not None
        keyword = first[0] - 1
        if reading.tokens[keyword].text.upper() not in {"PIVOT", "UNPIVOT"}:
            continue
        whole = reading.tokens[keyword].start, reading.tokens[place[1]].end + 1
        if node.args.get("unpivot"):
            columns = [one for one in node.expressions if isinstance(one, exp.Column)]
            if columns and len(columns) == len(node.expressions):
                into = node.args.get("into")
                names = ("name", "value")
                if into is not None and len(into.expressions) == 1:
                    names = into.this.name, into.expressions[0].name
                elif into is not None:
                    continue
                yield Rewrite(*whole, tuple(_unpivoted(reading, source, columns, names, nulls=False)))
            continue
        fields = [one for one in node.expressions if isinstance(one, exp.In)]
        if len(fields) == 1 and len(node.expressions) == 1:
            using = list(node.args.get("using") or [])
            pieces = _pivoted(reading, _Pivot(source, node, fields[0], using))
            if pieces is not None:
                yield Rewrite(*whole, tuple(pieces))


def pivots(reading: Reading) -> Iterator[Rewrite]:
    """FROM t PIVOT (sum(n) FOR s IN ('x')) → FROM (SELECT …) AS t; UNPIVOT (v FOR k IN (a, b)) likewise."""
    for item in reading.tree.find_all(exp.Table, exp.Subquery):
        found = item.args.get("pivots") or []
        whole = reading.span(item)
        place = reading.tokens_of(found[0]) if len(found) == 1 else None
        if place is None or whole is None:
            continue
        node, keyword = found[0], reading.tokens[place[0]]
        if keyword.text.upper() not in {"PIVOT", "UNPIVOT"} or len(node.args.get("fields") or []) != 1:
            continue
        source = whole[0], keyword.start
        field = node.args["fields"][0]
        pieces: list[Piece] | None
        if node.args.get("unpivot"):
            values = [one.name for one in node.expressions]
            columns = [one for one in field.expressions if isinstance(one, exp.Column)]
            if len(values) != 1 or len(columns) != len(field.expressions) or node.args.get("include_nulls") is None:
                words = {token.text.upper() for token in reading.tokens[place[0] : place[1]]}
                if len(values) != 1 or len(columns) != len(field.expressions) or "EXCLUDE" in words:
                    continue
            nulls = bool(node.args.get("include_nulls"))
            pieces = list(_unpivoted(reading, source, columns, (field.this.name, values[0]), nulls=nulls))
        else:
            pieces = _pivoted(reading, _Pivot(source, node, field, node.expressions))
        if pieces is None:
            continue
        alias = node.args.get("alias") or item.args.get("alias")
        shown = reading.span(alias) if alias is not None else None
        name: tuple[Piece, ...] = (" ", shown) if shown else (f" AS {item.alias_or_name or 'pivoted'}",)
        if shown and not reading.text[shown[0] : shown[1]].upper().startswith("AS"):
            name = (" AS ", shown)
        yield Rewrite(*whole, ("(", *pieces, ")", *name))


def _except(reading: Reading, columns: list[str]) -> str:
    word = "EXCLUDE" if DIALECTS[reading.dialect] in "DS" else "EXCEPT"
    return f"* {word} ({', '.join(dict.fromkeys(columns))})"


def _quoted(reading: Reading, name: str) -> str:
    mark = "`" if DIALECTS[reading.dialect] in "BK" else '"'
    return f"{mark}{name.replace(mark, mark * 2)}{mark}"


def _pivoted(reading: Reading, pivot: _Pivot) -> list[Piece] | None:
    """Return the query that a pivot is; None where its columns or their names are not known."""
    on = reading.span(pivot.field.this)
    items = pivot.field.expressions
    aggregates: list[tuple[exp.Expr | None, str]] = [(one.unalias(), one.alias) for one in pivot.aggregates]
    named = [name for _, name in aggregates if name]
    if on is None or not items or not isinstance(pivot.field.this, exp.Column):
        return None
    if len(aggregates) >= _TWO and len(named) < len(aggregates):
        return None
    group = pivot.node.args.get("group")
    groups = [reading.span(one) for one in group.expressions] if group is not None else []
    pieces: list[Piece] = ["SELECT "]
    if groups:
        start, end = groups[0], groups[-1]
        assert start is not None and end is not None  # noqa: PT018 — both are written
        pieces.append((start[0], end[1]))
    else:
        read = [column.name for one in pivot.aggregates for column in one.find_all(exp.Column)]
        pieces.append(_except(reading, [pivot.field.this.name, *read]))
    for item in items:
        value = item.this if isinstance(item, exp.PivotAlias | exp.Alias) else item
        place = reading.span(value)
        label = item.args["alias"].name if value is not item else _label(reading, value)
        if place is None or not isinstance(value, exp.Literal):
            return None
        for call, alias in aggregates or [(None, "")]:
            shown = reading.span(call) if call is not None else None
            if call is not None and (shown is None or call.find(exp.Distinct, exp.Filter, exp.Window) is not None):
                return None
            name = _quoted(reading, _named(reading, label, alias, many=len(aggregates) >= _TWO))
            pieces += [", ", shown or "count(*)", " FILTER (WHERE ", on, " = ", place, f") AS {name}"]
    pieces += [" FROM ", pivot.source, " GROUP BY "]
    pieces.append((pieces[1] if isinstance(pieces[1], tuple) else "ALL") if groups else "ALL")
    return pieces


def _label(reading: Reading, value: exp.Expr) -> str:
    """Return the name of the column of a value: in Snowflake a text has its quotes."""
    return f"'{value.name}'" if reading.dialect == "snowflake" and value.is_string else value.name


def _named(reading: Reading, label: str, alias: str, *, many: bool) -> str:
    letter = DIALECTS[reading.dialect]
    if not alias or (letter == "K" and not many):
        return label
    return f"{alias}_{label}" if letter == "B" else f"{label}_{alias}"


def _unpivoted(
    reading: Reading, source: tuple[int, int], columns: list[exp.Column], names: tuple[str, str], *, nulls: bool
) -> Iterator[Piece]:
    rest = _except(reading, [reading.text[slice(*place)] for one in columns if (place := reading.span(one))])
    for number, column in enumerate(columns):
        place = reading.span(column)
        assert place is not None
        said = column.name
        if reading.dialect == "snowflake" and not column.this.args.get("quoted"):
            said = said.upper()
        quoted = said.replace("'", "''")
        yield f"{' UNION ALL ' if number else ''}SELECT {rest}, '{quoted}' AS {names[0]}, "
        yield place
        yield f" AS {names[1]} FROM "
        yield source
        if not nulls:
            yield " WHERE "
            yield place
            yield " IS NOT NULL"
