"""Make small random queries after the patterns by which rules are written, one pattern a query.

Semi-joins, chains of joins, outer joins with filters, totals beside rows, set operations, filters over groups, limits
and windows: each pattern is the ground on which some rewrites are right and their neighbours are wrong.
"""

from __future__ import annotations

# ruff: noqa: E501 — a pattern is a query
import random

from properties.queries import BOOL, DATE, INT, STR, Frame
from properties.shapes import Shapes

_KEYS = (
    ("orders", "customer_id", "customers", "customer_id"),
    ("orders", "item_id", "items", "item_id"),
    ("employees", "name", "customers", "name"),
    ("events", "customer_id", "orders", "customer_id"),
    ("employees", "manager_id", "employees", "employee_id"),
    ("employees", "dept", "customers", "region"),
)
"""Two tables and a column of each, both of one type."""
_PATTERNS = (
    "SELECT {l1}, {l2} FROM {L} AS l WHERE l.{k} {not}IN (SELECT r.{j} FROM {R} AS r WHERE {rp}) AND {lp}",
    "SELECT {l1}, {l2} FROM {L} AS l WHERE l.{k} {not}IN (SELECT r.{j} FROM {R} AS r) OR {lp}",
    "SELECT {l1}, {l2} FROM {L} AS l WHERE {lp} AND {not}EXISTS (SELECT 1 FROM {R} AS r WHERE r.{j} = l.{k} AND {rp})",
    "SELECT {l1}, {r2}, m.{k} AS c FROM {L} AS l JOIN {R} AS r ON l.{k} = r.{j} JOIN {L} AS m ON m.{k} = l.{k} WHERE {lp}",
    "SELECT {l1}, {r2} FROM {L} AS l LEFT JOIN {R} AS r ON l.{k} = r.{j} AND {rp} WHERE {lp}",
    "SELECT {l1}, {r2} FROM {L} AS l LEFT JOIN {R} AS r ON r.{j} = l.{k} WHERE r.{j} > {v} AND {lp}",
    "SELECT {l1}, l.{k} AS k, {r2} FROM {L} AS l LEFT JOIN {R} AS r ON l.{k} = r.{j} WHERE {rp}",
    "SELECT {l1}, r.{j} AS k FROM {L} AS l FULL JOIN {R} AS r ON l.{k} = r.{j} WHERE {lp} AND {rp}",
    "SELECT {l1}, r.{j} AS k FROM {L} AS l RIGHT JOIN {R} AS r ON l.{k} = r.{j} AND {lp}",
    "SELECT {l1}, q.n, q.m FROM {L} AS l CROSS JOIN (SELECT count(*) AS n, max(r.{j}) AS m FROM {R} AS r WHERE {rp}) AS q",
    "SELECT {l1}, q.tag FROM {L} AS l LEFT JOIN (SELECT r.{j} AS k, 'known' AS tag FROM {R} AS r WHERE {rp}) AS q ON q.k = l.{k}",
    "SELECT l.{k} AS k FROM {L} AS l WHERE {lp} {op} SELECT r.{j} AS k FROM {R} AS r WHERE {rp}",
    "SELECT q.k, q.n FROM (SELECT l.{k} AS k, count(*) AS n FROM {L} AS l WHERE {lp} GROUP BY l.{k}) AS q WHERE q.k > {v} AND q.n > 1",
    "SELECT l.{k} AS k, count(*) AS n FROM {L} AS l WHERE l.{k} <> {v} AND {lp} GROUP BY l.{k} HAVING count(*) > 1",
    "SELECT l.{k} AS k, {a} AS n FROM {L} AS l JOIN {R} AS r ON l.{k} = r.{j} WHERE {rp} GROUP BY l.{k} HAVING l.{k} IS NOT NULL",
    "SELECT q.k FROM (SELECT DISTINCT l.{k} AS k, {l2} FROM {L} AS l WHERE {lp}) AS q WHERE q.k > {v}",
    "SELECT q.k, q.b FROM (SELECT l.{k} AS k, {l2} FROM {L} AS l ORDER BY k, b LIMIT 5) AS q WHERE q.k > {v}",
    "SELECT q.k, q.n FROM (SELECT l.{k} AS k, count(*) OVER (PARTITION BY l.{k}, l.{p}) AS n FROM {L} AS l WHERE {lp}) AS q WHERE q.k > {v} AND q.n < 3",
    "SELECT l.{k} AS k, {l2}, rank() OVER (PARTITION BY l.{p}, l.{k} ORDER BY l.{k}) AS n FROM {L} AS l WHERE {lp}",
    "SELECT l.{k} AS k, count(*) OVER (PARTITION BY l.{k}) AS n FROM {L} AS l WHERE {lp} QUALIFY rank() OVER (ORDER BY l.{p}) < 3",
    ("WITH c AS (SELECT r.{j} AS j, {r2} FROM {R} AS r WHERE {rp}), d AS (SELECT l.{k} AS k, {l1} FROM {L} AS l) "
    "SELECT c.b, d.a, e.b AS e FROM c JOIN d ON c.j = d.k LEFT JOIN c AS e ON e.j = d.k AND e.b IS NOT NULL"),
    "SELECT u.k, count(*) AS n FROM (SELECT l.{k} AS k FROM {L} AS l WHERE {lp} UNION ALL SELECT r.{j} FROM {R} AS r) AS u WHERE u.k > {v} GROUP BY u.k",
    "SELECT {a} AS n, count(DISTINCT l.{k}) AS m FROM {L} AS l LEFT JOIN {R} AS r ON l.{k} = r.{j} WHERE {lp}",
    "SELECT {l1}, (SELECT count(*) FROM {R} AS r WHERE r.{j} = l.{k} AND {rp}) AS n FROM {L} AS l WHERE {lp}",
    "SELECT {l1}, (SELECT max(r.{j}) FROM {R} AS r WHERE {rp}) AS n FROM {L} AS l LEFT SEMI JOIN {R} AS s ON s.{j} = l.{k}",
    "SELECT {l1}, t.x + t.y + 0.1 AS s, t.x * t.y * 3.5 AS p FROM {L} AS l JOIN readings AS t ON t.sensor_id = {v0} WHERE {lp}",
    "SELECT t.sensor_id AS a, t.x AS b FROM readings AS t WHERE t.x = 0.0 AND t.y IN (0.0, 1.5) OR t.y = 0.0 OR NOT t.ok",
    "SELECT {l1}, {r2} FROM {L} AS l CROSS JOIN {R} AS r WHERE l.{k} = r.{j} AND r.{j} > {v} AND {lp}",
    "SELECT {l1}, l.{k} AS k, {r2} FROM {L} AS l, {R} AS r, {L} AS m WHERE l.{k} = r.{j} AND r.{j} = m.{k} AND m.{k} > {v}",
    "SELECT l.{k} AS k, {l2} FROM {L} AS l WHERE l.{k} = {v} AND l.{k} < {v} AND {lp}",
    "SELECT l.{k} AS k, l.{p} AS p, count(*) AS n, min(l.{k}) AS m FROM {L} AS l WHERE l.{k} = {v} AND {lp} GROUP BY l.{k}, l.{p}",
    "SELECT {l1}, l.{k} AS k FROM {L} AS l CROSS JOIN {R} AS r WHERE l.{k} = {v} AND r.{j} >= l.{k} AND {rp}",
    "SELECT {l1} FROM {L} AS l WHERE CASE WHEN {lp} THEN 'a' WHEN {lp2} THEN 'b' ELSE 'c' END <> 'b' AND {lp3}",
    "SELECT q.p, sum(q.n) AS n, max(q.m) AS m FROM (SELECT l.{p} AS p, l.{k} AS k, count(*) AS n, max(l.{k}) AS m FROM {L} AS l WHERE {lp} GROUP BY l.{p}, l.{k}) AS q GROUP BY q.p",
    "SELECT q.p, count(q.k) AS n FROM (SELECT DISTINCT l.{p} AS p, l.{k} AS k FROM {L} AS l WHERE {lp}) AS q GROUP BY q.p",
    "SELECT u.k, sum(u.n) AS n FROM (SELECT l.{k} AS k, count(*) AS n FROM {L} AS l WHERE {lp} GROUP BY l.{k} UNION ALL SELECT r.{j}, count(*) AS n FROM {R} AS r GROUP BY r.{j}) AS u GROUP BY u.k",
    "SELECT DISTINCT {l1} FROM {L} AS l LEFT JOIN {R} AS r ON l.{k} = r.{j} WHERE {lp}",
    "SELECT {l1} FROM {L} AS l LEFT JOIN (SELECT r.{j} AS k, count(*) AS n FROM {R} AS r WHERE {rp} GROUP BY r.{j}) AS q ON q.k = l.{k} WHERE {lp}",
    "SELECT {l1}, CASE WHEN {lp} THEN l.{k} WHEN {lp2} THEN NULL ELSE l.{k} END AS k FROM {L} AS l WHERE NOT ({lp3} AND {lp4})",
)  # fmt: skip


