import json
from datetime import timedelta
from itertools import permutations
from typing import Any

import msgspec
import pytest

from connectors.providers import catalogue
from schemas.arrival import Arrival
from schemas.codec import decode, encode
from schemas.keys import claim_digest
from schemas.outcomes import Duplicate, Forward, Outcome, Quarantine, Skip
from schemas.quarantine import quarantined
from schemas.records import (
    ChatMessage,
    EnrichedMessage,
    Enrichment,
    FoundAttachment,
    MediaJob,
    RawMessage,
)
from schemas.topics import MAX_RECORD_BYTES
from streams.stages.dedupe import Read, dedupe, digest
from tests.unit.records import NOW, PAYLOADS, arrival, body, chat, found, payload, raw

IMAGE = found("image", mime_type="image/jpeg", filename="a.jpg", media_id="9")
LOCATION = found("location", url=None, reason="no_file")


def saying(verdict: ChatMessage | Skip | Quarantine) -> Read:
    return lambda _: verdict


def outcome(of: Arrival, claimed: set[bytes] | None = None, read: Read = catalogue.read) -> Outcome:
    return dedupe(of, claimed=claimed or set(), read=read, now=NOW)


def forwarded(said: ChatMessage, record: RawMessage | None = None, generation: int = 0) -> Forward:
    found = outcome(arrival(record or raw(), generation=generation), read=saying(said))
    assert isinstance(found, Forward), found
    return found


def first_version(said: ChatMessage, record: RawMessage | None = None) -> EnrichedMessage:
    message = forwarded(said, record).outputs[0].record
    assert isinstance(message, EnrichedMessage)
    return message


class Lane:
    """Processes deliveries one by one, and claims what a Forward names, as the lane does."""

    def __init__(self) -> None:
        self.claimed: set[bytes] = set()

    def deliver(self, of: Arrival, read: Read = catalogue.read) -> Outcome:
        became = dedupe(of, claimed=self.claimed, read=read, now=NOW)
        if isinstance(became, Forward):
            self.claimed.update(became.claims)
        return became


# what is forwarded


def test_a_text_leaves_complete_as_one_record() -> None:
    (output,) = forwarded(chat()).outputs
    message = output.record
    assert isinstance(message, EnrichedMessage)
    assert (output.topic, output.key, output.conversation_id) == (
        "enriched-messages",
        "acme:ycloud:wamid.1",
        message.conversation_id,
    )
    assert (message.status, message.version, message.content, message.attachments) == (
        "complete",
        1,
        "Hola",
        (),
    )
    assert [(step.stage, step.outcome, step.offset) for step in message.steps] == [
        ("dedupe", "forwarded", 41)
    ]


def test_a_message_with_files_leaves_pending_then_opens_then_asks_for_each_file() -> None:
    outputs = forwarded(chat(IMAGE, LOCATION, found("audio"), kind="mixed")).outputs
    assert [output.topic for output in outputs] == [
        "enriched-messages",
        "enrichments",
        "media",
        "media",
    ]
    assert {output.key for output in outputs} == {"acme:ycloud:wamid.1"}
    message, opened, image, audio = (output.record for output in outputs)
    assert isinstance(message, EnrichedMessage)
    assert isinstance(opened, Enrichment)
    assert (message.status, [one.status for one in message.attachments]) == (
        "pending",
        ["pending", "skipped", "pending"],
    )
    assert (opened.kind, decode(EnrichedMessage, opened.snapshot)) == ("opened", message)
    assert image == MediaJob(
        tenant_id=raw().tenant_id,
        message_key=raw().message_key,
        provider="ycloud",
        endpoint_id="ep-1",
        index=0,
        type="image",
        url="https://files.example.com/one",
        media_id="9",
        mime_type="image/jpeg",
        filename="a.jpg",
        occurred_at=message.occurred_at,
        received_at=NOW,
    )
    assert isinstance(audio, MediaJob)
    assert (audio.index, audio.type) == (2, "audio")


def test_a_later_generation_bears_its_number_everywhere() -> None:
    outputs = forwarded(chat(IMAGE), generation=3).outputs
    assert [output.generation for output in outputs] == [3, 3]
    opened, job = (output.record for output in outputs)
    assert isinstance(opened, Enrichment)
    assert isinstance(job, MediaJob)
    message = decode(EnrichedMessage, opened.snapshot)
    assert (message.version, opened.generation, job.generation) == (3001, 3, 3)


def test_a_repaired_message_without_files_is_written_by_assemble_too() -> None:
    (output,) = forwarded(chat(), generation=3).outputs
    assert (output.topic, output.conversation_id) == ("enrichments", None)
    assert isinstance(output.record, Enrichment)
    message = decode(EnrichedMessage, output.record.snapshot)
    assert (message.version, message.status) == (3001, "complete")


