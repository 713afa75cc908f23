"""Limits of time and interrupts: what runs is stopped, though the engine heeds nothing; what was finished is kept."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rules import Project
from rules.config.durations import seconds_of
from rules.engine.protocol import MemoryExhaustedError
from rules.errors import UserError
from support.beside import endless
from support.inprocess import build, run
from support.projects import SampleProject

SLOW_FUNCTION = """import time
from rules import rule, udf

@udf.python
def asleep(a: int) -> int:
    time.sleep(600)
    return a

@rule
def late(first):
    return first.mutate(b=asleep(first.a))
"""


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    project = SampleProject(tmp_path / "project")
    project.sql("first", "SELECT 1 AS a")
    project.sql("long", endless("first"))
    project.sql("after", "SELECT l.n FROM long AS l")
    return project


def statuses(project: SampleProject) -> list[str]:
    """Return how the builds ended, newest first."""
    return [one["status"] for one in run(project, "log", "--json").document["builds"]]


def mended(project: SampleProject) -> None:
    """The store is consistent: once the rule is another, only what was not finished runs, and all is right."""
    project.sql("long", "SELECT f.a + 1 AS n FROM first AS f")
    assert build(project).executed == {"long", "after"}
    assert project.product("after").to_pylist() == [{"n": 2}]
    run(project, "audit")


@pytest.mark.slow
def test_a_program_limits_a_build(project: SampleProject) -> None:
    opened = Project.open(project.root)
    assert opened.build("first").ok
    done = opened.build(timeout=1)
    assert {name: one.status for name, one in done.results.items()} == {
        "first": "clean",
        "long": "failed",
        "after": "skipped",
    }
    error = done.results["long"].error
    assert error is not None
    assert (error.code, error.exit_code, str(error.where)) == ("timeout", 1, "rules/long.sql")
    assert error.message == "long was stopped: the build's limit of 1 s was reached"
    assert statuses(project)[0] == "failed"
    mended(project)


def test_a_program_is_told_of_a_limit_that_is_none(project: SampleProject) -> None:
    for wrong in ("soon", 0, -1, "10 parsecs"):
        with pytest.raises(UserError, match="must be a length of time such as 90s, 10m or 1h30m") as raised:
            Project.open(project.root).build(timeout=wrong)
        assert raised.value.code == "usage"


@pytest.mark.slow
def test_a_program_is_interrupted_and_goes_on(project: SampleProject) -> None:
    program = (
        "import os, signal, sys, threading, time\nfrom rules import Project\n"
        "def interrupt():\n"
        "    while not [one for one in threading.enumerate() if one.name == 'rules-build']:\n        time.sleep(0.05)\n"
        "    time.sleep(2)\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "opened = Project.open(sys.argv[1])\nopened.build('first')\n"
        "threading.Thread(target=interrupt, daemon=True).start()\n"
        "try:\n    opened.build()\nexcept KeyboardInterrupt:\n    print('interrupted')\n"
        "while [one for one in threading.enumerate() if one.name == 'rules-build']:\n    time.sleep(0.01)\n"
        "print(opened.build('first', force=['first']).summary['executed'])\n"
    )
    signalled = subprocess.run(
        [sys.executable, "-c", program, str(project.root)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert signalled.stdout.splitlines() == ["interrupted", "1"], signalled.stderr
    assert statuses(project)[:2] == ["ok", "interrupted"]
    mended(project)


def workers_of(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            above = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if above == parent and b"worker_process" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[-1][0] != "Z"
    except FileNotFoundError:
        return False


def running(project: SampleProject) -> tuple[subprocess.Popen[str], int]:
    """Start a program that builds what never ends; return it and its worker, which is at it."""
    program = "import sys\nfrom rules import Project\nprint(Project.open(sys.argv[1]).build('+long'))\n"
    started = subprocess.Popen(
        [sys.executable, "-c", program, str(project.root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    before, end = 0.0, time.monotonic() + 60
    while time.monotonic() < end:  # until it computes
        for pid in workers_of(started.pid):
            spent = sum(map(int, Path(f"/proc/{pid}/stat").read_text().split()[13:15])) / os.sysconf("SC_CLK_TCK")
            if (project.root / ".rules/products/first.parquet").exists() and spent > before + 0.5:
                if before:
                    return started, pid
                before = spent
        time.sleep(0.05)
    started.kill()
    pytest.fail(f"no worker computes: {started.communicate()}")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
def test_a_worker_ends_with_its_parent(project: SampleProject) -> None:
    program, worker = running(project)
    with program:
        program.kill()
    while lives(worker):
        time.sleep(0.05)
    mended(project)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
def test_a_worker_that_is_killed_fails_its_product_alone(project: SampleProject) -> None:
    program, worker = running(project)
    with program:
        os.kill(worker, signal.SIGKILL)
        out, err = program.communicate(timeout=60)
    assert "the engine's process was killed; the system does so where memory runs out" in out, err
    assert "1 executed, 1 failed" in out
    assert "Traceback" not in out + err
    mended(project)


@pytest.mark.slow
def test_the_command_line_limits_a_product_and_goes_on(project: SampleProject) -> None:
    project.sql("other", "SELECT f.a + 5 AS a FROM first AS f")
    done = build(project, "--product-timeout", "1s", "-k", "-j", "1", expect=1)
    assert done.statuses == {"first": "executed", "long": "failed", "other": "executed", "after": "skipped"}
    errors = {one["name"]: one["error"] for one in done.document["products"] if "error" in one}
    assert errors["long"]["message"] == "long was stopped: a product's limit of 1 s was reached"
    assert "--product-timeout" in errors["long"]["hint"]
    assert run(project, "explain", "other", "--metrics", "--json").document["operators"], "from another process"
    mended(project)


def test_nothing_starts_after_the_limit_of_the_build(project: SampleProject) -> None:
    done = build(project, "--timeout", "1ms", "-k", expect=1)
    assert done.statuses == {"first": "failed", "long": "skipped", "after": "skipped"}
    (error,) = (one["error"] for one in done.document["products"] if "error" in one)
    assert error["message"] == "first was not started: the build's limit of 0.001 s was reached"
    assert build(project, "-s", "first", "--timeout", "99999999999d").executed == {"first"}  # no clock has that


@pytest.mark.slow
def test_checks_have_the_limit_of_their_product(project: SampleProject) -> None:
    (project.root / "rules/long.sql").unlink()
    project.sql("after", "SELECT f.a AS n FROM first AS f")
    check = endless("first").replace("%", "/")
    project.write(
        "rules/first.sql",
        f'-- /// rule\n-- [[checks]]\n-- name = "slow"\n-- sql = "{check}"\n-- ///\nSELECT 1 AS a\n',
    )
    done = build(project, "--product-timeout", "1s", expect=1)
    assert done.statuses == {"first": "failed", "after": "skipped"}
    assert done.document["products"][0]["error"]["message"] == "first was stopped: a product's limit of 1 s was reached"


@pytest.mark.slow
def test_a_function_that_does_not_return_is_left_behind(project: SampleProject) -> None:
    project.write("rules/late.py", SLOW_FUNCTION)
    project.sql("long", "SELECT f.a + 1 AS n FROM first AS f")
    ended = project.started("build", "--product-timeout", "2s", "-k", "-j", "1", "--json")
    assert ended.returncode == 1, ended.stderr
    assert "late was stopped: a product's limit of 2 s was reached" in ended.stdout
    assert project.product("after").to_pylist() == [{"n": 2}]


@pytest.mark.slow
def test_a_function_is_stopped_between_two_batches(project: SampleProject) -> None:
    project.write(
        "rules/late.py",
        SLOW_FUNCTION.replace("600", "0.0001")
        .replace("return first", "return numbers")
        .replace("def late(first)", "def late(numbers)")
        .replace("b=asleep(first.a)", "b=asleep(numbers.a)"),
    )
    project.sql("numbers", "SELECT v AS a FROM generate_series(1, 500000) AS s(v)")
    done = Project.open(project.root).build("late", "numbers", product_timeout=3)
    assert done.results["late"].status == "failed"
    assert done.results["late"].error is not None
    assert done.results["late"].error.code == "timeout"


@pytest.mark.slow
def test_profiles_have_limits(project: SampleProject) -> None:
    with (project.root / "rules.toml").open("a") as file:
        file.write('\n[profiles.quick]\nproduct_timeout = "1s"\ntimeout = 3600\n')
    done = build(project, "-s", "+long", "--profile", "quick", expect=1)
    assert done.statuses == {"first": "executed", "long": "failed"}
    for wrong in ("soon", "0", "-3s", "true"):
        refused = run(project, "build", "--set", f"timeout={wrong}", "--json", expect=2).document["error"]
        assert "must be a length of time such as 90s, 10m or 1h30m" in refused["message"]
    assert run(project, "build", "--timeout", "x", "--json", expect=2).document["error"]["code"] == "usage"


@pytest.mark.slow
def test_a_table_is_the_same_wherever_it_is_made(tmp_path: Path) -> None:
    made = []
    for place in ("here", "elsewhere"):
        project = SampleProject(tmp_path / place, sources=["t"])
        project.parquet("t", {"i": list(range(5000)), "x": [one / 7 for one in range(5000)]})
        project.sql("mean", "SELECT t.i % 9 AS g, AVG(t.x) AS m FROM t GROUP BY t.i % 9")
        if place == "here":
            made.append(build(project).document["products"][0]["artifact"])
        else:
            made.append(Project.open(project.root).build().results["mean"].artifact)
        assert run(project, "build").stdout.startswith("nothing to do")
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5 h", 5400), ("1h30m", 5400), ("250ms", 0.25), ("2 min", 120)]
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


def test_an_error_of_memory_survives_the_way_from_a_worker() -> None:
    error = pickle.loads(pickle.dumps(MemoryExhaustedError("too much", is_of_pool=False)))  # noqa: S301
    assert (type(error), str(error), error.is_of_pool) == (MemoryExhaustedError, "too much", False)
