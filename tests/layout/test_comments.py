"""Every table and column of the database is described in storage/postgres/comments.sql."""

import re
from pathlib import Path

POSTGRES = Path(__file__).parents[2] / "storage" / "postgres"
SCHEMA = (POSTGRES / "schema.sql").read_text()
COMMENTS = (POSTGRES / "comments.sql").read_text()
_TABLE = re.compile(r"^CREATE TABLE (\w+) \((.*?)^\)", re.MULTILINE | re.DOTALL)
_COLUMN = re.compile(r"^    (\"?\w+\"?)\s", re.MULTILINE)
_NO_COLUMN = {"PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "CONSTRAINT", "EXCLUDE"}


def declared(schema: str) -> set[str]:
    """The tables, and the columns as `table.column`, in the schema."""
    found = set()
    for table, body in _TABLE.findall(schema):
        columns = {name for name in _COLUMN.findall(body) if name not in _NO_COLUMN}
        found |= {table, *(f"{table}.{name}" for name in columns)}
    return found


def described(comments: str) -> set[str]:
    return set(re.findall(r"^COMMENT ON (?:TABLE|COLUMN) ([\w.\"]+) IS '.+';$", comments, re.M))


def test_every_table_and_column_has_a_comment_and_no_other_thing() -> None:
    """The columns of views are compared with a real database in test_commands_readers.py."""
    others = ("schema_migrations", *re.findall(r"^CREATE VIEW (\w+)", SCHEMA, re.M))
    of_others = {name for name in described(COMMENTS) if name.partition(".")[0] in others}
    assert len(others) == 3
    assert described(COMMENTS) - of_others == declared(SCHEMA)


def test_a_column_without_a_comment_is_found() -> None:
    more = SCHEMA.replace("CREATE TABLE tenants (\n", "CREATE TABLE tenants (\n    later text,\n")
    assert declared(more) - described(COMMENTS) == {"tenants.later"}
