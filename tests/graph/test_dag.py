"""The DAG: order, readers, closure and neighbours, also on random graphs."""

from itertools import pairwise

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.dag import CycleError, Dag

DIAMOND = Dag({"top": ("raw",), "left": ("top",), "right": ("top", "raw"), "bottom": ("left", "right")})


@st.composite
def dags(draw: st.DrawFn) -> Dag:
    """Random acyclic inputs, in a random order of definition."""
    count = draw(st.integers(0, 12))
    inputs = {}
    for number in range(count):
        known = ["source_a", "source_b", *(f"p{other}" for other in range(number))]
        inputs[f"p{number}"] = tuple(draw(st.lists(st.sampled_from(known), max_size=4, unique=True)))
    shuffled = draw(st.permutations(sorted(inputs)))
    return Dag({name: inputs[name] for name in shuffled})


def test_a_product_comes_after_all_it_reads() -> None:
    assert DIAMOND.order == ("top", "left", "right", "bottom")


@given(dags())
def test_order_holds_every_product_once_and_inputs_first(dag: Dag) -> None:
    assert sorted(dag.order) == sorted(dag.inputs)
    place = {name: number for number, name in enumerate(dag.order)}
    assert all(place[name] < place[reader] for reader in dag.order for name in dag.inputs[reader] if name in dag.inputs)


@given(dags())
def test_order_does_not_depend_on_the_order_of_definition(dag: Dag) -> None:
    assert Dag(dict(sorted(dag.inputs.items()))).order == dag.order


@given(dags())
def test_neighbours_and_closure_agree_with_reachability(dag: Dag) -> None:
    reach = nx.transitive_closure(dag.digraph)
    for name in dag.inputs:
        assert dag.upstream(name) == set(reach.predecessors(name))
        assert dag.downstream(name) == set(reach.successors(name))
        assert dag.closure([name]) == {name} | (set(reach.predecessors(name)) & set(dag.inputs))


def test_a_cycle_is_told_in_reading_order() -> None:
    dag = Dag({"a": ("c",), "b": ("a",), "c": ("b",), "other": ("a",)})
    with pytest.raises(CycleError) as caught:
        _ = dag.order
    path = caught.value.path
    assert path[0] == path[-1]
    assert set(path) == {"a", "b", "c"}
    assert all(source in dag.inputs[reader] for reader, source in pairwise(path))


def test_a_product_that_reads_itself_is_a_cycle() -> None:
    with pytest.raises(CycleError) as caught:
        _ = Dag({"a": ("a",)}).order
    assert caught.value.path == ("a", "a")


def test_readers_include_those_of_sources() -> None:
    assert DIAMOND.readers == {
        "raw": ("top", "right"),
        "top": ("left", "right"),
        "left": ("bottom",),
        "right": ("bottom",),
    }


def test_neighbours_stop_at_a_depth() -> None:
    assert DIAMOND.upstream("bottom", 1) == {"left", "right"}
    assert DIAMOND.upstream("bottom", 2) == {"left", "right", "top", "raw"}
    assert DIAMOND.downstream("top", 1) == {"left", "right"}
    assert DIAMOND.downstream("raw", 0) == set()


def test_closure_holds_products_only() -> None:
    assert DIAMOND.closure(["right"]) == {"right", "top"}
    assert DIAMOND.closure([]) == set()
