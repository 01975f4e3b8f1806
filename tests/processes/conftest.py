"""Fixtures that several files of this folder use. HTTP clients do not leave this machine."""

from collections.abc import AsyncIterator

import pytest

from connectors.media.preparation import Decoder
from tests.certificates import trust_one

trust_one()


@pytest.fixture
async def decoder() -> AsyncIterator[Decoder]:
    async with Decoder(workers=1) as opened:
        yield opened
