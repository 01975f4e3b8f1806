"""The tools of the run do what the faults rely on."""

import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest

from streams.local.ports import free_port
from streams.roles.stand_in import listen_to, look_at
from tests.chaos.book import Book, read_book
from tests.chaos.clock import shifted
from tests.chaos.facts import Disturbance
from tests.chaos.media import MediaServer, picture, said_of_picture, said_of_sound, sound
from tests.chaos.proxy import Mode, proxy
from tests.chaos.run import merged, unsaid
from tests.chaos.traffic import Mix, Sender, Traffic

SENDER = Sender("acme", 3, {})


def test_what_the_stand_in_says_of_a_tenants_files_tells_whose_they_are() -> None:
    for number in (0, 3):
        assert said_of_picture(number) in look_at(picture(number, "salt"))
        assert said_of_sound(number) in listen_to(sound(number, "salt"))


def test_an_accepted_message_is_on_the_disk_before_it_counts(tmp_path: Path) -> None:
    book = Book(tmp_path / "book")
    item = Traffic([SENDER], MediaServer(1), Random(1)).make(SENDER, "text")
    book.accept(item)
    book.accept(item)
    assert [entry.key for entry in read_book(tmp_path / "book")] == [item.key, item.key]
    assert (list(book.accepted), book.deliveries[item.key]) == ([item.key], 2)
    book.close()


def test_traffic_is_mixed_and_repeats_itself() -> None:
    traffic = Traffic(
        [SENDER], MediaServer(1), Random(1), Mix(images=0.2, voices=0.1, not_json=0.1)
    )
    items = [item for _ in range(500) for item in traffic.next()]
    assert {item.kind for item in items} == {"text", "image", "voice", "not_json"}
    assert {item.sample.provider for item in items} == {"ycloud", "chatwoot"}
    assert len({item.key for item in items}) < len(items)


@pytest.mark.parametrize(
    ("mode", "seen"), [("pass", 200), ("error", 500), ("refuse", None), ("cut", None)]
)
def test_the_proxy_hurts_an_upload_as_it_is_told(mode: Mode, seen: int | None) -> None:
    class Store(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing."""

    store = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    threading.Thread(target=store.serve_forever, daemon=True).start()
    port = free_port(set())
    with proxy(port, ("127.0.0.1", store.server_port)) as relay:
        relay.mode = mode
        try:
            with urllib.request.urlopen(
                urllib.request.Request(f"http://127.0.0.1:{port}/x", b"y" * 700, method="PUT"),
                timeout=10,
            ) as answer:
                status: int | None = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
            error.close()
        except OSError:
            status = None
        assert (status, relay.hurt > 0) == (seen, mode != "pass")
    store.shutdown()
    store.server_close()


@pytest.mark.parametrize("mode", ["refuse", "error", "cut"])
def test_the_relay_also_hurts_a_connection_that_is_open_already(mode: Mode) -> None:
    port = free_port(set())
    with socket.create_server(("127.0.0.1", 0)) as store, proxy(port, store.getsockname()) as relay:
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(b"HEAD / HTTP/1.1\r\n\r\n")
            inside, _ = store.accept()
            with inside:
                assert inside.recv(100) == b"HEAD / HTTP/1.1\r\n\r\n"
                relay.mode = mode
                client.sendall(b"PUT / HTTP/1.1\r\n\r\n")
                answer = client.recv(100)
        assert (answer.startswith(b"HTTP/1.1 500"), relay.hurt) == (mode == "error", 1)


def test_a_process_sees_its_wall_clock_step_back() -> None:
    program = "import sys, time, datetime\nfor _ in sys.stdin: print(time.time(), datetime.datetime.now().timestamp(), flush=True)"
    with (
        shifted() as clock,
        subprocess.Popen(
            [sys.executable, "-c", program], env=clock.environment, stdin=-1, stdout=-1, text=True
        ) as process,
    ):
        assert process.stdin is not None and process.stdout is not None

        def seen() -> list[float]:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            return [float(word) for word in process.stdout.readline().split()]

        before = seen()
        clock.step(-3600)
        after = seen()
        process.stdin.close()
    assert all(3500 < a - b < 3601 for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("wait", ["pthread_cond_timedwait", "cnd_timedwait"])
def test_a_process_whose_clock_stepped_back_still_waits_as_long_as_it_means_to(wait: str) -> None:
    program = """
import ctypes, time
libc = ctypes.CDLL(None)
class At(ctypes.Structure): _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]
cond, mutex = ctypes.create_string_buffer(64), ctypes.create_string_buffer(64)
libc.pthread_mutex_lock(mutex)
began, until = time.monotonic(), time.time() + 1.5
libc.WAIT(cond, mutex, ctypes.byref(At(int(until), int(until % 1 * 1e9))))
print(time.monotonic() - began)
""".replace("WAIT", wait)
    with shifted() as clock:
        clock.step(-3600)
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=clock.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert 1.4 < float(done.stdout) < 30


def test_moments_close_together_are_one() -> None:
    at = [
        Disturbance("sink", 5.0),
        Disturbance("sink", 1.1),
        Disturbance("dedupe", 1.1),
        Disturbance("sink", 1.0),
        Disturbance("sink", 1.5),
    ]
    assert list(merged(at)) == [("dedupe", 1.1), ("sink", 1.0), ("sink", 1.5), ("sink", 5.0)]


def test_a_run_in_which_nothing_happened_does_not_pass() -> None:
    def told(accepted: set[str], statuses: dict[str, int]) -> list[str]:
        return list(
            unsaid(SimpleNamespace(statuses=statuses, book=SimpleNamespace(accepted=accepted)))
        )  # type: ignore[arg-type]

    assert told({"a"}, {"200": 5, "503": 3, "429": 1, "ReadTimeout": 2}) == []
    assert told(set(), {"503": 3}) == ["nothing was accepted"]
    assert told({"a"}, {"401": 3, "given up": 1}) == ["3 deliveries: 401", "1 deliveries: given up"]


def test_a_free_port_has_no_listener() -> None:
    from tests.chaos.world import listeners

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert listeners(port) == 1
    assert listeners(port) == 0
