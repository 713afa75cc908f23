"""Print what a shared cache costs a team, and what an index costs that knows very many products.

`python -m benchmarks.scale fleet [BUILDERS] [EDITS]` lets 100 simulated builders work on one project and one bucket,
all in this process: every builder makes 20 edits, each of which reaches some products, and takes from the bucket what
another has computed. Names are those of `cache.remote.layout`; the order of requests for an action is that of a
build: its record is read when it is planned and when its inputs are settled; who finds none creates a lease, runs,
creates file and record, and removes the lease. Requests, bytes and the load of the busiest prefix are counted, and
priced by `PRICES`. `python -m benchmarks.shared_cache 100 5` counts the requests of real builds on a real server.

`python -m benchmarks.scale index [PRODUCTS]` measures a local index of so many products (default: 100,000).
"""

from __future__ import annotations

import hashlib
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from cache.remote.layout import action_path, lease_path, object_path  # noqa: E402 — found by the path above

PRICES = {"write": 0.005 / 1000, "read": 0.0004 / 1000, "remove": 0.0, "month of a GB": 0.023, "GB out": 0.09}
"""US dollars. An assumption: Amazon's price list of S3 Standard in us-east-1 as it was in 2025, from memory."""
_RECORD = 900
"""Bytes of a record, with a signature."""
PRODUCTS, REACHED, SHARED = 1_000_000, 30, 0.7
"""Of the project; the most that an edit reaches; how often an edit is one that another builder has made (a branch)."""
_SEED = 1


class Counted:
    """A bucket that counts what it is asked: names and sizes, without contents."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.requests: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.prefixes: Counter[str] = Counter()

    def read(self, path: str) -> bool:
        """Read an object; return whether it is there."""
        self._count("read", path)
        self.bytes["read"] += self.sizes.get(path, 0)
        return path in self.sizes

    def create(self, path: str, size: int) -> bool:
        """Create an object, unless there is one."""
        self._count("write", path)
        if path in self.sizes:
            return False
        self.sizes[path] = size
        self.bytes["write"] += size
        return True

    def remove(self, path: str) -> None:
        """Remove an object."""
        self._count("remove", path)
        self.sizes.pop(path, None)

    def _count(self, kind: str, path: str) -> None:
        self.requests[kind] += 1
        self.prefixes[path.rsplit("/", 1)[0]] += 1


def edits(builders: int, each: int) -> Iterator[list[tuple[int, int]]]:
    """Yield what builds need that their own store does not have: products and versions. Builders take random turns."""
    chance = random.Random(_SEED)  # noqa: S311 — no secret
    made: list[list[tuple[int, int]]] = []
    turns = [builder for builder in range(builders) for _ in range(each)]
    chance.shuffle(turns)
    for version, _ in enumerate(turns):
        if made and chance.random() < SHARED:
            yield chance.choice(made[-builders:])
            continue
        reached = chance.randint(1, REACHED)
        start = chance.randrange(PRODUCTS - reached)
        made.append([(product, version) for product in range(start, start + reached)])
        yield made[-1]


def build(bucket: Counted, needed: list[tuple[int, int]]) -> int:
    """Take from the bucket what is there, compute the rest; return how many actions were executed."""
    executed = 0
    for product, version in needed:
        key = _digest(f"action {product} {version}", 16)
        sha256 = _digest(f"file {product} {version}", 32)
        size = int(random.Random(product).lognormvariate(11, 2))  # noqa: S311
        found = bucket.read(action_path(key)) or bucket.read(action_path(key))  # planned, then settled
        if found:
            bucket.read(object_path(sha256))
            continue
        executed += 1
        bucket.create(lease_path(key), 200)
        bucket.create(object_path(sha256), size)
        bucket.create(action_path(key), _RECORD)
        bucket.remove(lease_path(key))
    return executed


def fleet(builders: int = 100, each: int = 20) -> None:
    """Simulate, and print."""
    bucket = Counted()
    executed = needed = builds = 0
    for wanted in edits(builders, each):
        builds += 1
        needed += len(wanted)
        executed += build(bucket, wanted)
    distinct = sum(path.startswith("rules-v1/actions/") for path in bucket.sizes)
    total = sum(bucket.requests.values())
    dollars = sum(PRICES[kind] * count for kind, count in bucket.requests.items())
    busiest, load = bucket.prefixes.most_common(1)[0]
    counts = f"{needed:,} actions needed, {executed:,} executed, {distinct:,} distinct"
    print(f"{builders} builders, {builds:,} builds: {counts}")
    print(f"requests: {dict(bucket.requests)}; listings: 0; {total / builds:.1f} for each build")
    read, written = bucket.bytes["read"] / 1e6, bucket.bytes["write"] / 1e6
    print(f"bytes: {read:,.0f} MB read, {written:,.0f} MB written; {read / builds:.1f} MB read for each build")
    print(f"requests cost ${dollars:.4f}, for each build ${dollars / builds:.6f}; ", end="")
    print(f"read outside of the region: ${read / 1000 * PRICES['GB out'] / builds:.5f} more")
    print(f"the busiest prefix, {busiest}, takes {load / total:.2%} of the requests")
    stored = sum(bucket.sizes.values())
    print(f"a month of what is stored: ${stored / 1e9 * PRICES['month of a GB']:.4f}")


def index(products: int = 100_000) -> None:
    """Measure an index, and print."""
    from benchmarks.generated_index import artifact_of, fill, key_of
    from cache.collection import Policy, mark
    from cache.objects import Objects
    from cache.store_index import StoreIndex

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.sqlite"
        _timed("filled", lambda: _fill(path, products, fill))
        size = path.stat().st_size
        print(f"{'index':<34} {size / 1e6:10.0f} MB, {size / products:,.0f} bytes a product")
        with StoreIndex(path) as opened:
            chosen = random.Random(_SEED).sample(range(products), min(products, 1000))  # noqa: S311
            _timed("1,000 actions by key", lambda: opened.actions(key_of(one, 0) for one in chosen))
            _timed("1,000 artifacts", lambda: opened.artifacts(artifact_of(one, 0) for one in chosen))
            _timed("all states of products, as a plan", opened.products)
            _timed("marking, as gc", lambda: mark(opened, Objects(Path(folder)), Policy(), thorough=False))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{'peak of memory':<34} {peak:10,.0f} MiB")


def _fill(path: Path, products: int, fill: Callable[..., object]) -> None:
    from cache.store_index import StoreIndex

    with StoreIndex(path) as opened:
        fill(opened, products=products, versions=1, size=2000)


def _timed(name: str, work: Callable[[], object]) -> None:
    began, cpu = time.perf_counter(), time.process_time()
    work()
    print(f"{name:<34} {time.process_time() - cpu:10.3f} s of CPU, {time.perf_counter() - began:.3f} s")


def _digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


if __name__ == "__main__":
    {"fleet": fleet, "index": index}[sys.argv[1]](*map(int, sys.argv[2:]))
