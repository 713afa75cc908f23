"""`rules publish` to a real PostgreSQL: types, grants, views, what others did there, readers meanwhile, and kills."""

from __future__ import annotations

import datetime as dt
import decimal
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from support import publishing
from support.inprocess import run
from support.projects import SampleProject

pytestmark = pytest.mark.service


@pytest.fixture
def database(postgresql_address: str, request: pytest.FixtureRequest) -> Iterator[psycopg.Connection[Any]]:
    """A connection, for which a schema of the test's own comes first."""
    name = f"mart_{abs(hash(request.node.name)) % 10**8}"
    with psycopg.connect(postgresql_address, autocommit=True, options=f"-c search_path={name}") as connection:
        yield connection


def schema_of(database: psycopg.Connection[Any]) -> str:
    return str(database.execute("SHOW search_path").fetchone()[0])  # type: ignore[index]


def target(database: psycopg.Connection[Any]) -> str:
    info = database.info
    to = f"postgresql:///{info.dbname}?host={info.host}&user={info.user}"
    return f'\n[publish.warehouse]\nto = "{to}"\nschema = "{schema_of(database)}"\n'


@pytest.fixture
def project(tmp_path: Path, database: psycopg.Connection[Any]) -> SampleProject:
    made = SampleProject(tmp_path / "sample", sources=["raw"], toml=target(database))
    made.parquet("raw", {"id": [1, 2, 3], "region": ["EU", "", None]})
    made.sql("a", "SELECT r.id, r.region FROM raw AS r")
    made.sql("b", "SELECT r.id FROM raw AS r")
    run(made, "build")
    return made


def statuses(project: SampleProject, *words: str, expect: int = 0) -> dict[str, str]:
    (found,) = run(project, "publish", "--json", *words, expect=expect).document["targets"]
    assert "error" not in found, found["error"]
    return {one["name"]: one["status"] for one in found["products"]}


def messages(project: SampleProject) -> dict[str, str]:
    (found,) = run(project, "publish", "--json", expect=1).document["targets"]
    return {one["name"]: one["error"]["message"] for one in found["products"] if "error" in one}


def rows(database: psycopg.Connection[Any], table: str) -> list[tuple[Any, ...]]:
    return database.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()


def rebuilt(project: SampleProject, name: str, text: str) -> None:
    project.sql(name, text)
    run(project, "build")


def test_only_what_changed_is_sent(project: SampleProject, database: psycopg.Connection[Any]) -> None:
    assert statuses(project, "--dry-run") == {"a": "send", "b": "send"}
    assert not database.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema_of(database)]).fetchall()
    assert statuses(project) == {"a": "sent", "b": "sent"}
    assert rows(database, "a") == [(1, "EU"), (2, ""), (3, None)]
    rebuilt(project, "b", "SELECT r.id * 2 AS id FROM raw AS r")
    assert statuses(project) == {"a": "kept", "b": "sent"}
    assert statuses(project) == {"a": "kept", "b": "kept"}
    assert rows(database, "b") == [(2,), (4,), (6,)]
    tables = database.execute("SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r'",
                              [schema_of(database)])  # fmt: skip
    assert sorted(name for (name,) in tables) == ["a", "b", "rules_published"]


