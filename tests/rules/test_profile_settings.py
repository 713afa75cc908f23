"""A setting of a profile is declared once: rules.toml and --set may change it, the documented list says what it can
change of a table, and the list is the engine's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest
from datafusion import SessionConfig, SessionContext

from rules.config import engine_keys, profiles
from rules.config.profiles import (
    DEFAULTS,
    FIELDS_BY_KEY,
    KINDS,
    POOL_PERCENT,
    PROFILES,
    SETTINGS,
    Effect,
    RuntimeProfile,
)
from rules.config.project import load_project
from rules.engine.fallbacks import fallbacks, is_of, spilled
from rules.engine.local import LOCAL
from rules.engine.memory import group_limits, pool_bytes
from rules.engine.session import engine_versions, make_session
from rules.errors import UserError
from support.projects import SampleProject

ROOT = Path(__file__).parents[2]
NUMBERS = [name for name, kind in KINDS.items() if kind in (int, int | None)]


def other_value(name: str) -> Any:
    """Return a value that is not the default one."""
    if name == "tier":
        return 1
    if get_origin(KINDS[name]) is Literal:
        return next(one for one in get_args(KINDS[name]) if one != DEFAULTS[name])
    if isinstance(DEFAULTS[name], bool):
        return not DEFAULTS[name]
    if name.endswith("timeout"):
        return "7m"
    if name == "remote":
        return "sc://localhost:15002"
    if name == "spark_staging":
        return "s3://bucket/prefix"
    return 7 if name in NUMBERS else "/tmp"  # noqa: S108 — a folder that exists


def spelled(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)


def with_lines(root: Path, *lines: str) -> Path:
    return SampleProject(root, toml="\n".join(["", "[profiles.dev_debug]", *lines, ""])).root


def set_by(root: Path, *settings: str) -> RuntimeProfile:
    return load_project(SampleProject(root).root, settings=settings).profile("prod_fast")


@pytest.mark.parametrize("name", SETTINGS)
def test_is_overridden_and_leaves_the_others(tmp_path: Path, name: str) -> None:
    found = load_project(with_lines(tmp_path, f"{name} = {spelled(other_value(name))}")).profile("dev_debug")
    assert found == msgspec.structs.replace(PROFILES["dev_debug"], **{name: other_value(name)})


def test_is_set_on_the_command_line_by_the_type_it_has(tmp_path: Path) -> None:
    texts = [f"{name}={spelled(other_value(name)).strip(chr(34))}" for name in SETTINGS]
    assert set_by(tmp_path, *texts).changed() == {name: other_value(name) for name in SETTINGS}


@pytest.mark.parametrize("name", sorted(NUMBERS))
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("-1", "'{}' must be at least {}{}"),
        ("true", "'{}' must be an integer, not a boolean"),
        ("1.5", "'{}' must be an integer, not a float"),
        ("9999999999", "'{}' must be at most 2,147,483,647"),
    ],
)
def test_a_value_that_cannot_be_is_an_error_at_it(tmp_path: Path, name: str, value: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        load_project(with_lines(tmp_path, f"{name} = {value}"))
    found = (raised.value.message, str(raised.value.where))
    or_default = ", or 0 as by default" if DEFAULTS[name] == 0 else ""
    assert found == (message.format(name, SETTINGS[name].least, or_default), "rules.toml:5:1")


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_zero_is_taken_where_it_is_the_default(tmp_path: Path, name: str) -> None:
    path = with_lines(tmp_path, f"{name} = 3", '[profiles.own]\ninherits = "dev_debug"', f"{name} = 0")
    if DEFAULTS[name] == 0:
        assert getattr(load_project(path).profile("own"), name) == 0
        return
    with pytest.raises(UserError, match=f"'{name}' must be at least {SETTINGS[name].least}$"):
        load_project(path)


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("partition = 2", "unknown key 'partition' in [profiles.dev_debug]", "did you mean 'partitions'?"),
        (
            "datafusion.execution.batchsize = 2",
            "the engine has no setting 'datafusion.execution.batchsize'",
            "did you mean 'datafusion.execution.batch_size'?",
        ),
        (
            '"datafusion.optimizer.pushdown_filter" = true',
            "the engine has no setting 'datafusion.optimizer.pushdown_filter'",
            "did you mean 'datafusion.execution.parquet.pushdown_filters'?",
        ),
        (
            "datafusion.execution.collect_statistics = 1",
            "'datafusion.execution.collect_statistics' must be true or false, not an integer",
            None,
        ),
        (
            'datafusion.execution.time_zone = "+01:00"',
            "'datafusion.execution.time_zone' is set by rules itself: what queries mean depends on it",
            "leave it out",
        ),
        (
            "datafusion.optimizer.max_passes = 0",
            "'datafusion.optimizer.max_passes' must be at least 1",
            "without a pass the engine plans some queries wrong",
        ),
        (
            'datafusion.runtime.memory_limit = "2G"',
            "'datafusion.runtime.memory_limit' has a name of its own here",
            "set memory_limit_mb",
        ),
        ('evidence = "ful"', "'evidence' cannot be 'ful'", "did you mean 'full'?"),
        ('inherits = "prod_fast"', "a built-in profile inherits nothing", "leave it out"),
    ],
)
def test_a_wrong_key_or_value_is_an_error_at_its_place(
    tmp_path: Path, line: str, message: str, hint: str | None
) -> None:
    with pytest.raises(UserError) as raised:
        load_project(with_lines(tmp_path, "jobs = 1", f"  {line}"))
    assert (raised.value.message, raised.value.hint) == (message, hint)
    assert str(raised.value.where).startswith("rules.toml:6:")


def test_a_key_of_the_engine_is_the_setting_of_that_name(tmp_path: Path) -> None:
    found = set_by(tmp_path, "datafusion.execution.batch_size=64", "datafusion.optimizer.prefer_hash_join=false")
    assert (found.batch_size, found.prefer_hash_join, dict(found.engine_keys)) == (64, False, {})


def test_a_profile_inherits_another_in_any_order(tmp_path: Path) -> None:
    toml = """
