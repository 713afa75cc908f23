"""Print how long collections of garbage take, and for how long they keep others waiting.

`python -m benchmarks.collecting [ARTIFACTS] [--rounds N]` generates a store with so many artifacts (default:
10,000), of which products need one in ten, and collects the rest, as `rules gc` does and as a build does by itself.
Beside it a process takes the lock of builds again and again, as builds do, and another that of readers: the longest
that each had to wait is printed, with how long the locks were held at a stretch.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from cache.collection import Policy  # noqa: E402 — found by the path above
from cache.housekeeping import Limits  # noqa: E402
from cache.locks import BUILDERS, READERS  # noqa: E402
from cache.objects import Objects  # noqa: E402
from cache.signatures import SEAL_NS  # noqa: E402
from cache.store_index import StoreIndex  # noqa: E402
from rules.storage import collecting, collection_due  # noqa: E402
from rules.storage.store import Store  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

_NEEDED = 10
"""One artifact in so many is a product now."""
_BYTES = 2000
_PAUSE = 0.003


def generate(place: Path, artifacts: int) -> None:
    """Make a store as so many executions of a tenth as many products leave it."""
    from benchmarks.generated_index import fill  # with msgspec

    objects = Objects(place)
    objects.create()
    with StoreIndex(place / "index.sqlite") as index:
        names = fill(index, products=max(1, artifacts // _NEEDED), versions=_NEEDED, size=_BYTES)
    data = os.urandom(_BYTES)
    for name in names:
        path = objects.path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        os.utime(path, ns=(SEAL_NS, SEAL_NS))


def probe(path: str, how: int, ready: Connection) -> None:
    """Take a lock again and again until the parent says stop, and send how many seconds each time took."""
    waits: list[float] = []
    ready.send("ready")
    while not ready.poll():
        descriptor = os.open(path, os.O_RDWR)
        began = time.perf_counter()
        fcntl.flock(descriptor, how)
        waits.append(time.perf_counter() - began)
        os.close(descriptor)
        time.sleep(_PAUSE)
    ready.send(waits)


@contextlib.contextmanager
def probed(place: Path, waits: dict[str, list[float]]) -> Iterator[None]:
    """Take the locks of a store meanwhile; the seconds for which that took are added to `waits`."""
    started: list[tuple[str, Any, Connection]] = []
    for name, how in ((BUILDERS, fcntl.LOCK_EX), (READERS, fcntl.LOCK_SH)):
        ours, theirs = multiprocessing.Pipe()
        (place / name).touch()
        process = multiprocessing.get_context("fork").Process(target=probe, args=(str(place / name), how, theirs))
        process.start()
        ours.recv()
        started.append((name, process, ours))
    try:
        yield
    finally:
        for name, process, ours in started:
            ours.send("stop")
            waits.setdefault(name, []).extend(ours.recv())
            process.join()


def held(seconds: list[float]) -> None:
    """Note for how long the locks of a store are held at a stretch."""
    taken = collecting.both_locks

    @contextlib.contextmanager
    def timed(store: Store, patience: float) -> Iterator[None]:
        with taken(store, patience):
            began = time.perf_counter()
            yield
            seconds.append(time.perf_counter() - began)

    collecting.both_locks = timed


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifacts", nargs="?", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    stretches: list[float] = []
    held(stretches)
    took: dict[str, list[float]] = {"gc": [], "by builds": []}
    waits: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder) / "whole", options.artifacts)
        for number in range(options.rounds):
            for way, seconds in took.items():
                place = Path(folder) / f"{way} {number}"
                shutil.copytree(Path(folder) / "whole", place)
                objects = Objects(place)
                with StoreIndex(place / "index.sqlite") as index, probed(place, waits):
                    store = Store(objects, index, print)
                    began = time.perf_counter()
                    if way == "gc":
                        collecting.collect(store, Limits(), Policy())
                    else:
                        for _ in range(100):
                            found = collection_due.collect_when_due(store, Limits())
                            if found is None or found.finished:
                                break
                    seconds.append(time.perf_counter() - began)
                shutil.rmtree(place)
    for way, seconds in took.items():
        print(f"{way}: {statistics.median(seconds):.3f} s for {options.artifacts:,} artifacts ({seconds})")
    print(f"locks held: {len(stretches)} times, at most {1000 * max(stretches):.1f} ms, ", end="")
    print(f"99 % at most {1000 * sorted(stretches)[len(stretches) * 99 // 100]:.1f} ms")
    for name, found in waits.items():
        print(f"waited for {name}: {len(found)} times, at most {1000 * max(found):.1f} ms")


if __name__ == "__main__":
    main()
