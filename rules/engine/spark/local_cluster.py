"""A cluster to try: master, workers and a Connect server on loopback, with ports and folders of their own.

What was started is noted in a file, with a mark that is in each process's command line; only a process with that mark
is ever ended. The master and its workers are Spark's own, of its standalone mode.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rules.engine.spark.installation import spark_home
from rules.errors import FAILED, UserError

_HOST = "127.0.0.1"
_START_SECONDS = 180.0
_END_SECONDS = 15.0
_POLL = 0.1
_DAEMON_MEMORY = "512m"
_EXECUTOR_MEMORY = "1g"
_SERVER_MEMORY, _RESULT_MEMORY = "1g", "32m"
_SMALL = (
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:+UseSerialGC",
    "-Xms64m",
    "-XX:MaxNewSize=32m",
    "-XX:MinHeapFreeRatio=10",
    "-XX:MaxHeapFreeRatio=20",
    "-XX:TieredStopAtLevel=1",
)
"""What lets a server take the memory that it needs, and no more.

By itself Java fills its heap before it looks at what of that is in use, begins with a 64th of the machine's memory, and
has 50 MB of notes for a collector with several threads. What compiles twice keeps counts of each method that runs, of
20 MB, for a process that mostly runs each once: it plans, and executors compute.

A server without memory would leave its jobs hanging, and whoever waits for them: it ends, which is said.
"""
_ARENAS = {"MALLOC_ARENA_MAX": "2"}
"""Its two hundred threads would have sixteen heaps of their own, which nobody clears."""
_FORGETTING = {
    "spark.sql.ui.retainedExecutions": "10",
    "spark.ui.retainedJobs": "50",
    "spark.ui.retainedStages": "50",
    "spark.ui.retainedTasks": "1000",
    "spark.connect.ui.retainedSessions": "5",
    "spark.connect.ui.retainedStatements": "5",
    "spark.sql.parser.manageParserCaches": "true",
    "spark.sql.parser.parserDfaCacheFlushThreshold": "5000",  # states of some 7 kB
}
"""What a server keeps of past queries, though nobody sees it: of a thousand plans its memory would be full."""
_BROADCASTS = {
    "spark.sql.autoBroadcastJoinThreshold": "1m",
    "spark.sql.adaptive.autoBroadcastJoinThreshold": "10m",
}
"""Tables that the server collects to send them to all executors, as whole hash tables.

By itself Spark takes those of 10 MB for small, by the size of their files where it knows no better: in 8 MB of Parquet
there can be two million rows, of which it makes 100 MB, for each of the queries that run at once. Its plans go by files
of less than 1 MB here; whatever else is small is known once a stage has been computed, by its rows.
"""
_SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"


@dataclass(frozen=True)
class Cluster:
    """A cluster that was started. pids: of the Connect server, the workers and the master, in the order they end.

    is_ready: whether all of it was started, and has answered.
    """

    remote: str
    workers: int
    mark: str
    pids: Sequence[int] = field(default=())
    is_ready: bool = False

    @property
    def alive(self) -> list[int]:
        """The processes that are still there, before them one that was started by a command killed before its note."""
        known = [pid for pid in self.pids if _is_ours(pid, self.mark)]
        return [*(pid for pid in _leaders() if pid not in known and _is_ours(pid, self.mark)), *known]

    @property
    def is_whole(self) -> bool:
        """Whether all of it is up."""
        return self.is_ready and sorted(self.alive) == sorted(self.pids)


def up(folder: Path, workers: int) -> tuple[Cluster, bool]:
    """Return the cluster of a folder, and whether it was started now. Raises `UserError`.

    One that is up stays as it is; what is left of one that is not whole is ended first.
    """
    with _state(folder) as file:
        known = _read(file)
        if known is not None and known.is_whole:
            return known, False
        if known is not None:
            _end(known)
        started = _start(folder, workers, file)
        return started, True


def down(folder: Path) -> Cluster | None:
    """End the cluster of a folder; None if there is none. Raises `UserError`."""
    if not (folder / "state.json").is_file():
        return None
    with _state(folder) as file:
        known = _read(file)
        found = known if known is not None and known.alive else None
        if found is not None:
            _end(found)
        _write(file, None)
        return found


@contextlib.contextmanager
def _state(folder: Path) -> Iterator[IO[str]]:
    """Open the note of what was started, which one command at a time may read and change."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "state.json", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}", code="store", exit_code=FAILED) from error
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _read(file: IO[str]) -> Cluster | None:
    file.seek(0)
    try:
        record: Any = json.loads(file.read() or "null")
        pids = [int(one) for one in record["pids"]]
        return Cluster(record["remote"], record["workers"], record["mark"], pids, record.get("ready", True))
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ):  # nothing is noted, or it was cut off while it was written
        return None


def _write(file: IO[str], cluster: Cluster | None) -> None:
    record = None
    if cluster is not None:
        record = {
            "remote": cluster.remote,
            "workers": cluster.workers,
            "mark": cluster.mark,
            "pids": list(cluster.pids),
            "ready": cluster.is_ready,
        }
    file.seek(0)
    file.write(json.dumps(record).ljust(os.fstat(file.fileno()).st_size))  # over all of what was noted before
    file.flush()
    os.fsync(file.fileno())


