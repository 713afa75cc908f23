"""History that is compacted still knows what every product was after each build that stays."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cache.compaction import WHOLE, compact
from cache.reachable import REMOVED, after_builds
from cache.records import Artifact
from cache.store_index import StoreIndex

Outcome = tuple[str, str, bool, str, float, str | None]


def lived(path: Path, seed: int, builds: int) -> StoreIndex:
    """Return the index of a project whose products changed, failed, were removed and came back, or were left out."""
    chance = random.Random(seed)
    index = StoreIndex(path)
    states: dict[str, str] = {}
    for number in range(builds):
        build = f"20260101T{number:06d}-abcdef"
        index.start_build(build, f"2026-01-{number // 24 + 1:02d}T{number % 24:02d}:00:00.000+00:00")
        rows: list[Outcome] = []
        for product in chance.sample("abcdef", chance.choice((1, 3, 6))):
            what = chance.random()
            if what < 0.1 and product in states:
                del states[product]
                rows.append((product, REMOVED, False, "gone", 0.0, None))
            elif what < 0.2:
                rows.append((product, "failed", False, "it failed", 0.0, None))
            else:
                new = product not in states or what < 0.5
                if new:
                    states[product] = f"{chance.getrandbits(128):032x}"
                    index.add_artifact(Artifact(states[product], 1, 10, "f" * 32, {}), build)
                rows.append((product, "executed" if new else "clean", new, "because", 0.5, states[product]))
        index.add_results(build, rows)
        index.finish_build(build, 1.0, "ok", {})
        if chance.random() < 0.1:
            index.pin(build, chance.choice(("", "a")))
    return index


def results(index: StoreIndex) -> int:
    return len(index.every_result())


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("room", [None, 0, 3000])
def test_what_products_were_remains_known(tmp_path: Path, seed: int, room: int | None) -> None:
    with lived(tmp_path / "index.sqlite", seed, 60) as index:
        names = [build for _, build, _ in index.every_build()]
        keep = set(names[-15:])
        staying = names if room is None else {*keep, *(pin.build for pin in index.pins())}
        before, count, usage = after_builds(index, staying), results(index), total(index)
        assert compact(index, keep, room=room, until=float("inf"))
        assert after_builds(index, staying) == before
        assert results(index) < count
        assert total(index) == pytest.approx(usage)
        whole = names[-WHOLE:]
        assert {build for build, *_ in index.every_result()} >= {one for one in whole if index.outcomes(one)}
        again = results(index)
        compact(index, keep, room=room, until=float("inf"))
        assert (after_builds(index, staying), total(index)) == (before, pytest.approx(usage))
        assert results(index) <= again


def total(index: StoreIndex) -> list[float]:
    """Return hits, misses, seconds saved and spent."""
    rows = index.usage()
    return [sum(column) for column in zip(*((one.hits, one.misses, one.seconds_saved) for one in rows), strict=True)]
