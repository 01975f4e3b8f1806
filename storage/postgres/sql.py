"""Loads the named SQL statements of queries/*.sql, each with a line on its purpose."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

QUERIES_DIR = Path(__file__).parent / "queries"
_BLOCK = re.compile(
    r"^-- name: (\w+)\n-- ([^\n]+)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL
)


@cache
def queries(name: str) -> Mapping[str, str]:
    """Maps the names of the statements of queries/<name>.sql to their texts."""
    text = (QUERIES_DIR / f"{name}.sql").read_text()
    return MappingProxyType(
        {block[1]: block[3].strip().removesuffix(";") for block in _BLOCK.finditer(text)}
    )
