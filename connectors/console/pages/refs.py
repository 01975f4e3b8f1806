"""References to conversations and messages in page addresses. Pure.

The ids contain phone numbers, and addresses end up in histories, proxy logs and chats.
A reference is therefore the encrypted id. The same id always has the same reference,
and only the console can decrypt it.
"""

import base64
import hashlib
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from schemas.keys import TenantId
from storage.postgres.vault import Vault

LONGEST_REF = 3_200
"""Longer than that of the longest id: 512 characters of four bytes each."""


class Refs:
    """Encrypts with the first key and decrypts with any, so that keys can be rotated
    while links are in use.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = [AESSIV(hashlib.sha512(key).digest()) for key in keys]

    def of(self, tenant_id: TenantId, kind: str, name: str) -> str:
        """Returns the reference; `kind` is `c` for a conversation and `m` for a message."""
        return _sealed(self._ciphers[0], tenant_id, kind, name)

    def of_every_key(self, tenant_id: TenantId, kind: str, name: str) -> list[str]:
        """Returns the reference under each key, to find those that were stored before a
        key rotation.
        """
        return [_sealed(cipher, tenant_id, kind, name) for cipher in self._ciphers]

    def open(self, tenant_id: TenantId, kind: str, ref: str) -> str | None:
        """Returns the id, or None if the reference was not made here for this tenant and kind."""
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
    """Creates the references of the console's pages, which only its own key can decrypt."""
    return Refs(vault.derived_keys("page-refs"))