def test_types_come_back(tmp_path: Path, database: psycopg.Connection[Any]) -> None:
    moment = dt.datetime(2024, 2, 29, 1, 2, 3, 456789)
    values = {
        "i8": pa.array([-128, None], pa.int8()),
        "u32": pa.array([2**32 - 1, None], pa.uint32()),
        "u64": pa.array([2**64 - 1, None], pa.uint64()),
        "price": pa.array([decimal.Decimal("-12345678.90"), None], pa.decimal128(10, 2)),
        "wide": pa.array([decimal.Decimal("9" * 30 + ".5"), None], pa.decimal128(38, 1)),
        "at": pa.array([moment, None], pa.timestamp("us")),
        "fine": pa.array([moment, None], pa.timestamp("ns")),
        "zoned": pa.array([moment, None], pa.timestamp("us", "Europe/Berlin")),
        "day": pa.array([dt.date(1, 1, 1), dt.date(9999, 12, 31)]),
        "clock": pa.array([dt.time(23, 59, 59, 999999), None], pa.time64("us")),
        "ratio": pa.array([float("nan"), float("-inf")]),
        "short": pa.array([0.25, None], pa.float32()),
        "zero": pa.array([-0.0, 1e-308]),
        "word": pa.array(['a,"b"\\\n\tü', ""]),
        "kind": pa.array(["x", None]).dictionary_encode(),
        "data": pa.array([b"\0\xff", b""]),
        "yes": pa.array([True, None]),
        "items": pa.array([[1, None], []], pa.list_(pa.int64())),
        "words": pa.array([["a", "", None], None], pa.list_(pa.string())),
        "prices": pa.array([[decimal.Decimal("1.50"), None], None], pa.list_(pa.decimal128(5, 2))),
    }
    made = SampleProject(tmp_path / "typed", sources=["raw"], toml=target(database))
    made.parquet("raw", {"id": [1, 2], **values})
    columns = ", ".join(f'r."{name}"' for name in ("id", *values))
    made.sql("filled", f"SELECT {columns} FROM raw AS r")
    made.sql("empty", f"SELECT {columns} FROM raw AS r WHERE r.id < 0")
    run(made, "build")
    assert statuses(made) == {"filled": "sent", "empty": "sent"}
    assert statuses(made) == {"filled": "kept", "empty": "kept"}
    database.execute("SET TimeZone = 'UTC'")
    for name in ("filled", "empty"):
        found = database.execute(f"SELECT {', '.join(values)} FROM {name} ORDER BY id")
        wanted = made.product(name).drop_columns(["id"]).to_pylist()
        assert [repr(row) for row in map(plain, found)] == [repr(plain(row.values())) for row in wanted]


def plain(row: Any) -> list[Any]:
    """Values as Python's own, moments in UTC."""
    return [
        one.to_pydatetime() if hasattr(one, "to_pydatetime") else
        one.astimezone(dt.UTC) if isinstance(one, dt.datetime) and one.tzinfo else
        int(one) if isinstance(one, decimal.Decimal) and one.as_tuple().exponent == 0 else one
        for one in row
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([{"x": 1}]), "PostgreSQL cannot hold column 'x' of bad, of type struct<x: int64>"),
        (pa.array([[[1]]]), "PostgreSQL cannot hold column 'x' of bad"),
        (pa.array(["a\0b"]), "holds a text with the character NUL"),
        (pa.array([["a\0b"]]), "holds a text with the character NUL"),
        (pa.array([1001], pa.timestamp("ns")), "holds values that timestamp of PostgreSQL cannot"),
    ],
)
def test_what_it_cannot_hold_is_refused(
    project: SampleProject, database: psycopg.Connection[Any], column: pa.Array, message: str
) -> None:
    """With a clear error, before a reader could see anything of it; the other tables are sent."""
    project.write("rules.toml", project.read("rules.toml") + '\n[sources.odd]\npath = "data/odd.parquet"\n')
    project.parquet("odd", {"x": column})
    rebuilt(project, "bad", "SELECT o.x FROM odd AS o")
    found = messages(project)
    assert list(found) == ["bad"]
    assert message in found["bad"]
    assert not database.execute("SELECT to_regclass('bad')").fetchone()[0]  # type: ignore[index]
    assert rows(database, "b") == [(1,), (2,), (3,)]