[profiles.nightly]
inherits = "ci"
batch_size = 1024
[profiles.ci]
inherits = "memory_tight"
partitions = 2
datafusion.execution.collect_statistics = false
[profiles.plain]
"""
    project = load_project(SampleProject(tmp_path, toml=toml).root)
    nightly = project.profile("nightly")
    assert (nightly.name, nightly.partitions, nightly.batch_size, nightly.memory_limit_mb) == ("nightly", 2, 1024, 512)
    assert nightly.engine_keys == {"datafusion.execution.collect_statistics": "false"}
    assert project.profile("plain").changed() == {}


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ('[profiles.a]\ninherits = "b"\n[profiles.b]\ninherits = "a"', "profiles inherit one another: a → b → a"),
        ("[profiles.prod_fats]\njobs = 1", "unknown profile 'prod_fats'"),
        ('[profiles.mine]\ninherits = "prod_slow"', "unknown profile 'prod_slow'"),
        ("[profiles]\nmine = 1", "a profile must be a table, not an integer"),
    ],
)
def test_profiles_that_cannot_be(tmp_path: Path, toml: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        load_project(SampleProject(tmp_path, toml=f"\n{toml}\n").root)
    assert raised.value.message == message


def test_the_catalogue_is_the_engines() -> None:
    session = SessionContext(SessionConfig().with_information_schema(enabled=True))
    keys = session.sql("SELECT name FROM information_schema.df_settings").to_pydict()["name"]
    assert list(engine_keys.KINDS) == sorted(keys)
    assert set(FIELDS_BY_KEY) < set(keys)


@pytest.mark.parametrize("name", SETTINGS)
def test_what_can_change_no_result_is_in_no_fingerprint(name: str) -> None:
    default = PROFILES["prod_fast"]
    changed = msgspec.structs.replace(default, **{name: other_value(name)})
    wide, changed_wide = (msgspec.structs.replace(one, partitions=4) for one in (default, changed))
    counts = SETTINGS[name].effect is Effect.ORDER
    assert (LOCAL.identity(changed) != LOCAL.identity(default)) is counts
    spread = SETTINGS[name].effect in {Effect.ORDER, Effect.SPREAD} and name != "partitions"
    assert (LOCAL.identity(changed_wide) != LOCAL.identity(wide)) is spread


@pytest.mark.parametrize("key", [one for one in engine_keys.KINDS if one not in FIELDS_BY_KEY])
def test_any_other_key_counts_for_every_rule_unless_it_is_known_not_to(tmp_path: Path, key: str) -> None:
    if engine_keys.is_own(key):
        with pytest.raises(UserError, match="set by rules itself"):
            set_by(tmp_path, f"{key}=1")
        return
    value = {"bool": "true", "int": "1", "float": "0.5"}.get(engine_keys.KINDS[key], "x")
    identity = LOCAL.identity(set_by(tmp_path, f"{key}={value}"))
    assert (identity.settings.get(key) == value) is not engine_keys.is_speed_only(key)


def test_the_settings_of_every_session_are_the_default_profiles() -> None:
    default = PROFILES["prod_fast"]
    assert LOCAL.identity(default).float_settings == {
        "partitions": 1,
        "batch_size": 32768,
        "memory_limit_mb": None,
        "sorted_at_once": 32 << 20,
    }
    assert make_session(default) is not None


def test_the_documented_list_is_the_declared_one() -> None:
    text = (ROOT / "docs/profiles.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `?([^`|]+?)`? \| ([^|]*) \| ([^|]+) \|", text, re.MULTILINE)
    shown = {name: "—" if DEFAULTS[name] is None else str(spelled(DEFAULTS[name])) for name in SETTINGS}
    assert {name: (default, key.strip("` "), effect) for name, default, key, effect in rows} == {
        name: (shown[name], one.key or "", one.effect.value) for name, one in SETTINGS.items()
    }
    speed = {key for key in engine_keys.KINDS if key not in FIELDS_BY_KEY and engine_keys.is_speed_only(key)}
    listed = set(re.findall(r"`(datafusion\.[\w.]+)`", text[text.index("<!-- speed only -->") :]))
    assert listed == speed


def test_both_versions_of_the_engine_are_known() -> None:
    assert engine_versions() == {"package": "55.0.0", "core": "55.2.0"}


def test_products_and_partitions_fit_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "usable_cores", lambda: 8)
    for partitions in (2, 3, 4, 8):
        for jobs in (0, 1, 3, 20):
            profile = RuntimeProfile("x", jobs=jobs, partitions=partitions)
            assert 1 <= profile.workers * partitions <= 8
            assert profile.arrow_cores + profile.workers * partitions <= max(8, partitions * profile.workers + 1)
    assert RuntimeProfile("x", partitions=100).workers == 1
    assert RuntimeProfile("x").workers == 9  # one of them waits for the disk
    assert RuntimeProfile("x", jobs=3).arrow_cores == 5


def test_the_pool_is_a_share_of_the_memory_of_the_smallest_control_group(tmp_path: Path) -> None:
    group = tmp_path / "sys/fs/cgroup/memory/docker/abc"
    group.mkdir(parents=True)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("5:cpu,memory:/docker/abc\n1:cpu:/x\n0::/unit\n")
    (group / "memory.limit_in_bytes").write_text("536870912\n")
    (group.parent / "memory.limit_in_bytes").write_text("9223372036854771712\n")  # no limit
    assert list(group_limits(tmp_path)) == [512 << 20]
    (tmp_path / "sys/fs/cgroup/unit").mkdir()
    (tmp_path / "sys/fs/cgroup/unit/memory.max").write_text("max\n")
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("268435456\n")  # of version 2, in a container
    assert sorted(group_limits(tmp_path)) == [256 << 20, 512 << 20]
    assert list(group_limits(tmp_path / "nowhere")) == []
    assert pool_bytes(PROFILES["memory_tight"]) == (512 << 20) * POOL_PERCENT // 100
    assert RuntimeProfile("x", memory_limit_mb=512).spread_cores == 1, "DISTINCT took 1,415 MiB on two, 583 on one"
    assert pool_bytes(RuntimeProfile("x", jobs=2)) * 2 <= pool_bytes(RuntimeProfile("x", jobs=1))


def test_what_less_memory_made_is_keyed_by_the_pool_and_a_declared_limit_also_by_its_share() -> None:
    """Keys of tables that were made under the machine's memory are those of versions in which the pool was all."""
    declared, machines = PROFILES["memory_tight"], PROFILES["prod_fast"]
    assert declared.float_settings["pool_percent"] == POOL_PERCENT
    assert "pool_percent" not in machines.float_settings
    for step in fallbacks(declared):
        assert (step.settings["memory_limit_mb"], step.settings["pool_percent"]) == (512, POOL_PERCENT)
        assert is_of(declared, step.settings)
    for step in (*fallbacks(machines), spilled(machines)):
        assert step.settings["memory_limit_mb"] == pool_bytes(machines) >> 20
        assert "pool_percent" not in step.settings
        assert is_of(machines, {**step.settings, "memory_limit_mb": 7}), "of whatever machine"
        assert 0 <= pool_bytes(step.profile) - pool_bytes(machines) <= 1 << 20


def test_a_key_like_none_of_the_engine_has_no_suggestion(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, toml="\n[profiles.odd]\ndatafusion.nope = 1\n")
    with pytest.raises(UserError, match=r"the engine has no setting 'datafusion\.nope'") as raised:
        load_project(project.root)
    assert str(raised.value.hint).endswith("and the engine's keys (docs/profiles.md)")
