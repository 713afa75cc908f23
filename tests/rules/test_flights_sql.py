"""The sample project fixtures/flights: its SQL runs as authored, its keys hold, and it finds what is known."""

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from support.reference import execute_reference, fill_variables, read_rules

FLIGHTS = Path(__file__).parents[2] / "fixtures" / "flights"
RULES = read_rules(FLIGHTS)
LAYERS = {"staging", "intermediate", "marts", "quality", "executive"}
Products = dict[str, pa.Table]


@pytest.fixture(scope="module")
def products() -> Products:
    tables: Products = execute_reference(FLIGHTS)
    return tables


def column(products: Products, product: str, name: str) -> dict[str, Any]:
    """One column of a product, by the value of the product's one-column key."""
    (key,) = RULES[product].key
    table = products[product]
    return dict(zip(table[key].to_pylist(), table[name].to_pylist(), strict=True))


def canonical(table: pa.Table) -> list[tuple[object, ...]]:
    """The rows without their order; floats to nine digits, for the engine may add them up in any order."""
    columns = [
        [None if value is None else float(f"{value:.9g}") for value in values.to_pylist()]
        if pa.types.is_floating(values.type)
        else values.cast(pa.int64()).to_pylist()
        if pa.types.is_timestamp(values.type)
        else values.to_pylist()
        for values in table.columns
    ]
    return sorted(zip(*columns, strict=True), key=repr)


def test_every_rule_is_in_a_layer_and_says_what_it_is() -> None:
    assert len(RULES) >= 28
    assert {rule.folder for rule in RULES.values()} == LAYERS
    assert all(rule.description and rule.tags for rule in RULES.values())


@pytest.mark.slow
def test_every_rule_runs(products: Products) -> None:
    assert products.keys() == RULES.keys()


@pytest.mark.parametrize("name", RULES)
def test_columns_keys_and_rows(products: Products, name: str) -> None:
    table = products[name]
    rule = RULES[name]
    assert len(set(table.column_names)) == table.num_columns
    assert table.num_rows > 0 or rule.folder == "quality"
    if rule.key:
        key = table.select(rule.key)
        assert [values.null_count for values in key.columns] == [0] * len(rule.key)
        assert key.group_by(list(rule.key)).aggregate([]).num_rows == table.num_rows


@pytest.mark.slow
def test_no_result_depends_on_how_the_work_was_cut(products: Products) -> None:
    # 3 partitions permute rows and break ties another way: a LIMIT or a window without a total order would show.
    cut = execute_reference(FLIGHTS, partitions=3)
    small = [name for name, table in products.items() if table.num_rows < 10_000]
    large = products.keys() - small
    assert len(small) > 35
    assert [name for name in small if canonical(cut[name]) != canonical(products[name])] == []
    for name in large:
        order = [(key, "ascending") for key in RULES[name].key]
        assert cut[name].sort_by(order).equals(products[name].sort_by(order)), name


def test_flights_cancelled_and_diverted(products: Products) -> None:
    flights = products["clean_flights"]
    assert flights.num_rows == 336_776
    assert pc.sum(flights["is_cancelled"]).as_py() == 8_255
    assert pc.sum(flights["is_diverted"]).as_py() == 1_175
    assert products["flown_flights"].num_rows == 336_776 - 8_255 - 1_175


def test_typed_departure_is_scheduled_time_plus_delay(products: Products) -> None:
    flights = products["clean_flights"].filter(pc.field("dep_delay") == 1_301)
    assert flights.select(["carrier", "flight", "dest"]).to_pylist() == [{"carrier": "HA", "flight": 51, "dest": "HNL"}]
    # Due at 09:00 on 9 January; its clock said 06:41, on the next day.
    assert flights["scheduled_at"].cast(pa.string()).to_pylist() == ["2013-01-09 09:00:00.000000000"]
    assert flights["departed_at"].cast(pa.string()).to_pylist() == ["2013-01-10 06:41:00.000000000"]


def test_carriers_and_their_size(products: Products) -> None:
    flights = column(products, "carrier_scorecard", "flights")
    names = column(products, "carrier_scorecard", "carrier_name")
    assert len(flights) == 16
    assert flights["UA"] == max(flights.values()) == 58_665
    assert flights["OO"] == min(flights.values()) == 32
    assert names["B6"] == "JetBlue Airways"


def test_airports(products: Products) -> None:
    assert column(products, "origin_performance", "flights") == {"EWR": 120_835, "JFK": 111_279, "LGA": 104_662}
    assert products["destination_performance"].num_rows == 105
    assert (
        products["route_competition"].select(["origin", "dest"]).group_by(["origin", "dest"]).aggregate([]).num_rows
        == 224
    )


