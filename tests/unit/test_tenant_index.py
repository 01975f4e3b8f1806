from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography.fernet import Fernet
from structlog.testing import capture_logs

from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.tenants import ApiKey, Endpoint, TenantSettings
from storage.postgres.tenant_index import TenantIndex, digest
from storage.postgres.vault import Vault

NOW = datetime(2026, 11, 24, tzinfo=UTC)


class CountingVault(Vault):
    def __init__(self) -> None:
        super().__init__(Fernet.generate_key().decode())
        self.opened = 0

    def open(self, sealed: bytes) -> bytes:
        self.opened += 1
        return super().open(sealed)


@pytest.fixture
def vault() -> CountingVault:
    return CountingVault()


def tenant_row(
    vault: Vault, name: str, *, removed: bool = False, **settings: Any
) -> dict[str, Any]:
    sealed = vault.seal(msgspec.json.encode(TenantSettings(**settings)))
    return {"tenant_id": name, "settings": sealed, "removed": removed}


def endpoint(name: str, number: int = 0, **fields: Any) -> Endpoint:
    return Endpoint(
        endpoint_id=f"ep_{name}_{number}",
        token=f"token-{name}-{number}",
        tenant_id=TenantId(name),
        provider=fields.pop("provider", "ycloud"),
        **fields,
    )


def endpoint_row(vault: Vault, made: Endpoint, **columns: Any) -> dict[str, Any]:
    return {
        "tenant_id": made.tenant_id,
        "endpoint_id": made.endpoint_id,
        "provider": made.provider,
        "token_sha256": digest(made.token),
        "sealed": vault.seal(msgspec.json.encode(made)),
        "former_token_sha256": None,
        "former_token_until": None,
        **columns,
    }


def key_row(name: str, key: str) -> dict[str, Any]:
    return {"tenant_id": name, "key_sha256": digest(key), "scope": "read"}


def index_of(vault: Vault, *names: str, former: TenantIndex | None = None) -> TenantIndex:
    index = TenantIndex(vault, former)
    index.add_tenants(tenant_row(vault, name) for name in names)
    index.add_endpoints(endpoint_row(vault, endpoint(name)) for name in names)
    index.add_keys(key_row(name, f"key-{name}") for name in names)
    return index.complete()


def test_a_secret_is_opened_when_it_is_used_and_only_once(vault: CountingVault) -> None:
    index = index_of(vault, *(f"t{number}" for number in range(50)))
    assert vault.opened == 0
    for _ in range(3):
        assert index.endpoint("token-t7-0") == endpoint("t7")
        assert index.key("key-t9") == ApiKey(tenant_id=TenantId("t9"), scope="read")
    assert vault.opened == 1


def test_whether_the_key_is_right_is_known_from_one_row(vault: CountingVault) -> None:
    index = index_of(vault, *(f"t{number}" for number in range(50)))
    assert not index.opens_nothing() and vault.opened == 1
    assert TenantIndex(vault).opens_nothing() is False
    other = CountingVault()
    wrong = TenantIndex(other)
    wrong.add_tenants(tenant_row(vault, f"t{number}") for number in range(500))
    assert wrong.opens_nothing() and other.opened == 100


def test_a_change_of_a_tenant_replaces_what_is_known_of_it_and_of_nobody_else(
    vault: CountingVault,
) -> None:
    index = index_of(vault, "acme", "other")
    others = index.endpoint("token-other-0")
    new = endpoint("acme", 1)
    index.exchange(
        ["acme"],
        [tenant_row(vault, "acme", language="es")],
        [endpoint_row(vault, new)],
        [key_row("acme", "another")],
    )
    found = index.tenant(TenantId("acme"))
    assert found is not None and found.settings.language == "es"
    assert (index.endpoint("token-acme-0"), index.endpoint("token-acme-1")) == (None, new)
    assert (index.endpoint_by_id("ep_acme_0"), index.endpoint_by_id("ep_acme_1")) == (None, new)
    assert index.key("key-acme") is None and index.key("another") is not None
    assert index.endpoint("token-other-0") is others and index.key("key-other") is not None


def test_a_tenant_whose_rows_are_gone_is_forgotten_with_all_that_it_had(
    vault: CountingVault,
) -> None:
    index = index_of(vault, "acme", "other")
    index.exchange(["acme", "never-heard-of"], [], [], [])
    assert index.tenant(TenantId("acme")) is None and index.key("key-acme") is None
    assert index.endpoint("token-acme-0") is None and index.provider_key("acme", "ycloud") is None
    assert len(index) == 1


