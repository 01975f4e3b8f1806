"""Errors whose meaning is in a text, a type or an inner error, as known servers word them."""

import json
from contextlib import suppress

import pytest

from connectors.models.capabilities import Traits, traits_of
from connectors.models.complaints import Complaint, complaint_of
from connectors.models.errors import (
    Declined,
    FileRefused,
    ModelUnavailable,
    ParameterRejected,
    SoundTooLong,
    SoundTooShort,
    is_about_the_request,
    raise_meaning,
)
from connectors.models.requests import adapted, speech_parameters, vision_parameters
from tests.unit.model_servers import Asked, Said, asking, complaint, fine

SAFETY = (
    "Your request was rejected as a result of our safety system. "
    "Your prompt may contain text that is not allowed by our safety system."
)
SECONDS = {"vision": None, "speech": 60.0}


def read(status: int, document: object) -> Complaint:
    text = document if isinstance(document, str) else json.dumps(document)
    return complaint_of(status, text.encode())


def meaning(status: int, document: object, sense: str) -> str:
    """The trouble, with + if jobs are held, or the name of the exception."""
    found = read(status, document)
    try:
        raise_meaning(found, {}, sound_seconds=SECONDS[sense])
    except ModelUnavailable as error:
        return error.trouble + ("+" if error.hold else "")
    except (Declined, FileRefused, ParameterRejected, SoundTooLong, SoundTooShort) as error:
        return type(error).__name__
    raise AssertionError("an error means something")


def typed(kind: str, code: str | None = None, message: str = "no") -> dict[str, object]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def google(code: int, message: str, **more: object) -> list[object]:
    return [{"error": {"code": code, "message": message, **more}}]


POLICY = [
    (400, complaint(SAFETY)),
    (400, complaint(SAFETY, param="messages")),
    (400, complaint("Input was flagged as unsafe by our moderation system")),
    (400, complaint("This request has been flagged", code="cyber_policy")),
    (400, complaint("filtered due to the content management policy.", param="prompt")),
    (400, {"error": {"message": "litellm.ContentPolicyViolationError: no", "code": "400"}}),
    (
        403,
        {
            "error": {
                "code": 403,
                "message": "Input was flagged by moderation",
                "metadata": {"reasons": ["sexual"], "flagged_input": "…"},
            }
        },
    ),
    (403, {"error": {"code": 403, "message": "no", "metadata": {"reasons": ["violence"]}}}),
    (
        403,
        {
            "code": "The caller does not have permission",
            "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_CSAM",
        },
    ),
]


@pytest.mark.parametrize("sense", SECONDS)
@pytest.mark.parametrize(("status", "document"), POLICY)
def test_a_policy_is_seen_by_its_text_before_the_status(
    status: int, document: object, sense: str
) -> None:
    assert meaning(status, document, sense) == "Declined"


