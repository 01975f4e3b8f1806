"""No file of statements has two of one name, because the second would replace the first."""

import re
from collections import Counter
from pathlib import Path

import pytest

from storage.postgres.sql import QUERIES_DIR, queries


@pytest.mark.parametrize("path", sorted(QUERIES_DIR.glob("*.sql")), ids=lambda path: path.stem)
def test_no_two_statements_of_a_file_have_one_name(path: Path) -> None:
    names = Counter(re.findall(r"^-- name: (\w+)$", path.read_text(), re.MULTILINE))
    assert [name for name, times in names.items() if times > 1] == []
    assert set(queries(path.stem)) == set(names)
