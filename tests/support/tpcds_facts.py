"""The fact tables of the tiny TPC-DS database: sales in three channels, some of them returned, and the stock.

Two departures from dsdgen give the queries rows among so few: half of the sales fall on the days that the queries ask
for, and many catalog and web orders echo a store ticket (same customer, same items, same day or soon after).
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from random import Random

from support.tpcds_dimensions import (
    ADDRESSES,
    CATALOG_PAGES,
    CENTERS,
    CUSTOMERS,
    DEMOGRAPHICS,
    HOUSEHOLDS,
    ITEMS,
    NULL_SHARE,
    PAGES,
    PROMOTIONS,
    REASONS,
    SHIP_MODES,
    SITES,
    STORES,
    WAREHOUSES,
    Row,
    date_sk,
)

TICKETS, ORDERS = 700, 320
HOT_SHARE = 0.6
"""Windows of days, each with its number of days: what the queries' parameters select."""
HOT_WINDOWS = (
    (datetime.date(1998, 4, 1), 60),
    (datetime.date(1998, 9, 1), 20),
    (datetime.date(1998, 11, 1), 60),
    (datetime.date(1999, 2, 1), 60),
    (datetime.date(1999, 9, 1), 30),
    (datetime.date(1999, 11, 1), 30),
    (datetime.date(2000, 1, 2), 9),
    (datetime.date(2000, 1, 25), 90),
    (datetime.date(2000, 8, 20), 30),
    (datetime.date(2000, 11, 1), 30),
    (datetime.date(2001, 1, 1), 40),
    (datetime.date(2001, 4, 1), 60),
    (datetime.date(2001, 11, 1), 60),
    (datetime.date(2002, 2, 1), 60),
)
RETURN_DAYS = (datetime.date(2000, 6, 30), datetime.date(2000, 9, 27), datetime.date(2000, 11, 17))
POPULAR_ITEMS = (1, 3, 7, 11, 15, 19, 28, 31, 42, 47)
PROMOTED_DAY = datetime.date(2000, 2, 14)
PROMOTED_ITEM = 7
BULK_HOUSEHOLD = 5


@dataclass(frozen=True)
class Line:
    """One item on a ticket or order: who bought what, when, and the money in cents."""

    customer: int
    item: int
    day: datetime.date
    money: Row


def make_facts(rng: Random) -> dict[str, list[Row]]:
    """Make every fact table; what a row does not name is NULL."""
    store_sales: list[Row] = []
    store_returns: list[Row] = []
    baskets = []
    for ticket in range(1, TICKETS + 1):
        lines = _basket(rng, ticket)
        baskets.append(lines)
        head = _head(rng, "ss", {"store": STORES, "promo": PROMOTIONS, "cdemo": DEMOGRAPHICS, "addr": ADDRESSES})
        head["ss_customer_sk"] = _maybe(rng, lines[0].customer)
        head["ss_sold_date_sk"] = _maybe(rng, date_sk(lines[0].day))
        head["ss_hdemo_sk"] = BULK_HOUSEHOLD if len(lines) > 5 else _key(rng, HOUSEHOLDS)
        head["ss_sold_time_sk"] = _maybe(rng, 900 * rng.randrange(24, 88))
        for line in lines:
            sale = head | {"ss_item_sk": line.item, "ss_ticket_number": ticket}
            store_sales.append(sale | _prefixed("ss", line.money))
            if rng.random() < 0.3:
                store_returns.append(_store_return(rng, line, sale))
    catalog_sales, catalog_returns = _orders(rng, baskets, "cs", "cr")
    web_sales, web_returns = _orders(rng, baskets, "ws", "wr")
    return {
        "store_sales": store_sales,
        "store_returns": store_returns,
        "catalog_sales": catalog_sales,
        "catalog_returns": catalog_returns,
        "web_sales": web_sales,
        "web_returns": web_returns,
        "inventory": _inventory(rng),
    }


