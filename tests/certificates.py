"""Makes HTTP clients in tests start quickly, for tests that never leave this machine."""

import datetime
import os
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def _one_certificate() -> bytes:
    """A certificate that signs nothing. Loading a hundred real ones takes 60 ms per client."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "unit tests")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM)


_FILE = tempfile.NamedTemporaryFile(suffix=".pem")


def trust_one() -> None:
    """Lets HTTP clients read a single certificate instead of the system's hundreds.

    A variable of the machine is replaced too, because it names the hundreds.
    """
    _FILE.write(_one_certificate())
    _FILE.flush()
    os.environ["SSL_CERT_FILE"] = _FILE.name
    os.environ.pop("SSL_CERT_DIR", None)
