"""Encrypts stored secrets with SECRETS__KEY.

The setting may list several keys, separated by commas, for rotation. The first one
encrypts, and each of them decrypts.
"""

import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from storage.errors import StorageError


class VaultError(StorageError):
    """SECRETS__KEY is missing or wrong. The message says what to do."""


class Vault:
    """Encrypts (seals) and decrypts (opens) secrets, and derives keys for other purposes.

    Raises VaultError for an invalid key.
    """

    def __init__(self, keys: str) -> None:
        self._keys = [key.strip() for key in keys.split(",") if key.strip()]
        if not self._keys:
            raise VaultError(
                "SENSORIUM_SECRETS__KEY is not set. Make one: python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"  # noqa: E501
            )
        try:
            self._first = Fernet(self._keys[0])
            self._fernet = MultiFernet([Fernet(key) for key in self._keys])
        except ValueError as error:
            raise VaultError(
                "SENSORIUM_SECRETS__KEY is not a key: 32 bytes in URL-safe base64, "
                "several separated by commas"
            ) from error

    def seal(self, plain: bytes) -> bytes:
        return self._fernet.encrypt(plain)

    def open(self, sealed: bytes) -> bytes:
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken as error:
            raise VaultError(
                "a secret in the database was sealed with a key that is not in"
                " SENSORIUM_SECRETS__KEY"
            ) from error

    def is_current(self, sealed: bytes) -> bool:
        """True if the secret is encrypted with the first key."""
        try:
            self._first.decrypt(sealed)
        except InvalidToken:
            return False
        return True

    def derived_keys(self, purpose: str) -> list[bytes]:
        """A derived key per live key. The first one signs, and each verifies."""
        return [
            hmac.digest(key.encode(), b"sensorium:" + purpose.encode(), hashlib.sha256)
            for key in self._keys
        ]
