"""The records that `quarantine replay` does not write again, by the rows that exist."""

from schemas.codec import encode
from schemas.keys import MessageKey
from streams.repair.superseded import parted
from tests.integration.commands import Commands, store
from tests.integration.console import key_of, row
from tests.unit.records import message


def test_a_version_older_than_its_messages_row_is_left_out(commands: Commands) -> None:
    store(commands, row("1", version=3))

    def refused(number: str, version: int, stage: str = "sink") -> dict[str, object]:
        key = MessageKey(key_of(number))
        return {"stage": stage, "value": encode(message(message_key=key, version=version))}

    older, same, newer = (refused("1", version) for version in (2, 3, 4))
    others = [refused("2", 1), refused("1", 1, stage="dedupe"), {"stage": "sink", "value": b"{"}]
    rows = [older, same, newer, *others]
    again, old = commands.database(lambda connection: parted(connection, rows))
    assert (again, old) == ([same, newer, *others], [older])
