"""Fixtures that several files of this folder use."""

from collections.abc import Iterator

import msgspec
import pytest

from schemas.settings import Settings
from tests.integration.commands import Commands


@pytest.fixture
def commands(stack: Settings, namespace: str) -> Iterator[Commands]:
    """A namespace with tables and topics."""
    made = Commands(msgspec.structs.replace(stack, namespace=namespace), {})
    made.make_tables()
    made.make_topics()
    yield made
    made.drop_tables()
