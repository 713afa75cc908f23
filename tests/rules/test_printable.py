"""What a terminal or a CI system would obey is shown as an escape; URLs are shown without secrets."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.printable import (
    printable,
    printable_block,
    printable_json,
    printable_line,
    without_secrets,
    workflow_command,
)

COMMANDS = [chr(code) for code in (*range(32), *range(127, 160), 0xAD, 0x61C, *range(0x200B, 0x2010))] + [
    *map(chr, (*range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF, 0xE0041, 0xDCFF, 0xD800, 0x3164, 0x115F, 0x034F))
]


@pytest.mark.parametrize("char", COMMANDS, ids=lambda char: f"U+{ord(char):04X}")
def test_no_command_and_nothing_invisible_passes(char: str) -> None:
    for shown in (printable(f"a{char}b"), printable_line(f"a{char}b")):
        assert char not in shown
        assert shown.startswith("a\\")
        assert shown.isascii()


@pytest.mark.parametrize("text", ["plain", "é表🦆", "👨‍👩‍👧", "❤️‍🔥", "می‌خواهم", "क्‍ष", "a\\nb", "  two  blanks"])
def test_what_can_be_read_stays(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
        ("one\r\ntwo", "one\\r\\ntwo"),
        ("name\udcff", "name\\xff"),
        ("ad\u200dmin", "ad\\u200dmin"),
        ("x\ufe0fy", "x\\ufe0fy"),
    ],
)
def test_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(codec=None)))
def test_printable_is_settled_at_once_and_in_one_line(text: str) -> None:
    shown = printable_line(text)
    assert printable_line(shown) == shown
    assert len(shown.splitlines()) <= 1
    assert not shown.lstrip().startswith("::")
    assert "##[" not in shown
    shown.encode()


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5))
def test_json_means_what_it_meant(value: object) -> None:
    text = printable_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert not any(char in text for char in "\x7f\x85\x9b\u202e\u200b")


@given(st.text())
def test_a_block_keeps_its_lines(text: str) -> None:
    assert printable_block(text).count("\n") == text.count("\n")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("::error file=x::forged", "\\x3a:error file=x::forged"),
        ("  ::warning::forged", "  \\x3a:warning::forged"),
        ("a ##[error]forged", "a #\\x23[error]forged"),
        ("##vso[task.logissue]", "#\\x23vso[task.logissue]"),
        ("amount::INT", "amount::INT"),
    ],
)
def test_a_line_is_no_command_to_a_ci_system(line: str, shown: str) -> None:
    assert printable_line(line) == shown


def test_a_workflow_command_escapes_as_github_does() -> None:
    told = workflow_command("error", {"file": "a:b,c%\n::error::x"}, "100 %\r\n::error::x \x1b[31m")
    assert told == "::error file=a%3Ab%2Cc%25%0A%3A%3Aerror%3A%3Ax::100 %25%0D%0A::error::x \\x1b[31m"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pass@host/x?token=1", "https://host/x"),
        ("cannot read 's3://key:secret@bucket/a.parquet#f': no", "cannot read 's3://bucket/a.parquet': no"),
        ("https://user@host:8080/x", "https://host:8080/x"),
        ("postgres://me:a/b?c@host/db", "postgres://host/db"),
        ("https://host:443/x?mail=a@b", "https://host:443/x"),
        ("https://a:b@h/1 and http://c:d@i/2?e", "https://h/1 and http://i/2"),
        ("file:///data/x.parquet", "file:///data/x.parquet"),
        ("no URL: user:pass@host", "no URL: user:pass@host"),
    ],
)
def test_urls_lose_their_secrets(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
