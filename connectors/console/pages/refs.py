"""References to conversations and messages in addresses of pages.

The ids hold phone numbers, and addresses end up in histories,
proxies and chats. A reference is the id, encrypted: the same id
has the same reference, and only the console can read it. Pure.
"""

import base64
import hashlib
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from schemas.keys import TenantId
from storage.postgres.vault import Vault

LONGEST_REF = 1_600


class Refs:
    """Encrypts with the first key and reads with any, so keys can be rotated while links live."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = [AESSIV(hashlib.sha512(key).digest()) for key in keys]

    def of(self, tenant_id: TenantId, kind: str, name: str) -> str:
        """`kind` is `c` for a conversation and `m` for a message."""
        return _sealed(self._ciphers[0], tenant_id, kind, name)

    def of_every_key(self, tenant_id: TenantId, kind: str, name: str) -> list[str]:
        """The reference by each key, to find those that were stored before keys were rotated."""
        return [_sealed(cipher, tenant_id, kind, name) for cipher in self._ciphers]

    def open(self, tenant_id: TenantId, kind: str, ref: str) -> str | None:
        """The id; None for what was not made here for this tenant and kind."""
        if len(ref) > LONGEST_REF or not ref.isascii():
            return None
        try:
            sealed = base64.urlsafe_b64decode(ref + "=" * (-len(ref) % 4))
        except ValueError:
            return None
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed, [tenant_id.encode(), kind.encode()]).decode()
            except (InvalidTag, ValueError):
                continue
        return None


def _sealed(cipher: AESSIV, tenant_id: TenantId, kind: str, name: str) -> str:
    sealed = cipher.encrypt(name.encode(), [tenant_id.encode(), kind.encode()])
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def page_refs(vault: Vault) -> Refs:
    """The references of the console's pages. They can be read with its key only."""
    return Refs(vault.derived_keys("page-refs"))
