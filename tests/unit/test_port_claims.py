import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streams.local.ports import free_port
from streams.roles.http import listening_socket
from streams.roles.port_claims import PortTaken, claim_port, installation_of, is_free

OURS = installation_of("", "key")
OTHERS = installation_of("", "another key")
HOLD = """
import sys
from streams.roles.http import listening_socket
held = listening_socket("127.0.0.1", int(sys.argv[1]), frozenset(sys.argv[2].split(",")))
print("holds", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(port: int, installation: frozenset[str]) -> Iterator[None]:
    """A process that listens on the port for an installation, as an HTTP role does."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(port), ",".join(installation)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        yield
        process.kill()


def test_processes_of_one_installation_share_a_port() -> None:
    port = free_port(set())
    with another_process(port, OURS), listening_socket("127.0.0.1", port, OURS) as second:
        assert second.getsockname() == ("127.0.0.1", port)


def test_another_installation_is_refused_while_the_port_is_held_and_may_have_it_afterwards() -> (
    None
):
    port = free_port(set())
    with (
        another_process(port, OTHERS),
        pytest.raises(PortTaken, match=f"port {port} belongs to another installation"),
    ):
        listening_socket("127.0.0.1", port, OURS)
    listening_socket("127.0.0.1", port, OURS).close()


def test_a_program_that_knows_no_claims_is_found_even_if_it_would_share() -> None:
    with socket.socket() as foreign:
        foreign.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        foreign.bind(("127.0.0.1", 0))
        foreign.listen()
        port = foreign.getsockname()[1]
        assert not is_free(port)
        with pytest.raises(PortTaken, match="another program"):
            claim_port(port, OURS)
        claim_port(port, OURS, ours=True).release()


def test_a_released_claim_is_free_for_others() -> None:
    port = free_port(set())
    claim_port(port, OURS).release()
    claim_port(port, OTHERS).release()


@pytest.mark.parametrize(
    ("namespace", "key", "is_same"),
    [
        ("", "key", True),
        ("", "new, key", True),  # while the key is rotated
        ("", "new", False),
        ("other", "key", False),
        ("sensorium.2", "key", True),  # the same pipeline, with other topics
        ("other.2", "key", False),
    ],
)
def test_an_installation_is_known_by_its_namespace_and_any_of_its_keys(
    namespace: str, key: str, is_same: bool
) -> None:
    assert (not OURS.isdisjoint(installation_of(namespace, key))) == is_same


def test_a_folder_of_claims_that_others_can_write_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = tmp_path / f"sensorium-ports-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(PortTaken, match="mode 0700"):
        claim_port(free_port(set()), OURS)
