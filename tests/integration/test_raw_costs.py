"""A plan of raw records remembers the keys of a bounded number of messages, and says so."""

import pytest

from streams.repair import raw_count
from tests.integration.commands import Commands
from tests.integration.databases import Connection
from tests.integration.replays import produce

DRY_RUN = ("replay", "raw", "--since", "2020-01-01", "--dry-run")


def record_answers(commands: Commands, messages: int) -> None:
    """Records an answer about a file of each message, with a price of 3,000 micro-dollars."""

    async def recorded(connection: Connection) -> None:
        await connection.executemany(
            "INSERT INTO media_objects VALUES ('acme', $1, $1, 0, $1, 'image/png', 1, '', now())",
            [(f"k{number}",) for number in range(messages)],
        )
        await connection.executemany(
            "INSERT INTO ai_results"
            " VALUES ('acme', $1, 'r', 'describe', 'x', false, 'm', 'v', 1, 1, 3000, 1)",
            [(f"k{number}",) for number in range(messages)],
        )

    commands.database(recorded)


@pytest.mark.parametrize(
    ("most", "answers", "is_whole"), [(2, 2, False), (3, 3, True), (200_000, 3, True)]
)
def test_the_cost_of_more_messages_than_are_remembered_is_at_least_that_of_the_first_ones(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, most: int, answers: int, is_whole: bool
) -> None:
    monkeypatch.setattr(raw_count, "MOST_KEYS", most)
    produce(commands, 3)
    produce(commands, 3)  # the same messages, delivered again
    record_answers(commands, 3)
    plan = commands.json(*DRY_RUN)
    assert (plan["records"], plan["answers"], plan["is_cost_whole"]) == (6, answers, is_whole)
    assert plan["cost_microusd"] == answers * 3_000
    says = f"recorded for them: {'' if is_whole else 'at least '}{answers} answers"
    assert says in commands.run(*DRY_RUN).stdout
