"""docs/checks.md: every code is explained, and its examples are what they say they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from compiler.lint.codes import BY_CODE, Code
from rules.config.front_matter import read_options
from rules.errors import UserError
from support.checking import findings, world

TEXT = (Path(__file__).parents[2] / "docs" / "checks.md").read_text(encoding="utf-8")
SECTIONS = {part[:4]: part for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]}


def examples(code: str, kind: str) -> list[str]:
    found: list[str] = re.findall(rf"^```sql {kind}\n(.*?)^```$", SECTIONS[code], flags=re.MULTILINE | re.DOTALL)
    return found


def test_every_code_has_a_section_in_order() -> None:
    assert list(SECTIONS) == list(BY_CODE)


@pytest.mark.parametrize("code", BY_CODE.values(), ids=lambda one: one.code)
def test_a_section_says_what_the_code_is(code: Code) -> None:
    state = "Always on" if code.always else "On" if code.on else "Off"
    summary = f"{code.summary[0].upper()}{code.summary[1:]}."
    head = f"{code.code} {code.name}\n\n{summary} *{state}{', fixable' * code.fixable}.*"
    assert " ".join(SECTIONS[code.code].split()).startswith(" ".join(head.split()))


@pytest.mark.parametrize("code", [code for code in BY_CODE if code not in {"R014", "R015", "R022", "R023", "R903"}])
def test_the_examples_are_what_they_say(code: str) -> None:
    (bad,), (good,) = examples(code, "bad"), examples(code, "good")
    against = world(BY_CODE[code].of or None)
    assert code in {one.code for one in findings(bad, against)}
    assert code not in {one.code for one in findings(good, against)}


def test_the_example_of_an_invalid_file() -> None:
    (bad,), (good,) = examples("R903", "bad"), examples("R903", "good")
    with pytest.raises(UserError):
        read_options(bad, "rule.sql")
    assert read_options(good, "rule.sql").tags == ("daily",)
