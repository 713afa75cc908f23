"""Files, folders and environment variables that a project's Python reads: a change of one runs what it changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.inprocess import build, run
from support.projects import SampleProject

READING = """
import json
import os
import runpy
from pathlib import Path

from rules import rule, udf

from limits import most

ROOT = Path(__file__).parents[1]
TERMS = json.loads((ROOT / "config" / "terms.json").read_text())
SCRIPT = runpy.run_path(str(ROOT / "config" / "script.txt"))["ADDED"]
STEP = int(os.environ.get("SAMPLE_STEP", "1"))
OPTIONAL = ROOT / "config" / "optional.txt"
FLAGGED = int((ROOT / "config" / "flag").exists())
STRICT = int(os.path.isdir(ROOT / "config" / "strict"))
ALLOWED = int(os.access(ROOT / "config" / "allowed", os.R_OK))
LENGTH = os.stat(ROOT / "config" / "measured.txt").st_size
IN_BYTES = int(os.environb.get(b"SAMPLE_BYTES", b"1"))


def optional():
    try:
        return int(OPTIONAL.read_text())
    except FileNotFoundError:
        return 0


@udf.python
def raised(amount: int) -> int:
    return amount * TERMS["factor"]


@rule
def at_import(orders):
    return orders.mutate(x=orders.amount * TERMS["factor"])


@rule
def of_script(orders):
    return orders.mutate(script=orders.amount + SCRIPT)


@rule
def of_environment(orders):
    return orders.mutate(step=orders.amount + STEP)


@rule
def of_existence(orders):
    return orders.mutate(flagged=orders.amount + FLAGGED)


@rule
def of_folder_there(orders):
    return orders.mutate(strict=orders.amount + STRICT)


@rule
def of_access(orders):
    return orders.mutate(allowed=orders.amount + ALLOWED)


@rule
def of_size(orders):
    return orders.mutate(length=orders.amount + LENGTH)


@rule
def of_bytes(orders):
    return orders.mutate(in_bytes=orders.amount + IN_BYTES)


@rule
def when_called(orders):
    with open(ROOT / "config" / "least.txt") as file:
        return orders.filter(orders.amount > int(file.read()))


@rule
def of_missing(orders):
    return orders.mutate(optional=orders.amount + optional())


@rule
def of_helper(orders):
    return orders.filter(orders.amount < most())


@rule
def of_folder():
    for path in sorted((ROOT / "specs").glob("*.txt")):

        @rule(name=f"spec_{path.stem}")
        def one(orders):
            return orders.mutate(spec=orders.amount * int(path.read_text()))

        yield one
"""
LIMITS = """
import functools
from pathlib import Path


@functools.cache
def most():
    return int((Path(__file__).parent / "config" / "most.txt").read_text())
"""
SECOND = """
from rules import rule

from limits import most


@rule
def of_helper_again(orders):
    return orders.mutate(most=most())
