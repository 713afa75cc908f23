"""Rules written both ways, in Ibis and in SQL: one fingerprint, and the table that the engine makes of either is one.

A case that says why cannot have one fingerprint; its tables must be equal all the same.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.databases import same_table
from support.projects import SampleProject


@dataclass(frozen=True)
class Case:
    """The same rule as an Ibis expression and as a query."""

    name: str
    ibis: str
    sql: str
    why: str = ""


CASES = (
    Case(
        "filter",
        'orders.filter(orders.amount>10).select("id","amount")',
        "SELECT o.id, o.amount FROM orders AS o WHERE o.amount > 10",
    ),
    Case(
        "two_filters",
        'orders.filter(orders.amount>10, orders.region=="EU").select("id")',
        "SELECT id FROM orders WHERE region='EU' AND amount>10",
    ),
    Case(
        "computed",
        'orders.select("id", total=orders.amount*orders.quantity)',
        "SELECT id, amount*quantity AS total FROM orders",
    ),
    Case(
        "mutate",
        "orders.mutate(total=orders.amount*orders.quantity)",
        "SELECT *, amount*quantity AS total FROM orders",
    ),
    Case(
        "agg",
        'orders.group_by("region").agg(total=orders.amount.sum(), n=orders.count())',
        "SELECT region, SUM(amount) AS total, COUNT(*) AS n FROM orders GROUP BY region",
    ),
    Case(
        "agg_expr",
        "orders.group_by(year=orders.placed.year()).agg(total=orders.amount.sum())",
        "SELECT date_part('year', placed) AS year, SUM(amount) AS total FROM orders GROUP BY date_part('year', placed)",
    ),
    Case(
        "having",
        'orders.group_by("region").agg(n=orders.count()).filter(_.n>3)',
        "SELECT region, COUNT(*) AS n FROM orders GROUP BY region HAVING COUNT(*)>3",
    ),
    Case(
        "join",
        "orders.join(customers, orders.customer==customers.id).select(orders.id, customers.name)",
        "SELECT o.id, c.name FROM orders o JOIN customers c ON o.customer=c.id",
    ),
    Case(
        "left_join",
        "orders.left_join(customers, orders.customer==customers.id).select(orders.id, customers.name)",
        "SELECT o.id, c.name FROM orders o LEFT JOIN customers c ON o.customer=c.id",
    ),
    Case(
        "join_agg",
        'orders.join(customers, orders.customer==customers.id).group_by("country").agg(total=_.amount.sum())',
        "SELECT c.country, SUM(o.amount) AS total FROM orders o JOIN customers c ON o.customer=c.id GROUP BY c.country",
    ),
    Case(
        "rank",
        'orders.mutate(r=ibis.rank().over(group_by="region", order_by=ibis.desc("amount"))).select("id","r")',
        "SELECT id, rank() OVER (PARTITION BY region ORDER BY amount DESC NULLS LAST) - 1 AS r FROM orders",
    ),
    Case(
        "rown",
        'orders.select("id",r=ibis.row_number().over(group_by="region", order_by="placed"))',
        "SELECT id, row_number() OVER (PARTITION BY region ORDER BY placed) - 1 AS r FROM orders",
    ),
    Case(
        "cumsum",
        'orders.select("id",r=orders.amount.cumsum(group_by="region", order_by="placed"))',
        "SELECT id, SUM(amount) OVER (PARTITION BY region ORDER BY placed ROWS BETWEEN UNBOUNDED "
        "PRECEDING AND CURRENT ROW) AS r FROM orders",
    ),
    Case(
        "lag",
        'orders.select("id",r=orders.amount.lag().over(group_by="region", order_by="placed"))',
        "SELECT id, lag(amount) OVER (PARTITION BY region ORDER BY placed) AS r FROM orders",
    ),
    Case(
        "window_mean",
        'orders.select("id",r=orders.amount.mean().over(group_by="region"))',
        "SELECT id, AVG(amount) OVER (PARTITION BY region) AS r FROM orders",
    ),
    Case(
        "case",
        'orders.select("id", s=ibis.cases((orders.amount>100,"big"),else_="small"))',
        "SELECT id, CASE WHEN amount>100 THEN 'big' ELSE 'small' END AS s FROM orders",
    ),
    Case(
        "distinct",
        'orders.select("region").distinct()',
        "SELECT DISTINCT region FROM orders",
    ),
    Case(
        "union",
        'orders.select("id").union(customers.select("id"))',
        "SELECT id FROM orders UNION ALL SELECT id FROM customers",
    ),
    Case(
        "union_distinct",
        'orders.select("id").union(customers.select("id"),distinct=True)',
        "SELECT id FROM orders UNION SELECT id FROM customers",
    ),
    Case(
        "isin",
        'orders.filter(orders.region.isin(["EU","US"])).select("id")',
        "SELECT id FROM orders WHERE region IN ('US','EU')",
    ),
    Case(
        "semi",
        'orders.semi_join(customers, orders.customer==customers.id).select("id")',
        "SELECT o.id FROM orders o LEFT SEMI JOIN customers c ON o.customer=c.id",
    ),
    Case(
        "semi_exists",
        'orders.semi_join(customers, orders.customer==customers.id).select("id")',
        "SELECT o.id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE o.customer=c.id)",
    ),
    Case(
        "anti",
        'orders.anti_join(customers, orders.customer==customers.id).select("id")',
        "SELECT o.id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM customers c WHERE o.customer=c.id)",
    ),
    Case(
        "top",
        'orders.order_by(ibis.desc("amount"),"id").limit(3).select("id")',
        "SELECT id FROM orders ORDER BY amount DESC NULLS LAST, id LIMIT 3",
        why="Ibis chooses the columns in a query around the one with the LIMIT",
    ),
    Case(
        "null",
        "orders.filter(orders.region.notnull()).select(q=orders.quantity.fill_null(0))",
        "SELECT COALESCE(quantity,0) AS q FROM orders WHERE region IS NOT NULL",
    ),
    Case(
        "div",
        "orders.select(q=orders.amount/orders.quantity)",
        "SELECT amount/quantity AS q FROM orders",
    ),
    Case(
        "intdiv",
        "orders.select(q=orders.quantity/2)",
        "SELECT CAST(quantity AS DOUBLE)/2 AS q FROM orders",
    ),
    Case(
        "cast",
        'orders.select(q=orders.quantity.cast("float64"), d=orders.placed.date())',
        "SELECT CAST(quantity AS DOUBLE) AS q, CAST(placed AS DATE) AS d FROM orders",
    ),
    Case(
        "strings",
        'orders.select(q=orders.region.upper(), l=orders.region.length(), n=orders.region+"-x", '
        's=orders.region.startswith("E"))',
        "SELECT upper(region) AS q, length(region) AS l, region || '-x' AS n, starts_with(region,'E') AS s FROM orders",
    ),
    Case(
        "date_lit",
        'orders.filter(orders.day>=ibis.date("2024-01-01")).select("id")',
        "SELECT id FROM orders WHERE day >= DATE '2024-01-01'",
    ),
    Case(
        "ts_lit",
        'orders.filter(orders.placed>=ibis.timestamp("2024-01-01 10:00:00")).select("id")',
        "SELECT id FROM orders WHERE placed >= TIMESTAMP '2024-01-01 10:00:00'",
    ),
    Case(
        "trunc",
        'orders.select(m=orders.placed.truncate("M"))',
        "SELECT date_trunc('month', placed) AS m FROM orders",
    ),
    Case(
        "between",
        'orders.filter(orders.amount.between(1,2)).select("id")',
        "SELECT id FROM orders WHERE amount BETWEEN 1 AND 2",
    ),
    Case(
        "nunique",
        'orders.group_by("region").agg(n=orders.customer.nunique(), s=orders.amount.sum(where=orders.quantity>1))',
        "SELECT region, COUNT(DISTINCT customer) AS n, SUM(amount) FILTER (WHERE quantity>1) AS s "
        "FROM orders GROUP BY region",
    ),
    Case(
        "two_steps",
        'orders.mutate(total=orders.amount*orders.quantity).filter(_.total>5).group_by("region").agg(s=_.total.sum())',
        "WITH x AS (SELECT region, amount*quantity AS total FROM orders) SELECT region, SUM(total) "
        "AS s FROM x WHERE total>5 GROUP BY region",
    ),
    Case(
        "negated",
        'orders.filter(~(orders.amount>10)).select("id")',
        "SELECT id FROM orders WHERE NOT amount>10",
    ),
    Case(
        "either",
        'orders.filter((orders.amount>10)|(orders.region=="EU")).select("id")',
        "SELECT id FROM orders WHERE amount>10 OR region='EU'",
    ),
    Case(
        "coalesce",
        'orders.select(x=ibis.coalesce(orders.region,"?"), r=orders.amount.round(2), a=orders.amount.abs())',
        "SELECT COALESCE(region,'?') AS x, round(amount,2) AS r, abs(amount) AS a FROM orders",
    ),
    Case(
        "count_all",
        "orders.agg(n=orders.count(),m=orders.amount.max())",
        "SELECT COUNT(*) AS n, MAX(amount) AS m FROM orders",
    ),
    Case(
        "self_join",
        'orders.join(orders.view(), "customer").select("id")',
        "SELECT a.id FROM orders a JOIN orders b ON a.customer=b.customer",
    ),
    Case(
        "rename",
        'orders.rename(ident="id").select("ident")',
        "SELECT id AS ident FROM orders",
    ),
    Case(
        "drop",
        'customers.drop("country")',
        "SELECT id, name FROM customers",
    ),
    Case(
        "like",
        'customers.filter(customers.name.like("A%")).select("id")',
        "SELECT id FROM customers WHERE name LIKE 'A%'",
    ),
    Case(
        "contains",
        'customers.filter(customers.name.contains("A")).select("id")',
        "SELECT id FROM customers WHERE strpos(name,'A')>0",
    ),
    Case(
        "ifelse",
        "orders.select(x=(orders.amount>1).ifelse(1,0))",
        "SELECT CASE WHEN amount>1 THEN 1 ELSE 0 END AS x FROM orders",
    ),
    Case(
        "extract",
        "orders.select(a=orders.placed.month(), h=orders.placed.hour(), m=orders.placed.minute(),)",
        "SELECT date_part('month',placed) AS a, date_part('hour',placed) AS h, "
        "date_part('minute',placed) AS m FROM orders",
    ),
    Case(
        "moving",
        'orders.select("id", r=orders.amount.sum().over(ibis.window(group_by="region", '
        'order_by="placed", preceding=2, following=0)))',
        "SELECT id, SUM(amount) OVER (PARTITION BY region ORDER BY placed ROWS BETWEEN 2 PRECEDING "
        "AND CURRENT ROW) AS r FROM orders",
    ),
    Case(
        "share",
        'orders.group_by("region").mutate(share=_.quantity/_.quantity.sum()).select("id","share")',
        "SELECT id, CAST(quantity AS DOUBLE)/SUM(quantity) OVER (PARTITION BY region) AS share FROM orders",
    ),
    Case(
        "first_over",
        'orders.select("id", r=orders.amount.first().over(group_by="region", order_by="placed"))',
        "SELECT id, first_value(amount) OVER (PARTITION BY region ORDER BY placed ROWS BETWEEN "
        "UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS r FROM orders",
    ),
    Case(
        "unpivot",
        'orders.select("id","amount",quantity=orders.quantity.cast("float64")).pivot_longer(["amount","quantity"])',
        "SELECT id, 'amount' AS name, amount AS value FROM orders UNION ALL SELECT id, 'quantity' "
        "AS name, CAST(quantity AS DOUBLE) AS value FROM orders",
        why="Ibis unpivots through a list of structs",
    ),
    Case(
        "union_by_hand",
        'orders.select("id",name=ibis.literal("amount"),value="amount").union(orders.select("id",na'
        'me=ibis.literal("quantity"),value=orders.quantity.cast("float64")))',
        "SELECT id, 'amount' AS name, amount AS value FROM orders UNION ALL SELECT id, 'quantity' "
        "AS name, CAST(quantity AS DOUBLE) AS value FROM orders",
    ),
    Case(
        "intersect",
        'orders.select("id").intersect(customers.select("id"))',
        "SELECT id FROM orders INTERSECT SELECT id FROM customers",
    ),
    Case(
        "difference",
        'orders.select("id").difference(customers.select("id"))',
        "SELECT id FROM orders EXCEPT SELECT id FROM customers",
    ),
    Case(
        "struct_field",
        'places.select("id", town=places.home.town)',
        "SELECT id, home['town'] AS town FROM places",
    ),
    Case(
        "list_item",
        'places.select("id", first=places.tags[0])',
        "SELECT id, tags[1] AS first FROM places",
    ),
    Case(
        "unnested",
        'places.select("id", tag=places.tags.unnest())',
        "SELECT id, UNNEST(tags) AS tag FROM places",
    ),
    Case(
        "listlen",
        'places.select("id", n=places.tags.length())',
        "SELECT id, array_length(tags) AS n FROM places",
    ),
    Case(
        "simple_case",
        'orders.select("id", s=orders.region.cases(("EU","Europe"),("US","America"),else_="?"))',
        "SELECT id, CASE region WHEN 'EU' THEN 'Europe' WHEN 'US' THEN 'America' ELSE '?' END AS s FROM orders",
    ),
    Case(
        "date_parts",
        "orders.select(y=orders.day.year(), q=orders.day.quarter(), d=orders.day.day(), n=orders.day.day_of_year())",
        "SELECT date_part('year',day) AS y, date_part('quarter',day) AS q, date_part('day',day) AS "
        "d, date_part('doy',day) AS n FROM orders",
    ),
    Case(
        "dow",
        "orders.select(w=orders.day.day_of_week.index())",
        "SELECT (date_part('dow',day)+6)%7 AS w FROM orders",
    ),
    Case(
        "nullif",
        'orders.select(x=orders.region.nullif("EU"))',
        "SELECT NULLIF(region,'EU') AS x FROM orders",
    ),
    Case(
        "cross_join",
        'orders.select("id").cross_join(customers.select("name"))',
        "SELECT o.id, c.name FROM orders o CROSS JOIN customers c",
    ),
    Case(
        "full_join",
        "orders.outer_join(customers, orders.customer==customers.id).select(orders.amount, customers.name)",
        "SELECT o.amount, c.name FROM orders o FULL JOIN customers c ON o.customer=c.id",
    ),
    Case(
        "in_table",
        'orders.filter(orders.customer.isin(customers.id)).select("id")',
        "SELECT id FROM orders WHERE customer IN (SELECT id FROM customers)",
    ),
    Case(
        "scalar",
        'orders.filter(orders.customer==customers.id.max().as_scalar()).select("id")',
        "SELECT id FROM orders WHERE customer = (SELECT MAX(id) FROM customers)",
    ),
    Case(
        "texts",
        "orders.select(u=orders.region.upper(), n=orders.region.length(), s=orders.region.substr(0,1))",
        "SELECT upper(region) AS u, length(region) AS n, substr(region,1,1) AS s FROM orders",
    ),
    Case(
        "plus_day",
        "orders.select(d=orders.placed+ibis.interval(days=1))",
        "SELECT placed + INTERVAL '1 day' AS d FROM orders",
    ),
    Case(
        "spread",
        'orders.group_by("region").agg(s=_.amount.std(), v=_.amount.var(how="pop"))',
        "SELECT region, stddev(amount) AS s, var_pop(amount) AS v FROM orders GROUP BY region",
    ),
    Case(
        "tuned",
        'orders.filter(orders.amount>10).filter(orders.quantity>1).select("id","region").filter(_.region=="EU")',
        "SELECT id, region FROM orders WHERE amount>10 AND quantity>1 AND region='EU'",
    ),
)


def _project(root: Path) -> SampleProject:
    project = SampleProject(root, sources=["orders", "customers", "places"])
    days = [datetime.date(2023, 12, 30) + datetime.timedelta(days=number) for number in range(8)]
    project.parquet(
        "orders",
        {
            "id": list(range(8)),
            "customer": [1, 1, 2, 2, 3, None, 9, 1],
            "region": ["EU", "US", "EU", None, "APAC", "EU", "US", "EU"],
            "amount": [10.5, 200.25, 30.0, 4.75, None, 1.5, 120.0, 11.0],
            "quantity": [1, 2, None, 4, 5, 6, 3, 8],
            "placed": [datetime.datetime(day.year, day.month, day.day, 9 + day.day % 5, 30) for day in days],
            "day": days,
        },
    )
    project.parquet("customers", {"id": [1, 2, 3], "name": ["Ada", "Bob", None], "country": ["DE", "FR", "DE"]})
    homes = [{"town": "Ulm"}, None, {"town": None}]
    project.parquet("places", {"id": [1, 2, 3], "home": homes, "tags": [["a", "b"], [], None]})
    return project


@pytest.fixture(scope="module")
def in_sql(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    project = _project(tmp_path_factory.mktemp("sql") / "project")
    for case in CASES:
        project.sql(case.name, case.sql)
    return project


def _in_python(root: Path) -> SampleProject:
    project = _project(root)
    functions = [f"@rule\ndef {case.name}({', '.join(_inputs(case))}):\n    return {case.ibis}\n" for case in CASES]
    header = "import ibis\nfrom ibis import _\n\nfrom rules import rule\n"
    project.write("rules/cases.py", "\n\n".join([header, *functions]))
    return project


def _inputs(case: Case) -> list[str]:
    return [name for name in ("orders", "customers", "places") if f"{name}." in case.ibis or f"({name}" in case.ibis]


@pytest.fixture(scope="module")
def fingerprints(in_sql: SampleProject) -> dict[str, str]:
    return {product["name"]: product["fingerprint"] for product in in_sql.build()["products"]}


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["prod_fast", "dev_debug"])
def test_both_ways(in_sql: SampleProject, fingerprints: dict[str, str], tmp_path: Path, profile: str) -> None:
    """The profile decides whether Ibis fuses its SELECTs, which no fingerprint shows."""
    in_python = _in_python(tmp_path / "project")
    built = in_python.build("--profile", profile)
    # Two of the cases may mean the same, and then one is restored from the other.
    assert {product["status"] for product in built["products"]} <= {"executed", "restored"}
    found = {product["name"]: product["fingerprint"] for product in built["products"]}
    differ = {case.name for case in CASES if found[case.name] != fingerprints[case.name]}
    assert differ == {case.name for case in CASES if case.why}
    for case in CASES:
        assert same_table(in_python.product(case.name), in_sql.product(case.name), ordered=False), case.name


@pytest.mark.slow
def test_lineage_is_the_same(in_sql: SampleProject, fingerprints: dict[str, str], tmp_path: Path) -> None:
    assert fingerprints
    in_python = _in_python(tmp_path / "project")
    for column in ("join_agg.total", "cumsum.r", "two_steps.s"):
        found = []
        for project in (in_sql, in_python):
            upstream = project.json("lineage", column)["upstream"]
            found.append([(one["column"], one["kind"]) for one in upstream])  # Ibis has aliases of its own
        assert found[0] == found[1]
        assert found[0]
