"""`rules engine up` that is killed leaves nothing that `up` takes for a cluster, or that `down` does not end."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from pathlib import Path

import pytest

from rules.engine.spark.identity import COMPARED
from support.forks import shared
from support.projects import SampleProject

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are looked for in /proc")

_PROGRAM = """
import socket, sys, time
words = " ".join(sys.argv).replace("=", " ").split()
for name in ("--port", "spark.connect.grpc.binding.port"):
    if name in words:
        server = socket.create_server(("127.0.0.1", int(words[words.index(name) + 1])))
time.sleep(100)
"""


def spark_at(root: Path) -> dict[str, str]:
    """Make what starts as Spark does, by a script whose command line has no mark yet; return the environment."""
    (root / "bin").mkdir(parents=True)
    (root / "jars").mkdir()
    (root / "jars" / f"spark-core_2.13-{COMPARED}.jar").touch()
    (root / "bin" / "java").touch()
    (root / "program.py").write_text(_PROGRAM)
    for name in ("spark-class", "spark-submit"):
        script = root / "bin" / name
        script.write_text(
            f'#!/bin/sh\nsleep 0.1\nexec {sys.executable} {root}/program.py $SPARK_DAEMON_JAVA_OPTS "$@"\n'
        )
        script.chmod(0o755)
    return {**os.environ, "SPARK_HOME": str(root), "JAVA_HOME": str(root)}


def left(root: Path) -> list[str]:
    """Return the command lines of what runs of it."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ")
            if str(root).encode() in command and process.name != str(os.getpid()):
                found.append(command.decode())
    return [one for one in found if "program.py" in one or "/bin/spark-" in one]


@pytest.mark.slow
@pytest.mark.parametrize("call", [("_write", 2), ("_write", 3), ("_write", 4), ("_wait", 1), ("_wait", 2)])
def test_what_a_killed_command_has_started_is_ended(tmp_path: Path, call: tuple[str, int]) -> None:
    made, spark = SampleProject(tmp_path / "a"), tmp_path / "spark"
    environment = spark_at(spark)
    place = f"rules.engine.spark.local_cluster:{call[0]}"
    up = ("engine", "up", "spark", "--workers", "1")
    assert shared().run(made.root, *up, call=(place, call[1]), env=environment).code != 0
    again = shared().run(made.root, *up, env=environment)
    assert again.code == 0, again
    host, port = again.stdout.strip().removeprefix("sc://").split(":")
    socket.create_connection((host, int(port)), timeout=5).close()
    time.sleep(0.3)  # until all scripts have started their programs
    assert len(left(spark)) == 3
    assert shared().run(made.root, *up, env=environment).stdout == again.stdout
    assert shared().run(made.root, "engine", "down", "spark", env=environment).code == 0
    assert left(spark) == []
