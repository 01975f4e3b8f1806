"""Signed links to stored files, each valid for one path and until one time. Pure."""

import hashlib
import hmac
from collections.abc import Sequence


def signature(key: bytes, path: str, expires: int) -> str:
    return hmac.new(key, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()


class Links:
    """Signs with the first key and verifies with any, so that keys can be rotated while
    links are valid.
    """

    def __init__(self, keys: Sequence[bytes], seconds: int) -> None:
        self._keys = keys
        self._seconds = seconds

    def signed(self, path: str, now: float) -> str:
        """Returns `path?expires=<unix>&signature=<hex>`."""
        expires = int(now) + self._seconds
        return f"{path}?expires={expires}&signature={signature(self._keys[0], path, expires)}"

    def holds(self, path: str, expires: str, digest: str, now: float) -> bool:
        """Returns True if the link was signed by us for this path and has not expired."""
        if not expires.isascii() or not expires.isdigit() or len(expires) > 12:
            return False
        fits = [
            hmac.compare_digest(signature(key, path, int(expires)).encode(), digest.encode())
            for key in self._keys
        ]
        return any(fits) and int(expires) >= now
