"""Files with a shape per tenant, so that a description shows whose file it is.

They are served with switches for faults.
"""

import io
import math
import struct
import threading
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Trouble = Literal["hang", "server_error", "rate_limited"]
WIDTH = 64
_RATE = 8_000


def picture(number: int, salt: str) -> bytes:
    """A JPEG of 64 by 40+number pixels. The salt after its end makes its content unique."""
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (WIDTH, 40 + number), (200, 30, 30)).save(out, "JPEG")
    return out.getvalue() + salt.encode()


def sound(number: int, salt: str) -> bytes:
    """A WAV with a tone of 0.6 + number/10 seconds."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        count = int(_RATE * (0.6 + number / 10))
        file.writeframes(
            b"".join(struct.pack("<h", int(12_000 * math.sin(n / 3))) for n in range(count))
        )
    return out.getvalue() + salt.encode()


def said_of_picture(number: int) -> str:
    """The stand-in's description of the picture."""
    return f"{WIDTH} by {40 + number} pixels"


def said_of_sound(number: int) -> str:
    return f"sound of {0.6 + number / 10:.1f} seconds"


class MediaServer:
    """Serves `/<tenant>/<number>/<salt>.jpg` and `.wav`.

    `trouble[tenant]` makes it fail for that tenant.
    """

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.trouble: dict[str, Trouble] = {}
        self._made: dict[tuple[str, int], bytes] = {}

    def link(self, tenant: str, number: int, salt: str, extension: str) -> str:
        return f"{self.address}/{tenant}/{number}/{salt}.{extension}"

    def keep(self, extension: str, number: int, data: bytes) -> None:
        """Serves these bytes instead of the generated ones."""
        self._made[extension, number] = data

    def file(self, path: str) -> bytes:
        _, _, number, name = path.split("/")
        salt, _, extension = name.partition(".")
        make = picture if extension == "jpg" else sound
        known = self._made.get((extension, int(number)))
        if known is None:
            known = self._made[extension, int(number)] = make(int(number), "")
        return known + salt.encode()


@contextmanager
def media_server(port: int) -> Iterator[MediaServer]:
    media = MediaServer(port)

    class Files(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tenant = self.path.split("/")[1]
            trouble = media.trouble.get(tenant)
            while media.trouble.get(tenant) == "hang":
                time.sleep(0.1)
            if trouble in ("server_error", "rate_limited"):
                self.send_response(500 if trouble == "server_error" else 429)
                self.send_header("retry-after", "1")
                self.send_header("content-length", "0")
                self.end_headers()
                return
            data = media.file(self.path)
            self.send_response(200)
            self.send_header(
                "content-type", "image/jpeg" if self.path.endswith(".jpg") else "audio/wav"
            )
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing, because the run shows its own progress."""

        def handle(self) -> None:
            with suppress(ConnectionError):  # whoever asked was killed
                super().handle()

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

    server = Server(("127.0.0.1", port), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield media
    finally:
        media.trouble.clear()
        server.shutdown()
        server.server_close()
