"""Twenty-four models in four layers, in SQL that all tools read alike; {NAME} is a table of a source or of a model.

by_day: each row of the model is of one day, and depends on orders of that day alone; the other tools build those
incrementally, by filters that are written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

SOURCES = ("orders", "users", "products")


class Model(NamedTuple):
    """A model. day: the expression of its day in terms of its first input, where it is built by day; "" else."""

    sql: str
    by_day: bool = False

    @property
    def inputs(self) -> list[str]:
        """The tables that it reads, each once."""
        return list(dict.fromkeys(re.findall(r"\{(\w+)\}", self.sql)))


_ROWS = "SELECT a.day, a.id, a.user_id, a.product_id, a.cents FROM {amounts} AS a"

MODELS: Mapping[str, Model] = {
    # rows
    "clean": Model(
        "SELECT o.day, o.id, o.order_id, o.user_id, o.product_id, o.quantity, o.cents, o.status FROM {orders} AS o "
        "WHERE o.status <> 'void'",
        by_day=True,
    ),
    "amounts": Model(
        "SELECT c.day, c.id, c.order_id, c.user_id, c.product_id, c.quantity, c.cents * c.quantity AS cents "
        "FROM {clean} AS c WHERE c.status <> 'refund'",
        by_day=True,
    ),
    "refunds": Model(
        "SELECT c.day, c.id, c.product_id, c.cents FROM {clean} AS c WHERE c.status = 'refund'", by_day=True
    ),
    "large": Model(f"{_ROWS} WHERE a.cents > 100000", by_day=True),
    # dimensions
    "with_product": Model(
        "SELECT a.day, a.id, a.user_id, a.quantity, a.cents, p.category, a.cents - p.cost * a.quantity AS margin "
        "FROM {amounts} AS a JOIN {products} AS p ON a.product_id = p.product_id",
        by_day=True,
    ),
    "with_user": Model(
        "SELECT a.day, a.id, a.user_id, a.cents, u.country, u.segment FROM {amounts} AS a "
        "JOIN {users} AS u ON a.user_id = u.user_id",
        by_day=True,
    ),
    "enriched": Model(
        "SELECT w.day, w.id, w.category, w.cents, w.margin, u.country, u.segment FROM {with_product} AS w "
        "JOIN {users} AS u ON w.user_id = u.user_id",
        by_day=True,
    ),
    "known_refunds": Model(
        "SELECT r.day, r.id, r.cents FROM {refunds} AS r "
        "WHERE r.product_id IN (SELECT p.product_id FROM {products} AS p WHERE p.category < 'category 10')",
        by_day=True,
    ),
    # aggregates, distinct, dedupe, windows, top n
    "by_day": Model(
        "SELECT a.day, COUNT(*) AS n, SUM(a.cents) AS cents FROM {amounts} AS a GROUP BY a.day", by_day=True
    ),
    "by_category": Model(
        "SELECT w.category, COUNT(*) AS n, SUM(w.margin) AS margin FROM {with_product} AS w GROUP BY w.category"
    ),
    "by_country_day": Model(
        "SELECT w.day, w.country, SUM(w.cents) AS cents FROM {with_user} AS w GROUP BY w.day, w.country", by_day=True
    ),
    "by_user": Model(
        "SELECT a.user_id, COUNT(*) AS n, SUM(a.cents) AS cents, MAX(a.cents) AS most FROM {amounts} AS a "
        "GROUP BY a.user_id"
    ),
    "by_product": Model(
        "SELECT a.product_id, SUM(a.quantity) AS n, SUM(a.cents) AS cents FROM {amounts} AS a GROUP BY a.product_id"
    ),
    "by_segment": Model(
        "SELECT e.segment, e.category, SUM(e.cents) AS cents, SUM(e.margin) AS margin FROM {enriched} AS e "
        "GROUP BY e.segment, e.category"
    ),
    "buyers": Model("SELECT DISTINCT w.user_id, w.country FROM {with_user} AS w"),
    "active_users": Model(
        "SELECT a.day, COUNT(DISTINCT a.user_id) AS n FROM {amounts} AS a GROUP BY a.day", by_day=True
    ),
    "deduped": Model(
        "SELECT d.day, d.id, d.order_id, d.cents FROM (SELECT a.day, a.id, a.order_id, a.cents, ROW_NUMBER() OVER "
        "(PARTITION BY a.day, a.order_id ORDER BY a.id) AS place FROM {amounts} AS a) AS d WHERE d.place = 1",
        by_day=True,
    ),
    "best_of_day": Model(
        "SELECT d.day, d.id, d.cents, d.place FROM (SELECT a.day, a.id, a.cents, ROW_NUMBER() OVER "
        "(PARTITION BY a.day ORDER BY a.cents DESC, a.id) AS place FROM {amounts} AS a) AS d WHERE d.place <= 10",
        by_day=True,
    ),
    "running": Model("SELECT b.day, b.cents, SUM(b.cents) OVER (ORDER BY b.day) AS total FROM {by_day} AS b"),
    "last_order": Model(
        "SELECT d.user_id, d.day, d.id, d.cents FROM (SELECT a.user_id, a.day, a.id, a.cents, ROW_NUMBER() OVER "
        "(PARTITION BY a.user_id ORDER BY a.day DESC, a.id DESC) AS place FROM {large} AS a) AS d WHERE d.place = 1"
    ),
    "top_products": Model(
        "SELECT b.product_id, b.cents FROM {by_product} AS b ORDER BY b.cents DESC, b.product_id LIMIT 100"
    ),
    "top_users": Model("SELECT b.user_id, b.cents FROM {by_user} AS b ORDER BY b.cents DESC, b.user_id LIMIT 100"),
    # quality of the data
    "orphans": Model(
        "SELECT o.day, COUNT(*) AS n FROM {orders} AS o LEFT JOIN {products} AS p ON o.product_id = p.product_id "
        "WHERE p.product_id IS NULL GROUP BY o.day",
        by_day=True,
    ),
    "quality": Model(
        "SELECT o.day, COUNT(*) AS n, COUNT(o.user_id) AS users, MIN(o.cents) AS least, MAX(o.cents) AS most, "
        "SUM(CASE WHEN o.quantity < 1 THEN 1 ELSE 0 END) AS wrong FROM {orders} AS o GROUP BY o.day",
        by_day=True,
    ),
}

ADDED = {
    "valid": Model(f"{_ROWS} WHERE a.cents < 150000", by_day=True),
    "by_user": Model(
        "SELECT v.user_id, COUNT(*) AS n, SUM(v.cents) AS cents, MAX(v.cents) AS most FROM {valid} AS v "
        "GROUP BY v.user_id"
    ),
}
"""A model that is added in the middle, and the one that reads it from then on."""


def models(*, added: bool) -> dict[str, Model]:
    """Return all models, inputs first."""
    found = dict(MODELS)
    if not added:
        return found
    ordered: dict[str, Model] = {}
    for name, model in found.items():
        if name == "by_user":
            ordered["valid"] = ADDED["valid"]
        ordered[name] = ADDED.get(name, model)
    return ordered