def _start(folder: Path, workers: int, file: IO[str]) -> Cluster:
    home, mark = spark_home(), f"rules-engine-{secrets.token_hex(8)}"
    master_port, port = _free_ports(2)
    master, remote = f"spark://{_HOST}:{master_port}", f"sc://{_HOST}:{port}"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SPARK_", "PYSPARK_"))}
    environment |= {
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": _HOST,
        "SPARK_DAEMON_JAVA_OPTS": f"-Drules.engine={mark}",
        "SPARK_DAEMON_MEMORY": _DAEMON_MEMORY,
        "SPARK_CONF_DIR": str(_folder(folder / "conf")),
        "SPARK_LOG_DIR": str(folder),
        "SPARK_LOCAL_DIRS": str(_folder(folder / "scratch")),
        "PYSPARK_PYTHON": sys.executable,  # of what executors run in Python; it has pyarrow, and the client's version
    }
    daemon = str(home / "bin" / "spark-class")
    pids: list[int] = []

    def begin(name: str, *command: str, **more: str) -> int:
        with (folder / f"{name}.log").open("w", encoding="utf-8") as log:
            process = subprocess.Popen(  # noqa: S603 — Spark's own programs
                command,
                cwd=folder,
                env=environment | more,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process.returncode = 0  # it is to outlive this process, which Python warns of where this one is not ended
        pids.insert(0, process.pid)  # those that need others end before them
        _write(file, Cluster(remote, workers, mark, pids))
        return process.pid

    _write(file, Cluster(remote, workers, mark))  # first: what is started and not noted is found by its mark
    try:
        pid = begin(
            "master", daemon, "org.apache.spark.deploy.master.Master",
            "--host", _HOST, "--port", str(master_port), "--webui-port", "0",
        )  # fmt: skip
        _wait("master", pid, master_port, folder)
        for number in range(1, workers + 1):
            begin(
                f"worker-{number}", daemon, "org.apache.spark.deploy.worker.Worker", "--host", _HOST, "--cores", "1",
                "--memory", _EXECUTOR_MEMORY, "--webui-port", "0", "--work-dir", str(_folder(folder / "work")), master,
            )  # fmt: skip
        settings = {
            "spark.connect.grpc.binding.address": _HOST,
            "spark.connect.grpc.binding.port": str(port),
            "spark.driver.host": _HOST,
            "spark.driver.bindAddress": _HOST,
            "spark.driver.extraJavaOptions": " ".join((f"-Drules.engine={mark}", *_SMALL)),
            "spark.driver.maxResultSize": _RESULT_MEMORY,  # a result takes several times that of its heap
            "spark.executor.memory": _EXECUTOR_MEMORY,
            "spark.executor.cores": "1",
            "spark.ui.enabled": "false",
            **_FORGETTING,
            **_BROADCASTS,
            # A task that heeds no interrupt, as in the loops of a join without a key, ends with its executor.
            "spark.task.reaper.enabled": "true",
            "spark.task.reaper.killTimeout": "5s",
            "spark.sql.shuffle.partitions": str(2 * workers),
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
            "spark.sql.catalogImplementation": "in-memory",
        }
        confs = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
        submit = str(home / "bin" / "spark-submit")
        command = (submit, "--class", _SERVER, "--master", master, *confs, "spark-internal")
        pid = begin("server", *command, **_ARENAS, SPARK_DAEMON_MEMORY=_SERVER_MEMORY)  # which is the driver's too
        _wait("server", pid, port, folder)
        made = Cluster(remote, workers, mark, pids, is_ready=True)
        _write(file, made)
    except BaseException:
        _end(Cluster(remote, workers, mark, pids))
        _write(file, None)
        raise
    return made


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as opened:
        found = [opened.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind((_HOST, 0))
        return [one.getsockname()[1] for one in found]


def _wait(name: str, pid: int, port: int, folder: Path) -> None:
    """Wait until a process answers at its port. Raises `UserError` if it ends, or takes too long."""
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection((_HOST, port), timeout=1):
            return
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                break
        time.sleep(_POLL)
    log = folder / f"{name}.log"
    raise UserError(
        f"the {name} of Spark did not start",
        code="engine",
        facts={"log": str(log)},
        hint="its log says why",
        exit_code=FAILED,
    )


def _end(cluster: Cluster) -> None:
    """End the processes of a cluster with all that they started, the server first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in cluster.alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, number)  # each has a session of its own, with its executors
            until = time.monotonic() + _END_SECONDS
            while _is_ours(pid, cluster.mark) and time.monotonic() < until:
                time.sleep(_POLL)


def _leaders() -> list[int]:
    """Return the processes that lead a session, as each that is started here does; none where there is no /proc."""
    found = []
    with contextlib.suppress(OSError):
        for name in [one.name for one in Path("/proc").iterdir()]:
            with contextlib.suppress(OSError):  # it has ended
                if name.isdecimal() and os.getsid(int(name)) == int(name):
                    found.append(int(name))
    return found


def _is_ours(pid: int, mark: str) -> bool:
    """Whether a process is one that was started with a mark; one that has ended and waits for its parent is not.

    The mark is in its environment from the beginning, and in its command line once a script has started Java.
    """
    with contextlib.suppress(ChildProcessError, OSError):
        os.waitpid(pid, os.WNOHANG)
    process = Path(f"/proc/{pid}")
    try:
        return any(mark.encode() in (process / name).read_bytes() for name in ("cmdline", "environ"))
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
    except OSError:
        return False
    command = ["/bin/ps", "-o", "command=", "-p", str(pid)]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return mark in asked.stdout
