"""One stack and one pipeline for all tests of this folder. They run faults one after the other."""

from collections.abc import Iterator

import pytest

from tests.chaos.run import Chaos, Options, running

SEED = 20_261


@pytest.fixture(scope="session")
def chaos() -> Iterator[Chaos]:
    with running(Options(seed=SEED, rate=20)) as started:
        yield started