def test_a_removed_tenant_is_unknown_and_known_to_be_removed(vault: CountingVault) -> None:
    index = index_of(vault, "acme")
    index.exchange(["acme"], [tenant_row(vault, "acme", removed=True)], [], [])
    assert index.tenant(TenantId("acme")) is None
    assert index.is_removed("acme") and not index.is_removed("other") and len(index) == 0


def test_what_did_not_change_is_not_opened_again(vault: CountingVault) -> None:
    row, tenant = endpoint_row(vault, endpoint("acme")), tenant_row(vault, "acme")
    index = TenantIndex(vault)
    index.add_tenants([tenant])
    index.add_endpoints([row])
    assert index.endpoint("token-acme-0") is not None
    index.exchange(["acme"], [tenant], [row], [])
    again = TenantIndex(vault, index)
    again.add_endpoints([row])
    assert index.endpoint("token-acme-0") == again.complete().endpoint("token-acme-0")
    assert vault.opened == 1


def test_an_opened_row_is_not_taken_for_one_of_another_token(vault: CountingVault) -> None:
    row = endpoint_row(vault, endpoint("acme"))
    index = TenantIndex(vault)
    index.add_endpoints([row])
    assert index.endpoint("token-acme-0") is not None
    index.exchange(["acme"], [], [row | {"token_sha256": digest("stolen")}], [])
    with pytest.raises(Unavailable):
        index.endpoint("stolen")
    assert index.unreadable() == {"tenants": 0, "webhook_endpoints": 1}


def test_an_unreadable_row_costs_its_owner_and_is_reported_once(vault: CountingVault) -> None:
    index = index_of(vault, "acme", "other")
    bad = endpoint_row(vault, endpoint("acme")) | {"sealed": b"x"}
    index.exchange(["acme"], [tenant_row(vault, "acme") | {"settings": b"x"}], [bad], [])
    before = vault.opened
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(Unavailable):
                index.endpoint("token-acme-0")
            with pytest.raises(Unavailable):
                index.tenant(TenantId("acme"))
    assert vault.opened == before + 2
    assert [(one["event"], one["id"]) for one in logs] == [
        ("directory_row_unreadable", "ep_acme_0"),
        ("directory_row_unreadable", "acme"),
    ]
    assert index.unreadable() == {"tenants": 1, "webhook_endpoints": 1}
    assert index.endpoint("token-other-0") == endpoint("other")
    assert (
        index.endpoint_by_id("ep_acme_0") is None and index.provider_key("acme", "ycloud") is None
    )


def test_a_former_token_is_accepted_until_its_time(vault: CountingVault) -> None:
    until = NOW + timedelta(seconds=3)
    former = {"former_token_sha256": digest("former"), "former_token_until": until}
    index = TenantIndex(vault)
    index.add_endpoints([endpoint_row(vault, endpoint("acme"), **former)])
    assert index.endpoint("former", NOW) == endpoint("acme")
    assert index.endpoint("former", until) is None
    index.exchange(["acme"], [], [endpoint_row(vault, endpoint("acme"))], [])
    assert index.endpoint("former", NOW) is None


def test_a_providers_key_is_looked_for_among_the_tenants_own_endpoints(
    vault: CountingVault,
) -> None:
    index = TenantIndex(vault)
    index.add_endpoints(endpoint_row(vault, endpoint(f"t{n}", api_key="k")) for n in range(100))
    index.add_endpoints(
        [
            endpoint_row(vault, endpoint("acme", 0)),
            endpoint_row(vault, endpoint("acme", 1, provider="chatwoot", api_key="cw")),
            endpoint_row(vault, endpoint("acme", 2, api_key="yk")),
        ]
    )
    assert index.provider_key("acme", "ycloud") == "yk" and vault.opened == 2
    assert index.provider_key("acme", "direct") is None
    assert index.provider_key("nobody", "ycloud") is None and vault.opened == 2


def test_a_token_that_ended_is_remembered_as_long_as_its_tenant_says_so(
    vault: CountingVault,
) -> None:
    index = index_of(vault, "acme", "other")
    ended = {
        "tenant_id": "acme",
        "token_sha256": digest("old"),
        "endpoint_id": "ep_1",
        "provider": "ycloud",
        "reason": "url_replaced",
    }
    index.exchange(["acme"], [tenant_row(vault, "acme")], [], [], [ended])
    found = index.ended("old")
    assert found is not None and (found.endpoint_id, found.reason) == ("ep_1", "url_replaced")
    index.exchange(["other"], [], [], [], [])
    assert index.ended("old") is not None
    index.exchange(["acme"], [], [], [], [])
    assert index.ended("old") is None
