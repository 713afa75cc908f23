"""What the tests of both judges ask: random queries, builds, pair files, and whether what is listed still shows."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from compiler.errors import SqlError
from properties.disagreements import KNOWN_FAULTS, LEGAL, LEGAL_CLASSES, RUNTIME, Legal
from properties.judged_pairs import LEGAL_PAIRS, PAIR_FAULTS, pair_databases, pair_queries
from properties.outside_judges import Judge, JudgeError, rows_of
from properties.portable_tables import TABLES, portable_database
from properties.second_judge import DIFFERS, EQUAL, FAILED, UNJUDGED, SecondJudge, Tally, explained
from support.inprocess import build
from support.projects import SampleProject

UNJUDGED_AT_MOST = 0.02
REFUSED_AT_MOST = 0.10
"""Of queries with a correlated subquery."""


def check_random(judge: SecondJudge, seeds: range) -> Tally:
    """Assert that each random query that is not refused yields what the judge answers, or shows a listed fault."""
    tally = judge.run(seeds)
    assert not tally.unexplained, str(tally)
    assert tally.share(UNJUDGED) <= UNJUDGED_AT_MOST, str(tally)
    return tally


def check_builds(judge: SecondJudge, folder: Path, seeds: range) -> int:
    """Assert that one build of many random queries, from files, yields what the judge answers; return how many did."""
    project = SampleProject(folder, sources=TABLES)
    number = seeds.start % len(judge.databases)
    for name, table in portable_database(number, wild_floats=judge.judge.features.nan).items():
        project.parquet(name, table)
    answers = {}
    for seed in seeds:
        query = judge.query(seed)
        if judge.judged(query.sql, [number], ordered=query.ordered).outcome != EQUAL:
            continue  # which test_random_queries tells of
        project.sql(f"q{seed}", query.sql)
        answers[f"q{seed}"] = query, judge.judge.answer(number, query.sql)
    built = build(project)
    assert set(built.statuses) == set(answers)
    for name, (query, answer) in answers.items():
        ours, theirs = judge.normal(rows_of(project.product(name))), judge.normal(answer)
        if not query.ordered:
            ours, theirs = sorted(ours, key=repr), sorted(theirs, key=repr)
        assert ours == theirs, query.sql
    return len(answers)


def check_pairs(judge: SecondJudge, names: Collection[str]) -> Counter[str]:
    """Assert that these sides of pairs yield what the judge answers, or are listed; return how they ended."""
    listed = {**LEGAL_PAIRS[judge.judge.name], **PAIR_FAULTS}
    found: Counter[str] = Counter()
    wrong = []
    for query in pair_queries():
        if query.name in names:
            judged = judge.judged(
                query.sql, range(len(judge.databases)), ordered=query.ordered, asked=query.asked(judge.judge)
            )
            found[judged.outcome] += 1
            if judged.outcome in (EQUAL, DIFFERS, FAILED) and (judged.outcome == EQUAL) == (query.name in listed):
                said = listed.get(query.name, "is not listed")
                wrong.append(f"{query.name}: {said}\n    {query.sql}\n    {explained(judged)}")
    assert not wrong, "\n".join(wrong)
    return found


def pair_judge(judge: Judge, folder: Path) -> SecondJudge:
    """Return the judge of pairs, over the databases for which they are written."""
    return SecondJudge(judge, folder, pair_databases(all_types=judge.features.nan), loose=True)


def faults_that_show(judge: SecondJudge) -> dict[str, bool]:
    """Return, for each listed fault or class that this judge shows, whether its example still does."""
    shown = {}
    for fault in (*KNOWN_FAULTS, *LEGAL_CLASSES):
        if fault.judge == judge.judge.name:
            found = judge.judged(fault.example, [fault.database], ordered=fault.ordered)
            shown[fault.name] = found.outcome == (FAILED if fault.fails else DIFFERS)
            if shown[fault.name]:
                assert judge.fault(fault.example, found) is not None, f"{fault.name}: its own pattern misses it"
    return shown


def legal_values(judge: SecondJudge, legal: Legal) -> tuple[object, object]:
    """Return what a build yields for the one value of a legal difference, and what the judge answers."""
    ours: object = RUNTIME
    theirs: object = RUNTIME
    try:
        table = judge.databases[0].executed(judge.compiler.compile(legal.sql))
    except SqlError:
        raise
    except Exception:  # noqa: BLE001, S110 — the engine raises plain Exception at run time, which is what is listed
        pass
    else:
        ours = rows_of(table)[0][0]
    with contextlib.suppress(JudgeError):
        theirs = judge.judge.answer(0, legal.sql)[0][0]
    return ours, theirs


def legal_differences(name: str) -> list[Legal]:
    """Return the legal differences that a judge shows."""
    return [legal for legal in LEGAL if legal.judge == name]
