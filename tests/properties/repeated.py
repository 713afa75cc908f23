"""Random queries whose derived tables and CTEs yield names twice, each beside its twin with unique names."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

TABLES = {"t": ("i", "s", "v"), "u": ("i", "s", "w"), "k": ("i", "v", "z")}
_TEXTS = frozenset({"s"})


@dataclass(frozen=True)
class Twin:
    """A query in two spellings; ambiguous: whether the first reads a name that something yields twice."""

    repeated: str
    unique: str
    ambiguous: bool


_Column = tuple[str, str, bool]
"""A column's name in either spelling, and whether it holds texts."""


@dataclass
class _Text:
    """SQL in both spellings."""

    repeated: str
    unique: str


@dataclass
class _Relation:
    """A FROM item: its texts, alias, and its columns as (repeated name, unique name, is text)."""

    text: _Text
    alias: str
    columns: list[_Column]

    def is_repeated(self, column: _Column) -> bool:
        return Counter(name for name, _, _ in self.columns)[column[0]] > 1


@dataclass
class _Maker:
    rng: random.Random
    number: int = 0
    ambiguous: bool = False
    ctes: list[_Text] = field(default_factory=list)

    def fresh(self, prefix: str) -> str:
        self.number += 1
        return f"{prefix}{self.number}"

    def relation(self, depth: int) -> _Relation:
        """A table, or a query over one or two relations, as a derived table or a CTE."""
        alias = self.fresh("q")
        if depth == 0 or self.rng.random() < 0.15:
            name = self.rng.choice([*TABLES])
            columns = [(column, column, column in _TEXTS) for column in TABLES[name]]
            return _Relation(_Text(f"{name} AS {alias}", f"{name} AS {alias}"), alias, columns)
        body, columns = self.query(depth)
        if self.rng.random() < 0.4:
            name = self.fresh("c")
            self.ctes.append(_Text(f"{name} AS ({body.repeated})", f"{name} AS ({body.unique})"))
            return _Relation(_Text(f"{name} AS {alias}", f"{name} AS {alias}"), alias, columns)
        text = _Text(f"({body.repeated}) AS {alias}", f"({body.unique}) AS {alias}")
        return _Relation(text, alias, columns)

    def query(self, depth: int) -> tuple[_Text, list[_Column]]:
        body, columns = self.select(depth)
        if self.rng.random() < 0.15:  # the same once more, filtered otherwise, so that types agree
            where = self.rng.choice([" WHERE 1 = 1", " WHERE 1 = 0"])
            other = self.rng.choice(["UNION ALL", "UNION", "EXCEPT"])
            body = _Text(
                f"{body.repeated} {other} SELECT * FROM ({body.repeated}) AS again{where}",
                f"{body.unique} {other} SELECT * FROM ({body.unique}) AS again{where}",
            )
        return body, columns

    def select(self, depth: int) -> tuple[_Text, list[_Column]]:
        """A SELECT over one or two relations, with stars and items that repeat names."""
        relations = [self.relation(depth - 1) for _ in range(self.rng.choice([1, 2, 2]))]
        items: list[_Text] = []
        columns: list[_Column] = []

        def add(relation: _Relation, column: _Column) -> None:
            columns.append((column[0], self.fresh("n"), column[2]))
            items[-1].unique += f"{', ' * bool(items[-1].unique)}{relation.alias}.{column[1]} AS {columns[-1][1]}"

        if self.rng.random() < 0.35:
            items.append(_Text("*", ""))
            for relation in relations:
                for column in relation.columns:
                    add(relation, column)
        for relation in relations:
            if self.rng.random() < 0.3:
                items.append(_Text(f"{relation.alias}.*", ""))
                for column in relation.columns:
                    add(relation, column)
        for _ in range(self.rng.choice([0, 1, 2, 3]) if items else self.rng.choice([1, 2, 3])):
            relation = self.rng.choice(relations)
            picked = self.pick(relation)
            assert picked is not None
            column = picked
            items.append(_Text(f"{relation.alias}.{column[0]}", ""))
            if self.rng.random() < 0.4:
                name = self.rng.choice(["i", "s", "v", "w", "o"])
                items[-1].repeated += f" AS {name}"
                add(relation, (name, column[1], column[2]))
            else:
                add(relation, column)
        text = self.from_(relations, [self.condition(relations)] if self.rng.random() < 0.3 else [])
        distinct = "DISTINCT " * (self.rng.random() < 0.15)
        return _Text(
            f"SELECT {distinct}{', '.join(item.repeated for item in items)} FROM {text.repeated}",
            f"SELECT {distinct}{', '.join(item.unique for item in items)} FROM {text.unique}",
        ), columns

    def from_(self, relations: list[_Relation], conditions: list[_Text]) -> _Text:
        text = _Text(relations[0].text.repeated, relations[0].text.unique)
        for relation in relations[1:]:
            on = self.condition([relations[0], relation])
            kind = self.rng.choice(["JOIN", "LEFT JOIN", "JOIN"])
            text = _Text(
                f"{text.repeated} {kind} {relation.text.repeated} ON {on.repeated}",
                f"{text.unique} {kind} {relation.text.unique} ON {on.unique}",
            )
        for condition in conditions:
            text = _Text(f"{text.repeated} WHERE {condition.repeated}", f"{text.unique} WHERE {condition.unique}")
        return text

    def condition(self, relations: list[_Relation]) -> _Text:
        one, other = self.rng.choice(relations), self.rng.choice(relations)
        left = self.pick(one)
        assert left is not None
        right = self.pick(other, text=left[2])
        if right is None:
            return _Text(f"{one.alias}.{left[0]} IS NOT NULL", f"{one.alias}.{left[1]} IS NOT NULL")
        sign = self.rng.choice(["=", "=", "<>", "<="])
        return _Text(
            f"{one.alias}.{left[0]} {sign} {other.alias}.{right[0]}",
            f"{one.alias}.{left[1]} {sign} {other.alias}.{right[1]}",
        )

    def pick(self, relation: _Relation, *, text: bool | None = None) -> _Column | None:
        """A column to read, if there is one of the kind; mostly one whose name is unique."""
        columns = [column for column in relation.columns if text is None or column[2] == text]
        single = [column for column in columns if not relation.is_repeated(column)]
        if single and self.rng.random() < 0.97:
            columns = single
        if not columns:
            return None
        column = self.rng.choice(columns)
        self.ambiguous |= relation.is_repeated(column)
        return column


