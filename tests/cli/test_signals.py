"""A signal that ends a command: one message, 128 and its number as exit code, a build logged as interrupted.

Whatever the moment. What was finished is kept, and the processes that the command started end with it.
"""

from __future__ import annotations

import fcntl
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cache.index import Index
from support.beside import endless, started, wait_for
from support.forks import shared
from support.projects import RULES, SampleProject
from support.terminal import run_on_terminal

SAID = {
    signal.SIGINT: "interrupted; what was finished is kept",
    signal.SIGTERM: "terminated; what was finished is kept",
    signal.SIGHUP: "the terminal was closed; what was finished is kept",
}
STOPS = (
    "import os, signal, time\nfrom rules import rule, udf\n\nPROCESS = os.getpid()\n\n"
    "def stop():\n    os.kill(PROCESS, signal.SIGTERM)\n"
)
MOMENTS = {
    "while a file is imported": f"{STOPS}\nstop()\n\n@rule\ndef late(first):\n    return first\n",
    "while a rule is called": f"{STOPS}\n@rule\ndef late(first):\n    stop()\n    time.sleep(9)\n    return first\n",
    "while a function is called": (
        f"{STOPS}\n@udf.python\ndef halt(a: int) -> int:\n    stop()\n    time.sleep(9)\n    return a\n\n"
        "@rule\ndef late(first):\n    return first.mutate(b=halt(first.a))\n"
    ),
    "where an error of ours is expected": (
        f"{STOPS}\ntry:\n    stop()\nexcept Exception:\n    pass\n\n@rule\ndef late(first):\n    return first\n"
    ),
    "while an object is freed": (
        f"{STOPS}\nclass Freed:\n    def __del__(self):\n        stop()\n        time.sleep(0.1)\n\nFreed()\n"
        "@rule\ndef late(first):\n    return first\n"
    ),
}


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    project = SampleProject(tmp_path / "project")
    project.sql("first", "SELECT 1 AS a")
    return project


def log(project: SampleProject) -> list[str]:
    """Return how the builds ended, newest first."""
    return [build["status"] for build in project.json("log")["builds"]]


@pytest.mark.slow
@pytest.mark.parametrize("number", SAID, ids=lambda number: number.name)
def test_a_build_that_is_ended_keeps_what_is_finished(project: SampleProject, number: signal.Signals) -> None:
    project.sql("long", endless("first"))
    with started(project, "build", "--json", "-j", "1", "-v") as build:
        wait_for(build, "running  long")
        build.send_signal(number)
        build.send_signal(number)  # `timeout` sends it to the process, and then to its group
        out, err = build.communicate(timeout=60)
    assert build.returncode == 128 + number, err
    assert "Traceback" not in err
    assert f'"code": "interrupted", "message": "{SAID[number]}"' in out
    assert log(project) == ["interrupted"]
    assert project.product("first").num_rows == 1
    project.sql("long", "SELECT f.a + 1 AS a FROM first AS f")
    assert project.executed(project.build()) == {"long"}