@pytest.mark.parametrize(
    ("trouble", "status", "document"),
    [
        ("model_rate_limited+", 400, complaint("no", code="rate_limit_exceeded")),
        ("model_rate_limited+", 403, complaint("no", code="rate_limit_exceeded")),
        (
            "model_rate_limited+",
            413,
            typed("seconds", "rate_limit_exceeded", "Request too large on audio seconds per hour"),
        ),
        ("model_rate_limited+", 400, typed("rate_limit_error", "Throttling.RateQuota")),
        ("model_rate_limited+", 400, typed("rate_limit_error")),
        ("model_out_of_quota+", 400, typed("budget_exceeded")),
        ("model_server_error", 400, typed("overloaded_error")),
        ("model_server_error", 400, typed("server_error")),
        ("model_server_error", 400, {"error": "The model is still loading"}),
        ("model_account+", 400, complaint("Your team has used all available credits")),
        ("model_server_error", 400, complaint("There are no healthy deployments for this model.")),
        ("model_server_error", 400, {"error": "The model has crashed without additional (5)"}),
        ("model_server_error", 400, {"error": 'Failed to load model "x". Error: no'}),
        (
            "model_server_error",
            400,
            {"error": "model requires more system memory (6.1 GiB) than is available (3.2 GiB)"},
        ),
        (
            "model_timeout",
            400,
            complaint("Timeout while processing audio after 30 seconds, limit reached"),
        ),
        ("model_account+", 400, complaint("Your account is not active, please check your billing")),
        ("model_account+", 400, complaint("Your credit balance is too low to access the API")),
        ("model_account+", 400, typed("Arrearage", "Arrearage")),
        ("model_account+", 400, google(400, "User location is not supported for the API use.")),
        (
            "model_account+",
            400,
            complaint("Your account was suspended for violations of our usage policies"),
        ),
        ("model_rejected_key+", 400, google(400, "API key not valid. Please pass a valid one.")),
        ("model_rejected_key+", 400, google(400, "no", details=[{"reason": "API_KEY_INVALID"}])),
        ("model_rejected_key+", 400, google(400, "Missing or invalid Authorization header.")),
        (
            "model_rejected_key+",
            400,
            {"code": "Client specified an invalid argument", "error": "Incorrect API key provided"},
        ),
        ("model_not_served+", 400, {"error": {"message": "gpt-4o is not a valid model ID"}}),
        ("model_not_served+", 400, complaint("The provided model identifier is invalid.")),
        ("model_not_served+", 400, {"error": "No models loaded. Please load a model"}),
        (
            "model_not_served+",
            404,
            google(404, "models/gpt-4o is not found for API version v1main", status="NOT_FOUND"),
        ),
        ("model_rejects_request+", 400, typed("", "OperationNotSupported")),
        ("model_rejects_request+", 400, typed("", "UnsupportedApiVersion")),
        ("model_rejects_request+", 400, complaint("API version not supported")),
        (
            "model_rejects_request+",
            400,
            complaint("The model does not support Transcriptions API"),
        ),
        (
            "model_rejects_request+",
            400,
            complaint("The model `whisper-large-v3` does not support chat completions"),
        ),
        ("model_rejects_request+", 400, complaint("you must provide a model parameter")),
        ("model_rejects_request+", 400, complaint("We could not parse the JSON body")),
        (
            "model_rejects_request+",
            400,
            "<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>",
        ),
    ],
)
@pytest.mark.parametrize("sense", SECONDS)
def test_a_400_in_other_words_says_nothing_about_the_file(
    trouble: str, status: int, document: object, sense: str
) -> None:
    assert meaning(status, document, sense) == trouble


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (400, complaint("messages[1]: unknown variant `image_url`, expected `text` at line 1")),
        (400, complaint("messages[1].content must be a string")),
        (400, typed("api_error", message="this model is missing data required for image input")),
        (
            422,
            {
                "detail": [
                    {"type": "string_type", "loc": ["body", "messages", 1, "content"], "msg": "no"}
                ]
            },
        ),
    ],
)
def test_a_model_that_takes_text_alone_cannot_see(status: int, document: object) -> None:
    assert meaning(status, document, "vision") == "model_cannot_see+"


@pytest.mark.parametrize(
    ("raised", "document"),
    [
        ("SoundTooShort", complaint("Audio file is too short")),
        ("SoundTooShort", complaint("no", code="audio_too_short")),
        ("SoundTooShort", {"detail": [{"loc": ["body", "file"], "msg": "Audio too short"}]}),
        ("SoundTooLong", complaint("The audio is too long")),
        ("SoundTooLong", complaint("no", code="input_too_large")),
        ("SoundTooLong", complaint("The file is too large. Maximum 25 MB")),
    ],
)
def test_a_length_without_a_number_is_understood(raised: str, document: object) -> None:
    assert meaning(400, document, "speech") == raised


RAW = json.dumps(complaint("no", param="max_tokens", code="unsupported_parameter"))


def next_form(document: object, model: str, sense: str) -> Traits | None:
    """The traits of the next try; None if the jobs are held."""
    found, traits = read(400, document), traits_of(model)
    sent = (
        vision_parameters(traits, {})
        if sense == "vision"
        else speech_parameters(traits, "es", "Ana", {})
    )
    with pytest.raises(ParameterRejected):
        raise_meaning(found, {}, sound_seconds=SECONDS[sense])
    better = adapted(traits, found, sent)
    assert better is not None or is_about_the_request(found) or found.names(sent)
    return better


