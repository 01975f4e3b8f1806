import json
from datetime import timedelta
from itertools import permutations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import Undecodable, encode
from schemas.outcomes import Duplicate, Skip
from schemas.records import Attachment, EnrichedMessage, Enrichment
from schemas.topics import MAX_RECORD_BYTES
from streams.stages.assemble import LARGEST_VERSION_BYTES, OpenMessage, assemble, fold, open_message
from tests.unit.records import NOW, attachment, enrichment, message, opened, stored

LATER = NOW + timedelta(minutes=1)


def begun(of: EnrichedMessage, generation: int = 0) -> OpenMessage:
    return open_message(opened(of, generation))


def after(of: EnrichedMessage, *facts: Enrichment) -> EnrichedMessage:
    """The version after these facts were folded in this order."""
    state = begun(of)
    for fact in facts:
        fold(state, fact)
    return assemble(state, LATER)


def described(index: int = 0, text: str | None = "Un perro", **fields: object) -> Enrichment:
    return enrichment(
        "described", index, text=text, model="gpt-4o", recipe="r1", prompt_version="v1", **fields
    )


def transcribed(index: int = 0, text: str | None = "Hola", **fields: object) -> Enrichment:
    return enrichment(
        "transcribed",
        index,
        text=text,
        model="whisper-1",
        recipe="r2",
        prompt_version="v1",
        **fields,
    )


ONE = message(attachment(0))
VOICE = message(attachment(0, type="audio"), kind="audio")


# the end does not depend on the way


def facts_of(index: int, ending: str) -> list[Enrichment]:
    """All facts that there will ever be about one attachment."""
    audio = {"mime_type": "audio/ogg", "next": "audio"}
    return {
        "stored": [stored(index)],
        "unpaid": [stored(index, reason="outgoing")],
        "described": [stored(index, next="vision"), described(index, f"imagen {index}")],
        "transcribed": [stored(index, **audio), transcribed(index, f"voz {index}")],
        "refused": [
            stored(index, next="vision"),
            enrichment("failed", index, stage="describe", reason="refused_by_model"),
        ],
        "too short": [
            stored(index, **audio),
            enrichment("skipped", index, stage="transcribe", reason="audio_too_short"),
        ],
        "gone": [enrichment("failed", index, reason="media_gone")],
    }[ending]


