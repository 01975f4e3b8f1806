from collections.abc import Iterator

import msgspec
import pytest

from schemas.settings import Settings
from streams.commands.users import demo_link
from tests.integration.commands import Commands


@pytest.fixture
def people(stack: Settings, namespace: str) -> Iterator[Commands]:
    """A namespace with tables; people need no topics."""
    made = Commands(msgspec.structs.replace(stack, namespace=namespace), {})
    made.make_tables()
    yield made
    made.drop_tables()


def test_a_person_is_added_with_a_password_that_is_shown_once(people: Commands) -> None:
    added = people.json("users", "add", "ana")
    assert len(added["password"]) >= 20 and added["tenant"] == "*"
    stored = people.database(lambda connection: connection.fetchval("SELECT password FROM people"))
    assert stored.startswith("$argon2id$") and added["password"] not in stored
    listed = people.json("users", "list")["people"]
    assert [(one["name"], one["roles"]) for one in listed] == [("ana", {"*": "admin"})]


def test_a_portal_link_is_for_one_tenant_only(people: Commands) -> None:
    people.json("tenants", "add", "acme")
    first, second = people.json("portal", "acme"), people.json("portal", "acme")
    assert first["link"] != second["link"] and "/login/link?token=" in first["link"]
    (portal,) = people.json("users", "list")["people"]
    assert (portal["name"], portal["roles"], portal["has_password"]) == (
        "portal@acme",
        {"acme": "reader"},
        False,
    )
    log = people.json("log")["log"]
    assert [one["action"] for one in log].count("portal_link_made") == 2
    people.json("users", "role", "portal@acme", "admin")  # of every tenant, by mistake
    assert "only: sensorium users remove" in people.fails("portal", "acme")
    people.json("users", "remove", "portal@acme")
    assert people.json("portal", "acme")["link"]


def test_a_portal_link_logs_out_the_former_holder_of_the_name(people: Commands) -> None:
    people.json("tenants", "add", "acme")
    people.json("tenants", "add", "other")
    people.json("users", "add", "portal@acme", "--role", "reader", "--tenant", "other")
    people.json("users", "link", "portal@acme")

    def held() -> int:
        return int(
            people.database(
                lambda connection: connection.fetchval("SELECT count(*) FROM login_links")
            )
        )

    people.database(lambda connection: connection.execute("DELETE FROM people_roles"))
    assert held() == 1
    people.json("portal", "acme")
    assert held() == 1  # the new one only
    people.json("portal", "acme")
    assert held() == 2  # the tenant's own person keeps its links


def test_people_are_changed_and_removed(people: Commands) -> None:
    people.json("tenants", "add", "acme")
    people.json("users", "add", "luz", "--role", "viewer", "--tenant", "acme")
    people.json("users", "role", "luz", "reader", "--tenant", "acme")
    assert people.json("users", "list")["people"][0]["roles"] == {"acme": "reader"}
    assert people.json("users", "password", "luz")["password"]
    assert "/login/link?token=" in people.json("users", "link", "luz")["link"]
    people.json("users", "remove", "luz")
    assert people.json("users", "list")["people"] == []


def test_a_role_at_another_tenant_ends_a_password_that_was_set_in_the_console(
    people: Commands,
) -> None:
    for tenant in ("acme", "other"):
        people.json("tenants", "add", tenant)

    def luz() -> tuple[bool, dict[str, str]]:
        (person,) = people.json("users", "list")["people"]
        return person["has_password"], person["roles"]

    people.json("users", "add", "luz", "--role", "viewer", "--tenant", "acme")
    people.json("users", "role", "luz", "reader", "--tenant", "other")
    assert luz() == (True, {"acme": "viewer", "other": "reader"})
    people.database(
        lambda connection: connection.execute(
            "DELETE FROM people_roles WHERE tenant_id = 'other'; UPDATE people SET is_own_password = true"
        )
    )
    people.json("users", "role", "luz", "admin", "--tenant", "acme")
    assert luz() == (True, {"acme": "admin"})
    people.json("users", "role", "luz", "reader", "--tenant", "other")
    assert luz() == (False, {"acme": "admin", "other": "reader"})


def test_what_cannot_be_is_said_in_one_line(people: Commands) -> None:
    people.json("users", "add", "ana")
    assert "already" in people.fails("users", "add", "ana")
    assert "is not a name" in people.fails("users", "add", "Not A Name")
    assert "no person" in people.fails("users", "link", "nobody")
    assert "no tenant" in people.fails("portal", "nowhere")
    assert "no tenant" in people.fails("users", "add", "luz", "--tenant", "nowhere")


def test_the_demo_has_one_admin_and_a_new_link_each_time(people: Commands) -> None:
    links = {demo_link(people.settings) for _ in range(2)}
    assert len(links) == 2 and all("/login/link?token=" in link for link in links)
    (admin,) = people.json("users", "list")["people"]
    assert (admin["name"], admin["roles"], admin["has_password"]) == (
        "admin",
        {"*": "admin"},
        False,
    )