@pytest.mark.parametrize(
    ("sense", "model", "document", "trait", "value"),
    [
        ("speech", "m", complaint("temperature is not supported with this"), "temperature", None),
        ("speech", "m", complaint("Only temperature=1 is supported"), "temperature", None),
        ("speech", "m", complaint("Prompting is not supported here."), "takes_prompt", False),
        (
            "speech",
            "gpt-transcribe",
            {"detail": [{"type": "list_type", "loc": ["body", "languages"], "msg": "valid list"}]},
            "language_hint",
            "language",
        ),
        ("vision", "gpt-4o", {"error": None, "message": "unknown 'max_tokens'"}, "limit", "x"),
        ("vision", "gpt-4o", {"error": {"message": "no", "metadata": {"raw": RAW}}}, "limit", "x"),
        ("vision", "gpt-5.1", {"error": '"m" does not support thinking'}, "reasoning_effort", None),
        (
            "vision",
            "gpt-5.1",
            complaint('think value "none" is not supported for this model'),
            "reasoning_effort",
            "minimal",
        ),
        (
            "vision",
            "gpt-5-mini",
            complaint('invalid reasoning value: \'minimal\' (must be "high" or "none")'),
            "reasoning_effort",
            "none",
        ),
        (
            "vision",
            "gpt-5.1",
            complaint("no", param="reasoning.effort", code="unsupported_value"),
            "reasoning_effort",
            "minimal",
        ),
        (
            "vision",
            "m",
            {"error": "Only user and assistant roles are supported!"},
            "system_role",
            False,
        ),
        (
            "vision",
            "m",
            {"error": "Conversation roles must alternate user/…"},
            "system_role",
            False,
        ),
        ("vision", "m", {"error": "System messages are not allowed"}, "system_role", False),
    ],
)
def test_a_parameter_that_is_named_in_another_way_is_adapted_to(
    sense: str, model: str, document: object, trait: str, value: object
) -> None:
    better = next_form(document, model, sense)
    if trait == "limit":
        value = "max_completion_tokens"
    assert getattr(better, trait) == value


@pytest.mark.parametrize(
    "document",
    [complaint("no", code="unsupported_language"), {"error": "unknown language 'xx'"}],
)
def test_an_unknown_language_says_nothing_about_the_file(document: object) -> None:
    assert next_form(document, "m", "speech") is None


@pytest.mark.parametrize(
    "document",
    [
        complaint(SAFETY),
        {"error": "model requires more system memory than is available to process the prompt"},
        {"error": "The prompt exceeds the context: system message and image need 5000 tokens"},
    ],
)
async def test_no_other_text_about_a_system_changes_how_a_model_is_asked(document: object) -> None:
    answers: list[Said] = [(400, document)]

    def say(asked: Asked) -> Said:
        return answers.pop() if answers else fine(asked)

    async with asking(say) as client:
        with suppress(ModelUnavailable):
            await client.see()
        assert client.vision.server.traits("some-model").system_role
    assert len(client.server.asked) == 1


async def test_a_parameter_that_is_not_sent_any_more_holds_when_it_is_still_complained_about() -> (
    None
):
    async with asking(lambda _: (400, {"error": '"m" does not support thinking'})) as client:
        with pytest.raises(ModelUnavailable) as caught:
            await client.see("gpt-5.1")
    assert (caught.value.trouble, caught.value.hold) == ("model_rejects_request", True)


async def test_a_rate_in_a_413_is_not_remembered_as_a_length() -> None:
    error = typed("seconds", "rate_limit_exceeded", "Request too large: Limit 7200, Used 7000")
    async with asking(lambda _: (413, error)) as client:
        with pytest.raises(ModelUnavailable):
            await client.hear(seconds=1000)
        assert client.speech.server.traits("some-model").sound_seconds is None


@pytest.mark.parametrize("raw", ["", "[", "[" * 5_000, "null", '{"metadata": {"raw": "{}"}}', 7])
def test_a_broken_inner_error_is_a_text(raw: object) -> None:
    read(400, {"error": {"message": "no", "metadata": {"raw": raw}}})