"""
EDITS: dict[str, tuple[str, str, set[str]]] = {
    "at import": ("config/terms.json", '{"factor": 3}', {"at_import", "by_function"}),
    "nothing new": ("config/terms.json", '{ "factor": 3 }', set()),
    "run as a script": ("config/script.txt", "ADDED = 2", {"of_script"}),
    "when called": ("config/least.txt", "2", {"when_called"}),
    "missing before": ("config/optional.txt", "5", {"of_missing"}),
    "by a helper that keeps it": ("config/most.txt", "6", {"of_helper", "of_helper_again"}),
    "a file of the folder": ("specs/a.txt", "7", {"spec_a"}),
    "a new file in the folder": ("specs/b.txt", "8", {"spec_b"}),
    "a file that is looked for": ("config/flag", "", {"of_existence"}),
    "a folder that is looked for": ("config/strict/a.txt", "", {"of_folder_there"}),
    "one more file in it": ("config/strict/b.txt", "", set()),
    "a file that can be read": ("config/allowed", "", {"of_access"}),
    "another size": ("config/measured.txt", "abc", {"of_size"}),
    "a file beside": ("config/unread.txt", "9", set()),
}


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["orders"])
    sample.parquet("orders", {"amount": [1, 2, 3, 4]})
    sample.write("rules/reading.py", READING)
    sample.write("rules/second.py", SECOND)
    sample.write("limits.py", LIMITS)
    sample.sql("by_function", "SELECT raised(o.amount) AS x FROM orders AS o")
    given = {"terms.json": '{"factor": 2}', "script.txt": "ADDED = 1", "least.txt": "1", "most.txt": "9"}
    given["measured.txt"] = "a"
    for name, text in given.items():
        sample.write(f"config/{name}", text)
    sample.write("specs/a.txt", "1")
    return sample


def executed(project: SampleProject) -> set[str]:
    """Build; a second build has nothing to do."""
    found = build(project).executed
    assert run(project, "build").stdout.startswith("nothing to do")
    return found


@pytest.mark.slow
def test_a_change_of_what_is_read_runs_exactly_what_it_changes(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "of_environment" in executed(project)
    for name, (path, text, concerned) in EDITS.items():
        project.write(path, text)
        assert executed(project) == concerned, name
    monkeypatch.setenv("SAMPLE_STEP", "5")
    assert executed(project) == {"of_environment"}
    monkeypatch.setenv("SAMPLE_BYTES", "5")
    assert executed(project) == {"of_bytes"}
    monkeypatch.setenv("SAMPLE_OTHER", "5")
    assert run(project, "build").stdout.startswith("nothing to do")
    monkeypatch.delenv("SAMPLE_STEP")
    assert build(project).statuses["of_environment"] == "restored"
    clean = SampleProject.copy_of(project.root, project.root.parent / "clean")
    names = build(clean).executed
    assert [name for name in names if clean.product(name) != project.product(name)] == []


CALLS = {
    "file": ("int(open('config/least.txt').read())", "open"),
    "path": ("int(Path('config/least.txt').read_text())", "read_text"),
    "environment": ("int(os.environ['SAMPLE_STEP'])", "os.environ"),
    "variable": ("int(os.getenv('SAMPLE_STEP', '1'))", "os.getenv"),
    "both": ("open('out.txt', 'w').write('1') + int(open('out.txt').read())", "open"),
    "update": ("int(open('out.txt', mode='r+').read())", "open"),
}
WRITES = {
    "mode": "bool(open(os.devnull, 'a').close())",
    "named": "bool(io.open(os.devnull, mode='wb').close())",
}


def test_a_function_must_not_read_what_nobody_would_see_change(project: SampleProject) -> None:
    functions = [
        f"@udf.python\ndef f_{name}(x: int) -> int:\n    return x + {call}\n" for name, (call, _) in CALLS.items()
    ]
    functions += [
        f"@udf.python\ndef f_{name}(x: int) -> int:\n    return x + {call}\n" for name, call in WRITES.items()
    ]
    head = "import io\nimport os\nfrom pathlib import Path\nfrom rules import udf\n\n"
    project.write("rules/functions.py", head + "\n".join(functions))
    for name in (*CALLS, *WRITES):
        project.sql(name, f"SELECT f_{name}(o.amount) AS x FROM orders AS o")
    products = {one["name"]: one for one in build(project, "-k", expect=1).document["products"]}
    assert {products[name]["status"] for name in WRITES} == {"executed"}
    for name, (_, said) in CALLS.items():
        assert products[name]["error"]["message"] == (
            f"a function reads by '{said}' when it is called, where nobody would notice a change"
        )
        assert "at the top of the file" in products[name]["error"]["hint"]


HIDDEN_READS = {
    "method": ("int((ROOT / 'config' / 'least.txt').open().read())", "a function reads '"),
    "by_text": ("int(getattr(ROOT / 'config' / 'least.txt', 'read_' + 'text')())", "a function reads '"),
    "codecs": ("int(codecs.open(str(ROOT / 'config' / 'least.txt')).read())", "a function reads '"),
    "package": ("int(pd.read_csv(ROOT / 'config' / 'least.txt', header=None)[0][0])", "a function reads '"),
    "url": ("int(urllib.request.urlopen((ROOT / 'config' / 'least.txt').as_uri()).read())", "a function reads '"),
    "folder": ("len(os.listdir(ROOT / 'specs'))", "a function reads '"),
    "walk": ("sum(1 for _ in os.walk(ROOT / 'specs'))", "a function reads '"),
    "pattern": ("len(list((ROOT / 'specs').glob('*')))", "a function reads '"),
    "existence": ("int((ROOT / 'specs' / 'flag').exists())", "a function reads '"),
    "size": ("os.path.getsize(ROOT / 'config' / 'least.txt')", "a function reads '"),
    "swallowed": ("either(lambda: (ROOT / 'specs').is_dir(), 0)", "a function reads '"),
    "program": ("int(subprocess.check_output(['echo', str(x)]))", "a function starts the program 'echo'"),
    "shell": ("int(os.popen('echo 1').read())", "a function starts the program '/bin/sh'"),
    "server": ("len(socket.getaddrinfo('127.0.0.1', 80))", "a function asks a server"),
}
SEEN_READS = {
    "zone": "datetime.datetime(2024, 1, x, tzinfo=zoneinfo.ZoneInfo('Asia/Kolkata')).day",
    "made_file": "through_file(x)",
    "imported": "x + len(__import_late())",
}
HIDDEN_HEAD = """
import codecs, datetime, os, socket, subprocess, tempfile, urllib.request, zoneinfo
from pathlib import Path

