"""A run with a broken promise fails, and names the promise."""

import pytest

from tests.chaos.faults import sabotage
from tests.chaos.faults.catalogue import Fault
from tests.chaos.run import Chaos

CONTROLS = {
    "no_claims": (sabotage.breaking("no_claims"), {"twice"}),
    "offset_first": (sabotage.breaking("offset_first", kills=3), {"lost"}),
    "row_dropped": (sabotage.a_row_dropped, {"lost"}),
    "receipt_missing": (sabotage.breaking("no_first_line"), {"unbalanced"}),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("control", CONTROLS)
def test_a_broken_promise_is_seen(control: str, chaos: Chaos) -> None:
    hurt, promises = CONTROLS[control]
    line = chaos.phase(Fault(control, hurt, 3, 3), drain_seconds=8)
    assert line.verdict == "FAILED"
    assert promises <= line.broken.keys(), line.broken


def test_the_same_run_unbroken_passes(chaos: Chaos) -> None:
    line = chaos.phase(Fault("calm", lambda world: world.sleep(3), 3, 3))
    assert (line.broken, line.failures) == ({}, [])
