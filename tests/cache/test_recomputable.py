"""What can be computed again is found whatever the order in which past states are known."""

from __future__ import annotations

import itertools

from cache.records import InputState, Product, ProductRecord
from cache.retention import recomputable


def source(number: int) -> InputState:
    return InputState("orders", 3, {"id": ("int64", f"{number:032x}")})


def product(name: str, *inputs: str | InputState, key: str = "key") -> Product:
    """Return a past state of one build. inputs: artifacts, or what was read of a source."""
    states = tuple(InputState(one, 3, {}, one) if isinstance(one, str) else one for one in inputs)
    return Product(name, name, key, "f", "m", ProductRecord({}, states), 1.0, "one build")


def test_what_was_made_from_one_another_in_one_build_is_found_in_any_order() -> None:
    chain = [product("a", source(1)), product("b", "a", "live"), product("c", "b", "a"), product("d", "c", source(1))]
    for order in itertools.permutations(chain):
        found = recomputable(order, {"live"}, [source(1)])
        assert found == {"a": 1.0, "b": 2.0, "c": 4.0, "d": 5.0}


def test_what_needs_something_that_is_gone_is_not_found_nor_what_needs_it() -> None:
    states = [
        product("a", source(2)),  # the source has other values now
        product("b", "a"),
        product("c", "nobody knows"),
        product("d", source(1), key=""),  # volatile
        product("e", "f"),
        product("f", "e"),
        product("g", source(1)),
    ]
    for order in (states, states[::-1]):
        assert recomputable(order, set(), [source(1)]) == {"g": 1.0}
