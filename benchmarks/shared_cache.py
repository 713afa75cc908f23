"""Print what a shared cache costs and saves.

`PYTHONPATH=.:tests python -m benchmarks.shared_cache [RULES] [DELAY_MS] [MBIT]`: 1,000 rules, 20 ms and a line of 500
Mbit/s by default; 100 5 is a short form. A server of S3 on loopback (moto) answers through a proxy that waits so long
with each answer, and sends no more. Tables that were read before are answered by the proxy: the server, which is
written in Python, would need all the cores that the builder has, too, and its speed would be measured.

`plan` and `build --lazy` of a fresh clone are what a no-op of one is: nothing is compiled, and no table fetched. The
download alone is of the same files, by the same client, as many at once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
from obstore.store import from_url

from benchmarks.generated import write_project
from support import s3

RULES = Path(sys.executable).parent / "rules"
_THREADS = 24


def clone(root: Path, size: int, *, shared: bool) -> Path:
    """Return a fresh project."""
    write_project(root, size)
    if shared:
        with (root / "rules.toml").open("a", encoding="utf-8") as file:
            file.write(f'\n[cache]\nremote = "s3://{s3.BUCKET}/benchmark"\n')
    return root


def timed(root: Path, *arguments: str) -> tuple[float, str]:
    """Return the seconds that a command takes, and what it prints last."""
    began = time.perf_counter()
    done = subprocess.run([RULES, *arguments], cwd=root, capture_output=True, text=True, check=True)
    return time.perf_counter() - began, "; ".join(done.stdout.strip().splitlines()[-3:])


def download(folder: Path) -> tuple[float, int]:
    """Return the seconds that it takes to fetch all files, as many at once as rules does, and their bytes."""
    store = from_url(f"s3://{s3.BUCKET}/benchmark", client_options={"allow_http": True})
    listed = [one for page in obstore.list(store, "rules-v1/objects/") for one in page]

    def fetch(entry: tuple[int, str]) -> int:
        data = bytes(obstore.get(store, entry[1]).bytes())
        (folder / str(entry[0])).write_bytes(data)
        return len(data)

    began = time.perf_counter()
    with ThreadPoolExecutor(_THREADS) as pool:
        size = sum(pool.map(fetch, enumerate(one["path"] for one in listed)))
    return time.perf_counter() - began, size


def main(rules: int = 1000, delay: float = 20, line: float = 500) -> None:
    """Measure, and print. delay: milliseconds; line: millions of bits a second."""
    faults = s3.Faults(delay=delay / 1000, line=line * 1e6 / 8, keep=f"/{s3.BUCKET}/benchmark/rules-v1/objects/")
    with tempfile.TemporaryDirectory() as folder, s3.s3_server() as server, s3.faulty(server, faults) as port:
        os.environ.update(s3.environment(port))
        root = Path(folder)

        def step(name: str, at: Path, *arguments: str) -> float:
            before = len(faults.requests)
            seconds, summary = timed(at, *arguments)
            print(f"{name:<34} {seconds:8.2f} s {len(faults.requests) - before:7,} requests  {summary}")
            return seconds

        alone = clone(root / "alone", rules, shared=False)
        step("plan, no shared cache, fresh clone", alone, "plan", "-q")
        step("build, no shared cache", alone, "build")
        step("build, empty shared cache", clone(root / "first", rules, shared=True), "build")
        step("plan, fresh clone", clone(root / "planned", rules, shared=True), "plan", "-q")
        second = clone(root / "second", rules, shared=True)
        (root / "files").mkdir()
        download(root / "files")  # the proxy has them from now on
        restoring = step("build, fresh clone", second, "build")
        step("build, nothing to do", second, "build")
        lazy = step("build --lazy, fresh clone", clone(root / "third", rules, shared=True), "build", "--lazy")
        seconds, size = download(root / "files")
        print(f"{'download alone':<34} {seconds:8.2f} s {size / 1e6:,.1f} MB")
        print(f"restoring takes {restoring / seconds:.2f} times the download, {lazy / seconds:.2f} without it")
        shutil.rmtree(root / "files")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
