"""doctor's check of the models: they work, they end soon, or a setting is wrong."""

from datetime import date
from typing import Any

import pytest

from schemas.settings import Openai, Secret, Settings
from schemas.tenants import TenantSettings
from streams.commands.model_check import Checked, Sense, check_model
from tests.unit.model_servers import Asked, Said, Scripted, complaint, completion, served

TODAY = date(2026, 11, 27)
SENSES: tuple[Sense, Sense] = ("vision", "speech")


def fine(asked: Asked) -> Said:
    if asked.path.startswith("GET"):
        return 404, {"detail": "Not Found"}
    return 200, {"text": ""} if "audio" in asked.path else completion("Red.", model=None)


async def checked(
    say: Any,
    sense: Sense,
    *,
    tenant: TenantSettings | None = None,
    today: date = TODAY,
    **openai: Any,
) -> tuple[Checked, Scripted]:
    server = Scripted(say)
    async with served(server.app()) as url:
        given: dict[str, Any] = {"base_url": f"{url}/v1", "api_key": Secret("sk")} | openai
        settings = Settings(openai=Openai(**given))
        return await check_model(settings, sense, tenant or TenantSettings(), today), server


@pytest.mark.parametrize("sense", SENSES)
async def test_a_model_that_answers_is_well(sense: Sense) -> None:
    own = {"vision_model": "mine", "transcription_model": "mine"}
    found, _ = await checked(fine, sense, **own)
    assert (found.ok, found.warns) == (True, False)


WRONG: list[tuple[Said, str, str]] = [
    ((401, complaint("no", code="invalid_api_key")), "API_KEY", "API_KEY"),
    ((404, complaint("no", code="model_not_found")), "VISION_MODEL", "TRANSCRIPTION_MODEL"),
    ((404, {"detail": "Not Found"}), "BASE_URL", "BASE_URL"),
    ((429, complaint("no", code="insufficient_quota")), "API_KEY", "API_KEY"),
    ((403, complaint("no", code="permission_denied")), "API_KEY", "API_KEY"),
    ((504, "timeout"), "TIMEOUT_SECONDS", "TIMEOUT_SECONDS"),
    (
        (400, complaint("no", param="seed", code="unknown_parameter")),
        "VISION_EXTRA_BODY",
        "TRANSCRIPTION_EXTRA_BODY",
    ),
    ((400, {"error": "no"}), "VISION_MODEL", "TRANSCRIPTION_MODEL"),
]


@pytest.mark.parametrize(("said", "vision", "speech"), WRONG)
async def test_the_setting_that_is_wrong_is_named(said: Said, vision: str, speech: str) -> None:
    for sense, setting in zip(SENSES, (vision, speech), strict=True):
        found, _ = await checked(lambda _: said, sense)
        assert not found.ok and f"SENSORIUM_OPENAI__{setting}" in found.says, found


async def test_a_form_that_the_server_does_not_take_is_named() -> None:
    def no_webp_no_opus(asked: Asked) -> Said:
        hard = asked.filename.endswith("ogg") or "image/webp" in str(asked.sent.get("messages"))
        return (400, {"error": "failed to read"}) if hard else fine(asked)

    found, _ = await checked(no_webp_no_opus, "vision", image_formats="jpeg,webp")
    assert not found.ok and "SENSORIUM_OPENAI__IMAGE_FORMATS" in found.says
    found, _ = await checked(no_webp_no_opus, "speech", audio_format="as-is")
    assert not found.ok and "SENSORIUM_OPENAI__AUDIO_FORMAT" in found.says
    assert (await checked(no_webp_no_opus, "speech"))[0].ok


@pytest.mark.parametrize("sense", SENSES)
async def test_an_address_where_nothing_listens_is_named(sense: Sense) -> None:
    gone = "http://127.0.0.1:9/v1"
    found, _ = await checked(fine, sense, base_url=gone)
    assert not found.ok and "SENSORIUM_OPENAI__BASE_URL" in found.says
    found, _ = await checked(fine, "speech", transcription_base_url=gone)
    assert not found.ok and "SENSORIUM_OPENAI__TRANSCRIPTION_BASE_URL" in found.says


async def test_openai_without_a_key_is_said_without_a_call() -> None:
    settings = Settings(openai=Openai())
    for sense in SENSES:
        found = await check_model(settings, sense, TenantSettings(), TODAY)
        assert not found.ok and "SENSORIUM_OPENAI__API_KEY is not set" in found.says


async def test_a_tenants_own_key_and_model_are_tried() -> None:
    tenant = TenantSettings(openai_key="sk-theirs", vision_model="mine")
    found, server = await checked(fine, "vision", tenant=tenant)
    assert found.ok and (server.asked[0].key, server.asked[0].sent["model"]) == (
        "sk-theirs",
        "mine",
    )
    rejects = (401, complaint("no", code="invalid_api_key"))
    found, _ = await checked(lambda _: rejects, "vision", tenant=tenant)
    assert not found.ok and "the tenant's openai-key" in found.says


def ending(when: str) -> Any:
    def say(asked: Asked) -> Said:
        if asked.path.startswith("GET"):
            model = {"id": "m", "object": "model", "created": 1, "owned_by": "x"}
            return 200, {**model, "shutdown_date": when}
        return fine(asked)

    return say


@pytest.mark.parametrize(
    ("models", "when", "warns", "says"),
    [
        ("gpt-4o,gpt-6-luna", "2027-01-14", True, "gpt-6-luna is asked afterwards"),
        ("gpt-4o", "2027-01-14", True, "add a successor (gpt-6-luna) after it in SENSORIUM_OPENAI__VISION_MODEL"),
        ("mine", "2027-02-25", True, "add a successor after it"),
        ("gpt-4o", "2027-02-26", False, ""),
        ("gpt-4o", "soon", True, "ends on 2027-01-14 (48 days) at OpenAI, if"),
        ("mine", "soon", False, ""),
    ],
)  # fmt: skip
async def test_a_model_that_ends_within_90_days_is_a_warning_and_not_wrong(
    models: str, when: str, warns: bool, says: str
) -> None:
    found, _ = await checked(ending(when), "vision", vision_model=models)
    assert (found.ok, found.warns, says in found.says) == (True, warns, True), found


async def test_a_server_that_answers_under_another_name_is_not_said_to_end() -> None:
    def stand_in(asked: Asked) -> Said:
        if asked.path.startswith("GET"):
            return 404, {"detail": "Not Found"}
        return 200, completion("Red.", model="stand-in")

    assert not (await checked(stand_in, "vision"))[0].warns


@pytest.mark.parametrize(
    ("sense", "today", "warns"),
    [
        ("vision", TODAY, True),
        ("speech", TODAY, False),
        ("speech", date(2026, 11, 28), True),
        ("vision", date(2027, 1, 20), True),
    ],
)
async def test_the_default_models_are_said_to_end_from_90_days_before(
    sense: Sense, today: date, warns: bool
) -> None:
    found, _ = await checked(fine, sense, today=today)
    assert (found.warns, "is asked afterwards" in found.says) == (warns, warns)
