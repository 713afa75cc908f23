"""Where the characters of a TOML string stand."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.config.toml_positions import string_places

CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])
PIECES = st.one_of(
    CHARACTERS.filter(lambda one: one not in "\"\\'"),
    st.sampled_from(['\\"', "\\\\", "\\n", "\\t", "\\u00e9", "\\U0001F600"]),
)
LINES = st.one_of(PIECES, st.sampled_from(["\n", "\\\n  \n ", '"', "'"]))


@pytest.mark.slow
@given(st.lists(PIECES))
def test_of_one_line(pieces: list[str]) -> None:
    places_hold(f'a = 1\n[t]\nb = "{"".join(pieces)}" # c')


@pytest.mark.slow
@given(st.lists(LINES))
def test_of_several_lines(pieces: list[str]) -> None:
    written = "".join(pieces)
    if '"""' not in written and not written.endswith("\\"):
        places_hold(f'a = 1\n[t]\nb = """\n{written}"""')
        places_hold(f'a = 1\r\n[t]\r\nb = """\r\n{written}"""'.replace("\r\n", "\n").replace("\n", "\r\n"))


def places_hold(text: str) -> None:
    """Each character stands where it is said to, or an escape does."""
    decoded = tomllib.loads(text)["t"]["b"]
    places = string_places(text, ("t", "b"))
    assert places is not None
    assert len(places) == len(decoded) + 1
    assert text.startswith('"', places[-1])
    assert places == sorted(places)
    for at, character in zip(places, decoded, strict=False):
        assert text[at] in {character, "\\"}


def test_of_what_is_no_string() -> None:
    assert string_places("a = 1\nb = ['x']", ("a",)) is None
    assert string_places("a = 1\nb = ['x']", ("c",)) is None
