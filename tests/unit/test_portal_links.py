"""Links for a tenant's own people, without a database."""

from typing import Any

import pytest

from storage.postgres.people import PeopleError
from streams.commands.users import portal_token


class Remembered:
    """People in memory."""

    def __init__(self, **roles: str) -> None:
        self.roles = dict(roles)

    async def named(self, name: str) -> dict[str, str]:
        return {"person_id": "per_1", "name": name}

    async def set_role(self, tenant: str, _: str, role: str) -> None:
        self.roles[tenant] = role

    async def list(self) -> list[dict[str, Any]]:
        return [
            {"name": "ana", "roles": {"*": "admin"}},
            {"name": "portal@acme", "roles": self.roles},
        ]

    async def note(self, *_: object) -> None:
        return None

    async def add_link(self, *_: object) -> str:
        return "token"


async def test_a_portal_lets_in_to_its_tenant_and_nowhere_else() -> None:
    people: Any = Remembered()
    assert await portal_token(people, "acme") == "token"
    for more in ("*", "other"):
        people = Remembered(**{more: "admin"})
        with pytest.raises(PeopleError, match="users remove portal@acme"):
            await portal_token(people, "acme")
