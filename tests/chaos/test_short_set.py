"""Runs the most important faults briefly, with a fixed seed.

`make chaos` runs them for longer, and the others too.
"""

import pytest

from tests.chaos.faults.catalogue import FAULTS, SHORT
from tests.chaos.report import table
from tests.chaos.run import Chaos


@pytest.mark.timeout(400)
@pytest.mark.parametrize("fault", SHORT)
def test_nothing_is_lost_or_twice(fault: str, chaos: Chaos) -> None:
    line = chaos.phase(FAULTS[fault])
    assert line.verdict == "ok", f"\n{table([line])}"
