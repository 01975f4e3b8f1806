"""Claims are kept by day, even if the clock of a worker is wrong."""

import time

import pytest

from schemas.codec import encode
from streams.apps.dedupe import DAY_SECONDS, HORIZON_DAYS
from streams.apps.dedupe import decide as dedupe_batch
from streams.lanes.claims import ClaimedKeys
from tests.unit.records import chat, raw
from tests.unit.test_sizes import ENCODING, Kafka, batch, saying

TODAY = 20_000


class Dated(Kafka):
    def timestamp(self) -> tuple[int, int]:
        return 1, TODAY * DAY_SECONDS * 1000


def outcomes(claimed: ClaimedKeys, monkeypatch: pytest.MonkeyPatch, clock: int) -> list[str]:
    """The outcomes of the same delivery for a worker whose clock shows that day."""
    saying(monkeypatch, chat())
    monkeypatch.setattr(time, "time", lambda: float(clock * DAY_SECONDS))
    settled = batch(claimed, Dated(encode(raw()), 0))
    dedupe_batch(settled, ENCODING)
    return [one.outcome for one in settled.lines]


@pytest.mark.parametrize("wrong", [TODAY - 30, TODAY + 30])
def test_a_wrong_clock_makes_nobody_forget_what_was_claimed_today(
    monkeypatch: pytest.MonkeyPatch, wrong: int
) -> None:
    for owners in ([wrong, TODAY, wrong], [TODAY, wrong, TODAY]):
        claimed = ClaimedKeys()
        became = [outcomes(claimed, monkeypatch, clock) for clock in owners]
        assert became == [["forwarded"], ["duplicate"], ["duplicate"]]


def test_a_claim_is_forgotten_after_the_horizon(monkeypatch: pytest.MonkeyPatch) -> None:
    claimed = ClaimedKeys()
    assert outcomes(claimed, monkeypatch, TODAY) == ["forwarded"]
    monkeypatch.setattr(Dated, "timestamp", lambda self: (1, (TODAY + HORIZON_DAYS + 1) * DAY_SECONDS * 1000))  # fmt: skip
    assert outcomes(claimed, monkeypatch, TODAY + HORIZON_DAYS + 1) == ["forwarded"]
