"""What surrounds a command is not always as it should be: one message, exit 1 or 2, and nothing is lost.

Outputs that are closed or full, a folder that went away, limits, pipes where files should be, names too long.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.inprocess import build, run
from support.projects import RULES, SampleProject


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    project = SampleProject(tmp_path / "project", toml='\n[sources.cities]\npath = "data/cities.csv"\n')
    project.write("data/cities.csv", "city,size\nA,1\nB,2\n")
    project.sql("one", "SELECT c.city, c.size FROM cities AS c")
    return project


def shell(project: SampleProject, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `$rules` is the command; a process that waits for ever is an error."""
    return subprocess.run(
        ["bash", "-c", line],
        cwd=project.root,
        env={**os.environ, "rules": str(RULES)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


UNWRITABLE = {
    "rows to a full disk": ("$rules show one --format csv > /dev/full", "No space left on device"),
    "a table to a closed output": ("$rules show one >&-", "Bad file descriptor"),
    "a document to a full disk": ("$rules ls --json > /dev/full", "No space left on device"),
    "help to a closed output": ("$rules --help >&-", "Bad file descriptor"),
}


@pytest.mark.parametrize("case", UNWRITABLE)
def test_a_result_that_cannot_be_written(project: SampleProject, case: str) -> None:
    build(project)
    line, why = UNWRITABLE[case]
    done = shell(project, line)
    assert (done.returncode, done.stderr) == (1, f"error: cannot write the output: {why}\n")


@pytest.mark.slow
def test_a_build_whose_outputs_are_closed_is_done(project: SampleProject) -> None:
    """What is opened meanwhile does not get the numbers of the standard streams: a print would go into the index."""
    done = shell(project, "$rules build -v >&- 2>&- <&-; echo $?")
    assert done.stdout == "1\n"
    assert build(project).statuses == {"one": "clean"}
    assert (
        shell(project, "$rules show one --format csv | head -1; echo ${PIPESTATUS[0]}").stdout == '"city","size"\n0\n'
    )


def test_a_folder_that_went_away(project: SampleProject) -> None:
    done = shell(project, "mkdir gone && cd gone && rmdir ../gone && $rules ls")
    assert (done.returncode, done.stderr) == (1, "error: the current folder does not exist any more\n")


def test_hardly_a_file_may_be_opened(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """So few that the pipe by which signals are sent again cannot be made."""
    build(project)

    def none_left() -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "pipe", none_left)
    assert run(project, "ls", "-q").stdout == "one\n"


def test_limits_that_are_too_low_are_named(project: SampleProject) -> None:
    done = shell(project, "ulimit -v 500000; $rules build")
    assert done.returncode == 1
    assert "ulimit -v" in done.stderr
    build(project)


@pytest.mark.slow
def test_what_may_not_be_read(project: SampleProject) -> None:
    setpriv = shutil.which("setpriv")
    if setpriv is None and os.geteuid() == 0:
        pytest.skip("whoever is root reads everything")
    as_others = f"{setpriv} --bounding-set -dac_override,-dac_read_search" if os.geteuid() == 0 else ""
    for path in ("rules/one.sql", "data/cities.csv", ".rules"):
        build(project)
        mode = (project.root / path).stat().st_mode
        (project.root / path).chmod(0)
        done = shell(project, f"{as_others} $rules build --force one")
        (project.root / path).chmod(mode)
        assert done.returncode in {1, 2}, (path, done.stderr)
        assert "Permission denied" in done.stderr
        assert sum(line.startswith("error") for line in done.stderr.splitlines()) == 1
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("path", ["rules/one.sql", "rules/two.py", "data/cities.csv", "rules.toml"])
def test_a_pipe_where_a_file_should_be(project: SampleProject, path: str) -> None:
    project.write("rules/two.py", "from rules import rule\n\n\n@rule\ndef two(one):\n    return one\n")
    build(project)
    (project.root / path).unlink()
    os.mkfifo(project.root / path)
    ran = run(project, "build", expect=1 if path.startswith("data") else 2)
    assert ran.stderr.count("error:") == 1
    assert "None" not in ran.stderr
    run(project, "check", expect=0 if path.startswith("data") else 2)  # it does without a source


@pytest.mark.slow
def test_a_link_from_rules_back_to_themselves(project: SampleProject) -> None:
    build(project)
    (project.root / "more").mkdir()
    (project.root / "rules" / "more").symlink_to("../more")
    build(project)
    run(project, "build")
    (project.root / "more" / "back").symlink_to("../rules")
    for command in ("build", "check"):
        ran = run(project, command, expect=2)
        assert "the rule folder 'rules/more/back' cannot be read: it is a link to a folder above it" in ran.stderr
        assert ran.stderr.count("error:") == 1


def test_links_to_their_own_folder(project: SampleProject) -> None:
    (project.root / "rules" / "empty").mkdir()
    build(project)
    for name in ("here", "there"):  # 2**40 paths, if they were followed
        (project.root / "rules" / "empty" / name).symlink_to(".")
    assert "it is a link to a folder above it" in run(project, "build", expect=2).stderr


def test_pipes_in_the_store(project: SampleProject) -> None:
    build(project)
    for name in ("README", ".gitignore"):
        (project.root / ".rules" / name).unlink()
        os.mkfifo(project.root / ".rules" / name)
    assert build(project, "--force", "one").executed == {"one"}


LONGEST = "a" * 240


@pytest.mark.parametrize("language", ["SQL", "Python"])
def test_names_that_no_file_can_have_are_refused(project: SampleProject, language: str) -> None:
    longer = LONGEST + "b"
    if language == "SQL":
        project.sql(LONGEST, "SELECT 1 AS x")
        path = project.sql(longer, "SELECT 1 AS x")
    else:
        text = 'from rules import rule\n\n\n@rule(name="{}")\ndef some(one):\n    return one\n'
        project.write("rules/good.py", text.format(LONGEST))
        path = project.write("rules/bad.py", text.format(longer))
    for command in ("build", "plan"):
        ran = run(project, command, expect=1)
        assert "has 241 letters, and a product's name at most 240" in ran.stderr
        assert f"rules/{path.name}" in ran.stderr
    checked = run(project, "check", expect=1)
    assert "at most 240" in checked.stdout + checked.stderr
    path.unlink()
    assert build(project).statuses.keys() == {"one", LONGEST}
    assert run(project, "show", LONGEST).stdout


def test_evidence_of_a_check_of_a_column_with_a_long_name(project: SampleProject) -> None:
    column = "ü" * 300
    project.write(
        "rules/wide.sql",
        f'/* rules:\n[columns."{column}"]\nunique = true\n*/\nSELECT c.size AS "{column}" FROM cities AS c\n',
    )
    ran = build(project, "--profile", "dev_debug")
    assert ran.executed == {"one", "wide"}
