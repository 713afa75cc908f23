"""The cores of a build are given to who waits for one first, and to one product alone when nobody waits."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from rules.config import profiles
from rules.config.machine import quota_cores
from rules.config.profiles import RuntimeProfile
from rules.running.cores import Cores, unlimited


def test_a_lone_product_has_all_cores() -> None:
    cores = Cores(5, 4)
    with cores.share() as share, share.spread() as number:
        assert number == 4
    assert (cores.busy, cores.waiting) == (0, set())


def test_who_waits_has_its_part_of_the_cores() -> None:
    cores = Cores(5, 4)
    other = cores.share()
    with cores.share() as share:
        with share.spread() as number:
            assert number == 2
            with other, other.spread() as rest:
                assert rest == 2
        with share.spread() as number:
            assert number == 4


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, 1), (0.1, 1), (1.0, 2), (3.0, 3), (100.0, 4)])
def test_what_takes_longest_has_most_of_the_cores(seconds: float, expected: int) -> None:
    cores = Cores(5, 4)
    cores.share(1.0)
    with cores.share(seconds) as share, share.spread() as number:
        assert number == expected


def test_many_that_wait_leave_one_core_each() -> None:
    cores = Cores(5, 4)
    for _ in range(9):
        cores.share(1.0)
    with cores.share(1.0) as share, share.spread() as number:
        assert number == 1


def test_nothing_begins_beyond_the_most() -> None:
    cores, begun = Cores(2, 2), threading.Event()

    def other() -> None:
        with cores.share():
            begun.set()

    with cores.share() as share, share.spread() as number:
        assert number == 2
        thread = threading.Thread(target=other)
        thread.start()
        assert not begun.wait(0.05)
        assert cores.busy == 2
    thread.join(10)
    assert begun.is_set()


def test_who_waits_for_its_parts_lends_them_its_core() -> None:
    cores = Cores(1, 1)
    with cores.share() as share:
        with share.lent(), share.beside():
            assert cores.busy == 1
        assert cores.busy == 1
    assert cores.busy == 0


def test_what_is_left_behind_holds_no_core() -> None:
    cores = Cores(1, 1)
    share = cores.share()
    with share:
        share.leave()
        with cores.share():
            assert cores.busy == 1
    assert (cores.busy, cores.waiting) == (0, set())


def test_what_was_left_while_it_waited_takes_none() -> None:
    cores = Cores(1, 1)
    with cores.share():
        late = cores.share()
        thread = threading.Thread(target=late.__enter__)
        thread.start()
        late.leave()
        thread.join(10)
        assert not thread.is_alive()
        assert (cores.busy, cores.waiting) == (1, set())


def test_while_it_is_undecided_what_begins_nothing_is_spread() -> None:
    cores, found = Cores(5, 4), list[int]()

    def work() -> None:
        with cores.share() as share, share.spread() as number:
            found.append(number)

    with cores.undecided():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(0.05)
        assert thread.is_alive()
        cores.share()
    thread.join(10)
    assert found == [2]


def test_work_that_nobody_counts_is_not_spread() -> None:
    with unlimited().spread() as number:
        assert number == 1


def group(root: Path, files: dict[str, str], lines: str) -> Path:
    for name, text in {"proc/self/cgroup": lines, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "lines", "expected"),
    [
        ({"sys/fs/cgroup/a/cpu.max": "200000 100000\n"}, "0::/a\n", 2.0),
        ({"sys/fs/cgroup/a/cpu.max": "max 100000\n"}, "0::/a\n", None),
        ({"sys/fs/cgroup/a/cpu.max": "max 100000\n", "sys/fs/cgroup/cpu.max": "150000 100000"}, "0::/a\n", 1.5),
        ({"sys/fs/cgroup/a/b/cpu.max": "400000 100000", "sys/fs/cgroup/a/cpu.max": "50000 100000"}, "0::/a/b\n", 0.5),
        (
            {"sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "300000\n", "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n"},
            "12:memory:/x\n4:cpu,cpuacct:/x\n",
            3.0,
        ),
        (
            {"sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n"},
            "4:cpu,cpuacct:/x\n",
            None,
        ),
        ({"sys/fs/cgroup/cpu.max": "100000 100000"}, "0::/docker/of/the/host\n", 1.0),
        ({}, "", None),
        ({"sys/fs/cgroup/a/cpu.max": "nonsense"}, "0::/a\n", None),
    ],
)
def test_quotas_of_control_groups(tmp_path: Path, files: dict[str, str], lines: str, expected: float | None) -> None:
    assert quota_cores(group(tmp_path, files, lines)) == expected


def test_products_and_their_partitions_fit_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "usable_cores", lambda: 4)
    assert RuntimeProfile("x").spread_cores == 4
    assert RuntimeProfile("x", jobs=1).spread_cores == 1
    assert RuntimeProfile("x", jobs=3).spread_cores == 3
    assert RuntimeProfile("x", jobs=16).spread_cores == 4
    assert RuntimeProfile("x", partitions=2).spread_cores == 1, "the profile says how many"
