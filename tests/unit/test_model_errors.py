"""The meaning of API errors: a refusal, a file that is not accepted, or trouble of all jobs."""

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.models.client import NOT_TAKEN_IN_A_ROW
from connectors.models.errors import ModelNotServed, ModelUnavailable, SoundTooLong
from tests.unit.model_servers import Said, asking, complaint, completion

FIELD = Path(__file__).parents[1] / "field" / "model-400-about-our-request"
LINES = [json.loads(line) for line in (FIELD / "answers.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("line", LINES[:3], ids=lambda line: line["body"]["error"]["message"])
@pytest.mark.parametrize("sense", ["vision", "speech"])
async def test_an_error_about_our_request_that_does_not_end_holds_the_jobs(
    line: dict[str, Any], sense: str
) -> None:
    async with asking(lambda _: (line["status"], line["body"])) as client:
        with pytest.raises(ModelUnavailable) as caught:
            await client.ask(sense)
    assert (caught.value.what, caught.value.hold) == ("model", True)


async def test_a_sound_that_is_too_long_says_how_much_the_model_takes() -> None:
    async with asking(lambda _: (LINES[4]["status"], LINES[4]["body"])) as client:
        with pytest.raises(SoundTooLong) as caught:
            await client.hear(seconds=1830.5)
        assert client.speech.server.traits("some-model").sound_seconds == 1400
    assert caught.value.seconds == 1400


@pytest.mark.parametrize(
    ("message", "status", "seconds"),
    [
        (
            "audio duration 1830.530612 seconds is longer than 1400 seconds which is the maximum for this model",
            400,
            1400,
        ),
        ("Maximum audio length is 25 minutes", 400, 1500),
        ("Audio file too long: 1830 s, limit 600s", 400, 600),
        ("The recording exceeds the maximum of 0.25 hours", 422, 900),
        ("Request Entity Too Large", 413, 915),
        ("<html>413</html>", 413, 915),
    ],
)
async def test_the_length_that_a_model_takes_is_read_from_its_error(
    message: str, status: int, seconds: float
) -> None:
    async with asking(lambda _: (status, complaint(message, code="invalid_value"))) as client:
        with pytest.raises(SoundTooLong) as caught:
            await client.hear(seconds=1830)
    assert caught.value.seconds == seconds


async def test_a_sound_that_is_too_short_is_not_cut() -> None:
    error = complaint(
        "audio duration 0.05 seconds is shorter than 0.1 seconds which is the minimum",
        code="invalid_value",
    )
    async with asking(lambda _: (400, error)) as client:
        assert (await client.hear()).failure == "audio_too_short"


HELD: list[tuple[str, int, object]] = [
    ("model_rejected_key", 401, complaint("no", code="invalid_api_key")),
    ("model_rejected_key", 400, complaint("no", code="invalid_api_key")),
    ("model_account", 402, complaint("pay")),
    ("model_account", 403, complaint("you may not", code="permission_denied")),
    ("model_account", 400, complaint("no", code="billing_not_active")),
    ("model_account", 403, complaint("region", code="unsupported_country_region_territory")),
    ("model_out_of_quota", 429, complaint("no", code="insufficient_quota")),
    ("model_out_of_quota", 400, complaint("no", code="billing_hard_limit_reached")),
    ("model_rejects_request", 404, {"detail": "Not Found"}),
    ("model_rejects_request", 405, {"detail": "Method Not Allowed"}),
    ("model_rejects_request", 400, complaint("no", param="seed", code="unknown_parameter")),
    (
        "model_rejects_request",
        400,
        complaint("no", param="store", code="missing_required_parameter"),
    ),
    ("model_not_served", 404, complaint("no", code="model_not_found")),
    ("model_not_served", 404, {"error": {"message": "model 'gpt-4o' not found", "code": None}}),
    ("model_not_served", 404, {"error": 'model "llava" not found, try pulling it first'}),
    ("model_not_served", 400, complaint("no longer served", code="model_decommissioned")),
    ("model_not_served", 410, {"error": "gone"}),
    ("model_not_served", 403, complaint("Project `p` does not have access to model `gpt-4o`")),
    ("model_not_served", 400, complaint("The model `x` has been deprecated")),
    (
        "model_not_served",
        404,
        {"object": "error", "message": "The model `x` does not exist.", "code": 404},
    ),
    ("model_not_served", 400, complaint("wrong", param="model", code="invalid_value")),
]


@pytest.mark.parametrize("sense", ["vision", "speech"])
@pytest.mark.parametrize(("trouble", "status", "document"), HELD)
async def test_trouble_with_the_key_the_account_or_the_model_holds_and_says_whose_it_is(
    trouble: str, status: int, document: object, sense: str
) -> None:
    async with asking(lambda _: (status, document)) as client:
        with pytest.raises(ModelUnavailable) as caught:
            await client.ask(sense)
    assert (caught.value.trouble, caught.value.hold) == (trouble, True)
    assert isinstance(caught.value, ModelNotServed) == (trouble == "model_not_served")


@pytest.mark.parametrize(
    "error",
    [
        complaint("Invalid language 'xx'", param="language", code="invalid_language_format"),
        complaint("Invalid language 'xx'. Language parameter must be ISO-639-1"),
        {"detail": [{"loc": ["body", "language"], "msg": "bad", "type": "literal_error"}]},
    ],
)
async def test_a_language_that_a_model_does_not_know_holds(error: object) -> None:
    async with asking(lambda _: (400, error)) as client:
        with pytest.raises(ModelUnavailable) as caught:
            await client.hear(language="xx")
    assert (caught.value.trouble, caught.value.hold) == ("model_rejects_request", True)


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (500, {"error": {"code": 500, "message": "image input is not supported - hint: mmproj"}}),
        (400, complaint("This model does not support image input", code="invalid_request")),
        (
            400,
            complaint(
                "Invalid content type. image_url is only supported by certain models.",
                param="messages.[1].content.[1].type",
            ),
        ),
        (400, {"object": "error", "message": "x is not a multimodal model", "code": 400}),
    ],
)
async def test_a_model_without_eyes_holds(status: int, document: object) -> None:
    async with asking(lambda _: (status, document)) as client:
        with pytest.raises(ModelUnavailable) as caught:
            await client.see()
    assert (caught.value.trouble, caught.value.hold) == ("model_cannot_see", True)


