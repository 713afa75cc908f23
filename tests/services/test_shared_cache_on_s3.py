"""The shared cache on a real server of S3, through a proxy that goes wrong: every build ends as without it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from support import s3
from support.projects import RULES, SampleProject

RULE_COUNT = 20


HASTY = 'timeout = "4s"\nlease = "5s"\n'
"""Of tests that do not last long: a bucket that does not answer is soon given up."""


def project(root: Path, prefix: str, rules: int, cache: str = HASTY) -> SampleProject:
    """Return a project in layers, each rule of which reads one or two of the layer above."""
    toml = f'\n[cache]\nremote = "s3://{s3.BUCKET}/{prefix}"\n{cache}'
    made = SampleProject(root, sources=["orders"], toml=toml)
    made.parquet("orders", {"id": list(range(200)), "amount": [one * 7 % 31 for one in range(200)]})
    for number in range(rules):
        above = f"r{number - 5:03d}" if number >= 5 else "orders"
        made.sql(
            f"r{number:03d}", f"SELECT a.id, a.amount + {number} AS amount FROM {above} AS a WHERE a.id <> {number}"
        )
    return made


def builder(made: SampleProject, port: int) -> subprocess.Popen[str]:
    """Start `rules build --json`."""
    return subprocess.Popen(
        [RULES, "build", "--json", "--jobs", "1"],  # ten at once would start helpers that compile, too
        cwd=made.root,
        env={**os.environ, **s3.environment(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=1800)
    assert process.returncode == 0, f"{out}\n{err}"
    assert "Traceback" not in err
    assert "secret" not in out + err
    document: dict[str, Any] = json.loads(out)
    return document


def clean(root: Path, rules: int) -> SampleProject:
    """Return the same project, built without a shared cache."""
    made = project(root, "none", rules)
    made.edit("rules.toml", "[cache]", "[store]")
    text = made.read("rules.toml")
    made.write("rules.toml", text[: text.index("[store]")])
    made.build()
    return made


def several(
    tmp_path: Path, server: int, *, builders: int, rules: int, faults: s3.Faults, prefix: str, cache: str = HASTY
) -> list[dict[str, Any]]:
    """Let builders start at once on a cold project; each must end with the tables of a clean build."""
    reference = clean(tmp_path / "clean", rules)
    projects = [project(tmp_path / f"b{number}", prefix, rules, cache) for number in range(builders)]
    with s3.faulty(server, faults) as port:
        documents = [ended(process) for process in [builder(one, port) for one in projects]]
    for made in projects:
        for number in range(rules):
            name = f"r{number:03d}"
            file = f".rules/products/{name}.parquet"
            assert pq.read_table(made.root / file).equals(pq.read_table(reference.root / file))
    return documents


def executions(documents: list[dict[str, Any]]) -> int:
    return sum(len(SampleProject.executed(one)) for one in documents)


@pytest.mark.service
def test_builders_that_start_together_share_the_work(tmp_path: Path, server: int) -> None:
    documents = several(tmp_path, server, builders=3, rules=RULE_COUNT, faults=s3.Faults(), prefix="together")
    assert executions(documents) == RULE_COUNT
    assert all(one["shared"]["unsent"] == 0 for one in documents)


@pytest.mark.service
def test_faults_cost_time_and_nothing_else(tmp_path: Path, server: int) -> None:
    faults = s3.Faults(share=0.3, seed=11)
    documents = several(tmp_path, server, builders=3, rules=RULE_COUNT, faults=faults, prefix="faults")
    assert sum(faults.seen[one] for one in ("500", "timeout", "truncated", "corrupt", "lost")) > 20
    assert executions(documents) <= 1.1 * RULE_COUNT


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_ten_builders_under_faults(tmp_path: Path, server: int) -> None:
    rules = int(os.environ.get("RULES_SOAK_RULES", "1000"))
    faults = s3.Faults(share=0.3, seed=12)
    began = time.monotonic()
    documents = several(tmp_path, server, builders=10, rules=rules, faults=faults, prefix="ten", cache="")
    told = f"{executions(documents)} executions of {rules} actions in {time.monotonic() - began:.0f} s: {faults.seen}"
    print(told)  # noqa: T201 — with -s
    for one in documents:  # a machine that is too slow for the server lets builders give it up
        shared = one["shared"]
        print({name: shared[name] for name in ("hits", "sent", "unsent", "failures", "off")})  # noqa: T201
    assert not any(one["shared"]["off"] for one in documents)
    assert executions(documents) <= 1.02 * rules


@pytest.mark.service
def test_a_bucket_that_is_not_there_costs_a_warning(tmp_path: Path, server: int) -> None:
    made = project(tmp_path / "a", "gone", 6)
    faults = s3.Faults(share=1.0, only=("500",))
    with s3.faulty(server, faults) as port:
        process = builder(made, port)
        out, err = process.communicate(timeout=120)
    document = json.loads(out)
    assert len(SampleProject.executed(document)) == 6
    assert document["shared"]["off"]
    assert err.count("warning: the shared cache was not used any more") == 1
