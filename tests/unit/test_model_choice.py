"""Which model of a list is asked, and the valid values of each setting of a server."""

from dataclasses import dataclass
from typing import Any

import pytest

from connectors.models.errors import ModelNotServed, ModelUnavailable
from connectors.models.model_choice import FORGOTTEN_AFTER_SECONDS, ModelChoice
from connectors.models.servers import ModelSettingsError, servers_of
from schemas.settings import Openai, Secret


@dataclass(frozen=True)
class Named:
    model: str


class Account:
    """Serves some models, and notes which were requested."""

    def __init__(self, *served: str) -> None:
        self.served, self.asked, self.now = set(served), list[str](), 0.0
        self.choice = ModelChoice(lambda: self.now)

    async def __call__(self, one: Named) -> str:
        self.asked.append(one.model)
        if one.model not in self.served:
            raise ModelNotServed("404")
        return one.model

    async def ask(self, *models: str, key: str = "sk-1") -> str:
        return await self.choice.first_served([Named(model) for model in models], key, self)


async def test_the_first_model_that_the_account_has_is_asked_and_remembered() -> None:
    account = Account("new")
    assert [await account.ask("old", "new") for _ in range(3)] == ["new"] * 3
    assert account.asked == ["old", "new", "new", "new"]


async def test_what_one_key_does_not_have_another_may_have() -> None:
    account = Account("new")
    await account.ask("old", "new")
    account.served.add("old")
    assert await account.ask("old", "new", key="sk-2") == "old"


async def test_a_model_that_came_back_is_found_again() -> None:
    account = Account("new")
    await account.ask("old", "new")
    account.served.add("old")
    account.now = FORGOTTEN_AFTER_SECONDS + 1
    assert await account.ask("old", "new") == "old"


async def test_an_account_without_any_of_them_is_asked_for_all_of_them_again() -> None:
    account = Account()
    for _ in range(2):
        with pytest.raises(ModelNotServed) as caught:
            await account.ask("old", "new")
        assert caught.value.hold
    assert account.asked == ["old", "new"] * 2


async def test_trouble_that_is_not_the_models_does_not_move_on_to_the_next() -> None:
    asked = []

    async def away(one: Named) -> str:
        asked.append(one.model)
        raise ModelUnavailable("model_server_error", 2.0)

    with pytest.raises(ModelUnavailable):
        await ModelChoice().first_served([Named("old"), Named("new")], "sk-1", away)
    assert asked == ["old"]


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"base_url": "localhost:11434"}, "BASE_URL"),
        ({"base_url": ""}, "BASE_URL"),
        ({"transcription_base_url": "ftp://x"}, "TRANSCRIPTION_BASE_URL"),
        ({"vision_model": " , "}, "VISION_MODEL"),
        ({"transcription_model": ""}, "TRANSCRIPTION_MODEL"),
        ({"image_formats": "heic"}, "IMAGE_FORMATS"),
        ({"image_formats": ""}, "IMAGE_FORMATS"),
        ({"image_side": 0}, "IMAGE_SIDE"),
        ({"timeout_seconds": 0.0}, "TIMEOUT_SECONDS"),
        ({"transcription_timeout_seconds": -1.0}, "TRANSCRIPTION_TIMEOUT_SECONDS"),
        ({"vision_jobs": -1}, "VISION_JOBS"),
        ({"vision_extra_body": "[]"}, "VISION_EXTRA_BODY"),
        ({"transcription_extra_body": "{"}, "TRANSCRIPTION_EXTRA_BODY"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(ModelSettingsError, match=f"SENSORIUM_OPENAI__{name} "):
        servers_of(Openai(**settings))


def test_one_server_for_both_senses_unless_the_ears_have_their_own() -> None:
    one = servers_of(Openai(api_key=Secret("sk")))
    assert (one.speech.base_url, one.speech.api_key) == (one.vision.base_url, "sk")
    two = servers_of(
        Openai(
            api_key=Secret("sk"),
            base_url="http://127.0.0.1:11434/v1",
            transcription_base_url="http://127.0.0.1:8000/v1",
            transcription_timeout_seconds=300,
        )
    )
    assert (two.speech.base_url, two.speech.api_key, two.speech.timeout_seconds) == (
        "http://127.0.0.1:8000/v1",
        "sk",
        300,
    )
    assert (two.vision.key_for("sk-t"), two.speech.key_for("sk-t")) == ("sk-t", "sk")


def test_openai_is_sent_files_as_they_are_and_others_what_every_server_reads() -> None:
    openai, local = servers_of(Openai()), servers_of(Openai(base_url="http://127.0.0.1:11434/v1"))
    assert (len(openai.image_formats), openai.audio_format) == (4, "as-is")
    assert (local.image_formats, local.audio_format) == ({"image/jpeg", "image/png"}, "mp3")
    set_by_hand = servers_of(Openai(image_formats="JPG, image/webp", audio_format="wav"))
    assert set_by_hand.image_formats == {"image/jpeg", "image/webp"}
    assert set_by_hand.audio_format == "wav"