@pytest.mark.parametrize("days", [9, 7, None])
def test_an_update_of_a_message_that_was_never_seen_opens_it_however_old_it_is(
    days: int | None,
) -> None:
    record = raw("chatwoot", "7/1")
    sent = None if days is None else record.received_at - timedelta(days=days)
    said = msgspec.structs.replace(chat(), occurred_at=sent, is_update=True)
    assert isinstance(outcome(arrival(record), read=saying(said)), Forward)


@pytest.mark.parametrize(
    ("attachments", "status", "of_attachment"),
    [
        ((LOCATION,), "complete", ("skipped", "no_file")),
        ((found("other", reason="web_page"),), "complete", ("skipped", "web_page")),
        (
            (found("image", url=None, reason="media_unavailable"),),
            "degraded",
            ("failed", "media_unavailable"),
        ),
        ((found("image", url=None),), "degraded", ("failed", "media_unavailable")),
    ],
)
def test_a_message_none_of_whose_files_will_come_is_finished_at_once(
    attachments: tuple[FoundAttachment, ...], status: str, of_attachment: tuple[str, str]
) -> None:
    (output,) = forwarded(chat(*attachments)).outputs
    assert isinstance(output.record, EnrichedMessage)
    (attachment,) = output.record.attachments
    assert (output.record.status, (attachment.status, attachment.reason)) == (status, of_attachment)


def test_a_chatwoot_message_with_nothing_in_it_is_degraded() -> None:
    content = payload("chatwoot", "whatsapp_media_failed_upstream.json")
    became = outcome(arrival(raw("chatwoot", "7/820364", body(content))))
    assert isinstance(became, Forward)
    (output,) = became.outputs
    assert isinstance(output.record, EnrichedMessage)
    assert (output.record.kind, output.record.status, output.record.content) == (
        "unsupported",
        "degraded",
        None,
    )


def test_without_a_time_of_its_own_a_message_occurred_when_it_came() -> None:
    assert first_version(chat(occurred_at=None)).occurred_at == NOW


@pytest.mark.parametrize(
    ("said", "unpaid"),
    [
        (chat(IMAGE), None),
        (chat(IMAGE, direction="outbound", role="agent"), "outgoing"),
        (chat(IMAGE, direction="outbound", kind="note"), "private"),
        (chat(IMAGE, is_history=True), "history"),
        (chat(IMAGE, is_history=True, direction="outbound"), "outgoing"),
        (chat(IMAGE, occurred_at=NOW - timedelta(days=1)), None),
        (chat(IMAGE, occurred_at=NOW - timedelta(days=1, seconds=1)), "old"),
        (chat(IMAGE, occurred_at=NOW + timedelta(days=9)), None),
        (chat(IMAGE, occurred_at=None), None),
    ],
)
def test_a_file_that_nobody_should_pay_for_says_why(said: ChatMessage, unpaid: str | None) -> None:
    job = forwarded(said).outputs[2].record
    assert isinstance(job, MediaJob)
    assert job.unpaid_reason == unpaid


def test_a_backlog_ages_nothing() -> None:
    long_ago = raw(received_at=NOW - timedelta(days=6))
    job = (
        forwarded(chat(IMAGE, occurred_at=NOW - timedelta(days=6, seconds=2)), long_ago)
        .outputs[2]
        .record
    )
    assert isinstance(job, MediaJob)
    assert job.unpaid_reason is None


def test_a_message_that_would_not_fit_a_record_is_kept_aside() -> None:
    became = outcome(arrival(raw()), read=saying(chat(content="x" * MAX_RECORD_BYTES)))
    assert isinstance(became, Quarantine)
    assert became.reason == "record_too_large"


def test_a_message_of_two_million_characters_still_passes() -> None:
    assert isinstance(outcome(arrival(raw()), read=saying(chat(content="x" * 2_000_000))), Forward)


# what claims, and what does not


def test_a_second_delivery_is_a_duplicate_whatever_it_says() -> None:
    lane = Lane()
    event = payload("ycloud", "text_plain.json")
    wamid = event["whatsappInboundMessage"]["wamid"]
    assert isinstance(lane.deliver(arrival(raw("ycloud", wamid, body(event)))), Forward)
    again = {**event, "id": "evt_other", "createTime": "2030-01-01T00:00:00Z"}
    assert lane.deliver(arrival(raw("ycloud", wamid, body(again)), offset=42)) == Duplicate()
    assert lane.deliver(arrival(raw("ycloud", wamid, b"garbage"), offset=43)) == Duplicate()


