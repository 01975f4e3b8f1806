"""Links for a tenant's own people, without a database."""

from typing import Any

import pytest

from storage.postgres.people import PeopleError
from storage.postgres.portals import portal_token


class Remembered:
    """Replaces the tables of people, in memory."""

    def __init__(self, **roles: str) -> None:
        self.held = dict(roles)
        self.is_logged_out = False

    async def named(self, name: str) -> dict[str, str]:
        return {"person_id": "per_1", "name": name}

    async def set_role(self, tenant: str, _: str, role: str) -> None:
        self.held[tenant] = role

    async def roles(self, _: str) -> dict[str, str]:
        return dict(self.held)

    async def end_sessions(self, _: str) -> None:
        self.is_logged_out = True

    async def list(self) -> list[dict[str, Any]]:
        return [
            {"name": "ana", "roles": {"*": "admin"}},
            {"name": "portal@acme", "roles": self.held},
        ]

    async def note(self, *_: object) -> None:
        return None

    async def add_link(self, *_: object) -> str:
        return "token"


async def test_a_portal_lets_in_to_its_tenant_and_nowhere_else() -> None:
    people: Any = Remembered()
    assert await portal_token(people, "acme") == "token"
    assert people.is_logged_out, "whoever made the account before"
    again: Any = Remembered(acme="reader")
    assert await portal_token(again, "acme") == "token"
    assert not again.is_logged_out
    for more in ("*", "other"):
        people = Remembered(**{more: "admin"})
        with pytest.raises(PeopleError, match="users remove portal@acme"):
            await portal_token(people, "acme")
