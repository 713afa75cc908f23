"""Random queries with subqueries anywhere, each as the engine and as SQLite read it: small tables, NULLs everywhere."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pyarrow as pa

TABLES = {"t": ("k", "x"), "u": ("k", "y"), "e": ("k", "z")}
SCHEMAS = {table: pa.schema([(name, pa.int64()) for name in names]) for table, names in TABLES.items()}
_OPERATORS = ("=", "=", "<>", "<", "<=", ">", ">=")
_SIZES = (0, 1, 2, 3, 4, 5)


def database(seed: int) -> dict[str, pa.Table]:
    """Return tables of a few rows, some without any, some with rows twice."""
    rng = random.Random(seed)
    tables = {}
    for name, schema in SCHEMAS.items():
        size, nulls = rng.choice(_SIZES), rng.choice((0.0, 0.3))
        rows = [
            {column: None if rng.random() < nulls else rng.randint(0, 3) for column in schema.names}
            for _ in range(size)
        ]
        rows += rows[:1] if rng.random() < 0.4 else []
        tables[name] = pa.Table.from_pylist(rows, schema)
    return tables


@dataclass(frozen=True)
class Pair:
    """A text for the engine, and one for SQLite that means the same."""

    engine: str
    sqlite: str


def joined(template: str, *parts: Pair | str) -> Pair:
    """Fill the parts into the {} of a template, for both."""
    pairs = [part if isinstance(part, Pair) else Pair(part, part) for part in parts]
    return Pair(template.format(*(p.engine for p in pairs)), template.format(*(p.sqlite for p in pairs)))


@dataclass
class Queries:
    """Makes queries from one source of chance; `left` bounds the subqueries of one query."""

    rng: random.Random
    left: int = 3
    aliases: int = 0
    correlated: bool = field(default=False)

    def query(self) -> Pair:
        """Return a query with one to three subqueries; the last one stands wherever one can."""
        shape = self.rng.randrange(6)
        columns = ["t.k", "t.x"]
        if shape == 0:  # one in the SELECT list, and what is filtered
            return joined("SELECT t.k, {} AS found FROM t WHERE {}", self.test(columns), self.predicate(columns))
        if shape == 1:
            return joined("SELECT t.k, {} AS found FROM t", self.scalar(columns))
        if shape == 2:
            side = self.rng.choice(("JOIN", "LEFT JOIN"))
            both = [*columns, "e.k", "e.z"]
            return joined(f"SELECT t.x, e.z FROM t {side} e ON t.k = e.k AND {{}}", self.predicate(both))
        if shape == 3:
            having, item = (
                self.predicate(["t.k", "COUNT(*)"], inner=["t.k"]),
                self.test(["t.k", "MAX(t.x)"], inner=["t.k"]),
            )
            return joined("SELECT t.k, {} AS found FROM t GROUP BY t.k HAVING {}", item, having)
        if shape == 4:
            return joined("SELECT SUM(CASE WHEN {} THEN 1 ELSE 0 END) AS n, COUNT(*) AS m FROM t", self.test(columns))
        return joined("SELECT t.k, t.x FROM t WHERE {}", self.predicate(columns))

    def predicate(self, columns: list[str], inner: list[str] | None = None) -> Pair:
        found = self.test(columns, inner)
        roll = self.rng.randrange(8)
        other = f"{self.rng.choice(inner or columns)} > 1"
        templates = ("{}", "NOT {}", "({} OR {})", "(NOT {} OR {})", "{} IS NULL", "{} IS NOT TRUE", "{} IS FALSE",
                     "CASE WHEN {} THEN {} ELSE TRUE END")  # fmt: skip
        return joined(templates[roll], found, other)

    def test(self, columns: list[str], inner: list[str] | None = None) -> Pair:
        """Return a truth value of a subquery, in parentheses; inner: the columns that it may read."""
        outer = inner or columns
        value = self.rng.choice([*columns, *columns, "2", "NULL"])
        roll = self.rng.randrange(5)
        if roll == 0:
            return joined(f"({self.rng.choice(('', 'NOT '))}EXISTS ({{}}))", self.body(outer))
        if roll == 1:
            scalar = self.scalar(outer)
            return joined(f"({{}} {self.rng.choice(_OPERATORS)} {{}})", value if value != "NULL" else "1", scalar)
        if roll == 2 and value != "NULL" and "(" not in value:  # of SQLite's EXISTS an aggregate would be its own
            return self.quantified(value, outer)
        return joined(f"({{}} {self.rng.choice(('', 'NOT '))}IN ({{}}))", value, self.body(outer))

    def quantified(self, value: str, outer: list[str]) -> Pair:
        """X op ANY (…), which SQLite lacks: whether a row is TRUE, else whether one is NULL."""
        operator, every = self.rng.choice(_OPERATORS), self.rng.random() < 0.5
        body = self.body(outer)
        rows = f"SELECT 1 FROM ({body.sqlite}) AS r WHERE"
        test = f"({value} {operator} r.v)"
        first, then, last = (f"NOT {test}", 0, 1) if every else (test, 1, 0)
        branches = f"WHEN EXISTS ({rows} {first}) THEN {then} WHEN EXISTS ({rows} {test} IS NULL) THEN NULL"
        sqlite = f"(CASE {branches} ELSE {last} END)"
        word = "ALL" if every else "ANY"
        return Pair(f"({value} {operator} {word} ({body.engine}))", sqlite)

    def scalar(self, outer: list[str]) -> Pair:
        """Return a subquery of at most one row."""
        call = self.rng.choice(("COUNT(*)", "COUNT(r.v)", "SUM(r.v)", "MAX(r.v) + 1", "COALESCE(MIN(r.v), -1)"))
        having = self.rng.choice(("", "", " HAVING COUNT(*) > 1", " HAVING COUNT(*) = 0"))
        return joined(f"(SELECT {call} FROM ({{}}) AS r{having})", self.body(outer))

    def body(self, outer: list[str]) -> Pair:
        """Return a query of one column, v, that may read the query around it."""
        self.left -= 1
        self.aliases += 1
        u, e = f"u{self.aliases}", f"e{self.aliases}"
        shape = self.rng.randrange(9)
        both = [f"{e}.k", f"{e}.z"]
        where = self.condition([f"{u}.k", f"{u}.y"], outer)
        if shape == 0:
            return joined(f"SELECT {u}.y AS v FROM u AS {u} JOIN e AS {e} ON {u}.k = {e}.k AND {{}}",
                          self.condition(both, outer))  # fmt: skip
        if shape == 1:
            return joined(f"SELECT {e}.z AS v FROM u AS {u} LEFT JOIN e AS {e} ON {{}} WHERE {{}}",
                          self.condition(both, outer), where)  # fmt: skip
        if shape == 2:
            call = self.rng.choice(("COUNT(*)", "MAX({}.y)", "SUM({}.y)")).replace("{}", u)
            return joined(f"SELECT {call} AS v FROM u AS {u} WHERE {{}}", where)
        if shape == 3:
            return joined(f"SELECT MAX({u}.y) AS v FROM u AS {u} WHERE {{}} GROUP BY {u}.k", where)
        if shape == 4:
            word = self.rng.choice(("UNION ALL", "UNION", "EXCEPT"))
            second = joined(f"SELECT {e}.z AS v FROM e AS {e} WHERE {{}}", self.condition(both, outer))
            return joined(f"SELECT {u}.y AS v FROM u AS {u} WHERE {{}} {word} {{}}", where, second)
        if shape == 5:
            return joined(f"SELECT {u}.y AS v FROM u AS {u} WHERE {{}} ORDER BY {u}.y DESC NULLS LAST LIMIT 1", where)
        if shape == 6:
            return joined(f"SELECT DISTINCT d.y AS v FROM (SELECT {u}.y FROM u AS {u} WHERE {{}}) AS d", where)
        if shape == 7:
            return joined(f"SELECT {self.rng.choice(outer)} AS v FROM u AS {u} WHERE {{}}", where)
        return joined(f"SELECT {u}.y AS v FROM u AS {u} WHERE {{}}", where)

    def condition(self, columns: list[str], outer: list[str]) -> Pair:
        """Return a filter of a subquery; it may hold a further one, which may read what is around both."""
        own = self.rng.choice(columns)
        if self.left > 0 and self.rng.random() < 0.25:
            return self.predicate([*columns, *outer], inner=[*columns, *outer])
        if self.rng.random() < 0.3:
            return joined("{} > 0", own)
        self.correlated = True
        return joined(f"{{}} {self.rng.choice(_OPERATORS)} {{}}", own, self.rng.choice(outer))


def subquery_pair(seed: int) -> tuple[Pair, bool]:
    """Return a query as a pair, and whether a subquery of it reads what is around it."""
    queries = Queries(random.Random(seed))
    return queries.query(), queries.correlated
