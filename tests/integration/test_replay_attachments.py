"""`replay attachments` tries failed files again, each with the job and the authority it needs."""

import json
from datetime import timedelta
from typing import Any

import pytest

from connectors.providers.catalogue import download_candidates
from connectors.providers.downloads import Authority
from schemas.codec import decode
from schemas.records import Attachment, EnrichedMessage, Enrichment, MediaJob, Step, VisionJob
from schemas.settings import Providers
from tests.integration.commands import Commands, store
from tests.integration.console import key_of, row
from tests.integration.replays import URL, failed, opened_messages, outputs, written
from tests.unit.records import NOW


def test_a_failed_attachment_is_tried_again_from_its_file_or_from_its_download(
    commands: Commands,
) -> None:
    kept = f"{commands.names.object_prefix}media/acme/1.jpg"
    steps = (
        Step(
            stage="dedupe",
            outcome="forwarded",
            topic="raw-messages",
            partition=3,
            offset=41,
            at=NOW,
        ),
    )
    at_store, at_model, at_quarantine = (
        failed(
            0,
            "model_unavailable",
            type="audio",
            url="/media/acme/1.jpg",
            object_key=kept,
            mime_type="audio/ogg",
            bytes=5,
            sha256="ab",
        ),
        failed(
            1,
            "model_unavailable",
            url="/media/acme/1.jpg",
            object_key=kept,
            mime_type="image/jpeg",
            bytes=5,
            sha256="cd",
            filename="f",
        ),
        failed(2, "media_gone"),
    )
    done_before = Attachment(
        index=3,
        type="image",
        status="described",
        description="Un perro.",
        url="/media/acme/3.jpg",
        object_key=f"{kept}3",
    )
    store(
        commands,
        row(
            "1",
            at_store,
            at_model,
            at_quarantine,
            done_before,
            attributes={"event_id": "e"},
            steps=steps,
            aliases=("other-name",),
        ),
    )
    store(
        commands,
        row("2", failed(0, "media_gone")),
        row("3", content="hola"),
        row("1", failed(0, "model_unavailable"), tenant="other"),
    )
    commands.json("tenants", "add", "acme")
    document = commands.json(
        "replay", "attachments", "--reason", "model_unavailable", "--tenant", "acme"
    )
    generation = document["generation"]
    assert document == {"generation": generation, "messages": 1, "attachments": 2}
    (message,) = opened_messages(commands)
    assert (message.message_key, message.version, message.status) == (
        key_of("1"),
        generation * 1000 + 1,
        "pending",
    )
    assert [(a.status, a.reason, a.description) for a in message.attachments] == [
        ("pending", None, None), ("pending", None, None), ("failed", "media_gone", None), ("described", None, "Un perro."),
    ]  # fmt: skip
    assert (message.aliases, message.steps, json.loads(message.content_attributes)["provider"]) == (
        ("other-name",),
        steps,
        {"event_id": "e"},
    )
    (opened,) = outputs(commands, "enrichments", Enrichment)
    assert (opened.kind, opened.generation, decode(EnrichedMessage, opened.snapshot)) == (
        "opened",
        generation,
        message,
    )
    (job,) = outputs(commands, "vision", VisionJob)
    assert (
        job.index,
        job.object_key,
        job.sha256,
        job.mime_type,
        job.bytes,
        job.filename,
        job.generation,
    ) == (
        1,
        kept,
        "cd",
        "image/jpeg",
        5,
        "f",
        generation,
    )
    assert len(written(commands, "audio")) == 1 and written(commands, "media") == []