def _basket(rng: Random, ticket: int) -> list[Line]:
    customer = rng.randrange(CUSTOMERS) + 1
    if ticket == 1:  # the first order of the other channels is the same: query 58 looks for such
        day, size = datetime.date(2000, 1, 5), 6
    elif ticket % 50 == 0:
        day = datetime.date(1999 + ticket // 50 % 3, rng.randrange(12) + 1, rng.choice((1, 2, 26)))
        size = 16
    elif ticket % 60 == 1:
        return [_line(rng, customer, PROMOTED_ITEM, PROMOTED_DAY)]
    else:
        day, size = _day(rng), rng.randrange(1, 6)
    return [_line(rng, customer, item, day) for item in rng.sample(range(1, ITEMS + 1), size - 1)] + [
        _line(rng, customer, rng.choice(POPULAR_ITEMS), day)
    ]


def _orders(rng: Random, baskets: list[list[Line]], sold: str, returned: str) -> tuple[list[Row], list[Row]]:
    """Make the catalog or web orders and their returns."""
    sales: list[Row] = []
    returns: list[Row] = []
    for order in range(1, ORDERS + 1):
        lines = rng.choice(baskets)
        if order == 1:
            lines = baskets[0]
        elif rng.random() < 0.7:
            later = datetime.timedelta(days=rng.choice((0, 0, 20, 60)))
            lines = [Line(line.customer, line.item, line.day + later, line.money) for line in lines]
        else:
            lines = _basket(rng, order)
        heads = {"cs": {"call_center": CENTERS, "catalog_page": CATALOG_PAGES}, "ws": {"web_site": SITES}}[sold]
        head = _head(rng, sold, heads | {"promo": PROMOTIONS})
        head |= _parties(rng, lines[0].customer, (f"{sold}_bill", f"{sold}_ship"), same=0.5)
        head[f"{sold}_sold_time_sk"] = _maybe(rng, 900 * rng.randrange(24, 88))
        for line in lines:
            sale = head | {
                f"{sold}_sold_date_sk": _maybe(rng, date_sk(line.day)),
                f"{sold}_ship_date_sk": _maybe(rng, date_sk(line.day) + rng.choice((2, 10, 40, 70, 100, 130))),
                f"{sold}_ship_mode_sk": _key(rng, SHIP_MODES),
                f"{sold}_warehouse_sk": _key(rng, WAREHOUSES),
                f"{sold}_item_sk": line.item,
                f"{sold}_order_number": order,
            }
            if sold == "ws":
                sale["ws_web_page_sk"] = _key(rng, PAGES)
            sales.append(sale | _prefixed(sold, line.money | _shipping(rng, line.money)))
            if order % 3 and rng.random() < 0.4:
                returns.append(_order_return(rng, line, sale, sold, returned))
    return sales, returns


def _store_return(rng: Random, line: Line, sale: Row) -> Row:
    same = {f"sr_{name}_sk": sale[f"ss_{name}_sk"] for name in ("customer", "cdemo", "hdemo", "addr", "store")}
    day = line.day + datetime.timedelta(days=rng.choice((3, 20, 45, 75, 100, 150)))
    money = _refund(rng, line.money)
    money["return_amt"] = money.pop("return_amount")
    return same | {
        "sr_returned_date_sk": _maybe(rng, date_sk(rng.choice(RETURN_DAYS) if rng.random() < HOT_SHARE / 6 else day)),
        "sr_return_time_sk": _maybe(rng, 900 * rng.randrange(96)),
        "sr_item_sk": line.item,
        "sr_reason_sk": _key(rng, REASONS),
        "sr_ticket_number": sale["ss_ticket_number"],
        "sr_store_credit": money["refunded_cash"],
        **_prefixed("sr", money),
    }


def _order_return(rng: Random, line: Line, sale: Row, sold: str, returned: str) -> Row:
    day = line.day + datetime.timedelta(days=rng.choice((3, 20, 45, 75)))
    money = _refund(rng, line.money)
    if returned == "cr":
        kept = {f"cr_{name}_sk": sale[f"cs_{name}_sk"] for name in ("call_center", "catalog_page", "ship_mode")}
        kept |= {"cr_store_credit": money["refunded_cash"], "cr_warehouse_sk": sale["cs_warehouse_sk"]}
    else:
        money["return_amt"] = money.pop("return_amount")
        kept = {"wr_web_page_sk": sale["ws_web_page_sk"], "wr_account_credit": money["refunded_cash"]}
    return {
        **kept,
        **_parties(rng, line.customer, (f"{returned}_refunded", f"{returned}_returning"), same=0.8),
        f"{returned}_returned_date_sk": _maybe(
            rng, date_sk(rng.choice(RETURN_DAYS) if rng.random() < HOT_SHARE / 6 else day)
        ),
        f"{returned}_returned_time_sk": _maybe(rng, 900 * rng.randrange(96)),
        f"{returned}_item_sk": line.item,
        f"{returned}_reason_sk": _key(rng, REASONS),
        f"{returned}_order_number": sale[f"{sold}_order_number"],
        **_prefixed(returned, money),
    }


def _line(rng: Random, customer: int, item: int, day: datetime.date) -> Line:
    quantity = rng.randrange(1, 101)
    cost = rng.randrange(100, 10_001)
    listed = cost * rng.randrange(100, 201) // 100
    price = listed * rng.randrange(20, 101) // 100
    coupon = quantity * price * rng.randrange(1, 60) // 100 if rng.random() < 0.2 else 0
    paid = quantity * price - coupon
    tax = paid * rng.randrange(10) // 100
    money: Row = {
        "quantity": quantity,
        "wholesale_cost": cost,
        "list_price": listed,
        "sales_price": price,
        "ext_discount_amt": quantity * (listed - price),
        "ext_sales_price": quantity * price,
        "ext_wholesale_cost": quantity * cost,
        "ext_list_price": quantity * listed,
        "ext_tax": tax,
        "coupon_amt": coupon,
        "net_paid": paid,
        "net_paid_inc_tax": paid + tax,
        "net_profit": paid - quantity * cost,
    }
    return Line(customer, item, day, {name: _maybe(rng, value) for name, value in money.items()})


def _shipping(rng: Random, money: Row) -> Row:
    ship = rng.randrange(0, 10_000)
    paid, taxed = money["net_paid"], money["net_paid_inc_tax"]
    return {
        "ext_ship_cost": ship,
        "net_paid_inc_ship": paid + ship if isinstance(paid, int) else None,
        "net_paid_inc_ship_tax": taxed + ship if isinstance(taxed, int) else None,
    }


def _refund(rng: Random, money: Row) -> Row:
    bought, price = money["quantity"], money["sales_price"]
    quantity = rng.randrange(bought) + 1 if isinstance(bought, int) else None
    amount = quantity * price if quantity is not None and isinstance(price, int) else None
    fee, ship = rng.randrange(50, 10_000), rng.randrange(0, 10_000)
    values: Row = {"return_quantity": quantity, "fee": fee, "return_ship_cost": ship, "net_loss": fee + ship}
    cash = None if amount is None else amount * rng.randrange(20, 60) // 100
    values |= {"return_amount": amount, "return_tax": fee // 10, "return_amt_inc_tax": amount}
    return values | {
        "refunded_cash": cash,
        "reversed_charge": None if amount is None or cash is None else amount - cash,
    }


def _inventory(rng: Random) -> list[Row]:
    """Stock week by week from 1998 to 2002: of every item in the spring of 2000, of popular ones at other times."""
    rows: list[Row] = []
    day = datetime.date(1998, 1, 1)
    while day.year < 2003:
        spring = datetime.date(2000, 2, 10) <= day <= datetime.date(2000, 7, 20)
        volatile = datetime.date(2001, 1, 1) <= day <= datetime.date(2001, 2, 28)
        items = range(1, ITEMS + 1) if spring else POPULAR_ITEMS
        for item in items:
            for warehouse in (1, 2):
                stock = rng.choice((0, 0, 1000)) if volatile else rng.choice((5, 20, 200, 400, 450))
                row = {"inv_date_sk": date_sk(day), "inv_item_sk": item, "inv_warehouse_sk": warehouse}
                rows.append(row | {"inv_quantity_on_hand": _maybe(rng, stock)})
        day += datetime.timedelta(days=7)
    return rows


def _head(rng: Random, prefix: str, sizes: dict[str, int]) -> Row:
    return {f"{prefix}_{name}_sk": _key(rng, size) for name, size in sizes.items()}


def _parties(rng: Random, customer: int, prefixes: tuple[str, str], same: float) -> Row:
    """Return the keys of the two customers of an order or return: with probability `same` one person."""
    one, two = prefixes
    sizes = {"cdemo": DEMOGRAPHICS, "hdemo": HOUSEHOLDS, "addr": ADDRESSES}
    row: Row = {f"{one}_customer_sk": _maybe(rng, customer), **_head(rng, one, sizes)}
    if rng.random() < same:
        return row | {name.replace(one, two): value for name, value in row.items()}
    return row | {f"{two}_customer_sk": _key(rng, CUSTOMERS), **_head(rng, two, sizes)}


def _prefixed(prefix: str, values: Row) -> Row:
    return {f"{prefix}_{name}": value for name, value in values.items()}


def _day(rng: Random) -> datetime.date:
    if rng.random() < HOT_SHARE:
        start, days = rng.choice(HOT_WINDOWS)
        return start + datetime.timedelta(days=rng.randrange(days))
    return datetime.date(1998, 1, 1) + datetime.timedelta(days=rng.randrange(5 * 365))


def _key(rng: Random, size: int) -> object:
    return _maybe(rng, rng.randrange(size) + 1)


def _maybe(rng: Random, value: object) -> object:
    return None if rng.random() < NULL_SHARE else value
