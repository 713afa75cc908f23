"""Which plain name each table of an imported project gets, and which table a query means by a name.

Products and sources share one set of names without schemas. A model keeps its name where it can; of several tables with
one name the models of the usual schema come first, and the others are called after their schema or source as well.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rules.importing.origin import Model, Origin, Outside, Table

SENSITIVE = frozenset({"postgres"})
"""Dialects in which the case of a quoted name counts."""

CAPITAL = frozenset({"snowflake"})
"""Dialects in which a name without quotes is one in capitals. It is in lower case here, and so is "Name" in quotes."""


@dataclass(frozen=True)
class Names:
    """The plain name of each table by id or alias; `known`: each way to write a relation → the id, if one only."""

    by_id: Mapping[str, str]
    known: Mapping[tuple[str, ...], str]
    usual_schema: str

    def find(self, parts: tuple[str, ...]) -> str | None:
        """Return the id of the table that `parts` (database, schema, name, from the right) mean; None if none is known.

        A name alone means a table of the usual schema, or the only one of that name.
        """
        folded = tuple(part.lower() for part in parts)
        if len(folded) == 1:
            usual = self.known.get((self.usual_schema, *folded))
            if usual is not None:
                return usual
        return self.known.get(folded)

    def renamed(self, tables: Iterable[Table]) -> dict[str, str]:
        """Return those of some tables whose name is another one here: as the warehouse calls it → the name."""
        return {str(one.relation): self.by_id[one.id] for one in tables if one.relation.name != self.by_id[one.id]}


def name_tables(origin: Origin) -> Names:
    """Give every table a plain name that no other has."""
    usual = Counter(one.relation.schema.lower() for one in origin.models).most_common(1)
    schema = usual[0][0] if usual else ""
    order = sorted(origin.tables, key=lambda one: (_rank(one), one.relation.schema.lower() != schema, one.id))
    by_id: dict[str, str] = {}
    taken: set[str] = set()
    for table in order:
        by_id[table.id] = chosen = next(one for one in _candidates(table) if one not in taken)
        taken.add(chosen)
    by_id |= {alias: by_id[id_] for alias, id_ in origin.aliases.items()}
    ways: dict[tuple[str, ...], set[str]] = {}
    for table in origin.tables:
        parts = tuple(part.lower() for part in table.relation)
        for start in range(3):
            if all(parts[start:]):
                ways.setdefault(parts[start:], set()).add(table.id)
    for written, one in origin.inlined.items():
        ways[(written.lower(),)] = {one}
    return Names(by_id, {way: next(iter(ids)) for way, ids in ways.items() if len(ids) == 1}, schema)


def _rank(table: Table) -> int:
    return 0 if isinstance(table, Model) else 2 if isinstance(table, Outside) and not table.kept else 1


def plain_name(text: str) -> str:
    """Return a name that can be written without quotes: orders-2024 → orders_2024."""
    name = re.sub(r"[^a-z0-9_]+", "_", text.lower()).strip("_") or "table"
    return f"t_{name}" if name[0].isdigit() else name


def _candidates(table: Table) -> Iterable[str]:
    name = plain_name(table.relation.name)
    yield name
    if isinstance(table, Outside) and table.group:
        yield plain_name(f"{table.group}_{name}")
    yield plain_name(f"{table.relation.schema}_{name}")
    yield plain_name(f"{table.relation.database}_{table.relation.schema}_{name}")
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1