@pytest.mark.parametrize(
    "verdict", [Quarantine("not_json", "1 bytes"), Skip("echo_without_content")]
)
def test_what_was_not_forwarded_leaves_the_way_open(verdict: Skip | Quarantine) -> None:
    lane = Lane()
    assert lane.deliver(arrival(raw()), saying(verdict)) == verdict
    assert isinstance(lane.deliver(arrival(raw(), offset=42), saying(chat())), Forward)
    assert lane.deliver(arrival(raw(), offset=43), saying(chat())) == Duplicate()


def test_an_undecodable_record_leaves_the_way_open() -> None:
    lane = Lane()
    became = lane.deliver(arrival(raw(), value=b"poison"))
    assert isinstance(became, Quarantine)
    assert became.reason == "record_undecodable"
    assert isinstance(lane.deliver(arrival(raw()), saying(chat())), Forward)


def test_each_generation_is_claimed_for_itself() -> None:
    lane = Lane()
    for generation in (0, 2, 1):
        assert isinstance(
            lane.deliver(arrival(raw(), generation=generation), saying(chat())), Forward
        )
        assert lane.deliver(arrival(raw(), generation=generation), saying(chat())) == Duplicate()
    assert lane.claimed == {
        claim_digest(b"acme:ycloud:wamid.1", generation) for generation in (0, 1, 2)
    }


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (chat(is_update=True), Skip("update")),
        (chat(), Duplicate()),
        (Skip("system_event"), Skip("system_event")),
        (Quarantine("field_invalid", "message_type"), Duplicate()),
    ],
)
def test_a_chatwoot_delivery_of_a_known_message(
    verdict: ChatMessage | Skip | Quarantine, expected: Outcome
) -> None:
    known = arrival(raw("chatwoot", "7/1"))
    assert outcome(known, {digest(known)}, saying(verdict)) == expected


def test_an_undecodable_chatwoot_delivery_of_a_known_message_is_a_duplicate() -> None:
    known = arrival(raw("chatwoot", "7/1"), value=b"poison")
    assert outcome(known, {digest(known)}) == Duplicate()


def test_an_update_before_its_creation_opens_the_message_and_the_creation_is_then_a_duplicate() -> (
    None
):
    lane = Lane()
    event = payload("chatwoot", "whatsapp_audio_transcribed_update.json")
    update, creation = body(event), body({**event, "event": "message_created"})
    assert isinstance(lane.deliver(arrival(raw("chatwoot", "7/820091", update))), Forward)
    assert lane.deliver(arrival(raw("chatwoot", "7/820091", creation), offset=42)) == Duplicate()
    assert lane.deliver(arrival(raw("chatwoot", "7/820091", update), offset=43)) == Skip("update")


# what arrives more than once, and in what guise


def lane_of(provider: str, events: list[dict[str, Any]]) -> list[Outcome]:
    """The outcomes of these events, one after the other, each under the key of its body."""
    lane, became = Lane(), []
    for offset, event in enumerate(events):
        (provider_id,) = catalogue.identify(provider, body(event))
        became.append(lane.deliver(arrival(raw(provider, provider_id, body(event)), offset=offset)))
    return became


def sequence(name: str) -> list[dict[str, Any]]:
    return [
        step["event"] for step in json.loads((PAYLOADS / "sequences" / f"{name}.json").read_bytes())
    ]


SEQUENCES: list[tuple[str, str, list[Outcome]]] = [
    ("ycloud", "ycloud_redelivery", [Duplicate(), Duplicate()]),
    ("chatwoot", "chatwoot_same_message_three_subscriptions", [Duplicate(), Duplicate()]),
    ("chatwoot", "chatwoot_outgoing_lifecycle", [Skip("update")] * 3),
]


@pytest.mark.parametrize(
    ("provider", "name", "later"), SEQUENCES, ids=[case[1] for case in SEQUENCES]
)
def test_a_sequence_of_deliveries_is_one_message(
    provider: str, name: str, later: list[Outcome]
) -> None:
    first, *rest = lane_of(provider, sequence(name))
    assert isinstance(first, Forward)
    assert rest == later


@pytest.mark.parametrize(("provider", "name"), [case[:2] for case in SEQUENCES])
def test_in_any_order_a_sequence_is_one_message_of_the_same_words(provider: str, name: str) -> None:
    for order in permutations(sequence(name)):
        forwards = [
            outcome for outcome in lane_of(provider, list(order)) if isinstance(outcome, Forward)
        ]
        (message,) = (forward.outputs[0].record for forward in forwards)
        expected = lane_of(provider, sequence(name))[0]
        assert isinstance(expected, Forward)
        whole = expected.outputs[0].record
        assert isinstance(message, EnrichedMessage) and isinstance(whole, EnrichedMessage)
        assert (message.content, message.conversation_id, message.role) == (
            whole.content,
            whole.conversation_id,
            whole.role,
        )


