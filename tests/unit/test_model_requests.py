"""An error about our request says nothing about the file.

The request is adapted, or the jobs are held.
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.models.errors import ModelUnavailable
from connectors.models.speech import SpeechModel
from connectors.models.vision import VisionModel
from schemas.settings import Openai, Secret
from tests.unit.model_servers import Asked, Said, asking, complaint, fine, served

FIELD = Path(__file__).parents[1] / "field"
LINES = [
    json.loads(line)
    for line in (FIELD / "model-400-about-our-request" / "answers.jsonl").read_text().splitlines()
]


def takes_only(*names: str, form: Callable[[str], Said]) -> Callable[[Asked], Said]:
    """Complains in `form` about the first parameter that is not one of these."""
    known = {"model", "messages", *names}

    def say(asked: Asked) -> Said:
        wrong = next((name for name in asked.sent if name.removesuffix("[]") not in known), None)
        return fine(asked) if wrong is None else form(wrong.removesuffix("[]"))

    return say


FORMS: dict[str, Callable[[str], Said]] = {
    "openai": lambda name: (
        400,
        complaint(
            f"Unsupported parameter: '{name}' is not supported with this model. Use 'max_tokens' instead.",
            param=name,
            code="unsupported_parameter",
        ),
    ),
    "param alone": lambda name: (400, complaint("not a parameter of this model", param=name)),
    "unknown": lambda name: (
        400,
        complaint(f"Unrecognized request argument supplied: {name}", code=None),
    ),
    "plain string": lambda name: (400, {"error": f"unknown field `{name}`"}),
    "vllm": lambda name: (
        422,
        {"detail": [{"loc": ["body", name], "msg": "Extra inputs", "type": "extra_forbidden"}]},
    ),
    "vllm 400": lambda name: (
        400,
        {
            "object": "error",
            "message": f"[{{'type': 'extra_forbidden', 'loc': ('body', '{name}')}}]",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    "detail": lambda name: (422, {"detail": f"'{name}' is not a valid parameter"}),
    "text": lambda name: (400, f"unsupported parameter '{name}'"),
}


@pytest.mark.parametrize("form", FORMS)
async def test_a_limit_that_a_server_does_not_know_is_named_as_it_knows_it(form: str) -> None:
    async with asking(takes_only("max_tokens", form=FORMS[form])) as client:
        answer = await client.see()
        again = await client.see()
    assert (answer.text, again.text) == ("A cat.", "A cat.")
    assert "max_tokens" in client.server.asked[-1].sent
    assert len([one for one in client.server.asked if "max_tokens" in one.sent]) == 2


@pytest.mark.parametrize("form", FORMS)
async def test_a_transcription_that_takes_nothing_but_the_file_is_asked_for_just_that(
    form: str,
) -> None:
    async with asking(takes_only(form=FORMS[form])) as client:
        answer = await client.hear(prompt="Muela")
        calls = len(client.server.asked)
        await client.hear(prompt="Muela")
    assert answer.text == "Hola"
    assert set(client.server.asked[-1].sent) == {"model"}
    assert len(client.server.asked) == calls + 1, "what the server said is remembered"


async def test_what_a_server_says_of_one_model_changes_nothing_for_another() -> None:
    async with asking(takes_only("max_tokens", form=FORMS["openai"])) as client:
        await client.see("one")
        await client.see("other")
    sent = [(one.sent["model"], "max_tokens" in one.sent) for one in client.server.asked]
    assert sent == [("one", False), ("one", True), ("other", False), ("other", True)]


async def test_a_parameter_that_is_asked_for_in_vain_is_not_tried_twice() -> None:
    async with asking(lambda _: (LINES[3]["status"], LINES[3]["body"])) as client:
        with pytest.raises(ModelUnavailable):
            await client.hear()
    assert len(client.server.asked) == 2


async def test_a_limit_that_is_too_high_is_halved() -> None:
    def say(asked: Asked) -> Said:
        if asked.sent["max_completion_tokens"] <= 120:
            return fine(asked)
        return 400, complaint("too large", param="max_completion_tokens", code="invalid_value")

    async with asking(say) as client:
        assert (await client.see()).text == "A cat."


async def test_a_language_hint_takes_the_form_that_the_model_knows() -> None:
    async with asking(
        takes_only("languages", "response_format", "temperature", form=FORMS["openai"])
    ) as client:
        assert (await client.hear()).text == "Hola"
        await client.hear("gpt-transcribe")
    assert client.server.asked[-1].sent == {
        "model": "gpt-transcribe",
        "languages[]": "es",
        "response_format": "json",
    }


@pytest.mark.parametrize("value", ["none", "minimal", "low"])
async def test_reasoning_is_turned_down_as_far_as_the_model_lets_it(value: str) -> None:
    def say(asked: Asked) -> Said:
        if asked.sent.get("reasoning_effort", value) == value:
            return fine(asked)
        return 400, complaint("no", param="reasoning_effort", code="unsupported_value")

    async with asking(say) as client:
        assert (await client.see("gpt-5.1")).text == "A cat."
    assert client.server.asked[-1].sent["reasoning_effort"] == value


async def test_a_parameter_that_a_model_asks_for_is_given() -> None:
    def say(asked: Asked) -> Said:
        if asked.sent.get("chunking_strategy") == "auto":
            return fine(asked)
        return LINES[3]["status"], LINES[3]["body"]

    async with asking(say) as client:
        assert (await client.hear()).text == "Hola"


@pytest.mark.parametrize(
    "error",
    [
        complaint("no 'system' role", param="messages[0].role", code="unsupported_value"),
        {"error": "System role not supported"},
    ],
)
async def test_a_model_without_a_system_role_is_told_in_the_users_message(error: object) -> None:
    def say(asked: Asked) -> Said:
        is_system = asked.sent["messages"][0]["role"] == "system"
        return (400, error) if is_system else fine(asked)

    async with asking(say) as client:
        assert (await client.see()).text == "A cat."
    (message,) = client.server.asked[-1].sent["messages"]
    assert [part["type"] for part in message["content"]] == ["text", "image_url"]


async def test_instructions_are_a_system_message_apart_from_the_picture() -> None:
    async with asking(fine) as client:
        await client.see()
    system, user = client.server.asked[0].sent["messages"]
    assert system == {"role": "system", "content": "Say it."}
    assert user["role"] == "user" and "Say it." not in json.dumps(user)


async def test_what_the_installation_adds_is_sent_and_never_taken_out() -> None:
    extra = {"vision_extra_body": '{"reasoning_effort": "none", "seed": 7}'}
    async with asking(fine, **extra) as client:
        await client.see()
    assert (
        client.server.asked[0].sent["reasoning_effort"],
        client.server.asked[0].sent["seed"],
    ) == ("none", 7)
    async with asking(
        takes_only("max_completion_tokens", "seed", form=FORMS["openai"]), **extra
    ) as client:
        with pytest.raises(ModelUnavailable) as caught:
            await client.see()
    assert caught.value.trouble == "model_rejects_request"


async def test_a_server_that_complains_about_everything_is_not_asked_without_end() -> None:
    def say(asked: Asked) -> Said:
        return 400, complaint("no", param=next(reversed(asked.sent)), code="unsupported_parameter")

    async with asking(say) as client:
        with pytest.raises(ModelUnavailable):
            await client.hear(prompt="Muela")
    assert len(client.server.asked) <= 8


async def test_a_tenants_key_is_not_sent_to_a_server_of_another_address() -> None:
    async with asking(fine, transcription_api_key=Secret("sk-ears")) as client:
        url = client.vision.server.server.base_url
        ears = SpeechModel(
            Openai(
                base_url="http://127.0.0.1:9/v1",
                api_key=Secret("sk-ours"),
                transcription_base_url=url,
            )
        )
        await ears.transcribe(
            b"x",
            "a.mp3",
            "audio/mpeg",
            prompt=None,
            language=None,
            model="m",
            api_key="sk-theirs",
            seconds=1,
        )
        await ears.server.close()
        await client.hear()
        await client.see(key="sk-theirs")
    assert [one.key for one in client.server.asked] == ["sk-ours", "sk-ears", "sk-theirs"]


def test_the_deadline_of_a_call_follows_the_length_of_the_sound_and_of_its_upload() -> None:
    server = SpeechModel(Openai(timeout_seconds=60)).server
    assert server.deadline_seconds(0, None) == 60
    assert server.deadline_seconds(25_000_000, 1_400) == 60 + 200 + 700


async def test_all_keys_share_one_connection_pool_and_each_call_has_its_own_key() -> None:
    async with asking(fine) as client:
        for key in (None, "sk-1", "sk-2", "sk-1"):
            await client.see(key=key)
        root = client.vision.server._client
        assert root.with_options(api_key="x")._client is root._client
    assert [one.key for one in client.server.asked] == ["sk-ours", "sk-1", "sk-2", "sk-1"]


@pytest.mark.parametrize(("jobs", "at_once"), [(2, 2), (0, 7)])
async def test_no_more_calls_run_at_once_than_the_setting_says(jobs: int, at_once: int) -> None:
    server = VisionModel(Openai(vision_jobs=jobs)).server
    inside, most = 0, 0

    async def one() -> None:
        nonlocal inside, most
        async with server.turn():
            inside += 1
            most = max(most, inside)
            for _ in range(5):
                await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(one() for _ in range(7)))
    assert most == at_once


async def test_a_server_that_hangs_is_left_at_the_deadline_and_said_to_be_late() -> None:
    async def hang(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            while (await receive())["type"] != "http.disconnect":
                pass

    async with served(hang) as url:
        model = VisionModel(Openai(base_url=f"{url}/v1", api_key=Secret("sk"), timeout_seconds=0.3))
        with pytest.raises(ModelUnavailable) as caught:
            await model.describe(b"x", "image/jpeg", prompt="p", model="m", api_key=None)
        await model.server.close()
    assert (caught.value.trouble, caught.value.hold) == ("model_timeout", False)


async def test_an_address_where_nothing_listens_is_not_a_time_out() -> None:
    model = VisionModel(Openai(base_url="http://127.0.0.1:9/v1", api_key=Secret("sk")))
    with pytest.raises(ModelUnavailable) as caught:
        await model.describe(b"x", "image/jpeg", prompt="p", model="m", api_key=None)
    await model.server.close()
    assert (caught.value.trouble, caught.value.hold) == ("model_unreachable", False)
