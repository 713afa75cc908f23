"""A setting of a profile is declared once: rules.toml may override it, unless it belongs to the built-in profiles."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from rules.config.profiles import PROFILES, Profile
from rules.config.project import load_project
from rules.errors import UserError
from support.projects import SampleProject

SETTINGS = [one.name for one in msgspec.structs.fields(Profile)]
FIXED = {"name", "evidence", "fuse_selects"}


def with_setting(root: Path, line: str) -> Path:
    return SampleProject(root, toml=f"\n[profiles.dev_debug]\n{line}\n").root


@pytest.mark.parametrize("name", sorted(set(SETTINGS) - FIXED))
def test_is_overridden_and_leaves_the_others(tmp_path: Path, name: str) -> None:
    found = load_project(with_setting(tmp_path, f"{name} = 7")).profile("dev_debug")
    assert found == msgspec.structs.replace(PROFILES["dev_debug"], **{name: 7})


@pytest.mark.parametrize("name", sorted(set(SETTINGS) - FIXED))
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0", "'{}' must be at least 1"),
        ("true", "'{}' must be an integer, not a boolean"),
        ("1.5", "'{}' must be an integer, not a float"),
    ],
)
def test_a_value_that_cannot_be_is_an_error_at_it(tmp_path: Path, name: str, value: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        load_project(with_setting(tmp_path, f"{name} = {value}"))
    assert (raised.value.message, str(raised.value.where)) == (message.format(name), "rules.toml:5:1")


@pytest.mark.parametrize("name", sorted(FIXED))
def test_a_fixed_setting_is_an_unknown_key(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError) as raised:
        load_project(with_setting(tmp_path, f"{name} = 1"))
    assert raised.value.message == f"unknown key '{name}' in [profiles.dev_debug]"
    assert raised.value.hint == "known: batch_size, jobs, memory_limit_mb, partitions"
