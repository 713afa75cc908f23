"""Files and folders whose names are not UTF-8: one sentence says so, whatever they are for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.inprocess import run
from support.projects import SampleProject

ODD = os.fsdecode(b"caf\xe9")
SHOWN = "caf\\xe9"
PLACES = {
    "a file of a source": (f"data/{ODD}.parquet", 1, "the source 's' cannot be read: its name is not UTF-8"),
    "a text file of a source": (f"data/{ODD}.csv", 1, "the source 's' cannot be read: its name is not UTF-8"),
    "a folder of partitions": (f"data/day={ODD}/a.parquet", 1, "the source 's' cannot be read: its name is not UTF-8"),
    "a rule": (f"rules/{ODD}.sql", 2, f"cannot read rules/{SHOWN}.sql: its name is not UTF-8"),
    "a folder of rules": (f"rules/{ODD}/b.sql", 2, f"cannot read rules/{SHOWN}/b.sql: its name is not UTF-8"),
    "a rule in Python": (f"rules/{ODD}.py", 2, f"cannot read rules/{SHOWN}.py: its name is not UTF-8"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_file_is_refused(tmp_path: Path, place: str) -> None:
    path, code, message = PLACES[place]
    project = SampleProject(tmp_path / "project", toml='\n[sources.s]\npath = "data"\n')
    project.sql("good", "SELECT s.id FROM s")
    texts = {".sql": "SELECT s.id FROM s\n", ".csv": "id\n1\n", ".py": ""}
    if (text := texts.get(Path(path).suffix)) is None:
        os.renames(project.parquet("x", {"id": [1]}), project.root / path)
    else:
        if not path.startswith("data"):
            project.parquet("x", {"id": [1]})
        project.write(path, text)
    for command in ("build", "plan", "check"):
        done = run(project, command, expect=code)
        assert message in done.stdout + done.stderr


def test_words_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = SampleProject(tmp_path / "project", sources=["s"])
    project.parquet("s", {"id": [1]})
    project.sql("good", "SELECT s.id FROM s")
    run(project, "build")
    assert f"unknown build or product '{SHOWN}'" in run(project, "log", ODD, expect=2).stderr
    for words in (["explain", "--plan", ODD], ["show", f"{ODD}@2"], ["pin", f"{ODD}@2"], ["cache", "rm", f"{ODD}@2"]):
        assert SHOWN in run(project, *words, expect=(1, 2)).stderr
    for command in ("show", "query"):
        done = run(project, command, f"SELECT '{ODD}' AS x", expect=2)
        assert "not UTF-8: byte 0xe9 cannot be read" in done.stderr
    target = tmp_path / f"{ODD}.parquet"
    run(project, "export", "good", str(target))
    assert target.exists()
    monkeypatch.setenv("RULES_STORE", str(tmp_path / ODD))
    assert f"{SHOWN}, which is not UTF-8" in run(project, "build", expect=2).stderr


def test_a_project_in_such_a_folder_is_refused(tmp_path: Path) -> None:
    project = SampleProject(tmp_path / ODD, sources=["s"])
    project.sql("good", "SELECT s.id FROM s")
    for command in ("build", "plan", "check", "ls"):
        done = run(project, command, expect=2)
        assert f"{SHOWN}, whose name is not UTF-8" in done.stderr
