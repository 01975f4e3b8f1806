"""What several files of this folder need. Their HTTP clients stay on this machine."""

from collections.abc import AsyncIterator

import pytest

from connectors.media.preparation import Decoder
from tests.certificates import trust_one

trust_one()


@pytest.fixture
async def decoder() -> AsyncIterator[Decoder]:
    async with Decoder(workers=1) as opened:
        yield opened
