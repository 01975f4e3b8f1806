"""A file that comes only with a later delivery of its message, in any order.

The tests go from the bodies to the row.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.postgres.rows import newest
from connectors.providers import catalogue
from schemas.codec import decode
from schemas.outcomes import Duplicate, Forward, Outcome, Skip
from schemas.records import EnrichedMessage, Enrichment, MediaJob
from streams.stages.assemble import OpenMessage, assemble, fold
from streams.stages.dedupe import dedupe
from streams.stages.message import OPENING_STEPS, OPENINGS, opening_of, opening_version
from tests.unit.events import chatwoot
from tests.unit.records import NOW, arrival, body, enrichment, raw


def file(number: int, name: str | None, kind: str = "audio") -> dict[str, Any]:
    """An attachment of Chatwoot. Without a name its file is not there yet."""
    host = "https://chat.example.com/rails/active_storage/blobs/redirect/x--y"
    return {
        "id": number,
        "message_id": 820014,
        "file_type": kind,
        "data_url": f"{host}/{name}?disposition=inline" if name else "",
    }


def created(*files: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return chatwoot(*files, **{"event": "message_created", **fields})


def updated(*files: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return chatwoot(*files, **{"event": "message_updated", **fields})


VOICE = file(61, "nota.oga")
NO_VOICE = file(61, None)
PHOTO = file(60, "foto.jpg", "image")
OTHER_PHOTO = file(62, "otra.jpg", "image")


@dataclass
class World:
    """dedupe, the job stages, assemble and the sink, one step at a time."""

    generation: int = 0
    claimed: set[bytes] = field(default_factory=set)
    outcomes: list[Outcome] = field(default_factory=list)
    jobs: list[MediaJob] = field(default_factory=list)
    enrichments: list[Enrichment] = field(default_factory=list)
    versions: list[EnrichedMessage] = field(default_factory=list)
    state: OpenMessage | None = None
    row: EnrichedMessage | None = None

    def deliver(self, event: dict[str, Any]) -> Outcome:
        """Sends one delivery, a minute after the one before."""
        offset = len(self.outcomes)
        (provider_id,) = catalogue.identify("chatwoot", body(event))
        received_at = NOW + timedelta(minutes=offset)
        record = raw("chatwoot", provider_id, body(event), received_at=received_at)
        of = arrival(record, offset=offset, generation=self.generation)
        became = dedupe(of, claimed=self.claimed, read=catalogue.read, now=received_at)
        self.outcomes.append(became)
        if isinstance(became, Forward):
            self.claimed.update(became.claims)
            for output in became.outputs:
                match output.record:
                    case EnrichedMessage() as message:
                        self._write(message)
                    case Enrichment() as opened:
                        self.enrichments.append(opened)
                    case MediaJob() as job:
                        self.jobs.append(job)
        return became

    def work(self, at: int = 0) -> None:
        """Does one of the jobs. The result for the same address is always the same."""
        job = self.jobs.pop(at)
        name = job.url.rpartition("/")[2].partition("?")[0]
        common = {"message_key": job.message_key, "provider": "chatwoot"}
        stored = {"object_key": f"media/acme/{name}", "url": f"/media/acme/{name}", "bytes": 9}
        if "gone" in name:
            says = [enrichment("failed", job.index, reason="media_gone", **common)]
        elif job.type == "audio":
            says = [
                enrichment(
                    "stored", job.index, next="audio", mime_type="audio/ogg", **stored, **common
                ),
                enrichment("transcribed", job.index, text=f"voz {name}", **common),
            ]
        else:
            says = [
                enrichment(
                    "stored", job.index, next="vision", mime_type="image/jpeg", **stored, **common
                ),
                enrichment("described", job.index, text=f"foto {name}", **common),
            ]
        self.enrichments += [
            msgspec.structs.replace(fact, generation=job.generation) for fact in says
        ]

    def assemble(self, records: int) -> None:
        """Processes one batch of the stage."""
        batch, self.enrichments = self.enrichments[:records], self.enrichments[records:]
        grew = False
        for one in batch:
            folded = fold(self.state, one)
            if isinstance(folded, OpenMessage):
                self.state = folded
                is_first = one.kind == "opened" and not opening_of(folded.snapshot.version)
                grew = not is_first
        if self.state is not None and grew:
            version = assemble(self.state, NOW)
            self.state.last_version = version.version
            self._write(version)
            self.state = (
                OpenMessage.from_bytes(self.state.to_bytes())
                if version.status == "pending"
                else None
            )

    def drain(self) -> None:
        while self.jobs:
            self.work()
        while self.enrichments:
            self.assemble(1)

    def _write(self, version: EnrichedMessage) -> None:
        """Writes as `merge_messages` does."""
        self.versions.append(version)
        row = self.row
        if row is None or (
            row.version < version.version
            and (row.received_at == version.received_at or version.version > OPENING_STEPS)
        ):
            (self.row,) = newest([version] if row is None else [row, version])

    @property
    def whole(self) -> EnrichedMessage:
        assert self.row is not None
        return self.row


def shown(message: EnrichedMessage) -> tuple[object, ...]:
    """The part of a row that does not depend on the order of deliveries."""
    attachments = [
        (a.index, a.type, a.status, a.reason, a.object_key, a.transcript, a.description)
        for a in message.attachments
    ]
    return message.kind, message.status, message.content, attachments


def in_order(*deliveries: dict[str, Any]) -> World:
    """Does everything that a delivery causes before the next one comes."""
    world = World()
    for event in deliveries:
        world.deliver(event)
        world.drain()
    return world


def test_a_voice_note_whose_file_comes_with_an_update_is_heard() -> None:
    world = in_order(created(NO_VOICE))
    assert shown(world.whole)[:2] == ("audio", "degraded")
    assert world.whole.attachments[0].reason == "media_unavailable"
    world.deliver(updated(VOICE))
    world.drain()
    assert shown(world.whole) == (
        "audio",
        "complete",
        "voz nota.oga",
        [(0, "audio", "transcribed", None, "media/acme/nota.oga", "voz nota.oga", None)],
    )
    assert world.whole.received_at == NOW


def test_without_its_file_a_message_stays_degraded_and_nothing_waits() -> None:
    world = in_order(created(NO_VOICE), updated(NO_VOICE), updated(NO_VOICE))
    assert [type(one) for one in world.outcomes] == [Forward, Skip, Skip]
    assert (world.whole.status, world.whole.version, world.state) == ("degraded", 1, None)


def test_an_update_that_overtakes_its_creation_and_has_no_file_does_not_take_the_files_away() -> (
    None
):
    world = in_order(updated(content=None), created(PHOTO, VOICE))
    assert [type(one) for one in world.outcomes] == [Forward, Forward]
    assert world.whole.content == "voz nota.oga"
    assert [a.status for a in world.whole.attachments] == ["described", "transcribed"]


def test_an_update_that_overtakes_its_creation_and_is_empty_does_not_take_the_words_away() -> None:
    world = in_order(updated(content=None), created(content="hola"), created(content="hola"))
    assert [type(one) for one in world.outcomes] == [Forward, Forward, Duplicate]
    assert shown(world.whole) == ("text", "complete", "hola", [])
    assert (world.whole.version, world.whole.received_at) == (201, NOW)


def test_the_words_of_an_update_of_a_message_with_words_change_nothing() -> None:
    world = in_order(created(content="hola"), updated(content="hola!"))
    assert (world.outcomes[1], world.whole.content) == (Skip("update"), "hola")


def test_a_file_that_is_added_to_a_message_of_words_is_fetched() -> None:
    world = in_order(created(content="mira"), updated(PHOTO, content="mira"))
    assert shown(world.whole)[:3] == ("image", "complete", "mira")


def test_what_was_said_of_the_first_file_stays_when_the_second_one_comes() -> None:
    world = in_order(created(PHOTO, NO_VOICE), updated(PHOTO, VOICE))
    assert [a.status for a in world.whole.attachments] == ["described", "transcribed"]


def test_attachments_in_another_order_are_the_same_attachments() -> None:
    world = World()
    world.deliver(created(NO_VOICE, PHOTO))
    world.deliver(updated(VOICE, PHOTO))
    world.drain()
    assert [(a.index, a.status) for a in world.whole.attachments] == [
        (0, "described"),
        (1, "transcribed"),
    ]


@pytest.mark.parametrize("again", [created(VOICE), updated(VOICE), updated(NO_VOICE), updated()])
def test_a_file_that_came_once_is_not_fetched_again(again: dict[str, Any]) -> None:
    world = in_order(created(NO_VOICE), updated(VOICE))
    before = world.whole
    became = world.deliver(again)
    expected = Duplicate() if again["event"] == "message_created" else Skip("update")
    assert (became, world.jobs, world.whole) == (expected, [], before)


def test_a_status_of_a_message_whose_files_came_with_it_opens_nothing() -> None:
    world = in_order(created(PHOTO, VOICE), *[updated(PHOTO, VOICE)] * 3)
    assert world.outcomes[1:] == [Skip("update")] * 3


def test_a_new_signature_of_an_address_is_not_a_new_file() -> None:
    signed = file(61, "nota.oga") | {"data_url": "https://cdn.example.com/nota.oga?sig=2"}
    assert in_order(created(VOICE), updated(signed)).outcomes[1] == Skip("update")


@pytest.mark.parametrize("deletion", [True, "true", 1])
def test_a_deleted_message_does_not_come_back_with_the_files_of_its_creation(
    deletion: object,
) -> None:
    deleted = updated(content="This message was deleted", content_attributes={"deleted": deletion})
    world = in_order(deleted, created(PHOTO), updated(PHOTO))
    assert world.outcomes[1:] == [Duplicate(), Skip("update")]
    assert world.whole.content == "This message was deleted"


def test_a_deletion_after_the_files_opens_nothing() -> None:
    deleted = updated(VOICE, content="gone", content_attributes={"deleted": True})
    assert in_order(created(NO_VOICE), deleted).outcomes[1] == Skip("update")


def test_a_sender_of_ever_new_files_opens_a_message_a_few_times_only() -> None:
    world = in_order(
        created(NO_VOICE),
        *(updated(file(100 + number, f"{number}.jpg", "image")) for number in range(9)),
    )
    opened = [one for one in world.outcomes if isinstance(one, Forward)]
    assert len(opened) == OPENINGS
    assert world.outcomes[OPENINGS:] == [Skip("update")] * (10 - OPENINGS)
    assert world.whole.status == "complete"


def test_another_provider_opens_nothing_again() -> None:
    event = {
        "id": "evt_1",
        "type": "whatsapp.inbound_message.received",
        "whatsappInboundMessage": {
            "wamid": "wamid.1",
            "from": "+12025550147",
            "to": "+14155550123",
            "type": "image",
            "image": {"link": "https://api.ycloud.com/f", "id": "9"},
        },
    }
    first = arrival(raw("ycloud", "wamid.1", body(event)))
    became = dedupe(first, claimed=set(), read=catalogue.read, now=NOW)
    assert isinstance(became, Forward)
    assert len(became.claims) == 1


@pytest.mark.parametrize("generation", [0, 3])
def test_a_replay_of_all_deliveries_gives_the_message_again(generation: int) -> None:
    world = in_order(created(PHOTO, NO_VOICE), updated(PHOTO, VOICE))
    before = world.whole
    world.generation, world.outcomes = generation or 7, []
    for event in (created(PHOTO, NO_VOICE), updated(PHOTO, VOICE), updated(PHOTO, VOICE)):
        world.deliver(event)
    world.drain()
    assert [type(one) for one in world.outcomes] == [Forward, Forward, Skip]
    assert shown(world.whole) == shown(before)
    assert (world.whole.received_at, world.whole.version > world.generation * 1000) == (NOW, True)


def test_an_opening_has_room_for_every_version_of_a_message() -> None:
    facts = 2 * 50
    assert facts + 1 < OPENING_STEPS
    assert [opening_of(opening_version(3, number)) for number in range(OPENINGS)] == list(
        range(OPENINGS)
    )
    assert opening_of(opening_version(3, 1) - 1) == 0


# any order


DELIVERIES: dict[str, list[dict[str, Any]]] = {
    "a voice note": [created(NO_VOICE), updated(NO_VOICE), updated(VOICE), updated(VOICE)],
    "an empty update": [updated(content=None), created(VOICE), updated(VOICE)],
    "a photo with a late voice": [
        created(PHOTO, NO_VOICE),
        updated(PHOTO, VOICE),
        updated(VOICE, PHOTO),
    ],
    "two late ones": [
        created(file(60, None, "image"), NO_VOICE),
        updated(PHOTO, NO_VOICE),
        updated(PHOTO, VOICE),
    ],
    "words after nothing": [
        updated(content=None),
        created(content="hola"),
        updated(content="hola"),
    ],
    "all after nothing": [
        updated(content=None),
        created(PHOTO, content="mira"),
        updated(PHOTO, content="mira"),
    ],
    "one that is gone": [
        created(file(60, "gone.jpg", "image"), NO_VOICE),
        updated(file(60, "gone.jpg", "image"), VOICE),
    ],
}


@st.composite
def interleavings(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[int]]:
    """Deliveries in some order with some repeated, and what happens between them."""
    deliveries = DELIVERIES[draw(st.sampled_from(sorted(DELIVERIES)))]
    repeated = draw(st.lists(st.sampled_from(deliveries), max_size=2))
    order = draw(st.permutations([*deliveries, *repeated]))
    return list(order), draw(st.lists(st.integers(0, 99), min_size=8, max_size=40))


def happen(world: World, deliveries: list[dict[str, Any]], choices: list[int]) -> None:
    waiting = list(deliveries)
    for choice in choices:
        if choice % 3 == 0 and waiting:
            world.deliver(waiting.pop(0))
        elif choice % 3 == 1 and world.jobs:
            world.work(choice % len(world.jobs))
        else:
            world.assemble(1 + choice % 4)
    for event in waiting:
        world.deliver(event)
    while world.jobs or world.enrichments:
        if world.jobs:
            world.work()
        world.assemble(2)


@given(interleavings())
def test_in_any_order_a_message_ends_with_every_file_that_ever_came(
    history: tuple[list[dict[str, Any]], list[int]],
) -> None:
    deliveries, choices = history
    world = World()
    happen(world, deliveries, choices)
    whole = in_order(*sorted(deliveries, key=lambda event: len(str(event.get("attachments")))))
    assert shown(world.whole) == shown(whole.whole)
    assert world.whole.received_at == NOW
    assert world.state is None
    assert world.whole.status != "pending"


@given(interleavings())
def test_versions_rise_and_each_delivery_opens_at_most_once(
    history: tuple[list[dict[str, Any]], list[int]],
) -> None:
    world = World()
    happen(world, *history)
    numbers = [version.version for version in world.versions]
    assert numbers == sorted(set(numbers))
    openings = [v.source.offset for v in world.versions if v.version % OPENING_STEPS == 1]
    assert len(openings) == len(set(openings))
    forwarded = [n for n, one in enumerate(world.outcomes) if isinstance(one, Forward)]
    assert set(openings) <= set(forwarded)
    assert max(forwarded) in openings


@given(interleavings())
def test_when_all_was_delivered_nothing_opens_the_message_any_more(
    history: tuple[list[dict[str, Any]], list[int]],
) -> None:
    deliveries, choices = history
    world = World()
    happen(world, deliveries, choices)
    for event in deliveries:
        assert not isinstance(world.deliver(event), Forward)


def test_the_later_opening_names_the_delivery_that_brought_the_file() -> None:
    world = in_order(created(NO_VOICE))
    forward = world.deliver(updated(VOICE))
    assert isinstance(forward, Forward)
    opened, job = (output.record for output in forward.outputs)
    assert isinstance(opened, Enrichment) and isinstance(job, MediaJob)
    snapshot = decode(EnrichedMessage, opened.snapshot)
    assert (snapshot.version, snapshot.source.offset, opened.source.offset) == (201, 1, 1)
