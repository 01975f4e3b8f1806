"""Each content and attachment type of Chatwoot becomes a message with its text and files."""

from typing import Any

import pytest

from tests.unit.events import chatwoot, row_of, understood
from tests.unit.records import NOW


@pytest.mark.parametrize(
    ("fields", "kind", "content", "status"),
    [
        ({"content": "Hola"}, "text", "Hola", "complete"),
        (
            {"content": "<p>a &lt; b</p>", "content_type": "incoming_email"},
            "text",
            "<p>a &lt; b</p>",
            "complete",
        ),
        ({"content": "  "}, "text", "  ", "complete"),
        ({"content": ""}, "unsupported", None, "degraded"),
        ({"content": None}, "unsupported", None, "degraded"),
        ({"content": None, "attachments": None}, "unsupported", None, "degraded"),
        ({"content": None, "message_type": "outgoing"}, "unsupported", None, "degraded"),
        (
            {"content": None, "content_attributes": {"is_unsupported": True}},
            "unsupported",
            None,
            "degraded",
        ),
        (
            {"content": None, "content_attributes": {"deleted": True}},
            "unsupported",
            None,
            "complete",
        ),
        (
            {"content": "This message was deleted", "content_attributes": {"deleted": True}},
            "text",
            "This message was deleted",
            "complete",
        ),
        (
            {"content": "Elige", "content_type": "input_select", "message_type": "outgoing"},
            "interactive",
            "Elige",
            "complete",
        ),
        ({"content": "Call", "content_type": "voice_call"}, "text", "Call", "complete"),
        ({"content": None, "content_type": "sticker"}, "unsupported", None, "degraded"),
    ],
)
def test_a_chatwoot_message_without_attachments(
    fields: dict[str, Any], kind: str, content: str | None, status: str
) -> None:
    message = row_of(chatwoot(**fields))
    assert (message.kind, message.content, message.status) == (kind, content, status)


def test_a_deleted_message_says_so() -> None:
    assert (
        understood(chatwoot(content="x", content_attributes={"deleted": True})).attributes[
            "deleted"
        ]
        is True
    )


BLOB = "https://chat.example.com/rails/active_storage/blobs/redirect/x--y/"


@pytest.mark.parametrize(
    ("attachment", "type", "reason"),
    [
        ({"file_type": "image", "extension": None, "data_url": BLOB + "a.jpg"}, "image", None),
        ({"file_type": "image", "data_url": BLOB + "AnimatedSticker.tgs"}, "image", None),
        ({"file_type": "audio", "content_type": "video/mp4", "data_url": BLOB + "a.mp4"}, "audio", None),
        ({"file_type": "file", "content_type": "audio/opus", "data_url": BLOB + "a.opus"}, "audio", None),
        ({"file_type": "file", "content_type": "application/ogg; codecs=opus", "data_url": BLOB + "a.oga"}, "audio", None),
        ({"file_type": "audio", "data_url": BLOB + "a.oga", "file_size": 0}, "audio", None),
        ({"file_type": "video", "content_type": "video/mp4", "data_url": BLOB + "a.mp4"}, "video", None),
        ({"file_type": "audio", "data_url": ""}, "audio", "media_unavailable"),
        ({"file_type": "image", "data_url": None}, "image", "media_unavailable"),
        ({"file_type": "image"}, "image", "media_unavailable"),
        ({"file_type": "share", "data_url": "https://www.facebook.com/reel/1"}, "other", "web_page"),
        ({"file_type": "reel", "data_url": "https://m.facebook.com/reel/1"}, "other", "web_page"),
        ({"file_type": "ig_reel", "data_url": "https://www.instagram.com/reel/1/"}, "other", "web_page"),
        ({"file_type": "ig_reel", "data_url": "https://lookaside.fbsbx.com/ig?asset_id=1"}, "video", None),
        ({"file_type": "ig_story", "data_url": "https://lookaside.fbsbx.com/ig?asset_id=1", "content_type": "image/jpeg"}, "image", None),
        ({"file_type": "story_mention", "data_url": "https://lookaside.fbsbx.com/ig?asset_id=1"}, "image", None),
        ({"file_type": "share", "data_url": "https://facebook.com.evil.example/x"}, "other", None),
        ({"file_type": "fallback", "fallback_title": "t", "data_url": "https://shop.example.com/"}, "other", "web_page"),
        ({"file_type": "embed", "data_url": "https://www.youtube.com/embed/1"}, "other", "web_page"),
        ({"file_type": "location", "coordinates_lat": 0, "coordinates_long": 0, "data_url": "https://maps.example.com/"}, "location", "no_file"),
        ({"file_type": "contact", "fallback_title": "+1", "meta": {"firstName": "M"}}, "contact", "no_file"),
        ({"file_type": 7, "data_url": BLOB + "a"}, "other", None),
    ],
)  # fmt: skip
def test_each_attachment_type_of_chatwoot(
    attachment: dict[str, Any], type: str, reason: str | None
) -> None:
    (found,) = understood(chatwoot(attachment)).attachments
    assert (found.type, found.reason) == (type, reason)


def test_a_post_that_was_shared_once_is_one_attachment_whatever_it_is_called() -> None:
    cdn = "https://lookaside.fbsbx.com/ig?asset_id=1"
    twice = [
        {"file_type": "share", "data_url": cdn},
        {"file_type": "ig_post", "data_url": cdn, "content_type": "image/jpeg"},
    ]
    place = {"file_type": "location", "coordinates_lat": 1.5, "coordinates_long": 2}
    found = understood(chatwoot(*twice, place, *twice))
    assert [one.type for one in found.attachments] == ["other", "location"]
    assert found.attributes["locations"] == [{"latitude": "1.5", "longitude": "2"}]


def test_the_same_photograph_sent_twice_is_two_attachments() -> None:
    photograph = {"file_type": "image", "data_url": BLOB + "a.jpg"}
    assert len(understood(chatwoot(photograph, photograph)).attachments) == 2


@pytest.mark.parametrize("attachments", [{}, "image", 7, [None, "x", 7, []]])
def test_attachments_of_another_shape_are_none(attachments: object) -> None:
    assert understood(chatwoot(content="Hola", attachments=attachments)).attachments == ()


@pytest.mark.parametrize(
    "name", ["nota%20de%20voz.oga", "..%2F..%2Fetc%2Fpasswd", "a%E2%80%AEgpj.exe", "%FF%00"]
)
def test_the_name_of_a_file_is_kept_as_a_name_and_storable(name: str) -> None:
    (found,) = understood(chatwoot({"file_type": "file", "data_url": BLOB + name})).attachments
    assert found.filename is not None
    assert "\0" not in found.filename and found.filename.encode()


@pytest.mark.parametrize(
    "created_at",
    [
        "2026-07-14T10:05:00.000Z",
        1784023500,
        1784023500.0,
        "1784023500",
        "2026-07-14T12:05:00+02:00",
    ],
)
def test_the_time_of_a_chatwoot_message_in_any_of_its_forms(created_at: object) -> None:
    assert understood(chatwoot(created_at=created_at)).occurred_at == NOW


@pytest.mark.parametrize(
    "created_at",
    [
        "9999-12-31T23:59:59.999Z",
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        1,
        253402300799,
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        0,
        -1,
        None,
        "ayer",
    ],
)
def test_instead_of_an_absurd_time_a_message_has_that_of_its_arrival(created_at: object) -> None:
    assert row_of(chatwoot(created_at=created_at)).occurred_at == NOW
