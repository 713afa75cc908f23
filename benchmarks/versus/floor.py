"""The floor of a cold build: run the same SQL with the same engine, have it write Parquet, compressed as ours, no more.

Usage: python -m benchmarks.versus.floor PROJECT TARGET [MODEL…]

Two threads of one partition each. Nothing is compiled, hashed, synced or recorded. With models named, only they and
what they read are computed: what other tools have computed is compared with that.
"""

from __future__ import annotations

import sys
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from datafusion import ParquetWriterOptions, SessionConfig, SessionContext

from benchmarks.generated import ancestors, inputs_of

_THREADS = 2
_WRITER = ParquetWriterOptions(compression="zstd(1)", dictionary_page_size_limit=1 << 16)


def compute(sql: str, inputs: Mapping[str, Path], target: Path) -> None:
    """Run one query and write its table."""
    context = SessionContext(SessionConfig().with_target_partitions(1))
    for name, path in inputs.items():
        context.register_parquet(name, str(path))
    context.sql(sql).write_parquet(str(target), _WRITER)


def compute_all(project: Path, target: Path, rules: Mapping[str, str], wanted: Iterable[str]) -> None:
    """Run queries, inputs first, two at a time."""
    chosen = set(wanted)
    target.mkdir(parents=True, exist_ok=True)
    missing = {name: {one for one in inputs_of(sql) if one in chosen} for name, sql in rules.items() if name in chosen}
    readers = defaultdict[str, list[str]](list)
    for name, inputs in missing.items():
        for one in inputs:
            readers[one].append(name)
    running: dict[Future[None], str] = {}

    def place(name: str) -> Path:
        return target / f"{name}.parquet" if name in rules else project / "data" / f"{name}.parquet"

    def start(name: str) -> None:
        inputs = {one: place(one) for one in inputs_of(rules[name])}
        running[pool.submit(compute, rules[name], inputs, place(name))] = name

    with ThreadPoolExecutor(_THREADS) as pool:
        ready = deque(name for name, inputs in missing.items() if not inputs)
        while ready or running:
            while ready and len(running) < _THREADS:
                start(ready.popleft())
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                future.result()
                done = running.pop(future)
                for reader in readers[done]:
                    missing[reader].discard(done)
                    if not missing[reader]:
                        ready.append(reader)


def main() -> None:
    """Run the command line."""
    project, target, *wanted = sys.argv[1:]
    texts = {path.stem: path.read_text(encoding="utf-8") for path in Path(project, "rules").glob("*.sql")}
    order = {"stg": 0, "int": 1, "agg": 2}
    rules = dict(sorted(texts.items(), key=lambda rule: (order[rule[0][:3]], int(rule[0][4:]))))
    compute_all(Path(project), Path(target), rules, ancestors(rules, set(wanted or rules)))


if __name__ == "__main__":
    main()