def twin_query(seed: int) -> Twin:
    """A random query and its like with unique names; the same for a seed on every machine."""
    rng = random.Random(seed)
    maker = _Maker(rng)
    relation = maker.relation(rng.choice([1, 2, 2, 3]))
    tail = rng.choice(list(_TAILS))
    items = [maker.pick(relation) for _ in range(rng.choice([1, 1, 2]) if "{items}" in _TAILS[tail] else 0)]
    read = maker.pick(relation) if "{read}" in _TAILS[tail] else None
    texts = []
    for which, spelling in enumerate(("repeated", "unique")):
        columns = [column[which] for column in items if column is not None]
        ctes = ", ".join(getattr(cte, spelling) for cte in maker.ctes)
        sql = _TAILS[tail].format(
            items=", ".join(f"{relation.alias}.{name} AS o{number}" for number, name in enumerate(columns)),
            read=f"{relation.alias}.{read[which]}" if read is not None else "",
            source=getattr(relation.text, spelling),
        )
        texts.append(f"WITH {ctes} {sql}" if ctes else sql)
    return Twin(texts[0], texts[1], maker.ambiguous)


_TAILS = {
    "plain": "SELECT {items} FROM {source}",
    "where": "SELECT {items} FROM {source} WHERE {read} IS NOT NULL",
    "group": "SELECT {read} AS g, COUNT(*) AS n FROM {source} GROUP BY {read}",
    "count": "SELECT COUNT(*) AS n, COUNT(DISTINCT {read}) AS d FROM {source}",
    "exists": "SELECT t.v AS o FROM t WHERE EXISTS (SELECT 1 FROM {source} WHERE {read} IS NULL)",
    "in": "SELECT t.v AS o FROM t WHERE t.v IN (SELECT r.n FROM (SELECT COUNT({read}) AS n FROM {source}) AS r)",
    "window": "SELECT {items}, RANK() OVER (ORDER BY {read}) AS r FROM {source}",
    "ordered": "SELECT {items} FROM {source} ORDER BY {read} DESC NULLS LAST",
    "nothing": "SELECT COUNT(*) AS n FROM {source}",
}
"""What is made of the relation."""