def test_grants_comments_indexes_and_views_are_kept(project: SampleProject, database: psycopg.Connection[Any]) -> None:
    statuses(project)
    schema = schema_of(database)
    database.execute(f"CREATE ROLE reader_{schema}")
    for statement in (
        f"GRANT SELECT ON a TO reader_{schema}", f"GRANT UPDATE (id) ON a TO reader_{schema}",
        "COMMENT ON TABLE a IS 'it''s'", "COMMENT ON COLUMN a.id IS 'the id'", "CREATE INDEX a_id ON a (id)",
        "ALTER TABLE a ADD CONSTRAINT a_pk PRIMARY KEY (id)", "CREATE INDEX a_region ON a (region)",
        "CREATE VIEW over_a AS SELECT count(*) AS n FROM a",
    ):  # fmt: skip
        database.execute(statement)

    def facts() -> list[Any]:
        query = """SELECT relacl::text, obj_description(oid, 'pg_class'), col_description(oid, 1),
                          (SELECT attacl::text FROM pg_attribute WHERE attrelid = c.oid AND attname = 'id'),
                          (SELECT array_agg(i ORDER BY i) FROM
                           (SELECT indexrelid::regclass::text AS i FROM pg_index WHERE indrelid = c.oid) AS own)
                   FROM pg_class c WHERE oid = 'a'::regclass"""
        return list(database.execute(query).fetchone() or ())

    before = facts()
    rebuilt(project, "a", "SELECT r.id, r.region FROM raw AS r WHERE r.id > 1")
    assert statuses(project)["a"] == "sent"
    assert facts() == before
    assert rows(database, "over_a") == [(2,)]
    rebuilt(project, "a", "SELECT r.id, r.id AS twin FROM raw AS r")
    assert "these views read it" in messages(project)["a"]
    assert rows(database, "over_a") == [(2,)]
    database.execute("DROP VIEW over_a")
    ran = run(project, "publish")
    assert f"a_region of {schema}.a does not fit the new columns" in ran.stderr
    assert rows(database, "a") == [(1, 1), (2, 2), (3, 3)]
    after = facts()
    assert after[:4] == before[:4]
    assert after[4] == ["a_id", "a_pk"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("UPDATE a SET region = 'x' WHERE id = 1", "changed by someone else"),
        ("DELETE FROM a WHERE id = 1", "changed by someone else"),
        ("INSERT INTO a SELECT * FROM a", "changed by someone else"),
        ("ALTER TABLE a ADD COLUMN mine int", "changed by someone else"),
        ("ALTER TABLE a RENAME COLUMN id TO di", "changed by someone else"),
        ("DROP TABLE a", "removed by someone else"),
    ],
)
def test_what_someone_else_changed_is_noticed(
    project: SampleProject, database: psycopg.Connection[Any], damage: str, reason: str
) -> None:
    statuses(project)
    wanted = rows(database, "a")
    database.execute(damage)
    (found,) = run(project, "publish", "--json").document["targets"]
    assert [one["status"] for one in found["products"]] == ["sent", "kept"]
    assert reason in found["products"][0]["reason"]
    assert rows(database, "a") == wanted


def test_a_copy_of_the_table_is_the_table(project: SampleProject, database: psycopg.Connection[Any]) -> None:
    """As after a dump and restore: other identifiers, the same rows."""
    statuses(project)
    database.execute("ALTER TABLE a RENAME TO was")
    database.execute("CREATE TABLE a AS SELECT * FROM was")
    assert statuses(project) == {"a": "kept", "b": "kept"}


@pytest.mark.parametrize("statement", ["CREATE TABLE a (mine int)", "CREATE VIEW a AS SELECT 1 AS mine"])
def test_what_no_publish_wrote_is_left_alone(
    project: SampleProject, database: psycopg.Connection[Any], statement: str
) -> None:
    database.execute(f"CREATE SCHEMA {schema_of(database)}")
    database.execute(statement)
    assert list(messages(project)) == ["a"]
    assert database.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'a'::regclass AND attnum > 0"
    ).fetchall()[0] == ("mine",)
    assert rows(database, "b") == [(1,), (2,), (3,)]


