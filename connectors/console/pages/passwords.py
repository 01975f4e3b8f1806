"""Checks passwords with argon2id, a few at a time, and equally slowly for unknown names."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from connectors.console.tenant_queue import TenantQueue
from schemas.keys import TenantId

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 1_000
_HASHER = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=1)
_THREADS = ThreadPoolExecutor(2, thread_name_prefix="password")
_TURNS = TenantQueue(2, 20)
_NOBODY = _HASHER.hash("nobody logs in with this")


def hashed(password: str) -> str:
    """Returns the argon2id hash, with its salt and parameters.

    Takes a tenth of a second and 64 MiB.
    """
    return _HASHER.hash(password)


async def hashed_in_turn(password: str) -> str:
    """Returns the hash without holding up other requests.

    Raises Busy if too many people log in at once.
    """
    async with _TURNS.turn(TenantId("")):
        return await asyncio.get_running_loop().run_in_executor(_THREADS, hashed, password)


async def is_right(password: str, stored: str | None) -> bool:
    """Whether the password matches the stored hash.

    Raises Busy if too many people log in at once.
    """
    async with _TURNS.turn(TenantId("")):
        return await asyncio.get_running_loop().run_in_executor(_THREADS, _check, password, stored)


def _check(password: str, stored: str | None) -> bool:
    try:
        return _HASHER.verify(stored or _NOBODY, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