@pytest.mark.slow
def test_a_signal_that_does_not_wake_the_main_thread_ends_the_build(project: SampleProject) -> None:
    project.sql("long", endless("first"))
    project.write(
        "rules/other.py",
        "import signal, threading, time\n\ndef stop():\n    time.sleep(2)\n"
        "    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)\n\n"
        "threading.Thread(target=stop, daemon=True).start()\n",
    )
    with started(project, "build", "-j", "1") as build:
        _, err = build.communicate(timeout=60)
    assert (build.returncode, err.splitlines()[-1]) == (143, f"error: {SAID[signal.SIGTERM]}")
    assert log(project) == ["interrupted"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_comes(project: SampleProject, moment: str) -> None:
    project.write("rules/late.py", MOMENTS[moment])
    ended = shared().run(project.root, "build")
    assert (ended.code, ended.stderr.splitlines()[-1]) == (143, f"error: {SAID[signal.SIGTERM]}")
    assert sum(line.startswith("error") for line in ended.stderr.splitlines()) == 1
    assert log(project) == ["interrupted"]
    (project.root / "rules" / "late.py").unlink()
    assert project.statuses(project.build()).keys() == {"first"}


@pytest.mark.slow
def test_a_signal_comes_at_any_step_of_a_commit(project: SampleProject, tmp_path: Path) -> None:
    project.sql("second", "SELECT f.a + 1 AS a FROM first AS f")
    counted = tmp_path / "counted"
    shutil.copytree(project.root, counted)
    steps = shared().run(counted, "build", kill_at=-1).steps
    expected = {
        name: (counted / ".rules" / "products" / f"{name}.parquet").read_bytes() for name in ("first", "second")
    }
    places = {step: number for number, step in enumerate(steps)}  # the last of each kind
    for number in sorted(places.values()):
        root = tmp_path / f"at {number}"
        shutil.copytree(project.root, root)
        ended = shared().run(root, "build", kill_at=number, kill_by=signal.SIGTERM)
        at = (number, steps[number], ended.stderr)
        # Threads take turns as they like, so that a run may have a step less than the one that was counted.
        assert ended.code == 143 or (ended.code == 0 and number >= len(ended.steps)), at
        assert "Traceback" not in ended.stderr, at
        if (root / ".rules" / "index.sqlite").exists():
            with Index(root / ".rules" / "index.sqlite") as index:
                statuses = [build[3] for build in index.builds(9)]
            assert "running" not in statuses, at
        again = shared().run(root, "build", "--json")
        assert again.code == 0, (at, again.stderr)
        for name, data in expected.items():
            assert (root / ".rules" / "products" / f"{name}.parquet").read_bytes() == data, at


@pytest.mark.slow
def test_a_build_that_waits_for_another_is_ended(project: SampleProject) -> None:
    project.build()
    with (project.root / ".rules" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with started(project, "build", "--force", "first") as build:
            wait_for(build, "waiting for")
            build.send_signal(signal.SIGTERM)
            _, err = build.communicate(timeout=60)
    assert (build.returncode, err) == (143, f"error: {SAID[signal.SIGTERM]}\n")


@pytest.mark.slow
def test_nohup_is_heeded(project: SampleProject) -> None:
    project.sql("long", endless("first"))
    process = subprocess.Popen(
        [RULES, "build", "-v", "-j", "1"],
        cwd=project.root,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),  # noqa: PLW1509 — no thread runs in the tests
    )
    with process as build:
        wait_for(build, "running  long")
        build.send_signal(signal.SIGHUP)
        build.send_signal(signal.SIGTERM)
        _, err = build.communicate(timeout=60)
    assert build.returncode == 143, err


@pytest.mark.slow
def test_code_that_catches_everything_is_ended_by_a_second_signal(project: SampleProject) -> None:
    project.write(
        "rules/deaf.py",
        "import sys, time\nsys.stderr.write('deaf now\\n')\nsys.stderr.flush()\n"
        "while True:\n    try:\n        time.sleep(0.1)\n    except BaseException:\n        pass\n",
    )
    with started(project, "build") as build:
        wait_for(build, "deaf now")
        build.send_signal(signal.SIGTERM)
        time.sleep(1.3)
        build.send_signal(signal.SIGTERM)
        _, err = build.communicate(timeout=60)
    assert build.returncode == 143
    assert "Traceback" not in err


def test_the_cursor_is_shown_again(project: SampleProject) -> None:
    text = MOMENTS["while a function is called"].replace("    stop()", "    time.sleep(0.6)\n    stop()")
    project.write("rules/late.py", text)
    seen = run_on_terminal(project.root, "build")
    assert seen.code == 143
    assert "\x1b[?25l" in seen.raw
    assert not seen.cursor_hidden
    assert seen.screen[-1] == f"error: {SAID[signal.SIGTERM]}"


@pytest.mark.slow
def test_processes_that_compile_end_too(project: SampleProject) -> None:
    for number in range(70):
        project.sql(f"r{number}", f"SELECT {number} AS a, s.v FROM generate_series(1, 9) AS s(v)")
    project.write("rules/late.py", f"{STOPS}\ntime.sleep(1)\nstop()\n")
    with started(project, "build") as build:
        _, err = build.communicate(timeout=60)
        assert build.returncode == 143, err
    left = [one for one in Path("/proc").glob("[0-9]*") if _works_in(one, project.root)]
    assert left == []


def _works_in(process: Path, folder: Path) -> bool:
    try:
        return (process / "cwd").readlink() == folder
    except OSError:  # it has ended, or is another's
        return False


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_a_signal_comes_at_every_step(project: SampleProject) -> None:
    forks = shared()
    steps = forks.run(project.root, "build", kill_at=-1).steps
    for number in range(len(steps)):
        shutil.rmtree(project.root / ".rules")
        ended = forks.run(project.root, "build", kill_at=number, kill_by=signal.SIGHUP)
        assert ended.code == 129 or number >= len(ended.steps), (number, ended.stderr)
        assert "Traceback" not in ended.stderr
        assert forks.run(project.root, "build").code == 0