def test_a_status_before_and_after_its_message_takes_nothing_from_it() -> None:
    event = payload("ycloud", "text_plain.json")
    status = payload("ycloud", "status_delivered.json")
    status["whatsappMessage"]["wamid"] = event["whatsappInboundMessage"]["wamid"]
    before, forward, later = lane_of("ycloud", [status, event, status])
    assert (before, later) == (Skip("delivery_status"), Skip("delivery_status"))
    assert isinstance(forward, Forward)


def test_the_update_of_an_echo_takes_nothing_from_the_echo() -> None:
    echo = payload("ycloud", "echo_app_text_docs.json")
    update = {
        "id": "evt_2",
        "type": "whatsapp.echo_message.updated",
        "whatsappMessage": {"wamid": echo["whatsappMessage"]["wamid"], "status": "read"},
    }
    before, forward, later = lane_of("ycloud", [update, echo, update])
    assert (before, later) == (Skip("echo_without_content"), Skip("echo_without_content"))
    assert isinstance(forward, Forward)


def test_a_chatwoot_event_that_is_not_a_message_takes_nothing_from_the_message_of_the_same_number() -> (
    None
):
    event = payload("chatwoot", "api_channel_text_2026_02.json")
    resolved = {
        **payload("chatwoot", "conversation_status_changed_resolved.json"),
        "id": event["id"],
        "account": event["account"],
    }
    before, forward, later = lane_of("chatwoot", [resolved, event, resolved])
    assert (before, later) == (Skip("not_a_message"), Skip("not_a_message"))
    assert isinstance(forward, Forward)


def test_an_update_that_overtakes_its_creation_brings_the_attachments_and_the_row_is_whole() -> (
    None
):
    creation = payload("chatwoot", "whatsapp_audio_voice.json")
    update = {**creation, "event": "message_updated"}
    opened, later = lane_of("chatwoot", [update, creation])
    assert isinstance(opened, Forward)
    assert later == Duplicate()
    assert [output.topic for output in opened.outputs] == [
        "enriched-messages",
        "enrichments",
        "media",
    ]


@pytest.mark.parametrize("message_type", ["incoming", "outgoing", "template"])
def test_an_update_of_an_unknown_message_opens_it_whatever_was_updated(message_type: str) -> None:
    update = {
        **payload("chatwoot", "message_updated_status_delivered.json"),
        "message_type": message_type,
    }
    opened, again = lane_of("chatwoot", [update, update])
    assert isinstance(opened, Forward)
    assert again == Skip("update")


# private notes


def test_the_files_of_a_private_note_are_kept_and_never_shown_to_a_model() -> None:
    note = payload("chatwoot", "whatsapp_image_caption.json") | {
        "private": True,
        "message_type": "outgoing",
    }
    (forward,) = lane_of("chatwoot", [note])
    assert isinstance(forward, Forward)
    message, _, job = (output.record for output in forward.outputs)
    assert isinstance(message, EnrichedMessage) and isinstance(job, MediaJob)
    assert (message.kind, message.direction, job.unpaid_reason) == ("note", "outbound", "private")


# what is quarantined can be tried again


def test_a_quarantined_record_holds_all_that_a_replay_needs() -> None:
    of = arrival(raw(), value=b"\0poison")
    kept = quarantined(of, "dedupe", Quarantine("record_undecodable", "x" * 900), NOW)
    assert (kept.topic, kept.partition, kept.offset, kept.key, kept.value) == (
        of.topic,
        of.partition,
        of.offset,
        of.key,
        of.value,
    )
    assert (kept.headers, kept.tenant_id, kept.reason) == (
        dict(of.headers),
        "acme",
        "record_undecodable",
    )
    assert len(kept.detail) == 500


@pytest.mark.parametrize(
    ("key", "headers", "tenant"),
    [
        (b"acme:ycloud:1", [], "acme"),
        (b"acme:ycloud:1", [("tenant", b"zoo")], "zoo"),
        (b"\xff:x", [], "unknown"),
        (b"", [], "unknown"),
        (b"acme:x:1", [("tenant", b"../etc")], "unknown"),
    ],
)
def test_the_tenant_of_a_record_nobody_can_read(
    key: bytes, headers: list[tuple[str, bytes]], tenant: str
) -> None:
    assert Arrival("raw-messages", 0, 0, key, None, headers).tenant_id == tenant


def test_the_version_and_the_snapshot_of_a_pending_message_are_the_same_bytes() -> None:
    version, opened, _ = forwarded(chat(IMAGE)).outputs
    assert isinstance(opened.record, Enrichment)
    assert version.value == opened.record.snapshot == encode(version.record)
