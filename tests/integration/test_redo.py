import asyncio
from typing import Any

import msgspec
import pytest

from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.records import MediaJob, VisionJob
from storage.postgres.pool import create_pool
from streams.repair.redo import AttachmentRedo
from tests.integration.commands import Commands
from tests.integration.console import key_of, row
from tests.integration.test_commands_and_servers import store
from tests.integration.test_commands_replay import failed, outputs

ACME = TenantId("acme")


def redone(
    commands: Commands, reason: str, *identifiers: str, bootstrap: str = ""
) -> tuple[int, int]:
    """The generation, and how many files are redone."""
    settings = commands.settings
    if bootstrap:
        kafka = msgspec.structs.replace(settings.kafka, bootstrap_servers=bootstrap)
        settings = msgspec.structs.replace(settings, kafka=kafka)

    async def work() -> tuple[int, int]:
        pool: Any = await create_pool(settings.postgres, commands.names, "test", size=2)
        try:
            redo = AttachmentRedo(settings, pool)
            generation = await redo.next_generation("test")
            keys = [key_of(one) for one in identifiers]
            return generation, await redo.again(ACME, reason, keys, generation)
        finally:
            pool.terminate()

    return asyncio.run(work())


def test_named_messages_have_their_failed_files_redone(commands: Commands) -> None:
    kept = failed(
        0,
        "model_timeout",
        url="/media/acme/a.jpg",
        sha256="a" * 64,
        mime_type="image/jpeg",
        bytes=3,
    )
    store(
        commands,
        row("1", failed(0, "media_gone")),
        row("2", kept),
        row("3", failed(0, "media_gone")),
    )
    generation, files = redone(commands, "media_gone", "1", "2", "nobody")
    assert files == 1
    jobs = outputs(commands, "media", MediaJob)
    assert [(job.message_key, job.generation) for job in jobs] == [(key_of("1"), generation)]
    _, files = redone(commands, "model_timeout", "2")
    assert files == 1
    assert [job.message_key for job in outputs(commands, "vision", VisionJob)] == [key_of("2")]


def test_while_kafka_is_away_it_says_so(commands: Commands) -> None:
    store(commands, row("1", failed(0, "media_gone")))
    with pytest.raises(Unavailable):
        redone(commands, "media_gone", "1", bootstrap="127.0.0.1:9")
