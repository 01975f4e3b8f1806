"""Each role is started with the settings that it reads, and with no other secret."""

import pytest

from schemas.pipeline import STAGES
from schemas.settings import Secret, Settings
from streams.roles.needs import PARTS_OF_ROLE, environment_of
from streams.settings import known_settings, to_environment

SECRETS = {name for name, default in known_settings().items() if isinstance(default, Secret)}
POSTGRES = ("POSTGRES__DSN", "POSTGRES__PASSWORD", "POSTGRES__LISTEN_DSN")
ALLOWED: dict[str, set[str]] = {
    "receive": {"KAFKA__SASL_PASSWORD", *POSTGRES, "SECRETS__KEY"},
    "stream dedupe": {"KAFKA__SASL_PASSWORD", *POSTGRES},
    "stream assemble": {"KAFKA__SASL_PASSWORD", *POSTGRES},
    "sink": {"KAFKA__SASL_PASSWORD", *POSTGRES},
    "console": {
        "KAFKA__SASL_PASSWORD",
        *POSTGRES,
        "OBJECTS__SECRET_KEY",
        "SECRETS__KEY",
    },
    "stand-in": set(),
    "local-models": set(),
}
"""A second list on purpose: a role that gets one more secret has to be listed here as well."""


@pytest.mark.parametrize("role", ALLOWED)
def test_a_role_is_given_only_the_secrets_that_it_uses(role: str) -> None:
    given = SECRETS & set(environment_of(role, Settings()))
    assert {name.removeprefix("SENSORIUM_") for name in given} == ALLOWED[role]


def test_no_role_but_those_that_ask_a_model_is_given_the_key_of_the_model() -> None:
    holders = {
        role
        for role in PARTS_OF_ROLE
        if "SENSORIUM_OPENAI__API_KEY" in environment_of(role, Settings())
    }
    assert holders == {"stream describe", "stream transcribe"}


def test_every_stage_is_listed_and_every_part_is_one_of_the_settings() -> None:
    assert {f"stream {stage}" for stage in STAGES} <= set(PARTS_OF_ROLE)
    assert set().union(*PARTS_OF_ROLE.values()) <= set(Settings.__struct_fields__)


def test_without_parts_everything_is_given() -> None:
    assert set(to_environment(Settings())) == set(known_settings())
