"""What was sealed with one of the installation's keys can be opened with it, and with no other."""

import pytest
from cryptography.fernet import Fernet

from storage.postgres.vault import Vault, VaultError


def test_a_new_key_in_front_seals_and_the_old_one_still_opens() -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    before, both, after = Vault(old), Vault(f" {new} , {old},"), Vault(new)
    assert both.open(before.seal(b"secret")) == b"secret"
    assert after.open(both.seal(b"secret")) == b"secret"
    with pytest.raises(VaultError, match="SENSORIUM_SECRETS__KEY"):
        after.open(before.seal(b"secret"))
    assert both.derived_keys("links") == after.derived_keys("links") + before.derived_keys("links")
    assert both.derived_keys("links") != both.derived_keys("else")


@pytest.mark.parametrize("keys", ["", " , ", "short", "Zm9v", f"{'A' * 43}=,broken"])
def test_a_key_that_is_none_is_refused_with_the_name_of_the_setting(keys: str) -> None:
    with pytest.raises(VaultError, match="SENSORIUM_SECRETS__KEY"):
        Vault(keys)