def test_what_failed_before_it_was_stored_is_downloaded_again_by_its_tenants_endpoint(
    commands: Commands,
) -> None:
    commands.json("tenants", "add", "acme")
    endpoint = commands.json("endpoints", "add", "acme", "ycloud", "--api-key", "k")
    commands.json("endpoints", "add", "acme", "ycloud", "--api-key", "of another account")
    store(
        commands,
        row(
            "1",
            failed(0, "quarantined"),
            failed(1, "media_link_expired"),
            received_at=NOW,
            occurred_at=NOW - timedelta(days=3),
            endpoint_id=endpoint["endpoint_id"],
        ),
    )
    generation = commands.json("replay", "attachments", "--reason", "quarantined")["generation"]
    (message,) = opened_messages(commands)
    assert message.endpoint_id == endpoint["endpoint_id"]
    (job,) = outputs(commands, "media", MediaJob)
    assert (job.index, job.url, job.endpoint_id, job.unpaid_reason, job.generation) == (
        0,
        URL,
        endpoint["endpoint_id"],
        "old",
        generation,
    )
    # of the link and the key all ways follow, the one by the file's id among them
    given = Authority("ycloud", "k")
    assert [
        candidate.url
        for candidate in download_candidates(job.url, job.media_id, given, Providers())
    ] == [
        URL,
        URL,
        URL.partition("?")[0],
    ]
    assert (job.tenant_id, job.provider, job.received_at) == ("acme", "ycloud", NOW)


@pytest.mark.parametrize(
    ("fields", "endpoint_id"),
    [
        ({"endpoint_id": "direct"}, ""),
        ({}, ""),
        ({"attributes": {"event_type": "whatsapp.inbound_message.received"}}, "unrecorded"),
    ],
    ids=["a chat that names ycloud", "older, unproven", "older, proven by its event"],
)
def test_a_replay_has_the_authority_of_who_received_the_message_not_of_the_provider_it_names(
    commands: Commands, fields: dict[str, Any], endpoint_id: str
) -> None:
    commands.json("tenants", "add", "acme")
    commands.json("endpoints", "add", "acme", "ycloud", "--api-key", "k")
    store(commands, row("1", failed(0, "media_not_found"), **fields))
    commands.json("replay", "attachments", "--reason", "media_not_found")
    (job,) = outputs(commands, "media", MediaJob)
    assert (job.provider, job.endpoint_id) == ("ycloud", endpoint_id)


def test_an_attachment_without_file_and_address_stays_failed(commands: Commands) -> None:
    store(commands, row("1", failed(0, "media_unavailable", original_url=None)))
    result = commands.run("replay", "attachments", "--reason", "media_unavailable", "--json")
    assert (
        json.loads(result.stdout)["messages"],
        "1 have neither a file nor a URL" in result.stderr,
    ) == (0, True)
    assert written(commands, "enriched-messages") == []


def test_messages_are_tried_again_up_to_a_limit(commands: Commands) -> None:
    store(
        commands,
        *(
            row(
                str(number),
                failed(0, "media_not_found"),
                received_at=NOW + timedelta(seconds=number),
            )
            for number in range(5)
        ),
    )
    plan = commands.json("replay", "attachments", "--reason", "media_not_found", "--dry-run")
    assert (plan["messages"], plan["attachments"], plan["tenants"]) == (5, 5, {"acme": 5})
    assert opened_messages(commands) == []
    result = commands.run(
        "replay", "attachments", "--reason", "media_not_found", "--limit", "2", "--json"
    )
    assert (json.loads(result.stdout)["messages"], "there may be more than 2" in result.stderr) == (
        2,
        True,
    )
    assert sorted(message.message_key for message in opened_messages(commands)) == [
        key_of("0"),
        key_of("1"),
    ]
    assert commands.json("replay", "attachments", "--reason", "overloaded") == {
        "generation": None,
        "messages": 0,
        "attachments": 0,
    }


def test_files_that_the_provider_no_longer_has_are_tried_only_if_a_person_insists(
    commands: Commands,
) -> None:
    store(commands, row("1", failed(0, "media_gone")))
    command = ("replay", "attachments", "--reason", "media_gone")
    plan = commands.run(*command, "--dry-run", "--json")
    document = json.loads(plan.stdout)
    assert (document["messages"], document["gone"]) == (0, 1)
    assert "the provider no longer has them" in plan.stderr
    result = commands.run(*command, "--json")
    assert json.loads(result.stdout)["messages"] == 0
    assert "ask the sender to send it again" in result.stderr and opened_messages(commands) == []
    assert commands.json(*command, "--with-gone")["messages"] == 1
    assert len(outputs(commands, "media", MediaJob)) == 1
