"""A version that does not have a file does not remove the file from the row."""

import json
from itertools import permutations
from typing import Any

import pytest

from schemas.records import EnrichedMessage
from tests.integration.databases import Connection
from tests.integration.test_sink_writer import Sink, sink
from tests.unit.records import attachment, message

__all__ = ["sink"]


def shown_file(index: int) -> dict[str, Any]:
    return {"index": index, "status": "described", "url": f"/media/{index}.jpg"}


def delivered(
    name: str, number: int, files: tuple[int, ...] = (), **fields: Any
) -> EnrichedMessage:
    """A version of the message `name` with these stored files."""
    attributes: dict[str, Any] = {"provider": {"v": number}}
    if files:
        attributes |= {"attachments": [shown_file(n) for n in files], "description": "a cat"}
    return message(
        *(attachment(n, url=f"/media/{n}.jpg", object_key=f"media/{name}/{n}") for n in files),
        version=number,
        message_key=f"acme:ycloud:{name}",
        provider_message_id=name,
        content_attributes=json.dumps(attributes),
        **{"status": "complete", **fields},
    )


VERSIONS: tuple[tuple[int, tuple[int, ...], str], ...] = (
    (1, (), "complete"),
    (202, (0,), "complete"),
    (402, (0, 1), "degraded"),
    (1001, (), "pending"),
    (1002, (), "complete"),
)
"""The first delivery, two late files, and a repair that knows the first delivery only."""


@pytest.mark.parametrize("split", [1, 2, 5])
async def test_a_stored_file_that_a_row_shows_stays_in_every_order_of_versions(
    split: int, sink: Sink, database: Connection
) -> None:
    orders = list(permutations(VERSIONS))
    shown: dict[str, set[int]] = {}
    for begin in range(0, len(VERSIONS), split):
        await sink.write(
            *(
                delivered(f"m{place}", number, files, status=status)
                for place, order in enumerate(orders)
                for number, files, status in order[begin : begin + split]
            )
        )
        for row in await database.fetch("SELECT * FROM chat_messages"):
            files = json.loads(row["content_attributes"]).get("attachments", [])
            indexes = {one["index"] for one in files}
            assert shown.get(row["message_key"], set()) <= indexes and len(indexes) == len(files)
            shown[row["message_key"]] = indexes
    in_order = shown[f"acme:ycloud:m{orders.index(VERSIONS)}"]
    assert (len(shown), in_order) == (len(orders), {0, 1})


@pytest.mark.parametrize("is_one_batch", [True, False])
async def test_a_version_without_the_files_of_its_row_brings_everything_else(
    is_one_batch: bool, sink: Sink, database: Connection
) -> None:
    late = delivered("m", 202, (0,), status="degraded", kind="image")
    again = delivered("m", 1001, content="new words", kind="text")
    for batch in [[late, again]] if is_one_batch else [[late], [again]]:
        await sink.write(*batch)
    (row,) = await database.fetch("SELECT * FROM chat_messages")
    found = (row["version"], row["content"], row["kind"], row["status"])
    assert found == (1001, "new words", "image", "degraded")
    assert json.loads(row["content_attributes"]) == {
        "provider": {"v": 1001},
        "attachments": [shown_file(0)],
        "description": "a cat",
    }


async def test_a_file_of_an_erased_message_does_not_stay(sink: Sink, database: Connection) -> None:
    await sink.write(delivered("m", 202, (0,)))
    work = sink.work()
    work.ended.add(("acme", "acme:ycloud:m"))
    work.ends["enriched-messages", 0] = sink.offset = sink.offset + 1
    await sink.write_after(sink.offset - 1, work)
    await sink.write(delivered("m", 1001))
    assert await database.fetchval("SELECT count(*) FROM chat_messages") == 0