def test_rows_that_others_refer_to_are_not_replaced(project: SampleProject, database: psycopg.Connection[Any]) -> None:
    statuses(project)
    database.execute("ALTER TABLE a ADD PRIMARY KEY (id)")
    database.execute("CREATE TABLE mine (id bigint REFERENCES a (id) ON DELETE CASCADE)")
    database.execute("INSERT INTO mine VALUES (1)")
    rebuilt(project, "a", "SELECT r.id, r.region FROM raw AS r WHERE r.id > 1")
    assert "is referred to by the foreign key" in messages(project)["a"]
    assert rows(database, "mine") == [(1,)]


def test_rows_that_a_trigger_changes_are_rolled_back(project: SampleProject, database: psycopg.Connection[Any]) -> None:
    statuses(project)
    wanted = rows(database, "a")
    database.execute("""CREATE FUNCTION lie() RETURNS trigger LANGUAGE plpgsql AS
                        $$ BEGIN NEW.id := NEW.id + 100; RETURN NEW; END $$""")
    database.execute("CREATE TRIGGER lie BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION lie()")
    rebuilt(project, "a", "SELECT r.id, r.region FROM raw AS r WHERE r.id > 1")
    assert "does not hold what was written to it" in messages(project)["a"]
    assert rows(database, "a") == wanted


def test_prune_drops_what_has_no_product(project: SampleProject, database: psycopg.Connection[Any]) -> None:
    statuses(project)
    (project.root / "rules" / "b.sql").unlink()
    assert statuses(project, "--prune") == {"a": "kept", "b": "removed"}
    assert not database.execute("SELECT to_regclass('b')").fetchone()[0]  # type: ignore[index]
    assert rows(database, "a")


def test_a_server_that_is_not_there_is_one_clear_error(project: SampleProject, tmp_path: Path) -> None:
    text = project.read("rules.toml").split("[publish")[0]
    project.write("rules.toml", f'{text}[publish.w]\nto = "postgresql:///x?host={tmp_path}"\n')
    ran = run(project, "publish", expect=1)
    assert ran.stderr.count("error:") == 1
    assert "cannot be published to" in ran.stderr
    assert "Traceback" not in ran.stderr


def state_of(database: psycopg.Connection[Any]) -> dict[str, tuple[int, int, int]]:
    found = {}
    for name in publishing.NAMES:
        found[name] = database.execute(f"SELECT count(*), min(state), max(state) FROM {name}").fetchone()
    return found  # type: ignore[return-value]


def test_readers_meanwhile_see_the_old_or_the_new(tmp_path: Path, database: psycopg.Connection[Any]) -> None:
    """Also within one snapshot, and they never wait for long or fail."""
    projects = [publishing.project_of(tmp_path / str(state), target(database), state) for state in range(4)]
    run(projects[0], "publish")
    over = threading.Event()
    seen: set[tuple[int, int, int]] = set()
    wrong: list[Any] = []

    def look() -> None:
        options = f"-c search_path={schema_of(database)}"
        with psycopg.connect(database.info.dsn, options=options) as reader:
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            while not over.is_set():
                with reader.transaction():
                    first, second = state_of(reader), state_of(reader)
                if first != second:
                    wrong.append((first, second))
                seen.update(first.values())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for made in projects[1:]:
            run(made, "publish")
    finally:
        over.set()
        thread.join(60)
    assert not wrong
    assert {(0, 0), (1, 1), (2, 2), (3, 3)} >= {one[1:] for one in seen}
    assert {one[0] for one in seen} == {publishing.ROWS}


@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    "kills", [10, pytest.param(int(os.environ.get("RULES_SOAK_KILLS", "200")), marks=pytest.mark.soak)]
)
def test_killed_at_random_times(tmp_path: Path, database: psycopg.Connection[Any], kills: int) -> None:
    publishing.killed_at_random(tmp_path, target(database), lambda: state_of(database), kills=kills, seed=1)
    left = database.execute("SELECT relname FROM pg_class WHERE relname LIKE 'rules_staging_%'").fetchall()
    assert not left
