import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from connectors.media.download import Downloaded
from tests.unit.file_servers import Server, answer, content, downloader, outcome

BODY = bytes(range(256)) * 300


def certificate(folder: Path, host: str) -> Path:
    """A self-signed certificate and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False)
        .sign(key, SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + signed.public_bytes(Encoding.PEM)
    )
    return file


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    file = certificate(tmp_path, "files.test")
    offered, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    offered.load_cert_chain(file)
    trusting.load_verify_locations(file)
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
    known = Server()
    listening = await asyncio.start_server(known.serve_one, "127.0.0.1", 0, ssl=offered)
    known.port = listening.sockets[0].getsockname()[1]
    try:
        yield known
    finally:
        listening.close()
        await known.end()


@pytest.mark.parametrize("host", ["files.test", "FILES.test", "files.test."])
async def test_a_file_is_fetched_over_tls(host: str, server: Server, tmp_path: Path) -> None:
    server.answers["/it"] = answer(200, body=BODY)
    allowed = f"files.test:{server.port},files.test.:{server.port}"
    got = await outcome(downloader(tmp_path, allowed), f"https://{host}:{server.port}/it")
    assert isinstance(got, Downloaded) and content(got) == BODY


async def test_a_server_with_the_certificate_of_another_is_asked_for_nothing(
    server: Server, tmp_path: Path
) -> None:
    allowed = f"other.test:{server.port}"
    got = await outcome(downloader(tmp_path, allowed), f"https://other.test:{server.port}/it")
    assert (got, server.asked) == (("media", 1.0), [])