ENDINGS = st.sampled_from(
    ["stored", "unpaid", "described", "transcribed", "refused", "too short", "gone"]
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[EnrichedMessage, list[Enrichment], list[Enrichment]]:
    """A message with its facts in slot order, and with the same ones in another order.

    In the other order some are repeated, `opened` too.
    """
    endings = draw(st.lists(ENDINGS, min_size=1, max_size=4))
    of = message(
        *(attachment(index) for index in range(len(endings))),
        content=draw(st.sampled_from([None, "mira"])),
    )
    facts = [fact for index, ending in enumerate(endings) for fact in facts_of(index, ending)]
    repeated = draw(st.lists(st.sampled_from([*facts, opened(of)]), max_size=6))
    return of, facts, draw(st.permutations(facts + repeated))


@given(histories(), st.booleans())
def test_any_order_and_any_repetition_give_the_same_message(
    history: tuple[EnrichedMessage, list[Enrichment], list[Enrichment]], is_reloaded: bool
) -> None:
    of, facts, shuffled = history
    state = begun(of)
    for fact in shuffled:
        folded = fold(state, fact)
        assert folded is state or folded == Duplicate()
        if is_reloaded:
            state = OpenMessage.from_bytes(state.to_bytes())
    final = assemble(state, LATER)
    assert final == after(of, *facts)
    assert final.status in ("complete", "degraded")


@given(histories())
def test_a_message_is_pending_until_the_last_fact(
    history: tuple[EnrichedMessage, list[Enrichment], list[Enrichment]],
) -> None:
    of, facts, _ = history
    assert [after(of, *facts[:known]).status == "pending" for known in range(len(facts) + 1)] == [
        True
    ] * len(facts) + [False]


def in_batches(facts: list[Enrichment], sizes: list[int]) -> list[list[Enrichment]]:
    """The facts in batches of these sizes; the last one has the rest."""
    batches, at = [], 0
    for size in sizes:
        batches.append(facts[at : at + size])
        at += size
    return [*batches, facts[at:]]


@given(histories(), st.lists(st.integers(0, 4), max_size=6), st.sampled_from([0, 3]))
def test_versions_grow_by_one_a_batch_and_what_comes_after_the_last_is_late(
    history: tuple[EnrichedMessage, list[Enrichment], list[Enrichment]],
    sizes: list[int],
    generation: int,
) -> None:
    of, facts, shuffled = history
    of = msgspec.structs.replace(of, version=generation * 1000 + 1)
    in_generation = [msgspec.structs.replace(fact, generation=generation) for fact in shuffled]
    state: OpenMessage | None = begun(of, generation)
    emitted: list[EnrichedMessage] = []
    for batch in in_batches(in_generation, sizes):
        grew = False
        for fact in batch:
            if state is None and fact.kind == "opened":
                continue  # dedupe writes it once, before all others
            became = fold(state, fact)
            if state is None:
                assert became == Skip("late")
                continue
            assert became is state or became == Duplicate()
            grew = grew or became is state
        if state is not None and grew:
            version = assemble(state, LATER)
            emitted.append(version)
            state.last_version = version.version
            state = (
                OpenMessage.from_bytes(state.to_bytes()) if version.status == "pending" else None
            )
    assert state is None
    assert [version.version for version in emitted] == list(
        range(of.version + (not generation), of.version + (not generation) + len(emitted))
    )
    assert [version.status == "pending" for version in emitted] == [True] * (len(emitted) - 1) + [
        False
    ]
    whole = after(of, *facts)
    assert msgspec.structs.replace(emitted[-1], version=whole.version) == whole


def test_a_result_before_its_file_waits_for_it() -> None:
    early = after(ONE, described())
    assert (early.status, early.attachments[0].status, early.attachments[0].description) == (
        "pending",
        "pending",
        None,
    )
    for order in permutations([stored(next="vision"), described()]):
        assert after(ONE, *order).attachments[0].status == "described"


# what an ending looks like


@pytest.mark.parametrize(
    ("of", "facts", "status", "of_attachment"),
    [
        (
            ONE,
            [stored()],
            "complete",
            {"status": "stored", "url": "/media/acme/0.jpg", "bytes": 48_211},
        ),
        (
            ONE,
            [stored(reason="outgoing")],
            "complete",
            {"status": "skipped", "reason": "outgoing", "object_key": "media/acme/0.jpg"},
        ),
        (
            ONE,
            [stored(next="vision"), described()],
            "complete",
            {"status": "described", "description": "Un perro", "model": "gpt-4o", "recipe": "r1"},
        ),
        (
            ONE,
            [stored(next="vision")],
            "pending",
            {"status": "pending", "url": "/media/acme/0.jpg"},
        ),
        (
            ONE,
            [enrichment("failed", 0, reason="media_gone")],
            "degraded",
            {"status": "failed", "reason": "media_gone", "url": None},
        ),
        (
            ONE,
            [enrichment("skipped", 0, reason="web_page")],
            "complete",
            {"status": "skipped", "reason": "web_page"},
        ),
        (
            ONE,
            [
                stored(next="vision"),
                enrichment("failed", 0, stage="describe", reason="refused_by_model"),
            ],
            "degraded",
            {
                "status": "failed",
                "reason": "refused_by_model",
                "url": "/media/acme/0.jpg",
                "description": None,
            },
        ),
        (
            VOICE,
            [
                stored(next="audio", mime_type="audio/ogg"),
                enrichment("skipped", 0, stage="transcribe", reason="audio_too_short"),
            ],
            "complete",
            {"status": "skipped", "reason": "audio_too_short"},
        ),
        (
            message(attachment(0, type="document")),
            [stored(mime_type="application/ogg")],
            "complete",
            {"type": "audio"},
        ),
        (
            message(attachment(0, type="document")),
            [stored(mime_type="image/png")],
            "complete",
            {"type": "document"},
        ),
    ],
)
def test_what_became_of_an_attachment(
    of: EnrichedMessage, facts: list[Enrichment], status: str, of_attachment: dict[str, object]
) -> None:
    final = after(of, *facts)
    (only,) = final.attachments
    assert (final.status, {name: getattr(only, name) for name in of_attachment}) == (
        status,
        of_attachment,
    )


def test_a_voice_note_is_its_transcript() -> None:
    assert after(VOICE, stored(next="audio"), transcribed()).content == "Hola"


def test_a_caption_stays_the_content_and_the_transcript_is_beside_it() -> None:
    final = after(
        msgspec.structs.replace(VOICE, content="mira"), stored(next="audio"), transcribed()
    )
    assert (final.content, json.loads(final.content_attributes)["transcript"]) == ("mira", "Hola")


def test_an_empty_transcript_gives_no_content() -> None:
    final = after(VOICE, stored(next="audio"), transcribed(text=None))
    assert (final.content, final.attachments[0].status) == (None, "transcribed")


def test_transcripts_and_descriptions_are_joined_in_the_order_of_the_attachments() -> None:
    of = message(*(attachment(index) for index in range(4)))
    facts = [
        fact
        for index, ending in enumerate(["transcribed", "described", "transcribed", "described"])
        for fact in facts_of(index, ending)
    ]
    final = after(of, *reversed(facts))
    document = json.loads(final.content_attributes)
    assert (final.content, document["transcript"], document["description"]) == (
        "voz 0\nvoz 2",
        "voz 0\nvoz 2",
        "imagen 1\nimagen 3",
    )
    assert [one["status"] for one in document["attachments"]] == [
        "transcribed",
        "described",
        "transcribed",
        "described",
    ]
    assert document["provider"] == {"event_id": "evt_1"}


def test_the_steps_name_every_record_that_contributed() -> None:
    final = after(
        ONE,
        enrichment("failed", 0, stage="describe", reason="refused_by_model"),
        stored(next="vision"),
    )
    assert [(step.stage, step.outcome, step.topic) for step in final.steps] == [
        ("store_media", "stored", "media"),
        ("describe", "failed:refused_by_model", "media"),
    ]


def test_a_version_follows_the_one_emitted_last_and_bears_the_time_it_was_made() -> None:
    state = begun(ONE)
    fold(state, stored(next="vision"))
    second = assemble(state, LATER)
    state.last_version = second.version
    fold(state, described())
    assert (second.version, assemble(state, LATER).version, second.enriched_at) == (2, 3, LATER)


# what a message is, and what fits


@pytest.mark.parametrize(
    ("types", "kind", "mimes", "becomes"),
    [
        (["document"], "document", ["audio/ogg"], "audio"),
        (["document"], "document", ["application/pdf"], "document"),
        (["video"], "video", ["audio/mp4"], "audio"),
        (["document", "audio"], "mixed", ["audio/ogg", "audio/ogg"], "audio"),
        (["document", "document"], "document", ["audio/ogg", "application/pdf"], "mixed"),
        (["document"], "note", ["audio/ogg"], "note"),
        (["other"], "unsupported", ["image/png"], "unsupported"),
        (["image", "location"], "mixed", ["image/png", None], "mixed"),
    ],
)
def test_a_message_that_is_its_files_is_of_the_kind_they_are(
    types: list[str], kind: str, mimes: list[str | None], becomes: str
) -> None:
    def announced(index: int, type: str) -> Attachment:
        return attachment(
            index,
            type=type,
            **({"status": "skipped", "reason": "no_file"} if type == "location" else {}),
        )

    of = message(*(announced(index, type) for index, type in enumerate(types)), kind=kind)
    facts = [stored(index, mime_type=mime) for index, mime in enumerate(mimes) if mime is not None]
    assert after(of, *facts).kind == becomes


@pytest.mark.parametrize("letter", ["x", "ñ", "\U0001f600", "\x01", '"'])
def test_texts_that_would_not_fit_a_record_are_cut_alike(letter: str) -> None:
    of = message(*(attachment(index, type="audio") for index in range(20)), kind="audio")
    facts = [
        fact
        for index in range(20)
        for fact in (
            stored(index, next="audio", mime_type="audio/ogg"),
            transcribed(index, letter * 200_000),
        )
    ]
    final = after(of, *facts)
    assert len(encode(final)) <= LARGEST_VERSION_BYTES
    assert final.status == "complete"
    (length,) = {len(one.transcript or "") for one in final.attachments}
    assert length >= 400
    assert final.content == "\n".join([letter * length] * 20)


@pytest.mark.parametrize("letter", ["x", "ñ", "\U0001f600"])
def test_what_the_table_keeps_of_many_long_texts_fits_a_record(letter: str) -> None:
    state = begun(
        message(
            *(attachment(index, type="audio") for index in range(50)),
            kind="audio",
            content="x" * 2_000_000,
        )
    )
    for index in range(50):
        fold(state, transcribed(index, letter * 200_000))
    assert len(state.to_bytes()) < MAX_RECORD_BYTES
    assert OpenMessage.from_bytes(state.to_bytes()) == state


def test_one_long_transcript_is_whole() -> None:
    assert (
        after(VOICE, stored(next="audio"), transcribed(text="ñ" * 200_000)).content == "ñ" * 200_000
    )


# late and repeated


@pytest.mark.parametrize(
    "fact", [stored(), described(), enrichment("failed", None, reason="quarantined")]
)
def test_what_is_of_no_open_message_is_late(fact: Enrichment) -> None:
    assert fold(None, fact) == Skip("late")


def test_a_second_opening_and_a_second_fact_are_duplicates_and_change_nothing() -> None:
    state = begun(ONE)
    fold(state, stored())
    before = state.to_bytes()
    for repeated in (
        opened(ONE),
        stored(),
        stored(mime_type="image/png"),
        enrichment("failed", 0, reason="media_gone"),
    ):
        assert fold(state, repeated) == Duplicate()
    assert state.to_bytes() == before


def test_a_fact_of_an_attachment_that_is_not_there_is_a_duplicate() -> None:
    assert fold(begun(ONE), stored(7)) == Duplicate()


def test_a_higher_generation_replaces_the_state() -> None:
    state = begun(ONE)
    fold(state, stored(next="vision"))
    again = message(attachment(0), generation=2)
    replaced = fold(state, opened(again, 2))
    assert replaced == begun(again, 2)
    assert isinstance(replaced, OpenMessage)
    assert (replaced.facts, assemble(replaced, LATER).version) == ({}, 2001)


@pytest.mark.parametrize(
    "fact", [opened(ONE), stored(), stored(generation=1), stored(generation=3)]
)
def test_what_is_of_another_generation_is_late(fact: Enrichment) -> None:
    assert fold(begun(message(attachment(0), generation=2), 2), fact) == Skip("late")


def test_a_result_redone_needs_no_second_storing() -> None:
    known = attachment(0, object_key="media/acme/0.jpg", url="/media/acme/0.jpg", sha256="ab" * 32)
    final = after(message(known), described())
    assert (final.status, final.attachments[0].description, final.attachments[0].url) == (
        "complete",
        "Un perro",
        "/media/acme/0.jpg",
    )


def test_a_transcript_redone_replaces_the_old_one_as_content() -> None:
    known = attachment(0, type="audio", object_key="media/acme/0.ogg", transcript="Viejo")
    assert (
        after(message(known, kind="audio", content="Viejo"), transcribed(text="Nuevo")).content
        == "Nuevo"
    )


# a job that could not even be read


def test_a_failure_without_an_index_ends_every_attachment_that_is_still_open() -> None:
    done = attachment(2, status="skipped", reason="no_file")
    of = message(attachment(0), attachment(1), done)
    final = after(of, stored(0), enrichment("failed", None, reason="quarantined"))
    assert [(one.status, one.reason) for one in final.attachments] == [
        ("stored", None),
        ("failed", "quarantined"),
        ("skipped", "no_file"),
    ]
    assert final.status == "degraded"


def test_a_model_job_that_could_not_be_read_ends_the_message() -> None:
    final = after(
        ONE,
        stored(next="vision"),
        enrichment("failed", None, stage="describe", reason="quarantined"),
    )
    assert (final.status, final.attachments[0].reason) == ("degraded", "quarantined")


# the table's bytes


@given(histories(), st.integers(0, 8))
def test_an_open_message_survives_the_changelog(
    history: tuple[EnrichedMessage, list[Enrichment], list[Enrichment]], known: int
) -> None:
    of, _, shuffled = history
    state = begun(of)
    for fact in shuffled[:known]:
        fold(state, fact)
    assert OpenMessage.from_bytes(state.to_bytes()) == state


def test_a_failure_for_all_survives_the_changelog() -> None:
    state = begun(message(attachment(0), attachment(1), attachment(2)))
    fold(state, stored(1))
    fold(state, enrichment("failed", None, reason="quarantined"))
    again = OpenMessage.from_bytes(state.to_bytes())
    assert (again, assemble(again, LATER)) == (state, assemble(state, LATER))


@pytest.mark.parametrize("snapshot", [None, b"", b"poison"])
def test_an_opening_without_a_readable_snapshot_is_undecodable(snapshot: bytes | None) -> None:
    with pytest.raises(Undecodable):
        fold(None, enrichment("opened", snapshot=snapshot))


def test_attachments_that_were_finished_at_the_opening_stay_as_they_are() -> None:
    finished: Attachment = attachment(0, status="described", description="Un gato")
    assert after(message(finished, attachment(1)), stored(1), stored(0)).attachments[0] == finished