import pandas as pd
import pyarrow as pa
from rules import rule, udf

ROOT = Path(__file__).parents[1]


def either(call, other):
    try:
        return call()
    except Exception:
        return other


def through_file(x):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.txt"
        path.write_text(str(x))
        with path.open() as file:
            return int(file.read())


def __import_late():
    import this_is_late

    return this_is_late.WORDS


@rule(engine="arrow", output={"n": pa.int64()})
def stream_that_reads(orders):
    for batch in orders:
        yield pa.record_batch({"n": pa.array([len(list((ROOT / "specs").iterdir()))], pa.int64())})


@rule(engine="arrow", output={"n": pa.int64()}, volatile=True)
def volatile_stream(orders):
    for batch in orders:
        yield pa.record_batch({"n": pa.array([len(list((ROOT / "specs").iterdir()))], pa.int64())})


@rule(engine="arrow", output={"n": pa.int64()})
def quiet_stream(orders):
    for batch in orders:
        yield pa.record_batch({"n": pa.array([through_file(batch.num_rows)], pa.int64())})
"""


@pytest.mark.slow
def test_what_a_function_reads_by_other_names_fails_the_rules_that_call_it(project: SampleProject) -> None:
    calls = {**{name: call for name, (call, _) in HIDDEN_READS.items()}, **SEEN_READS}
    functions = [f"@udf.python\ndef f_{name}(x: int) -> int:\n    return {call}\n" for name, call in calls.items()]
    project.write("this_is_late.py", "WORDS = ['a']\n")
    project.write("rules/functions.py", HIDDEN_HEAD + "\n\n".join(functions))
    for name in calls:
        project.sql(name, f"SELECT f_{name}(o.amount) AS x FROM orders AS o")
    products = {one["name"]: one for one in build(project, "-k", expect=1).document["products"]}
    quiet = {*SEEN_READS, "quiet_stream", "volatile_stream"}
    assert {name: products[name].get("error") for name in quiet} == dict.fromkeys(quiet)
    for name, (_, beginning) in {**HIDDEN_READS, "stream_that_reads": ("", "a function reads '")}.items():
        error = products[name]["error"]
        assert error["message"].startswith(beginning), name
        assert error["message"].endswith(" when it is called, where nobody would notice a change")
        assert error["where"].startswith("rules/functions.py:")
        assert "at the top of the file" in error["hint"]


LOCAL = """
import datetime
import time
from datetime import datetime as moment

import ibis
import pyarrow as pa
from rules import rule, udf

KIND = pa.timestamp("us")


@udf.python
def hour_of(x: int) -> int:
    return datetime.datetime.fromtimestamp(x).hour


@udf.python
def hour_by_helper(x: int) -> int:
    return helper(x)


def helper(x):
    named = time.localtime
    return named(x).tm_hour


@udf.python
def seconds_of(x: int) -> int:
    return int(moment(2024, 1, 1, x).timestamp())


@udf.python
def hour_in_utc(x: int) -> int:
    return datetime.datetime.fromtimestamp(x, tz=datetime.UTC).hour


@rule
def at_call(orders):
    return orders.mutate(hour=datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC).astimezone().hour)


@rule
def of_utc(orders):
    return orders.mutate(kind=ibis.literal(str(KIND)))
"""


@pytest.mark.slow
def test_what_depends_on_the_zone_of_the_machine_runs_in_another(tmp_path: Path) -> None:
    project = SampleProject(tmp_path / "project", sources=["orders"])
    project.parquet("orders", {"amount": [1, 2]})
    project.write("rules/local.py", LOCAL)
    for name in ("hour_of", "hour_by_helper", "seconds_of", "hour_in_utc"):
        project.sql(f"by_{name}", f"SELECT {name}(o.amount) AS x FROM orders AS o")
    utc, tokyo = {"TZ": "UTC", "PYTHONHASHSEED": "0"}, {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "0"}
    project.build(env=utc)
    assert SampleProject.executed(project.build(env=utc)) == set()
    local = {"by_hour_of", "by_hour_by_helper", "by_seconds_of", "at_call"}
    assert SampleProject.executed(project.build(env=tokyo)) == local
    assert project.product("by_hour_of")["x"].to_pylist() == [9, 9]
    assert project.product("at_call")["hour"].to_pylist() == [9, 9]
    assert SampleProject.executed(project.build(env=utc)) == set()
    assert project.product("by_hour_by_helper")["x"].to_pylist() == [0, 0]
