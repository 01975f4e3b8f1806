"""docker-compose.yml runs every role, with the settings the program knows."""

import re
from pathlib import Path

from schemas.topics import STAGES
from streams.settings import known_settings

TEXT = (Path(__file__).parents[2] / "docker-compose.yml").read_text()


def test_every_role_has_a_service() -> None:
    commands = re.findall(r'command: \["sensorium", (.*)\]', TEXT)
    wanted = {'"receive"', '"sink"', '"console"', *(f'"stream", "{stage}"' for stage in STAGES)}
    assert wanted <= set(commands)


def test_every_setting_it_gives_is_known() -> None:
    given = set(re.findall(r"^\s+(SENSORIUM_[A-Z_]+):", TEXT, re.MULTILINE))
    assert given and given <= set(known_settings())
