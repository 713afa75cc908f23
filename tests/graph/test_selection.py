"""Selection: every form of the grammar, how they combine, and what is said of those that cannot be read."""

import pytest

from graph.dag import Dag
from graph.selection import Facts, SelectionError, select

#   raw_orders → stg_orders → orders → revenue → report
#   raw_items  → stg_items  ↗        ↘ returns ↗
DAG = Dag(
    {
        "stg_orders": ("raw_orders",),
        "stg_items": ("raw_items",),
        "orders": ("stg_orders", "stg_items"),
        "revenue": ("orders",),
        "returns": ("orders",),
        "report": ("revenue", "returns"),
    }
)
FACTS = Facts(
    tags={
        "stg_orders": ("daily",),
        "stg_items": (),
        "orders": ("daily", "finance"),
        "revenue": ("finance",),
        "returns": (),
        "report": (),
    },
    paths={
        "stg_orders": "rules/staging/stg_orders.sql",
        "stg_items": "rules/staging/stg_items.sql",
        "orders": "rules/marts/orders.sql",
        "revenue": "rules/marts/finance/revenue.sql",
        "returns": "rules/marts/returns.sql",
        "report": "rules/report.sql",
    },
    changed=lambda: ["orders"],
)
EVERYTHING = "stg_items stg_orders orders returns revenue report"


def chosen(*include: str, exclude: tuple[str, ...] = ()) -> set[str]:
    return set(select(DAG, FACTS, include, exclude))


@pytest.mark.parametrize(
    ("selector", "products"),
    [
        ("orders", "orders"),
        ("+orders", "stg_orders stg_items orders"),
        ("orders+", "orders revenue returns report"),
        ("+revenue+", "stg_orders stg_items orders revenue report"),
        ("1+revenue", "orders revenue"),
        ("2+revenue", "stg_orders stg_items orders revenue"),
        ("0+revenue", "revenue"),
        ("stg_items+1", "stg_items orders"),
        ("stg_items+2", "stg_items orders revenue returns"),
        ("2+revenue+1", "stg_orders stg_items orders revenue report"),
        ("1+orders+", "stg_orders stg_items orders revenue returns report"),
        ("@stg_items", EVERYTHING),
        ("@report", EVERYTHING),
        ("stg_*", "stg_orders stg_items"),
        ("re*", "revenue returns report"),
        ("re[vp]*", "revenue report"),
        ("?evenue", "revenue"),
        ("stg_*+1", "stg_orders stg_items orders"),
        ("+re[vt]*", "stg_orders stg_items orders revenue returns"),
        ("tag:finance", "orders revenue"),
        ("tag:f*", "orders revenue"),
        ("tag:finance+1", "orders revenue returns report"),
        ("path:rules/staging", "stg_orders stg_items"),
        ("path:rules/staging/", "stg_orders stg_items"),
        ("path:./rules/marts", "orders revenue returns"),
        ("path:rules/marts/orders.sql", "orders"),
        ("path:rules/*/re*.sql", "revenue returns"),
        ("path:.", EVERYTHING),
        ("rules/marts/finance", "revenue"),
        ("report.sql", "report"),
        ("1+path:rules/marts/finance", "orders revenue"),
        ("source:raw_items+", "stg_items orders revenue returns report"),
        ("source:raw_items+1", "stg_items"),
        ("source:raw_*+1", "stg_items stg_orders"),
        ("@source:raw_items", EVERYTHING),
        ("changed", "orders"),
        ("changed+1", "orders revenue returns"),
        ("orders report", "orders report"),
        ("  orders \t report ", "orders report"),
        ("tag:finance,path:rules/marts", "orders revenue"),
        ("+report,stg_*", "stg_orders stg_items"),
        ("stg_items,stg_orders", ""),
        ("tag:daily,tag:finance stg_items", "orders stg_items"),
        ("orders,orders+,changed", "orders"),
    ],
)
def test_a_selector_selects(selector: str, products: str) -> None:
    assert chosen(selector) == set(products.split())


def test_nothing_asked_for_is_everything_in_the_order_of_building() -> None:
    assert " ".join(select(DAG, FACTS, ())) == EVERYTHING


def test_the_order_is_that_of_building_however_it_is_asked_for() -> None:
    assert select(DAG, FACTS, ("report", "stg_items orders")) == ("stg_items", "orders", "report")


def test_a_second_selector_adds() -> None:
    assert chosen("orders", "tag:daily") == {"orders", "stg_orders"}


