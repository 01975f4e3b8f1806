import pytest

from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.records import Attachment
from schemas.settings import Postgres, Secret, Settings
from schemas.topics import Names
from storage.postgres.media_objects import MediaObjects, StoredFile
from streams.local.ports import free_port
from tests.integration.console import key_of, row, running
from tests.integration.databases import pooled

ACME = TenantId("acme")
LINK = "https://files.example.com/a?sig=1"


def stored(index: int, url: str, name: str) -> Attachment:
    return Attachment(
        index=index,
        type="image",
        status="stored",
        original_url=url,
        object_key=name,
        url=f"/{name}",
        sha256="ab",
        mime_type="image/jpeg",
        bytes=5,
    )


async def test_a_stored_file_is_found_by_its_message_and_its_address(
    stack: Settings, namespace: str
) -> None:
    async with (
        running(stack, Names(namespace)) as console,
        pooled(stack.postgres, console.names) as pool,
    ):
        await console.write(
            row(
                "1",
                stored(0, LINK, "first"),
                stored(1, "https://files.example.com/b?id=1", "second"),
            )
        )
        objects = MediaObjects(pool)
        for index, url, found in [
            (0, LINK, "first"),
            (5, LINK, "first"),  # a mended adapter may count otherwise
            (0, "https://files.example.com/a?sig=2", "first"),  # another delivery, signed anew
            (1, "https://files.example.com/a?sig=2", None),
            (
                0,
                "https://files.example.com/b?id=2",
                None,
            ),  # not the first one's, and not the second one's either
            (0, "https://files.example.com/c", None),
            (0, "", None),
        ]:
            wanted = None if found is None else StoredFile(found, "image/jpeg", 5)
            assert await objects.find(ACME, key_of("1"), index, url) == wanted, (index, url)
        assert await objects.find(ACME, key_of("2"), 0, LINK) is None
        assert await objects.find(TenantId("other"), key_of("1"), 0, LINK) is None


async def test_the_database_being_away_is_the_worlds_trouble() -> None:
    nobody = Postgres(dsn=Secret(f"postgresql://x@127.0.0.1:{free_port(set())}/x"))
    async with pooled(nobody, Names("x")) as pool:
        with pytest.raises(Unavailable):
            await MediaObjects(pool).find(ACME, key_of("1"), 0, LINK)