def test_mean_delays_of_the_year(products: Products) -> None:
    assert pc.mean(products["clean_flights"]["dep_delay"]).as_py() == pytest.approx(12.63907, abs=1e-5)
    assert pc.mean(products["clean_flights"]["arr_delay"]).as_py() == pytest.approx(6.895377, abs=1e-6)
    assert column(products, "carrier_scorecard", "mean_arr_delay")["F9"] == pytest.approx(21.92070, abs=1e-5)


def test_the_february_blizzard_is_the_worst_day(products: Products) -> None:
    assert products["worst_days"].slice(0, 2).select(["flight_date", "cancelled"]).to_pylist() == [
        {"flight_date": date(2013, 2, 8), "cancelled": 472},
        {"flight_date": date(2013, 2, 9), "cancelled": 393},
    ]


def test_months_add_up_to_the_year(products: Products) -> None:
    months = products["monthly_executive"].sort_by("month_start")
    assert months["month_name"].to_pylist()[:2] == ["January", "February"]
    assert months["flights"].to_pylist()[:2] == [27_004, 24_951]
    assert months["flights_year_to_date"].to_pylist()[-1] == 336_776


def test_the_cube_has_every_subtotal(products: Products) -> None:
    cube = products["traffic_cube"]
    totals = cube.group_by("level").aggregate([("flights", "sum"), ("flights", "count")]).to_pylist()
    assert {total["level"]: (total["flights_count"], total["flights_sum"]) for total in totals} == {
        "year": (1, 336_776),
        "month": (12, 336_776),
        "month and airport": (36, 336_776),
    }


def test_rolling_mean_is_the_mean_of_the_last_seven_days(products: Products) -> None:
    days = products["carrier_rolling_delay"].filter(pc.field("carrier") == "DL").sort_by("flight_date")
    week = days.slice(10, 7)
    assert week["mean_arr_delay_7d"][-1].as_py() == pytest.approx(pc.mean(week["mean_arr_delay"]).as_py())
    assert week["flights_7d"][-1].as_py() == pc.sum(week["flights"]).as_py()


def test_quality_rules_find_what_is_wrong_with_this_data(products: Products) -> None:
    assert column(products, "quality_summary", "bad_rows") == {
        "duplicate_flights": 0,
        "reused_flight_numbers": 24,
        "repeated_weather_hours": 3,
        "arrivals_before_departures": 0,
        "unknown_tail_numbers": 721,
        "shared_tail_numbers": 17,
        "unknown_destinations": 4,
        "flights_without_weather": 1_556,
        "implausible_weather": 1,
        "inconsistent_distances": 2,
    }
    assert column(products, "unknown_destinations", "flights") == {"BQN": 896, "SJU": 5_819, "STT": 522, "PSE": 365}
    assert pc.sum(products["unknown_tail_numbers"]["flights"]).as_py() == 50_094
    assert products["implausible_weather"]["wind_speed"].to_pylist() == [1048.36058]
    assert set(products["repeated_weather_hours"]["observed_on"].to_pylist()) == {date(2013, 11, 3)}


def test_variables_become_typed_literals_outside_of_text() -> None:
    variables = {"v": -5, "s": "it's", "d": date(2013, 6, 1), "b": True, "f": 0.5}
    assert fill_variables("a - $v, $s, $d, $b, $f", variables) == "a - (-5), 'it''s', DATE '2013-06-01', TRUE, 0.5"
    untouched = "SELECT '$v' AS \"$v\" -- $v\n/* $v\n */"
    assert fill_variables(untouched, variables) == untouched
    with pytest.raises(ValueError, match=r"\$missing has no value"):
        fill_variables("SELECT $missing", variables)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT n.a FROM nowhere AS n", "no source or rule gives an input of: broken"),
        ("SELECT b.a FROM broken AS b", "no source or rule gives an input of: broken"),
        ("SELECT d.b FROM data AS d", "rule broken: .*No field named d.b"),
    ],
    ids=["unknown input", "cycle", "unknown column"],
)
def test_the_reference_names_a_rule_that_cannot_be_planned(tmp_path: Path, sql: str, message: str) -> None:
    (tmp_path / "rules.toml").write_text('[project]\nname = "p"\n[sources.data]\npath = "data.csv"\n')
    (tmp_path / "data.csv").write_text("a\n1\n")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "broken.sql").write_text(sql)
    with pytest.raises(ValueError, match=message):
        execute_reference(tmp_path)