@pytest.mark.parametrize("sense", ["vision", "speech"])
@pytest.mark.parametrize(
    ("status", "document"),
    [
        (400, complaint("Failed to load image or audio file")),
        (400, {"error": "'url' field must be a base64 encoded image."}),
        (400, {"error": "failed to read audio data"}),
        (400, complaint("Audio file might be corrupted", param="file", code="invalid_value")),
        (400, complaint("unsupported image", code="invalid_image_format")),
        (415, complaint("no")),
        (422, complaint("no", code="image_parse_error")),
        (400, complaint("no", param="messages[1].content[1].image_url.url", code="invalid_value")),
        (400, "Bad Request"),
        (400, [[[]]]),
    ],
)
async def test_a_400_that_names_no_policy_says_only_that_the_server_does_not_take_it(
    status: int, document: object, sense: str
) -> None:
    async with asking(lambda _: (status, document)) as client:
        answer = await client.ask(sense)
    assert (answer.failure, answer.refused, answer.text) == ("unsupported_by_model", False, "")


@pytest.mark.parametrize("sense", ["vision", "speech"])
@pytest.mark.parametrize(
    "document",
    [
        complaint("no", code="content_policy_violation"),
        complaint("no", code="content_filter"),
        complaint("flagged", code="invalid_prompt"),
        {"error": {"message": "no", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
        {"error": {"message": "no", "type": "image_content_policy_violation", "code": None}},
    ],
)
async def test_a_policy_code_is_a_refusal(document: object, sense: str) -> None:
    async with asking(lambda _: (400, document)) as client:
        assert (await client.ask(sense)).refused


async def test_a_server_that_takes_nothing_holds_instead_of_failing_file_after_file() -> None:
    answers: list[Said] = [(400, {"error": "no"})]
    async with asking(lambda _: answers[0]) as client:
        for _ in range(NOT_TAKEN_IN_A_ROW):
            assert (await client.see()).failure == "unsupported_by_model"
        with pytest.raises(ModelUnavailable) as caught:
            await client.see()
        assert (caught.value.trouble, caught.value.hold) == ("model_takes_nothing", True)
        answers[0] = (200, completion())
        assert (await client.see()).text == "A cat."
        answers[0] = (400, {"error": "no"})
        assert (await client.see()).failure == "unsupported_by_model"
