"""docs/sizing.md names owner, age and bound of every table."""

import re
from pathlib import Path

from schemas.settings import RetentionSettings
from storage.postgres.retention import days_of

ROOT = Path(__file__).parents[2]
SCHEMA = (ROOT / "storage" / "postgres" / "schema.sql").read_text()
PAGE = (ROOT / "docs" / "sizing.md").read_text()
_TABLE = re.compile(r"^CREATE TABLE (\w+) (?!PARTITION OF)", re.MULTILINE)
OF_MIGRATE = "schema_migrations"
"""The table that the program creates before any migration."""


def tables_of(schema: str) -> list[str]:
    return sorted({*_TABLE.findall(schema), OF_MIGRATE})


def bounds_of(page: str) -> list[tuple[str, list[str]]]:
    """Maps each table to its owner, age and bound in the page."""
    rows = page.partition("| Table | Owner | Age | Bound per tenant |\n")[2].partition("\n\n")[0]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.splitlines()[1:]]
    return sorted((name, rest) for first, *rest in cells for name in re.findall(r"`(\w+)`", first))


def incomplete(page: str) -> list[str]:
    return [name for name, rest in bounds_of(page) if len(rest) != 3 or not all(len(c) > 1 for c in rest)]  # fmt: skip


def test_every_table_has_an_owner_an_age_and_a_bound_in_the_docs() -> None:
    assert [name for name, _ in bounds_of(PAGE)] == tables_of(SCHEMA)
    assert incomplete(PAGE) == []
    assert "later" in tables_of(f"{SCHEMA}\nCREATE TABLE later (\n    at date\n);\n")
    assert incomplete(PAGE.replace("| receiver | 30 days |", "| receiver | – |")) == ["webhook_deliveries"]  # fmt: skip


def test_tables_that_expire_by_a_setting_have_an_age_in_the_docs() -> None:
    ages = {name: rest[1] for name, rest in bounds_of(PAGE)}
    kept = [name for name in days_of(RetentionSettings(), 30) if ages[name].startswith("none")]
    assert kept == []
