"""Data that grows: a file of orders for each day, and two dimensions. Whole numbers and texts: all agree on them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

FIRST = dt.date(2025, 1, 1)
PRODUCTS, SEGMENTS, COUNTRIES, CATEGORIES = 1000, 5, 40, 20


def users_of(rows: int) -> int:
    """Return how many users there are, by the rows of a day: about as many as the days have together for a few."""
    return max(50, rows * 2)


def write_dimensions(folder: Path, users: int, *, version: int = 0) -> None:
    """Write users and products. version: others than 0 have one user in another country."""
    numbers = np.arange(users)
    countries = [f"country {n % COUNTRIES:02d}" for n in numbers]
    countries[7] = f"country {(7 + version) % COUNTRIES:02d}"
    segments = [f"segment {n % SEGMENTS}" for n in numbers]
    pq.write_table(pa.table({"user_id": numbers, "country": countries, "segment": segments}), folder / "users.parquet")
    products = np.arange(PRODUCTS)
    categories = [f"category {n % CATEGORIES:02d}" for n in products]
    costs = products * 7 % 500 + 10
    table = pa.table({"product_id": products, "category": categories, "cost": costs})
    pq.write_table(table, folder / "products.parquet")


def write_day(folder: Path, number: int, rows: int, *, version: int = 0, late: int = 0) -> None:
    """Write the file of a day. version: others than 0 move an amount between two orders; late: so many rows more."""
    chance = np.random.default_rng([number, 1])
    total = rows + late
    users = chance.integers(0, users_of(rows), total)
    day = FIRST + dt.timedelta(days=number)
    cents = chance.integers(100, 20_000, total)
    quantity = chance.integers(1, 9, total)
    if version:  # equal totals of rows, quantities and cents
        quantity[0] = quantity[1] = 1
        cents[0] += 50
        cents[1] -= 50
    order = np.arange(total) + number * 10_000_000
    again = chance.random(total) < 0.02  # noqa: PLR2004 — two in a hundred are sent twice
    order = np.where(again & (np.arange(total) > 0), order - 1, order)
    status = np.array(["paid", "paid", "paid", "sent", "refund", "void"])[chance.integers(0, 6, total)]
    table = pa.table(
        {
            "day": pa.array([day] * total, pa.date32()),
            "id": np.arange(total) + number * 10_000_000,
            "order_id": order,
            "user_id": users,
            "product_id": chance.integers(0, PRODUCTS + 3, total),  # some of them unknown
            "quantity": quantity,
            "cents": cents,
            "status": status,
        }
    )
    pq.write_table(table, place_of(folder, number))


def place_of(folder: Path, number: int) -> Path:
    """Return the file of a day."""
    return folder / "orders" / f"{FIRST + dt.timedelta(days=number)}.parquet"