def patterned_query(seed: int) -> str:
    """Return one query, the same one for the same seed on every machine."""
    return _Patterns(random.Random(seed)).top()


class _Patterns(Shapes):
    def top(self) -> str:
        left, k, right, j = self.rng.choice(_KEYS)
        if self.chance(0.3):
            left, k, right, j = right, j, left, k
        of_left, of_right = (Frame(sources=[self.base(table, alias)]) for table, alias in ((left, "l"), (right, "r")))
        literal = "1" if self.tables[left][k] == INT else "'bob'"
        return self.rng.choice(_PATTERNS).format_map({
            "L": left,
            "R": right,
            "k": k,
            "j": j,
            "v": literal,
            "v0": self.rng.choice(("0", "1", "2")),
            "not": self.rng.choice(("", "NOT ")),
            "op": self.rng.choice(("UNION", "UNION ALL", "INTERSECT", "EXCEPT")),
            "p": (self.column(of_left, STR) or "").rpartition(".")[2],
            "a": self.aggregate(of_left, INT),
            "l1": f"{self.exact(of_left)} AS a",
            "l2": f"{self.exact(of_left)} AS b",
            "r2": f"{self.exact(of_right)} AS b",
            "rp": self.comparison(of_right, bare=False),
            **{name: self.comparison(of_left, bare=False) for name in ("lp", "lp2", "lp3", "lp4")},
        })  # fmt: skip

    def exact(self, view: Frame) -> str:
        """A value whose equals are the same to the bit, so that DISTINCT and ties leave nothing open."""
        return self.value(view, self.rng.choice((INT, STR, BOOL, DATE)), bare=False)
