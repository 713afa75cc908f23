"""A project that random edits change, and what each of its rules means, told apart from how it is written."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from support.projects import SampleProject

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("s0", "s1")
SOURCES = (*FILES, "text")
Row = tuple[Any, ...]

# A query over {one} and {other}, which have (at least) the columns k, g and v, as its result has; {n} and {m} are
# numbers, {op} is a comparison. Then what it reads of {one} and of {other}.
TEMPLATES = (
    ("SELECT k, g, v FROM {one} WHERE v {op} {n}", "kgv", None),
    ("SELECT k, g, v + {n} AS v FROM {one}", "kgv", None),
    ("SELECT k, g, v - {n} AS v FROM {one}", "kgv", None),
    ("SELECT k, g, v * {n} AS v FROM {one}", "kgv", None),
    ("SELECT MIN(k) AS k, g, SUM(v) AS v FROM {one} GROUP BY g HAVING COUNT(*) > {m}", "kgv", None),
    ("SELECT a.k, b.g, a.v + b.v AS v FROM {one} AS a JOIN {other} AS b ON a.k = b.k", "kv", "kgv"),
    ("SELECT a.k, b.g, a.v FROM {one} AS a LEFT JOIN {other} AS b ON a.k = b.k AND b.v > {n}", "kv", "kgv"),
    ("SELECT a.k, b.g, a.k AS v FROM {one} AS a JOIN {other} AS b ON a.k = b.k", "k", "kg"),
    ("SELECT k, g, v FROM {one} UNION ALL SELECT k, g, v FROM {other}", "kgv", "kgv"),
    ("SELECT k, g, v FROM {one} EXCEPT SELECT k, g, v FROM {other} WHERE v > {n}", "kgv", "kgv"),
    ("SELECT DISTINCT k % {m} AS k, g, v % {m} AS v FROM {one}", "kgv", None),
    ("SELECT MIN(k) AS k, g, CAST(AVG(v) * 1000 AS BIGINT) AS v FROM {one} GROUP BY g", "kgv", None),
    ("SELECT k, g, SUM(v) OVER (PARTITION BY g) AS v FROM {one}", "kgv", None),
    ("SELECT k, g, ROW_NUMBER() OVER (PARTITION BY g ORDER BY k, v) + {n} AS v FROM {one}", "kgv", None),
    ("SELECT COUNT(*) AS k, 'all' AS g, {n} AS v FROM {one}", "", None),
    ("SELECT k, 'none' AS g, {n} AS v FROM {one}", "k", None),
    ("SELECT k, 'many' AS g, COUNT(*) AS v FROM {one} GROUP BY k", "k", None),
    ("SELECT MAX(v) AS k, g, COUNT(*) AS v FROM {one} GROUP BY g", "gv", None),
    ("SELECT k, g, v FROM {one} ORDER BY k, g, v", "kgv", None),
    ("SELECT k, g, v FROM {one} ORDER BY v DESC, k, g LIMIT {n}", "kgv", None),
    ("SELECT k, g, v FROM {one} WHERE k IN (SELECT b.k FROM {other} AS b WHERE b.v > {n})", "kgv", "kv"),
    ("SELECT k, g, v FROM {one} AS a WHERE NOT EXISTS (SELECT 1 FROM {other} AS b WHERE b.k = a.k)", "kgv", "k"),
    ("WITH x AS (SELECT * FROM {one} WHERE g IS NOT NULL) SELECT x.k, x.g, x.v FROM x WHERE x.v > {n}", "kgv", None),
)
# The same said otherwise: a pattern and what takes its place.
OTHER_WORDS: tuple[tuple[str, Any], ...] = (
    (r"(?s)\A(.*)", r"-- in other words\n\1"),
    (r" ", "  "),
    (r"\b(SELECT|FROM|WHERE|GROUP BY|ORDER BY|COUNT|SUM|MIN|AS)\b", lambda found: found[0].lower()),
    (r"\bWHERE\b", "WHERE 1 = 1 AND"),
    (r"WHERE v < (\d+)", r"WHERE NOT v >= \1"),
    (r"WHERE v (?:<>) (\d+)", r"WHERE v < \1 OR v > \1"),
    (r"WHERE v > (\d+)", r"WHERE \1 < v"),
    (r"a\.k = b\.k", "b.k = a.k"),
    (r"\bLEFT JOIN\b", "LEFT OUTER JOIN"),
    (r"(?<!LEFT)(?<!OUTER)(?<! ) JOIN\b", " INNER JOIN"),
    (r"\ba\b", "other_a"),
    (r"(?<![.\w])(k|v) ([+*]) (\d+)", r"\3 \2 \1"),
    (r"COUNT\(\*\)", "COUNT(1)"),
    (r"\bg IS NOT NULL", "NOT (g IS NULL)"),
    (r"(?s)\A(SELECT .*)", r"SELECT w.* FROM (\1) AS w"),
    (r"(?s)\A(SELECT .*)", r"WITH unused AS (SELECT 1 AS one), w AS (\1) SELECT w.* FROM w"),
)


@dataclass(frozen=True)
class Rule:
    """A rule. meaning: a query; text: how it is written; reads: the inputs, in order, and the columns read of each."""

    meaning: str
    text: str
    reads: tuple[tuple[str, str], ...]

    @property
    def is_ordered(self) -> bool:
        """Whether the order of its rows is part of what it yields."""
        return re.search(r" ORDER BY [^()]*$", self.meaning) is not None

    def means(self, query: str) -> Rule:
        """Return the rule with another meaning, written as it stands there."""
        return replace(self, meaning=query, text=query)


@dataclass(frozen=True)
class State:
    """What a project was like. deleted: how many objects had been deleted by then."""

    rows: dict[str, list[Row]]
    rules: dict[str, Rule]
    deleted: int


def random_rule(generator: random.Random, tables: list[str]) -> Rule:
    """A rule over some of `tables`."""
    template, of_one, of_other = generator.choice(TEMPLATES)
    one, other = generator.choice(tables), generator.choice(SOURCES)
    operator = generator.choice(["<", ">", "=", "<>", "<="])
    n, m = generator.randint(1, 9), generator.randint(2, 5)
    query = template.format(one=one, other=other, op=operator, n=n, m=m)
    reads = {one: of_one}
    if of_other is not None:
        reads[other] = "".join(column for column in "kgv" if column in reads.get(other, "") + of_other)
    return Rule(query, query, tuple(reads.items()))


class World:
    """A project that random edits change.

    rules: by name, in an order in which they can be built. deleted: how many objects were deleted from its store.
    reverted: whether the last edit only went back to a state that was built, and of which nothing was deleted since.
    """

    def __init__(self, root: Path, generator: random.Random) -> None:
        self.random = generator
        sources = '\n[sources.text]\npath = "data/text.csv"\ncolumns = { k = "int64", g = "string", v = "int64" }\n'
        self.project = SampleProject(root, sources=FILES, toml=sources)
        self.rows = {name: [self._row() for _ in range(24)] for name in SOURCES}
        self.rules: dict[str, Rule] = {}
        self.named = 0
        self.deleted = 0
        self.reverted = False
        self.past: list[State] = []
        for _ in range(5):
            self.add()

    def _row(self) -> Row:
        return self.random.randrange(16), self.random.choice(["a", "b", "c", None]), self.random.randrange(12)

    def write(self) -> None:
        """Bring the files to what this world says; files that already say it are left alone."""
        for name, rows in self.rows.items():
            if name == "text":
                lines = [",".join("" if value is None else str(value) for value in row) for row in rows]
                self._write_if_other("data/text.csv", "\n".join(["k,g,v", *lines]) + "\n")
                continue
            columns = [
                pa.array([row[at] for row in rows], kind)
                for at, kind in enumerate((pa.int64(), pa.string(), pa.int64()))
            ]
            table = pa.table(columns, ["k", "g", "v"])
            path = self.project.root / "data" / f"{name}.parquet"
            if not path.exists() or not pq.read_table(path).equals(table) or self.random.random() < 0.2:
                path.parent.mkdir(exist_ok=True)
                pq.write_table(table, path, row_group_size=self.random.choice([5, 1000]))
        for path in (self.project.root / "rules").iterdir():
            if path.stem not in self.rules:
                path.unlink()
        for name, rule in self.rules.items():
            self._write_if_other(f"rules/{name}.sql", rule.text + "\n")

    def _write_if_other(self, path: str, text: str) -> None:
        target = self.project.root / path
        if not target.exists() or target.read_text() != text:
            self.project.write(path, text)

    def edit(self) -> str:
        """Change something; return what, for the message of a failure."""
        self.past.append(State({name: list(rows) for name, rows in self.rows.items()}, dict(self.rules), self.deleted))
        self.reverted = False
        edits = [self.add, self.remove, self.rename, self.reword, self.reword, self.replace, self.replace, self.tweak]
        edits += [self.tweak, self.value, self.value, self.permute, self.append, self.back, self.back]
        edits += [self.extra, self.extra, self.rework, self.delete_object]
        chosen = self.random.sample(edits, self.random.choice([1, 1, 2]))
        for one in chosen:
            one()
        self.reverted &= len(chosen) == 1
        self.write()
        return " and ".join(one.__name__ for one in chosen)

    def add(self) -> None:
        self.rules[f"p{self.named}"] = random_rule(self.random, [*SOURCES, *self.rules, *list(self.rules)[-2:]])
        self.named += 1

    def remove(self) -> None:
        read = {table for rule in self.rules.values() for table, _ in rule.reads}
        unread = [name for name in self.rules if name not in read]
        if len(self.rules) > 2:
            del self.rules[self.random.choice(unread)]

    def rename(self) -> None:
        old, new = self.random.choice(list(self.rules)), f"p{self.named}"
        self.named += 1

        def renamed(rule: Rule) -> Rule:
            meaning, text = (re.sub(rf"\b{old}\b", new, query) for query in (rule.meaning, rule.text))
            return Rule(meaning, text, tuple((new if table == old else table, reads) for table, reads in rule.reads))

        self.rules = {new if name == old else name: renamed(rule) for name, rule in self.rules.items()}

    def reword(self) -> None:
        """Say the same otherwise."""
        name = self.random.choice(list(self.rules))
        meaning = text = self.rules[name].meaning
        nestable = not (" ORDER BY k" in meaning or " ORDER BY v" in meaning or meaning.startswith("WITH"))
        for pattern, other in self.random.sample(OTHER_WORDS, self.random.choice([1, 1, 2])):
            if nestable or "SELECT w.*" not in str(other):
                text = re.sub(pattern, other, text)
        self.rules[name] = replace(self.rules[name], text=text)

    def replace(self) -> None:
        names = list(self.rules)
        at = self.random.randrange(len(names))
        self.rules[names[at]] = random_rule(self.random, [*SOURCES, *names[:at]])

    def tweak(self) -> None:
        name = self.random.choice(list(self.rules))
        number = str(self.random.randint(1, 9))
        self.rules[name] = self.rules[name].means(re.sub(r"(?<=[<>=+*-] )\d+", number, self.rules[name].meaning))

    def extra(self) -> None:
        """Add an output column that nobody reads, or take it away."""
        name = self.random.choice(list(self.rules))
        query = self.rules[name].meaning
        inner = re.fullmatch(r"SELECT z.k, z.g, z.v, .*? AS e FROM \((.*)\) AS z", query, re.DOTALL)
        made = self.random.choice(["z.v * 2", "z.k", "UPPER(z.g)", "COUNT(*) OVER ()"])
        self.rules[name] = self.rules[name].means(
            inner[1] if inner else f"SELECT z.k, z.g, z.v, {made} AS e FROM ({query}\n) AS z"
        )

    def rework(self) -> None:
        """Change what a column is made of, and not the rows."""
        name = self.random.choice(list(self.rules))
        query = self.rules[name].meaning
        column, made = self.random.choice([("k", "k + 1"), ("g", "COALESCE(g, 'x')"), ("v", "v % 5")])
        others = ", ".join(f"{made} AS {one}" if one == column else one for one in "kgv")
        if " ORDER BY " not in query:
            self.rules[name] = self.rules[name].means(f"SELECT {others} FROM ({query}\n) AS y")

    def value(self) -> None:
        rows = self.rows[self.random.choice(SOURCES)]
        at, column = self.random.randrange(len(rows)), self.random.randrange(3)
        rows[at] = (*rows[at][:column], self._row()[column], *rows[at][column + 1 :])

    def permute(self) -> None:
        self.random.shuffle(self.rows[self.random.choice(SOURCES)])

    def append(self) -> None:
        self.rows[self.random.choice(SOURCES)].append(self._row())

    def back(self) -> None:
        self.go_back(self.random.choice(self.past))

    def go_back(self, state: State) -> None:
        self.rows, self.rules = {name: list(rows) for name, rows in state.rows.items()}, dict(state.rules)
        self.reverted = state.deleted == self.deleted

    def delete_object(self) -> None:
        stored = sorted((self.project.root / ".rules" / "objects").glob("*/*"))
        if stored:
            self.random.choice(stored).unlink()
            self.deleted += 1