def test_exclusion_wins() -> None:
    assert chosen("orders+", exclude=("revenue+",)) == {"orders", "returns"}
    assert chosen(exclude=("stg_*", "re*")) == {"orders"}
    assert chosen("orders", exclude=("orders",)) == set()


def test_a_product_reached_twice_by_shorter_and_longer_ways_counts_the_shorter() -> None:
    ladder = Dag({"a": (), "b": ("a",), "c": ("b", "a"), "d": ("c",)})
    facts = Facts({}, {}, list)
    assert select(ladder, facts, ["2+d"]) == ("a", "b", "c", "d")
    assert select(ladder, facts, ["a+1"]) == ("a", "b", "c")


@pytest.mark.parametrize(
    "selector",
    [
        "a+b",
        "+",
        "++orders",
        "orders++",
        "orders+x",
        "2+1+orders",
        "+orders+1+",
        "@",
        "@@orders",
        "@+orders",
        "+@orders",
        "orders,",
        ",orders",
        "orders,,report",
        ",",
    ],
)
def test_what_is_no_selector_is_quoted_back(selector: str) -> None:
    with pytest.raises(SelectionError, match="cannot read the selector") as caught:
        chosen(selector)
    assert f"'{selector}'" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("selector", "message", "hint"),
    [
        ("ordrs", "unknown product 'ordrs'", "did you mean 'orders'?"),
        ("Orders", "unknown product 'Orders'", "did you mean 'orders'?"),
        ("2orders", "unknown product '2orders'", "did you mean 'orders'?"),
        ("zzzzzz", "unknown product 'zzzzzz'", "known: orders, report, returns, revenue, stg_items, stg_orders"),
        ("+ordrs+1", "unknown product 'ordrs'", "did you mean 'orders'?"),
        ("zzz*", "no product matches 'zzz*'", "rules ls lists the products"),
        ("tag:finanse", "unknown tag 'finanse'", "did you mean 'finance'?"),
        ("tag:", "unknown tag ''", "known: daily, finance"),
        ("path:models", "no rule under the path 'models'", "paths are relative to the project; rules ls lists them"),
        ("path:", "no rule under the path ''", "paths are relative to the project; rules ls lists them"),
        (
            "path:rules/mart",
            "no rule under the path 'rules/mart'",
            "paths are relative to the project; rules ls lists them",
        ),
        ("source:raw_order+", "unknown source 'raw_order'", "did you mean 'raw_orders'?"),
        ("source:orders+", "unknown source 'orders'", "did you mean 'raw_orders'?"),
        ("tags:finance", "unknown selection method 'tags'", "did you mean 'tag'?"),
        ("@orders+", "cannot read the selector '@orders+'", "@name includes the readers of name, so it takes no +"),
        (
            "source:raw_items",
            "'source:raw_items' selects no product, because a source is not built",
            "source:raw_items+ selects the products that read it",
        ),
    ],
)
def test_what_names_nothing_is_an_error_with_a_hint(selector: str, message: str, hint: str) -> None:
    with pytest.raises(SelectionError) as caught:
        chosen(selector)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize("selector", ["", "  "])
def test_an_empty_selector_is_no_wish_for_nothing(selector: str) -> None:
    with pytest.raises(SelectionError, match="a selector is empty"):
        chosen(selector)


def test_an_unknown_name_is_an_error_in_an_exclusion_too() -> None:
    with pytest.raises(SelectionError, match="unknown product 'ordrs'"):
        chosen(exclude=("ordrs",))


def test_changed_is_only_worked_out_when_it_is_asked_for() -> None:
    asked: list[bool] = []

    def changed() -> list[str]:
        asked.append(True)
        return []

    facts = Facts(FACTS.tags, FACTS.paths, changed)
    select(DAG, facts, ["tag:daily", "+report"])
    assert not asked
    assert select(DAG, facts, ["changed"]) == ()
    assert asked


@pytest.mark.parametrize("steps", ["9" * 5000, "0" * 5000 + "7"])
def test_more_steps_than_any_graph_has_are_all_steps(steps: str) -> None:
    assert chosen(f"{steps}+report") == chosen("+report")
    assert chosen(f"report+{steps}") == chosen("report+")


@pytest.mark.parametrize("selector", ["tools.py", "path:tools.py", "rules/tools.py"])
def test_a_file_in_python_selects_all_its_rules(selector: str) -> None:
    facts = Facts(FACTS.tags, {**FACTS.paths, "orders": "rules/tools.py", "report": "rules/tools.py"}, FACTS.changed)
    assert set(select(DAG, facts, [selector])) == {"orders", "report"}
