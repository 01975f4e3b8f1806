"""What Postgres receives of a reader's password."""

import hashlib
import hmac
import re
from base64 import b64decode
from typing import Any

from schemas.topics import Names
from storage.postgres.readers import Readers, verifier_of

# The exchange of RFC 7677, section 3.
SALT = "W22ZaJ0SNY7soEsUEjb6gQ=="
NONCE = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SAID = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={NONCE},s={SALT},i=4096,c=biws,r={NONCE}"
PROOF = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SIGNATURE = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_the_verifier_is_the_one_that_scram_asks_for() -> None:
    verifier = verifier_of("pencil", b64decode(SALT))
    match = re.fullmatch(r"SCRAM-SHA-256\$4096:([^$]+)\$([^:]+):(.+)", verifier)
    assert match is not None and match[1] == SALT
    stored, server = b64decode(match[2]), b64decode(match[3])
    assert hmac.digest(server, SAID.encode(), "sha256") == b64decode(SIGNATURE)
    signature = hmac.digest(stored, SAID.encode(), "sha256")
    key = bytes(one ^ other for one, other in zip(b64decode(PROOF), signature, strict=True))
    assert hashlib.sha256(key).digest() == stored


class Listening:
    """A connection that keeps the statements it gets."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def transaction(self) -> "Listening":
        return self

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        return None

    async def fetchrow(self, *_: object) -> None:
        return None

    async def fetch(self, *_: object) -> list[Any]:
        return []

    async def execute(self, statement: str) -> None:
        self.told.append(statement)


async def test_the_password_itself_is_in_no_statement() -> None:
    listening: Any = Listening()
    password = await Readers(listening, Names("blue")).add("bi")
    statements = " ".join(listening.told)
    assert "SCRAM-SHA-256$" in statements and password not in statements
